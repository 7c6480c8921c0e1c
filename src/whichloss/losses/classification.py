"""Classification losses on logits z: per example, no network, no reduction.

Notation: p probabilities, z logits (B, K) or, binary, of any shape (*), y the class number in `target` (B,).
UserError where shapes or values are wrong (values are not read inside vmap or a trace).

From odds to softmax: p is as good as its odds p / (1 - p) in (0, inf), and these as their logarithm, the logit, in
(-inf, inf), which a linear layer can produce. sigma turns it back. K classes have a score each, of which only the
differences z_i - z_j = log(p_i / p_j) mean anything; softmax turns them back, and at K = 2 is sigma(z_1 - z_0).
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import logsigmoid, relu

from ..errors import UserError
from . import _log_odds
from ._log_odds import focal_term, log_odds, log_softmax
from ._targets import (
    check_broadcasts,
    check_chances,
    check_interval,
    check_labels,
    check_per_class,
    check_probabilities,
    check_setting,
)

Number = Tensor | float


def odds(p: Tensor) -> Tensor:
    """p / (1 - p) in [0, inf]: 3 means three to one. UserError outside [0, 1]."""
    check_interval("odds", "p", p, "A logit z is a probability after sigmoid(z).")
    return p / (1 - p)


def logit(p: Tensor) -> Tensor:
    """log(p / (1 - p)), the log-odds: 0 at p = 1/2, not a log-probability. UserError outside [0, 1]."""
    check_interval("logit", "p", p, "A value outside is no probability; it may be a logit already.")
    return torch.logit(p)


def sigmoid(z: Tensor) -> Tensor:
    """sigma(z) = 1 / (1 + e^-z), the probability whose logit is z; sigma(-z) = 1 - sigma(z)."""
    return _log_odds.sigmoid(z)


def softmax(z: Tensor) -> Tensor:
    """e^{z_c} / sum_j e^{z_j} over the last axis; softmax(z + a) = softmax(z). It is a map, not a loss."""
    return torch.softmax(z, dim=-1)


def binary_cross_entropy(p: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """-w (t log p + (1 - t) log(1 - p)) on probabilities; log 2 at p = 1/2, H(t) at the optimum p = t.

    p and target of one shape (*), `weight` broadcasts to it; returns (*). As in torch.nn.BCELoss a logarithm counts at
    least -100 and a slope at most 1e12: p = 0 or 1 has lost how wrong it is, so prefer logits. torch's mean is .mean(),
    weighted or not. UserError for other shapes, p or target outside [0, 1]. (Good, 1952.)
    """
    check_chances("binary_cross_entropy", p, target, "p")
    check_interval("binary_cross_entropy", "p", p, "Logits go into binary_cross_entropy_with_logits.")
    if weight is not None:
        check_broadcasts("binary_cross_entropy", "weight", weight, p)
        weight = weight.to(p)
    return functional.binary_cross_entropy(p, target.to(p), weight, reduction="none")


def binary_cross_entropy_with_logits(
    z: Tensor, target: Tensor, *, weight: Tensor | None = None, pos_weight: Tensor | None = None
) -> Tensor:
    """-w (c t log sigma(z) + (1 - t) log sigma(-z)), c = pos_weight; its slope at w = c = 1 is sigma(z) - t.

    z and target (0, 1 or a probability) of one shape (*); weights broadcast to it; returns (*). torch's mean is
    .mean(), weighted or not. c copies every positive c times; it adds log c to the best logit, so sigma(z) is no
    probability any more, sigma(z - log c) is. UserError for other shapes or targets outside [0, 1]. (Good, 1952;
    Cox, 1958.)
    """
    check_chances("binary_cross_entropy_with_logits", z, target)
    t = target.to(z)
    positive = t
    if pos_weight is not None:
        check_broadcasts("binary_cross_entropy_with_logits", "pos_weight", pos_weight, z)
        positive = t * pos_weight.to(z)
    # two terms >= 0, each exact; torch's (1 - t) z - log sigma(z) is 0 for z = -30, t = 0
    loss = -positive * logsigmoid(z) - (1 - t) * logsigmoid(-z)
    if weight is not None:
        check_broadcasts("binary_cross_entropy_with_logits", "weight", weight, z)
        loss = loss * weight.to(z)
    return loss


def cross_entropy(
    z: Tensor, target: Tensor, *, weight: Tensor | None = None, ignore_index: int = -100, smoothing: Number = 0.0
) -> Tensor:
    """-sum_c w_c t_c log p_c, p = softmax(z), t the target's law mixed with the uniform: (1 - e) t + e / K.

    z (B, K); target (B,) class numbers, or (B, K) probabilities; weight (K,); returns (B,), 0 with gradient 0 in
    rows labelled `ignore_index`. torch's weighted mean divides by weights, not rows: it is
    loss.sum() / example_weights(target, weight=w, ignore_index=i).sum(). Slope softmax(z) - t at w = 1; log K at equal
    logits. UserError for wrong shapes, labels outside 0 .. K - 1, rows that are no probabilities, smoothing outside
    [0, 1]. (Bridle, 1990; smoothing: Szegedy et al., 2016.)
    """
    check_setting("cross_entropy", "smoothing", smoothing, 0, 1)
    if target.is_floating_point():
        return _soft_cross_entropy(z, target, weight, ignore_index, smoothing)
    check_labels("cross_entropy", z, target, ignore_index)
    if weight is not None:
        check_per_class("cross_entropy", "weight", weight, z)
        weight = weight.to(z)
    ignored = target == ignore_index
    y = target.long().masked_fill(ignored, 0)
    z = z.masked_fill(ignored.unsqueeze(1), 0)  # whatever stands in an ignored row, its gradient is 0
    loss = -logsigmoid(log_odds(z, y))
    if weight is not None:
        loss = weight[y] * loss
    if isinstance(smoothing, Tensor) or smoothing > 0:
        each = -functional.log_softmax(z, dim=1)
        uniform = each.mean(dim=1) if weight is None else (weight * each).mean(dim=1)
        loss = (1 - smoothing) * loss + smoothing * uniform
    return loss.masked_fill(ignored, 0)


def _soft_cross_entropy(
    z: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, smoothing: Number
) -> Tensor:
    """-sum_c w_c t_c log p_c of probabilities t (B, K), which are smoothed alike."""
    if z.shape != target.shape or ignore_index != -100:
        raise UserError(
            f"cross_entropy: a floating-point 'target' holds probabilities in the shape of 'z' {tuple(z.shape)} and "
            f"knows no ignore_index; got {tuple(target.shape)}, ignore_index = {ignore_index}. Class numbers are "
            "integers: target.long()."
        )
    check_probabilities("cross_entropy", "target", target)
    law = (1 - smoothing) * target.to(z) + smoothing / z.shape[1]
    if weight is not None:
        check_per_class("cross_entropy", "weight", weight, z)
        law = law * weight.to(z)
    return -(law * log_softmax(z)).sum(dim=1)


def example_weights(target: Tensor, *, weight: Tensor | None = None, ignore_index: int = -100) -> Tensor:
    """What torch.nn.CrossEntropyLoss divides by, example by example: w_y, 0 where ignored; 1 for probabilities.

    target (B,) or (B, K), weight (K,); returns (B,). The mean of torch is cross_entropy(...).sum() over its sum.
    """
    if target.is_floating_point():
        return target.new_ones(len(target))
    ignored = target == ignore_index
    y = target.long().masked_fill(ignored, 0)
    each = torch.ones(y.shape, device=y.device) if weight is None else weight[y]
    return each.masked_fill(ignored, 0)


def categorical_cross_entropy(p: Tensor, target: Tensor) -> Tensor:
    """-sum_c t_c log p_c on probabilities p (B, K); target one-hot or soft (B, K), or class numbers (B,). Returns (B,).

    A p_c of 0 counts 100 t_c, with a slope of at most 1e12, as in `binary_cross_entropy`, which it is at K = 2;
    prefer logits. UserError for other shapes, rows that are no probabilities, labels outside 0 .. K - 1.
    """
    check_probabilities("categorical_cross_entropy", "p", p)
    if target.ndim == 1:
        check_labels("categorical_cross_entropy", p, target, name="p")
        return _surprise(p.gather(1, target.long().unsqueeze(1)).squeeze(1))
    t = target.to(p)
    if t.shape != p.shape:
        raise UserError(
            f"categorical_cross_entropy: 'target' must be class numbers ({len(p)},) or probabilities {tuple(p.shape)}; "
            f"got {tuple(t.shape)}."
        )
    check_probabilities("categorical_cross_entropy", "target", t)
    return (t * _surprise(p)).sum(dim=1)


def _surprise(p: Tensor) -> Tensor:
    """-log p, at most 100: torch's own rule. A rounded sum may leave p a little above 1."""
    return functional.binary_cross_entropy(p.clamp(max=1), torch.ones_like(p), reduction="none")


