"""Do rows follow exp(-E) / Z? Two answers that need the gradient of the log-density and no Z.

    kernel Stein discrepancy:  KSD^2 = E u(x, x'),  x, x' independent rows, 0 exactly where the laws are equal
    equipartition:             E[x . grad E(x)] = d T  for any energy that confines

u(x, y) = s(x).s(y) k + s(x).grad_y k + s(y).grad_x k + tr grad_x grad_y k, s = -grad E = grad log p, and the inverse
multiquadric kernel k = (c^2 + |x - y|^2)^(-1/2), under which KSD also sees rows that run off (Gorham & Mackey, 2017).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from ..rng import Rng
from .rows import checked, squares

MOST = 5000  # rows: u is held as a whole
AT_ONCE = 250  # bootstrap draws


@dataclass(frozen=True, eq=False)
class Stein:
    """KSD^2, unbiased and so at times below 0; the p-value of "the rows follow the law"; the kernel's c."""

    value: float
    p: float
    width: float


@dataclass(frozen=True, eq=False)
class Equipartition:
    """The mean of x_j dE/dx_j of every column (d,) and of their sum; its standard error; what it should be, d T."""

    each: Tensor
    value: float
    se: float
    expected: float

    @property
    def z(self) -> float:
        """How many standard errors the value is off."""
        return (self.value - self.expected) / self.se


@torch.no_grad()
def kernel_stein(x: Tensor, score: Tensor, rng: Rng, *, width: float | None = None, draws: int = 500) -> Stein:
    """KSD^2 = mean over i != j of u(x_i, x_j), and its bootstrap p-value (Liu, Lee & Jordan, 2016).

    x (n, d) independent rows, score (n, d) = grad log p at them, n <= 5,000. c = `width`, by default the median
    distance of the rows. Under the law n KSD^2 has a limit that the bootstrap sum over i != j of (w_i - 1/n)
    (w_j - 1/n) u_ij shares, n w multinomial; p = (1 + number of draws at least as large) / (1 + draws). Raises
    UserError for shapes that differ, values that are not finite, fewer than 3 or more than 5,000 rows, rows that all
    coincide, and a width or draws that are not positive.
    """
    x, s = checked(x, score, 3, ("x", "score"))
    n = len(x)
    if len(s) != n:
        raise UserError(f"kernel_stein: x has {n} rows and score has {len(s)}; give the score of every row.")
    if n > MOST:
        raise UserError(f"kernel_stein takes at most {MOST} rows; got {n}. Take every {-(-n // MOST)}-th.")
    x = x - x.mean(dim=0)
    square = squares(x, x).fill_diagonal_(0)
    c = float(square.view(-1)[:-1].view(n - 1, n + 1)[:, 1:].median()) ** 0.5 if width is None else width
    if not c > 0 or draws < 1:
        raise UserError(f"kernel_stein needs width > 0 (do most rows coincide?) and draws >= 1; got {c} and {draws}.")
    u = stein_kernel(x, s, square, c).fill_diagonal_(0)
    value = float(u.sum()) / (n * (n - 1))
    beaten = 0
    for start in range(0, draws, AT_ONCE):
        many = min(AT_ONCE, draws - start)
        drawn = rng.integers(start, (many, n), n)
        counts = torch.zeros(many, n, dtype=u.dtype).scatter_add_(1, drawn, torch.ones_like(drawn, dtype=u.dtype))
        w = (counts - 1) / n
        beaten += int(((w @ u * w).sum(dim=1) >= float(u.sum()) / n**2).sum())
    return Stein(value, (1 + beaten) / (1 + draws), c)


def stein_kernel(x: Tensor, s: Tensor, square: Tensor, c: float) -> Tensor:
    """u(x_i, x_j) (n, n) for the inverse multiquadric k = (c^2 + r^2)^(-1/2); x, s (n, d), square (n, n) holds r^2.

    With q = 1 / (c^2 + r^2): grad_x k = -q^(3/2) (x - y), tr grad_x grad_y k = d q^(3/2) - 3 r^2 q^(5/2), so
    u = q^(1/2) s(x).s(y) + q^(3/2) ((s(x) - s(y)).(x - y) + d) - 3 r^2 q^(5/2).
    """
    q = 1 / (c * c + square)
    root = q.sqrt()
    own, cross = (s * x).sum(dim=1), s @ x.T
    along = own[:, None] + own[None, :] - cross - cross.T
    return root * (s @ s.T) + root * q * (along + x.shape[1] - 3 * square * q)


@torch.no_grad()
def equipartition(
    x: Tensor, gradient: Tensor, *, temperature: float = 1.0, effective: float | None = None
) -> Equipartition:
    """Mean of x . grad E(x), which is d T under exp(-E / T) whatever E, by parts: a check of a sampler without Z.

    x, gradient (n, d). The standard error counts the rows as `effective` many independent ones, n by default: for
    correlated chains give their effective sample size. It sees a wrong temperature and a wrong step; a missing mode it
    does not see. Raises UserError for shapes that differ, values that are not finite, and fewer than 2 rows.
    """
    x, g = checked(x, gradient, 2, ("x", "gradient"))
    if x.shape != g.shape:
        raise UserError(f"equipartition: x has {len(x)} rows and gradient has {len(g)}; give that of every row.")
    n = float(len(x)) if effective is None else effective
    if not temperature > 0 or not n >= 1:
        raise UserError(f"equipartition needs temperature > 0 and effective >= 1; got {temperature} and {n}.")
    terms = x * g
    rows = terms.sum(dim=1)
    return Equipartition(terms.mean(dim=0), float(rows.mean()), float(rows.std()) / n**0.5, x.shape[1] * temperature)
