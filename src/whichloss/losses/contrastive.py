"""Contrastive losses on embeddings: similar things close. Per example, no network, no reduction.

Embeddings are rows (B, d) of any length; only their directions count. UserError where shapes differ.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, normalize

from ..errors import UserError
from ._pairs import need_alike, need_labels, need_pairs

LOG_SCALE = math.log(1 / 0.07)  # where CLIP starts the logarithm of its scale 1 / T
LOG_SCALE_MOST = math.log(100.0)  # and where it stops it


def cosine_bce(a: Tensor, b: Tensor, target: Tensor, scale: Tensor | float = 1.0, bias: Tensor | float = 0.0) -> Tensor:
    """log(1 + e^l) - t l of pairs, l = scale cos(a_i, b_i) + bias, t in [0, 1]: a, b (B, d), target (B,) -> (B,).

    As it is, a raw cosine is the logit: it lies in [-1, 1], so the probability stays in [.269, .731] and the loss above
    `cosine_bce_least()`. A scale of 10 to 30, or a learnt one, and a bias take that bound away.
    """
    need_alike("cosine_bce", a, b)
    if target.shape != a.shape[:1]:
        raise UserError(f"cosine_bce: 'target' must be ({len(a)},), one per pair; got {tuple(target.shape)}.")
    logit = scale * (normalize(a, dim=1) * normalize(b, dim=1)).sum(dim=1) + bias
    return binary_cross_entropy_with_logits(logit, target.to(logit.dtype), reduction="none")


def cosine_bce_least(classes: int = 2, positives: float = 0.5, *, encoders: int = 1) -> float:
    """The least mean of `cosine_bce` that any embedding reaches, given the labels: log(1 + 1/e) = .3133 by default.

    A pair is positive (a share `positives` of the pairs) if both are of one of K equally frequent classes. One encoder:
    classes at the corners of a simplex, cosines 1 and -1 / (K - 1). Two encoders may also shift against each other, by
    g in [0, 1]: cosines 1 - 2 g and -(1 + (K - 2) g) / (K - 1). Where positives are rare the least is g = 1, collapse.
    Raises UserError unless classes >= 2, 0 <= positives <= 1 and encoders is 1 or 2.
    """
    if classes < 2 or not 0 <= positives <= 1 or encoders not in (1, 2):
        raise UserError(
            "cosine_bce_least: needs 2 classes or more, positives in [0, 1] and 1 or 2 encoders; "
            f"got {classes}, {positives} and {encoders}."
        )

    def mean(g: float) -> float:
        alike, apart = 1 - 2 * g, -(1 + (classes - 2) * g) / (classes - 1)
        return positives * math.log1p(math.exp(-alike)) + (1 - positives) * math.log1p(math.exp(apart))

    low, high = 0.0, float(encoders - 1)
    while high - low > 1e-8:  # convex in g: the third with the higher end cannot hold the least
        one, other = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, other) if mean(one) <= mean(other) else (one, high)
    return min(mean(g) for g in (0.0, low, high))


def info_nce(a: Tensor, b: Tensor, temperature: Tensor | float) -> Tensor:
    """-log softmax of s_ii among row i and among column i, averaged, s = cos(a_i, b_j) / T: a, b (B, d) -> (B,).

    Row i of b is the positive of row i of a, all others are negatives (van den Oord et al., 2018; CLIP: Radford et al.,
    2021). log B where all embeddings are equal, at any T; I(a; b) >= log B - E[loss]. Raises UserError for one pair.
    """
    s = _cosines("info_nce", a, b) / temperature
    return (_behind(s) + _behind(s.T)) / 2


def info_nce_one_way(a: Tensor, b: Tensor, temperature: Tensor | float) -> Tensor:
    """-log softmax of s_ii among row i alone, s = cos(a_i, b_j) / T: rows of a choose among b; a, b (B, d) -> (B,).

    The loss of 2018: half of `info_nce`, and the half that trains b as answers only. Raises UserError for one pair.
    """
    return _behind((_cosines("info_nce_one_way", a, b) / temperature).T)


def clip_log_scale(log_scale: Tensor) -> Tensor:
    """min(l, ln 100), to be put back into the learnt l after each step: T = e^-l >= .01 (Radford et al., 2021).

    Clipped inside the loss instead, l would have no gradient beyond the bound and stay there. It starts at LOG_SCALE.
    """
    return log_scale.clamp(max=LOG_SCALE_MOST)


def nt_xent(a: Tensor, b: Tensor, temperature: Tensor | float) -> Tensor:
    """-log softmax of the other view among all 2 B - 1 others, mean of a pair's two anchors: a, b (B, d) -> (B,).

    s = cos / T over the rows of [a; b]: views of one side are negatives too (SimCLR: Chen et al., 2020).
    log(2 B - 1) where all embeddings are equal. Raises UserError for one pair.
    """
    return -logsigmoid(-_among_views("nt_xent", a, b, temperature)).mean(dim=0)


def decoupled_info_nce(a: Tensor, b: Tensor, temperature: Tensor | float) -> Tensor:
    """-s_ii + log of the sum of e^s over the 2 B - 2 negatives, mean of a pair's two anchors: a, b (B, d) -> (B,).

    `nt_xent` without the positive in its denominator, so that an easy positive still pulls (Yeh et al., 2022): no floor
    at 0; log(2 B - 2) where all embeddings are equal. Raises UserError for one pair.
    """
    return _among_views("decoupled_info_nce", a, b, temperature).mean(dim=0)


def sup_con(z: Tensor, labels: Tensor, temperature: Tensor | float) -> Tensor:
    """-mean over p in P(i) of log(e^s_ip / sum_{k != i} e^s_ik), s = cos / T: z (B, d), labels (B,) -> (B,).

    P(i) are the other rows with label i (Khosla et al., 2020: the mean outside the logarithm, without the factor
    T / .07 of their code). An anchor without positives yields 0, always: divide the sum by the number of anchors with
    some where labels are rare. log(B - 1) at collapse; never below log|P(i)|. Raises UserError for wrong shapes.
    """
    need_labels("sup_con", z, labels)
    unit, own = normalize(z, dim=1), _own(len(z), z)
    s = unit @ unit.T / temperature
    same = labels.unsqueeze(1) == labels
    positive = same & ~own
    count = positive.sum(dim=1)
    s = s - ((s * positive).sum(dim=1) / count.clamp(min=1)).unsqueeze(1)
    none = torch.finfo(s.dtype).min / 4  # finite: a row without a negative keeps a gradient, of 0
    among = s.masked_fill(~positive, none).logsumexp(dim=1)
    others = s.masked_fill(same, none).logsumexp(dim=1)
    return torch.where(count > 0, among - logsigmoid(among - others), 0.0)


def siglip(a: Tensor, b: Tensor, scale: Tensor | float, bias: Tensor | float) -> Tensor:
    """sum over j of log(1 + e^(-y_ij l_ij)), l = scale cos(a_i, b_j) + bias, y = 1 if i = j, else -1: (B, d) -> (B,).

    Every pair of rows is a question of its own; no softmax (Zhai et al., 2023). Its bias starts at `siglip_bias(B)`.
    Raises UserError for one pair.
    """
    l = scale * _cosines("siglip", a, b) + bias
    y = torch.where(_own(len(l), l), 1.0, -1.0)
    return -logsigmoid(y * l).sum(dim=1)


def siglip_bias(n: int) -> float:
    """-log(B - 1), the bias of least loss where cosines are 0: one pair in B is a positive.

    The paper starts at -10, which is log(1 / 22,026): far too low for small batches, and AdamW moves it by a step of
    the learning rate at a time. Raises UserError for one pair.
    """
    if n < 2:
        raise UserError(f"siglip_bias: the bias of {n} pairs is not defined; use batches of 2 pairs or more.")
    return -math.log(n - 1)


def _behind(s: Tensor) -> Tensor:
    """-log softmax of s_jj in column j, as log(1 + sum_{i != j} e^(s_ij - s_jj)): a solved pair keeps its digits."""
    return -logsigmoid(-(s - s.diagonal()).masked_fill(_own(len(s), s), -torch.inf).logsumexp(0))


def _among_views(loss: str, a: Tensor, b: Tensor, temperature: Tensor | float) -> Tensor:
    """log sum over the 2 B - 2 negatives of e^(s - s_positive), of the anchors in a and in b: (2, B)."""
    need_pairs(loss, a, b)
    unit = normalize(torch.cat([a, b]), dim=1)
    s = unit @ unit.T / temperature
    positive = s.diagonal(len(a)).repeat(2)
    return (s - positive).masked_fill(_own(len(a), s).repeat(2, 2), -torch.inf).logsumexp(0).view(2, -1)


def _own(n: int, like: Tensor) -> Tensor:
    return torch.eye(n, dtype=torch.bool, device=like.device)


def _cosines(loss: str, a: Tensor, b: Tensor) -> Tensor:
    need_pairs(loss, a, b)
    return normalize(a, dim=1) @ normalize(b, dim=1).T
