"""Two distances between laws of pictures, on features (n, k) of them: name the features wherever a number stands.

    Frechet = |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2))     of the normal laws with these moments
    KID     = unbiased MMD^2 with k(a, b) = (a . b / k + 1)^3

The Frechet distance of finite samples is too large, more so the fewer rows there are: compare at equal n only, beside
its value for real rows against real rows. KID is unbiased. Heusel et al. (2017); Binkowski et al. (2018).
"""

import torch
from torch import Tensor

from .rows import checked, tiles

DEGREE = 3


@torch.no_grad()
def frechet(x: Tensor, y: Tensor) -> float:
    """|m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)) of x (n, k) and y (m, k), in squared units of the features.

    tr (S_x S_y)^(1/2) is the nuclear norm of A_x^T A_y, S = A A^T, so that no square root of a matrix is taken and
    fewer rows than features do no harm. Raises UserError for fewer than 2 rows or rows that are not finite.
    """
    x, y = checked(x, y, 2)
    apart = (x.mean(0) - y.mean(0)).square().sum()
    a, b = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (x, y))  # S = a^T a
    together = torch.linalg.svdvals(_root(a) @ _root(b).T).sum()
    return float(apart + a.square().sum() + b.square().sum() - 2 * together)


def _root(a: Tensor) -> Tensor:
    """R with R^T R = a^T a, with at most as many rows as columns."""
    return torch.linalg.qr(a, mode="r").R if len(a) > a.shape[1] else a


@torch.no_grad()
def kid(x: Tensor, y: Tensor) -> float:
    """Unbiased MMD^2 with the kernel (a . b / k + 1)^3, of x (n, k) against y (m, k); may be a little below 0.

    Raises UserError for fewer than 2 rows or rows that are not finite.
    """
    x, y = checked(x, y, 2)
    n, m = len(x), len(y)
    return _total(x, x) / (n * (n - 1)) + _total(y, y) / (m * (m - 1)) - 2 * _total(x, y) / (n * m)


def _total(x: Tensor, y: Tensor) -> float:
    """The sum of the kernel over all pairs, without a row and itself where x is y."""
    total = 0.0
    for r, c in tiles(len(x), len(y)):
        total += float((x[r] @ y[c].T / x.shape[1] + 1).pow(DEGREE).sum())
    if x is y:
        total -= float((x.square().sum(1) / x.shape[1] + 1).pow(DEGREE).sum())
    return total
