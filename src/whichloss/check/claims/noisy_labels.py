"""Losses that forgive wrong labels."""

import math
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ..arguments import number
from ..claim import Claim, Form, Variant
from ._logits import SHIFT, TWICE, Y, Z, log_p, named, others, own, pair, softmax_twice, within

Q = number("q", "q", 0.7, (0.7, 0.1, 0.3, 0.5, 0.8, 1.0))
FLOOR = number("floor", "floor a", -4.0, (-4.0, -6.0, -9.2103))
ALPHA, BETA = number("alpha", "alpha a", 1.0, ()), number("beta", "beta b", 1.0, ())
PASSIVE = "-A (1 - p_y), A = -4"


def _gce(z: Tensor, target: Tensor, q: float) -> Tensor:
    return (1 - (within(q, 0, 1) * own(z, target)).exp()) / q


def _normalised(z: Tensor, target: Tensor, **_: float) -> Tensor:
    return own(z, target) / log_p(z).sum(dim=1)


def _reverse(z: Tensor, target: Tensor, floor: float = -4.0, **_: float) -> Tensor:
    return -floor * others(z, target)


LOG_1E4 = 4 * math.log(10)  # -log 1e-4, where the usual code clamps the one-hot labels


def _floor(numbers: Mapping[str, float]) -> str:
    """That another floor was meant, where that makes beta a round number."""
    beta = -FLOOR.default * numbers.get("beta", 1.0) / LOG_1E4
    if abs(beta - round(beta, 2)) > 1e-4 * beta:
        return ""
    return (
        f"the floor differs: beta is {numbers['beta']:.4g} with A = -4 as in the paper; with labels clamped at 1e-4 it "
        f"is A = log 1e-4 = -9.21 and beta = {beta:.2g}, so the reverse term weighs 2.303 times the paper's"
    )


def _active_and_passive(name: str, says: str, text: str, active: str, covers: str, card: str, *aliases: str) -> Claim:
    """Two terms with weights of one's own."""
    term = _normalised if active == "normalised" else lambda z, target, **_: -own(z, target)
    form = Form(
        (Z, Y),
        {text: term, PASSIVE: _reverse},
        (ALPHA, BETA),
        invariances=SHIFT,
        weights={text: "alpha", PASSIVE: "beta"},
        units={PASSIVE: -LOG_1E4 / FLOOR.default},
    )
    return replace(named(name, says, form, card, f"noisy_labels.{covers}", *aliases), remark=_floor)


CLAIMS = (
    named(
        "generalised-cross-entropy",
        "(1 - p_y^q) / q",
        pair(
            "(1 - p_y^q) / q",
            _gce,
            softmax_twice(_gce),
            options=(Q,),
        ),
        "generalised-cross-entropy",
        "noisy_labels.generalised_cross_entropy",
        "gce",
    ),
    _active_and_passive(
        "symmetric-cross-entropy",
        "alpha (-log p_y) + beta (-A) (1 - p_y)",
        "-log p_y",
        "plain",
        "symmetric_cross_entropy",
        "symmetric-cross-entropy",
        "sce",
    ),
    named(
        "mean-absolute-error",
        "sum_c |p_c - 1{c = y}| = 2 (1 - p_y)",
        pair(
            "2 (1 - p_y)",
            lambda z, target: 2 * others(z, target),
            softmax_twice(lambda z, target: 2 * others(z, target)),
            Variant(
                "absolute errors of the logits, no softmax",
                lambda z, target: (z - (z * 0).scatter(1, target.long().unsqueeze(1), 1.0)).abs().sum(dim=1),
                "Without the softmax it is not bounded: one wrong label costs without end.",
                "softmax first.",
            ),
        ),
        "mean-absolute-error",
        "noisy_labels.mean_absolute",
        "mae",
    ),
    named(
        "normalised-cross-entropy",
        "log p_y / sum_c log p_c",
        pair("log p_y / sum_c log p_c", _normalised, TWICE),
        "normalised-losses",
        "noisy_labels.normalised_cross_entropy",
        "nce-noisy",
    ),
    named(
        "reverse-cross-entropy",
        "-A (1 - p_y), A = log 0 := -4",
        pair(
            "-A (1 - p_y)",
            _reverse,
            Variant(
                "the cross-entropy the usual way round",
                lambda z, target, **_: -own(z, target),
                "-sum t log p: it is not bounded, so wrong labels count most.",
                "-(p * one_hot.clamp(min=1e-4).log()).sum(dim=1)",
            ),
            options=(FLOOR,),
        ),
        "normalised-losses",
        "noisy_labels.reverse_cross_entropy",
        "rce",
    ),
    _active_and_passive(
        "normalised-reverse",
        "alpha log p_y / sum_c log p_c + beta (-A) (1 - p_y)",
        "log p_y / sum_c log p_c",
        "normalised",
        "normalised_reverse",
        "normalised-losses",
        "nce-rce",
        "active-passive",
    ),
)
