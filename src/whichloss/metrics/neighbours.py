"""Precision and recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020), from neighbours."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from .rows import checked, squares, tiles


@dataclass(frozen=True)
class Prdc:
    """Not 1 for a perfect model and dependent on n: read each beside its real-against-real value.

    For equal laws density is 1 and coverage 1 - 2^-k in the limit; precision and recall have no such limit.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@torch.no_grad()
def neighbours(x: Tensor, y: Tensor, k: int = 5) -> Prdc:
    """Samples x (n, d) against real rows y (m, d), balls reaching to the k-th neighbour, border included.

    Raises UserError for fewer than k + 1 rows.
    """
    if k < 1:
        raise UserError(f"k must be at least 1; got {k}.")
    x, y = checked(x, y, fewest=k + 1)
    middle = y.mean(0)
    x, y = x - middle, y - middle
    around_x, around_y = _radii(x, k), _radii(y, k)
    inside = torch.zeros(len(x), dtype=torch.int64)  # real balls that hold a sample
    recalled, covered = (torch.zeros(len(y), dtype=torch.bool) for _ in range(2))
    for r, c in tiles(len(x), len(y)):
        square = squares(x[r], y[c])
        within = square <= around_y[c]
        inside[r] += within.sum(1)
        covered[c] |= within.any(0)
        recalled[c] |= (square <= around_x[r, None]).any(0)
    return Prdc(
        precision=float((inside > 0).double().mean()),
        recall=float(recalled.double().mean()),
        density=float(inside.double().mean()) / k,
        coverage=float(covered.double().mean()),
    )


def _radii(x: Tensor, k: int) -> Tensor:
    """Squared distance to the k-th other row, a rounding error wider so that ties count."""
    least = torch.full((len(x), k), torch.inf, dtype=torch.float64)
    for r, c in tiles(len(x), len(x)):
        square = squares(x[r], x[c])
        if r == c:
            square.fill_diagonal_(torch.inf)
        near = square.topk(min(k, square.shape[1]), largest=False).values
        least[r] = torch.cat([least[r], near], 1).topk(k, largest=False).values
    return least.amax(1) + 1e-13 * float((x * x).sum(1).max())
