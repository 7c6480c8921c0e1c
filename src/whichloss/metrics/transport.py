"""Distances of laws by transport and by energy: exact in one dimension, sliced, exact for small sets."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..errors import UserError
from .rows import checked, squares, tiles

MOST_ROWS, MOST_COLUMNS = 2000, 3
AT_ONCE = 16  # directions whose projections are held at once


def _levels(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the quantile functions of n and m equal weights are constant: weights, places in x, places in y."""
    if n == m:
        return np.full(n, 1 / n), np.arange(n), np.arange(n)
    edges = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))
    starts = np.concatenate([[0], edges[:-1]])
    return (edges - starts) / (n * m), starts // m, starts // n


def _sorted_gap(x: np.ndarray, y: np.ndarray, power: int) -> np.ndarray:
    """W_p^p of every column: sum of weights times |x_(i) - y_(j)|^p of the sorted values."""
    weights, i, j = _levels(len(x), len(y))
    gap = np.abs(np.sort(x, axis=0)[i] - np.sort(y, axis=0)[j]) ** power
    return np.asarray(weights @ gap)


def w1_columns(x: Tensor, y: Tensor) -> Tensor:
    """Exact earth mover's distance of each column, (d,): the mean |difference| of sorted values; any n, m."""
    x, y = checked(x, y, fewest=1)
    return torch.from_numpy(_sorted_gap(x.numpy(), y.numpy(), 1))


def directions(dim: int, count: int, seed: int) -> Tensor:
    """`count` unit vectors (count, dim) in blocks of orthogonal ones, uniform on the sphere; same for a seed."""
    if dim < 1 or count < 1:
        raise UserError(f"dim and count must be at least 1; got {dim} and {count}.")
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = []
    for _ in range(-(-count // dim)):
        q, r = np.linalg.qr(generator.standard_normal((dim, dim)))
        drawn.append((q * np.sign(np.diag(r))).T)
    return torch.from_numpy(np.concatenate(drawn)[:count])


def sliced_w2(x: Tensor, y: Tensor, along: Tensor) -> float:
    """sqrt(mean over directions of W2^2 of the projections) (Bonneel et al., 2015); any n, m."""
    x, y = checked(x, y, fewest=1)
    if along.ndim != 2 or along.shape[1] != x.shape[1] or not len(along):
        raise UserError(f"along must be directions (count, {x.shape[1]}); its shape is {tuple(along.shape)}.")
    total = 0.0
    for i in range(0, len(along), AT_ONCE):
        d = along[i : i + AT_ONCE].double().T
        total += float(_sorted_gap((x @ d).numpy(), (y @ d).numpy(), 2).sum())
    return float(np.sqrt(total / len(along)))


def exact_w2(x: Tensor, y: Tensor) -> float:
    """The exact 2-Wasserstein distance by optimal assignment; n = m <= 2,000 rows, d <= 3 columns."""
    x, y = checked(x, y, fewest=1)
    if len(x) != len(y) or len(x) > MOST_ROWS or x.shape[1] > MOST_COLUMNS:
        raise UserError(
            f"exact_w2 takes two sets of equal size, at most {MOST_ROWS} rows and {MOST_COLUMNS} columns; "
            f"got {tuple(x.shape)} and {tuple(y.shape)}. Use sliced_w2 for more."
        )
    cost = (torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist") ** 2).numpy()
    return float(np.sqrt(cost[linear_sum_assignment(cost)].mean()))


@torch.no_grad()
def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased: 0 in expectation for equal laws (Szekely & Rizzo, 2004)."""
    x, y = checked(x, y)
    middle = y.mean(0)
    x, y = x - middle, y - middle
    n, m = len(x), len(y)
    between = sum(float(squares(x[r], y[c]).sqrt_().sum()) for r, c in tiles(n, m))
    return 2 * between / (n * m) - _within(x) / (n * (n - 1)) - _within(y) / (m * (m - 1))


def _within(x: Tensor) -> float:
    """The sum of |x_i - x_j| over i != j."""
    total = 0.0
    for r, c in tiles(len(x), len(x)):
        if r == c:
            total += float(squares(x[r], x[c]).fill_diagonal_(0).sqrt_().sum())
        elif r.start < c.start:
            total += 2 * float(squares(x[r], x[c]).sqrt_().sum())
    return total
