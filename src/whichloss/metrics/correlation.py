"""How far the columns' linear dependence is off."""

import torch
from torch import Tensor

from ..errors import UserError
from .rows import checked


@torch.no_grad()
def correlation_difference(x: Tensor, y: Tensor) -> float:
    """Mean |corr_x - corr_y| over pairs of columns; a constant column correlates 0. Needs two columns."""
    x, y = checked(x, y)
    d = x.shape[1]
    if d < 2:
        raise UserError("correlation_difference needs at least 2 columns; got 1.")
    gap = (correlations(x) - correlations(y)).abs()
    return float(gap.sum()) / (d * (d - 1))


def correlations(x: Tensor) -> Tensor:
    """Pearson correlations (d, d) of the columns of x (n, d), zero for constant columns, zero on the diagonal."""
    centred = x - x.mean(0)
    scale = centred.norm(dim=0)
    z = torch.where(scale > 1e-12 * (1 + x.abs().amax(0)), centred / scale.clamp(min=1e-300), 0.0)
    return (z.T @ z).fill_diagonal_(0)
