"""Losses for labels of which some are wrong: per example, no network, no reduction.

z (B, K) logits, target (B,) class numbers y, p = softmax(z); all return (B,). A loss is symmetric if its sum over all
K labels is a constant; then wrong labels, spread evenly over the other classes, leave its minimiser where it was (Ghosh
et al., 2017). `mean_absolute`, `reverse_cross_entropy` and `normalised_cross_entropy` are, cross-entropy is not. Where
classes are rare besides, symmetric losses give them up: compose with `long_tail.prior_shift`.
UserError for shapes or labels that are wrong.
"""

import math

from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

from ..errors import UserError
from ._log_odds import log_odds, one_minus_exp, sigmoid
from ._targets import check_labels, check_setting
from .classification import Number


def generalised_cross_entropy(z: Tensor, target: Tensor, *, q: Number = 0.7) -> Tensor:
    """(1 - p_y^q) / q: cross-entropy for q -> 0, 1 - p_y (half of `mean_absolute`) at q = 1.

    Its gradient is p_y^q times cross-entropy's: doubted labels weigh less. UserError for q outside (0, 1].
    (Zhang & Sabuncu, 2018.)
    """
    if not isinstance(q, Tensor) and not 0 < q <= 1:
        raise UserError(f"generalised_cross_entropy: 'q' must lie in (0, 1]; got {q}. Its limit at 0 is cross_entropy.")
    check_labels("generalised_cross_entropy", z, target)
    return one_minus_exp(q * logsigmoid(log_odds(z, target))) / q


def mean_absolute(z: Tensor, target: Tensor) -> Tensor:
    """sum_c |p_c - 1{c = y}| = 2 (1 - p_y); over all labels it sums to 2 (K - 1). (Ghosh et al., 2017.)"""
    check_labels("mean_absolute", z, target)
    return 2 * sigmoid(-log_odds(z, target))


def reverse_cross_entropy(z: Tensor, target: Tensor, *, floor: Number = -4.0) -> Tensor:
    """-sum_c p_c log 1{c = y} with log 0 := floor = A, that is -A (1 - p_y) = -A/2 of `mean_absolute`.

    Over all labels it sums to -A (K - 1). UserError for floor > 0. (Wang et al., 2019, who name A = -4; the code that
    clips the labels at 1e-4 has A = log 1e-4 = -9.21.)
    """
    check_setting("reverse_cross_entropy", "floor", floor, -math.inf, 0)
    check_labels("reverse_cross_entropy", z, target)
    return -floor * sigmoid(-log_odds(z, target))


def symmetric_cross_entropy(
    z: Tensor, target: Tensor, *, alpha: Number = 0.1, beta: Number = 1.0, floor: Number = -4.0
) -> Tensor:
    """alpha (-log p_y) - beta A (1 - p_y), A = floor: cross-entropy and `reverse_cross_entropy`. (Wang et al., 2019.)

    UserError for alpha or beta < 0, floor > 0.
    """
    _check_parts("symmetric_cross_entropy", alpha, beta, floor)
    check_labels("symmetric_cross_entropy", z, target)
    m = log_odds(z, target)
    return -alpha * logsigmoid(m) - beta * floor * sigmoid(-m)


def normalised_cross_entropy(z: Tensor, target: Tensor) -> Tensor:
    """log p_y / sum_c log p_c in [0, 1]: 1/K at equal logits; over all labels it sums to 1. (Ma et al., 2020.)

    It can fall by making the other classes ever less likely, so it learns slowly alone: see `normalised_reverse`.
    """
    check_labels("normalised_cross_entropy", z, target)
    return logsigmoid(log_odds(z, target)) / log_softmax(z, dim=1).sum(dim=1)


def normalised_reverse(
    z: Tensor, target: Tensor, *, alpha: Number = 1.0, beta: Number = 1.0, floor: Number = -4.0
) -> Tensor:
    """alpha `normalised_cross_entropy` + beta `reverse_cross_entropy`: the active and the passive part both symmetric.

    Over all labels it sums to alpha - beta A (K - 1). UserError for alpha or beta < 0, floor > 0. (Ma et al., 2020.)
    """
    _check_parts("normalised_reverse", alpha, beta, floor)
    check_labels("normalised_reverse", z, target)
    m = log_odds(z, target)
    return alpha * logsigmoid(m) / log_softmax(z, dim=1).sum(dim=1) - beta * floor * sigmoid(-m)


def _check_parts(loss: str, alpha: Number, beta: Number, floor: Number) -> None:
    check_setting(loss, "alpha", alpha, 0)
    check_setting(loss, "beta", beta, 0)
    check_setting(loss, "floor", floor, -math.inf, 0)
