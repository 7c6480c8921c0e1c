"""Losses of whole batches of embeddings: what keeps them apart is a statistic, not negatives. No network.

What belongs to one row is per row; a statistic of the batch is one number. UserError where shapes differ.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from ..errors import UserError
from ._pairs import need_alike, need_pairs


class VICRegParts(NamedTuple):
    """Invariance (B,); variance () and covariance () of the batch."""

    invariance: Tensor
    variance: Tensor
    covariance: Tensor


class BarlowParts(NamedTuple):
    """Invariance () and redundancy () of the batch."""

    invariance: Tensor
    redundancy: Tensor


def vicreg_parts(a: Tensor, b: Tensor, gamma: float = 1.0, eps: float = 1e-4) -> VICRegParts:
    """|a_i - b_i|^2 / d; mean of max(0, gamma - sqrt(Var + eps)); sum_{i != j} C_ij^2 / d: a, b (B, d) -> (B,), (), ().

    Variances and covariances C over the batch, by B - 1; the variance is the mean of both sides, the covariance their
    sum, as in the authors' code, to which their weights belong (Bardes, Ponce & LeCun, 2022).
    Raises UserError for one pair.
    """
    need_pairs("vicreg", a, b)
    sides = [z - z.mean(dim=0) for z in (a, b)]
    short = [relu(gamma - (z.square().sum(dim=0) / (len(z) - 1) + eps).sqrt()).mean() for z in sides]
    spill = [_off_diagonal(z.T @ z / (len(z) - 1)).square().sum() / z.shape[1] for z in sides]
    return VICRegParts(((a - b) ** 2).mean(dim=1), (short[0] + short[1]) / 2, spill[0] + spill[1])


def vicreg(a: Tensor, b: Tensor, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> Tensor:
    """25 invariance_i + 25 variance + covariance, the parts of `vicreg_parts`: a, b (B, d) -> (B,).

    Its mean is the loss of the paper. 25 (1 - sqrt(eps)) = 24.75 where all embeddings are equal.
    """
    parts = vicreg_parts(a, b)
    return invariance * parts.invariance + variance * parts.variance + covariance * parts.covariance


def barlow_parts(a: Tensor, b: Tensor, eps: float = 1e-5) -> BarlowParts:
    """sum (1 - C_ii)^2 and sum_{i != j} C_ij^2, C the cross-correlation of the columns: a, b (B, d) -> (), ().

    C = A'B / B of columns less their mean over sqrt(Var + eps), Var by B as batch normalisation takes it (Zbontar et
    al., 2021). Raises UserError for one pair.
    """
    need_pairs("barlow_twins", a, b)
    left, right = _standardised(a, eps), _standardised(b, eps)
    C = left.T @ right / len(a)
    return BarlowParts((1 - C.diagonal()).square().sum(), _off_diagonal(C).square().sum())


def barlow_twins(a: Tensor, b: Tensor, redundancy: float = 5e-3) -> Tensor:
    """sum (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2, the parts of `barlow_parts`: a, b (B, d) -> ().

    d where all embeddings are equal, 0 where both sides are equal and their columns uncorrelated.
    """
    parts = barlow_parts(a, b)
    return parts.invariance + redundancy * parts.redundancy


def alignment(a: Tensor, b: Tensor) -> Tensor:
    """|u_i - v_i|^2 of unit vectors u = a / |a|, v = b / |b|, = 2 - 2 cos: a, b (B, d) -> (B,).

    0 where pairs coincide, collapse included: it needs `uniformity` beside it (Wang & Isola, 2020, alpha = 2).
    """
    need_alike("alignment", a, b)
    return ((normalize(a, dim=1) - normalize(b, dim=1)) ** 2).sum(dim=1)


def uniformity(z: Tensor, t: float = 2.0) -> Tensor:
    """log mean over i < j of e^(-t |u_i - u_j|^2) of unit vectors u = z / |z|: z (B, d) -> (), in [-4 t, 0].

    0, the highest, where all are equal; on the whole sphere near -4 t / 2 in many dimensions (Wang & Isola, 2020).
    Raises UserError for one row.
    """
    if z.ndim != 2 or len(z) < 2:
        raise UserError(f"uniformity: 'z' must be (B, d) with B >= 2 rows; got {tuple(z.shape)}.")
    u = normalize(z, dim=1)
    exponent = 2 * t * (u @ u.T - 1)  # |u - v|^2 = 2 - 2 u . v
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return exponent.masked_fill(own, -torch.inf).flatten().logsumexp(dim=0) - math.log(len(z) * (len(z) - 1))


def _standardised(z: Tensor, eps: float) -> Tensor:
    centred = z - z.mean(dim=0)
    return centred / (centred.square().mean(dim=0) + eps).sqrt()


def _off_diagonal(C: Tensor) -> Tensor:
    return C.masked_fill(torch.eye(len(C), dtype=torch.bool, device=C.device), 0.0)
