"""Losses for classes of very unequal size."""

from torch import Tensor

from ..arguments import counts, law, number, one_hot
from ..claim import Claim, Form, Variant
from ._logits import named, own, pair, within

PRIOR = law("prior", "prior priors pi freq base class", one=True, learns=False)
COUNTS = counts()
TAU = number("tau", "tau t temperature", 1.0, (1.0, 0.5, 1.5, 2.0))
RARER = (
    "In training the logarithm is added; subtracting it is the cure at prediction, and here makes rare classes rarer."
)


def _delta(counts: Tensor, margin: float) -> Tensor:
    return within(margin) * (counts.min() / counts) ** 0.25


def _ldam(z: Tensor, target: Tensor, counts: Tensor, margin: float, scale: float) -> Tensor:
    return -own(within(scale) * (z - one_hot(target, z.shape[1]) * _delta(counts, margin)), target)


def _ldam_all(z: Tensor, target: Tensor, counts: Tensor, margin: float, scale: float) -> Tensor:
    return -own(within(scale) * (z - _delta(counts, margin)), target)


def _ldam_added(z: Tensor, target: Tensor, counts: Tensor, margin: float, scale: float) -> Tensor:
    return -own(within(scale) * (z + one_hot(target, z.shape[1]) * _delta(counts, margin)), target)


def _per_class(counts: Tensor, beta: float) -> Tensor:
    w = (1 - beta) / (1 - within(beta, 0, 1) ** counts)
    return w * len(counts) / w.sum()


def _inverse(counts: Tensor) -> Tensor:
    w: Tensor = 1 / counts
    return w * len(counts) / w.sum()


CLAIMS = (
    named(
        "balanced-softmax",
        "-log(n_y e^{z_y} / sum_c n_c e^{z_c})",
        pair(
            "-log(n_y e^{z_y} / sum_c n_c e^{z_c})",
            lambda z, target, counts: -own(z + counts.log(), target),
            Variant(
                "the counts subtracted",
                lambda z, target, counts: -own(z - counts.log(), target),
                RARER,
                "z + counts.log()",
            ),
            Variant(
                "the counts without their logarithm",
                lambda z, target, counts: -own(z + counts, target),
                "Logits are log-odds: they shift by log n.",
                "z + counts.log()",
            ),
            more=(COUNTS,),
        ),
        "balanced-softmax-loss",
        "long_tail.balanced_softmax",
    ),
    named(
        "logit-adjustment",
        "cross-entropy of z + tau log prior",
        pair(
            "-log softmax(z + tau log prior)_y",
            lambda z, target, prior, tau: -own(z + within(tau) * prior.log(), target),
            Variant(
                "the prior subtracted instead of added",
                lambda z, target, prior, tau: -own(z - within(tau) * prior.log(), target),
                RARER,
                "z + tau * prior.log()",
            ),
            Variant(
                "the prior without its logarithm",
                lambda z, target, prior, tau: -own(z + within(tau) * prior, target),
                "Logits are log-odds: they shift by log prior.",
                "z + tau * prior.log()",
            ),
            options=(TAU,),
            more=(PRIOR,),
        ),
        "logit-adjustment",
        "long_tail.logit_adjustment",
        "logit-adjusted",
        "prior-shift",
    ),
    named(
        "ldam",
        "cross-entropy of s (z - Delta_y e_y), Delta_c = m (n_min / n_c)^(1/4)",
        pair(
            "-log softmax(s (z - Delta_y e_y))_y",
            _ldam,
            Variant(
                "the margin taken off every class",
                _ldam_all,
                "A margin helps only if the true class alone pays it.",
                "z_y - Delta_y, other logits as they are.",
            ),
            Variant(
                "the margin added to the true class",
                _ldam_added,
                "The true class then wins with less, and rare classes with least.",
                "z_y - Delta_y.",
            ),
            options=(
                number("margin", "margin maxm m", 0.5, (0.5, 0.3, 1.0)),
                number("scale", "scale s", 30.0, (30.0, 1.0, 10.0)),
            ),
            more=(COUNTS,),
        ),
        "ldam",
        "long_tail.ldam",
    ),
    Claim(
        "class-balanced-weights",
        "(1 - beta) / (1 - beta^n_c), scaled to the sum K",
        (
            Form(
                (COUNTS,),
                {"(1 - beta) / (1 - beta^n_c)": _per_class},
                (number("beta", "beta", 0.999, (0.999, 0.9, 0.99, 0.9999)),),
                (
                    Variant(
                        "one over the counts",
                        lambda counts, **_: _inverse(counts),
                        "The limit beta -> 1: rare classes weigh most, and a class with one example dominates.",
                        "(1 - beta) / (1 - beta ** counts)",
                        fault=False,
                    ),
                ),
                per_sample=False,
                exchangeable=False,
                least=3,
            ),
        ),
        ("class-balanced", "effective-number"),
        "class-balanced-weights",
        ("long_tail.class_balanced_weights",),
        fragile=False,
    ),
)
