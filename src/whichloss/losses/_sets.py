"""What the losses of whole sets ask of their arguments: points in rows, weights, a power. And equal weights' levels."""

import math

import numpy as np
from torch import Tensor

from ..errors import UserError


def need_sets(loss: str, x: Tensor, y: Tensor) -> None:
    """UserError unless x (n, d) and y (m, d) are sets of points with d columns each."""
    shapes = f"got {tuple(x.shape)} and {tuple(y.shape)}"
    if x.ndim != 2 or y.ndim != 2 or x.shape[1:] != y.shape[1:] or not x.numel() or not y.numel():
        raise UserError(f"{loss}: 'x' must be (n, d) and 'y' (m, d), n, m and d at least 1; {shapes}.")
    need_real(loss, x, y)


def need_real(loss: str, *tensors: Tensor) -> None:
    """UserError unless all tensors hold real numbers."""
    for one in tensors:
        if not one.is_floating_point():
            raise UserError(f"{loss}: tensors must hold real numbers; one holds {one.dtype}. Convert it by .float().")


def mass(loss: str, name: str, weights: Tensor | None, points: Tensor) -> Tensor:
    """Weights (n,) divided by their sum, in the points' dtype; 1/n each where none are given."""
    if weights is None:
        return points.new_full((len(points),), 1 / len(points))
    if weights.shape != points.shape[:1]:
        raise UserError(f"{loss}: '{name}' must be ({len(points)},), one per point; got {tuple(weights.shape)}.")
    weights = weights if weights.is_floating_point() else weights.to(points.dtype)
    total = weights.sum()
    if not bool((weights >= 0).all()) or not 0 < float(total.detach()) < math.inf:
        raise UserError(f"{loss}: '{name}' must be finite, not negative, and not all 0.")
    return (weights / total).to(points.dtype)


def need_power(loss: str, p: float) -> None:
    """UserError unless |x - y|^p is the cost of a distance."""
    if not 1 <= p < math.inf:
        raise UserError(f"{loss}: p must be at least 1, and finite; got {p}.")


def uniform_levels(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the quantile functions of n and m equal weights are constant: weights, places in x, places in y."""
    if n == m:
        return np.full(n, 1 / n), np.arange(n), np.arange(n)
    edges = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))  # in units of 1 / (n m)
    starts = np.concatenate([[0], edges[:-1]])
    return (edges - starts) / (n * m), starts // m, starts // n
