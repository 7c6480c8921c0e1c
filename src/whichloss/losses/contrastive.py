"""Contrastive losses on embeddings: similar things close. Per example, no network, no reduction.

Embeddings are rows (B, d) of any length; only their directions count. UserError where shapes differ.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, normalize, softplus

from ..errors import UserError


def cosine_bce(a: Tensor, b: Tensor, target: Tensor) -> Tensor:
    """log(1 + e^c) - t c of pairs, c = cos(a_i, b_i) the logit, t in [0, 1]: a, b (B, d), target (B,) -> (B,).

    As a logit c lies in [-1, 1], so the probability stays in [.269, .731] and the loss above `cosine_bce_least()`.
    """
    _alike("cosine_bce", a, b)
    if target.shape != a.shape[:1]:
        raise UserError(f"cosine_bce: 'target' must be ({len(a)},), one per pair; got {tuple(target.shape)}.")
    cosine = (normalize(a, dim=1) * normalize(b, dim=1)).sum(dim=1)
    return binary_cross_entropy_with_logits(cosine, target.to(cosine.dtype), reduction="none")


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
    _alike("info_nce", a, b)
    if len(a) < 2:
        raise UserError("info_nce: a single pair has no negatives, so its loss is always 0; use larger batches.")
    s = normalize(a, dim=1) @ normalize(b, dim=1).T / temperature
    return (_behind(s) + _behind(s.T)) / 2


def _behind(s: Tensor) -> Tensor:
    """-log softmax of s_jj in column j, as log(1 + sum_{i != j} e^(s_ij - s_jj)): a solved pair keeps its digits."""
    own = torch.eye(len(s), dtype=torch.bool, device=s.device)
    return softplus((s - s.diagonal()).masked_fill(own, -torch.inf).logsumexp(0))


def _alike(loss: str, a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.ndim != 2:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise UserError(f"{loss}: 'a' and 'b' must both be (B, d), pair by pair; got {shapes}.")