def focal(z: Tensor, target: Tensor, *, gamma: Number = 2.0, alpha: Number | None = None) -> Tensor:
    """-a t (1 - p)^g log p - (1 - a) (1 - t) p^g log(1 - p), p = sigma(z), g = gamma, a = alpha (None: no factors).

    z and target (0, 1 or a probability) of one shape (*), which it returns. g = 0 is binary cross-entropy. It is
    improper for g > 0: of a label with P(1) = .8 the best p is .686 at g = 1, .627 at g = 2. UserError for other
    shapes, targets outside [0, 1], gamma < 0, alpha outside [0, 1]. (Lin et al., 2017.)
    """
    check_chances("focal", z, target)
    check_setting("focal", "gamma", gamma, 0)
    t = target.to(z)
    positive, negative = focal_term(z, gamma), focal_term(-z, gamma)
    if alpha is None:
        return t * positive + (1 - t) * negative
    check_setting("focal", "alpha", alpha, 0, 1)
    return alpha * t * positive + (1 - alpha) * (1 - t) * negative


def focal_multiclass(z: Tensor, target: Tensor, *, gamma: Number = 2.0) -> Tensor:
    """-(1 - p_y)^g log p_y, p = softmax(z), g = gamma: (B, K), (B,) -> (B,); cross-entropy at g = 0, improper above.

    UserError for wrong shapes or labels, gamma < 0. (Lin et al., 2017; Mukhoti et al., 2020.)
    """
    check_labels("focal_multiclass", z, target)
    check_setting("focal_multiclass", "gamma", gamma, 0)
    return focal_term(log_odds(z, target), gamma)


