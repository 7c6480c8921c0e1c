"""Metric learning: distances between embeddings, with a margin. Per example, no network, no reduction.

Embeddings are rows (B, d) and their lengths count: normalise them before, where a margin should mean an angle.
d is the Euclidean distance; where it is 0 its slope is taken as 0. UserError where shapes differ.
"""

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from ..errors import UserError
from ._pairs import need_alike, need_labels


def pair_contrastive(a: Tensor, b: Tensor, target: Tensor, margin: Tensor | float = 1.0) -> Tensor:
    """t d^2 / 2 + (1 - t) max(0, m - d)^2 / 2, d = |a_i - b_i|: a, b (B, d), target (B,), 1 = similar -> (B,).

    Hadsell, Chopra & LeCun (2006), whose Y is 1 - t. Negatives beyond the margin are silent.
    """
    need_alike("pair_contrastive", a, b)
    if target.shape != a.shape[:1]:
        raise UserError(f"pair_contrastive: 'target' must be ({len(a)},), one per pair; got {tuple(target.shape)}.")
    t = target.to(a.dtype)
    return (t * ((a - b) ** 2).sum(dim=1) + (1 - t) * relu(margin - _length(a - b)) ** 2) / 2


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: Tensor | float | None = 1.0) -> Tensor:
    """max(0, d(a, p) - d(a, n) + m), or log(1 + e^(d(a, p) - d(a, n))) where m is None: three (B, d) -> (B,).

    Weinberger & Saul (2009); Schroff et al. (2015), there with squared distances; the soft margin is that of Hermans
    et al. (2017). At collapse m, or log 2.
    """
    need_alike("triplet", anchor, positive)
    if negative.shape != anchor.shape:
        raise UserError(
            f"triplet: 'negative' must be {tuple(anchor.shape)}, as 'anchor' is; got {tuple(negative.shape)}."
        )
    return _hinge(_length(anchor - positive) - _length(anchor - negative), margin)


def batch_hard_triplet(z: Tensor, labels: Tensor, margin: Tensor | float | None = 1.0) -> Tensor:
    """`triplet` of each row with its farthest positive and its nearest negative: z (B, d), labels (B,) -> (B,).

    Hermans et al. (2017). A row without a positive or without a negative yields 0. No (B, B, d) is held: products
    choose, up to their rounding; the distances of those chosen are exact.
    """
    need_labels("batch_hard_triplet", z, labels)
    same, other = _alike(labels)
    c = z.detach()
    order = c.square().sum(dim=1) - 2 * c @ c.T  # d_ij^2 - |z_i|^2
    farthest = z[order.masked_fill(~other, -torch.inf).argmax(dim=1)]
    nearest = z[order.masked_fill(same, torch.inf).argmin(dim=1)]
    return torch.where(other.any(dim=1) & ~same.all(dim=1), triplet(z, farthest, nearest, margin), 0.0)


def semi_hard_triplet(z: Tensor, labels: Tensor, margin: Tensor | float | None = 1.0) -> Tensor:
    """`triplet` of each row with each positive and the nearest negative beyond it, mean over its positives: -> (B,).

    Where no negative is farther than the positive, the farthest stands in (Schroff et al., 2015, as commonly coded).
    z (B, d), labels (B,). A row without a positive or without a negative yields 0.
    """
    need_labels("semi_hard_triplet", z, labels)
    d, same, positive = _among(z, labels)
    negatives = d.masked_fill(same, torch.inf).sort(dim=1).values
    beyond = (negatives.detach().unsqueeze(1) <= d.detach().unsqueeze(2)).sum(dim=2)  # the place of the first beyond
    last = ((~same).sum(dim=1, keepdim=True) - 1).clamp(min=0)
    chosen = negatives.gather(1, torch.minimum(beyond, last))
    return (_hinge(d - chosen, margin) * positive).sum(dim=1) / positive.sum(dim=1).clamp(min=1)


def _hinge(gap: Tensor, margin: Tensor | float | None) -> Tensor:
    return softplus(gap) if margin is None else relu(gap + margin)


def _among(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distances, by differences so that near rows keep their digits; who has the same label; and who else has."""
    return _length(z.unsqueeze(1) - z), *_alike(labels)


def _alike(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Who has the same label, and who else has."""
    same = labels.unsqueeze(1) == labels
    return same, same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)


def _length(difference: Tensor) -> Tensor:
    """|v|, with slope 0 at 0 in first and second derivatives."""
    squared = (difference**2).sum(dim=-1)
    apart = squared > 0
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)