def poly1(z: Tensor, target: Tensor, *, epsilon: Number = 1.0) -> Tensor:
    """-log p_y + e (1 - p_y), e = epsilon: (B, K), (B,) -> (B,).

    Cross-entropy is the series sum_j (1 - p_y)^j / j; this changes the first term's weight from 1 to 1 + e.
    UserError for wrong shapes or labels, epsilon < -1. (Leng et al., 2022.)
    """
    check_labels("poly1", z, target)
    check_setting("poly1", "epsilon", epsilon, -1)
    m = log_odds(z, target)
    return -logsigmoid(m) + epsilon * sigmoid(-m)


def multi_margin(
    z: Tensor, target: Tensor, *, margin: Number = 1.0, p: int = 1, weight: Tensor | None = None
) -> Tensor:
    """w_y / K sum_{j != y} ([margin - z_y + z_j]^+)^p: (B, K), (B,) -> (B,); 0 once y leads by the margin.

    torch's mean is .mean(), weighted or not. UserError for wrong shapes or labels, p not 1 or 2. (Weston & Watkins,
    1999; Crammer & Singer, 2001, take the largest term instead of the sum.)
    """
    check_labels("multi_margin", z, target)
    if p not in (1, 2):
        raise UserError(f"multi_margin: 'p' must be 1 or 2; got {p}.")
    y = target.long().unsqueeze(1)
    short = relu(margin + (z - z.gather(1, y))).scatter(1, y, 0)
    loss = (short if p == 1 else short**2).mean(dim=1)
    if weight is None:
        return loss
    check_per_class("multi_margin", "weight", weight, z)
    return weight.to(z)[target.long()] * loss


def squared_hinge(z: Tensor, target: Tensor) -> Tensor:
    """t ([1 - z]^+)^2 + (1 - t) ([1 + z]^+)^2: labels 0 or 1, scores of one shape (*), which it returns.

    Its best score is 2 P(1) - 1, so probabilities come back as (z + 1) / 2. UserError for other shapes or targets
    outside [0, 1]; labels of +-1 are (labels + 1) / 2. (Cortes & Vapnik, 1995.)
    """
    check_chances("squared_hinge", z, target)
    t = target.to(z)
    return t * relu(1 - z) ** 2 + (1 - t) * relu(1 + z) ** 2


def squared_one_hot(z: Tensor, target: Tensor, *, scale: Number = 1.0, weight: Number = 1.0) -> Tensor:
    """(k (z_y - M)^2 + sum_{j != y} z_j^2) / K, M = scale, k = weight: (B, K), (B,) -> (B,), no softmax before it.

    At k = M = 1 the best scores are the probabilities; for 42 classes or more the paper takes k and M above 1.
    UserError for wrong shapes or labels, weight or scale < 0. (Hui & Belkin, 2021.)
    """
    check_labels("squared_one_hot", z, target)
    check_setting("squared_one_hot", "scale", scale, 0)
    check_setting("squared_one_hot", "weight", weight, 0)
    y = target.long().unsqueeze(1)
    right = z.gather(1, y).squeeze(1)
    rest = (z.scatter(1, y, 0) ** 2).sum(dim=1)
    return (weight * (right - scale) ** 2 + rest) / z.shape[1]
