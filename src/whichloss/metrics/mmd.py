"""The primary metric: squared maximum mean discrepancy, unbiased, with its analytic standard error.

    MMD^2 = mean_{i != i'} k(x_i, x_i') + mean_{j != j'} k(y_j, y_j') - 2 mean_{i,j} k(x_i, y_j)
    k(a, b) = mean over bandwidths h of exp(-|a - b|^2 / (2 h^2))

Zero in expectation exactly when the laws are equal (Gretton et al., 2012). With a_i the mean over i' of k(x_i, x_i')
minus the mean over j of k(x_i, y_j), b_j likewise, and s_xx, s_yy, s_xy the variances of the doubly centred kernels
(Hoeffding's decomposition of a U-statistic)

    se^2 = 4/n Var(a) + 4/m Var(b) + null_se^2
    null_se^2 = 2 s_xx / (n (n - 1)) + 2 s_yy / (m (m - 1)) + 4 s_xy / (n m)

At equality only null_se remains. Var(a) and Var(b) keep the noise that an unbiased estimate would take out: near
equality such an estimate is low just when the value is, and its intervals miss the truth in up to a quarter of the
cases. So value +- 1.96 se covers 95 % away from equality and more near it, where se is up to 1.8 times the spread.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..errors import UserError
from .rows import check, checked, squares, tiles

MEDIAN_ROWS = 2000
FEWEST = 4  # rows with which the second-order variance can be estimated
FACTORS = (0.5, 1.0, 2.0)


@dataclass(frozen=True, eq=False)
class Mmd:
    """MMD^2, its standard error, w_j = mean_i k(x_i, y_j) of every row of y, and the error if the laws were equal.

    For two models against the same y, the variance over y of their values' difference is Var_j(2 (w_a - w_b)) / m.
    """

    value: float
    se: float
    witness: Tensor
    null_se: float

    @property
    def influence(self) -> Tensor:
        """What each row of y adds: -2 w_j, up to what all models share."""
        return -2 * self.witness


@dataclass(frozen=True, eq=False)
class _Sums:
    """Of a kernel matrix (n, m), without its diagonal where x is y: row sums, column sums, sum of squares."""

    rows: Tensor
    columns: Tensor
    squared: float


def bandwidths(real: Tensor) -> tuple[float, float, float]:
    """Half, once and twice the median distance of at most 2,000 evenly chosen rows (n, d).

    Raises UserError where all rows are equal.
    """
    real, _ = checked(real, real, names=("real", "real"))
    index = torch.linspace(0, len(real) - 1, min(len(real), MEDIAN_ROWS)).long()
    distances = torch.pdist(real[index])
    middle = float(distances.median())
    if middle == 0:  # more than half of the pairs coincide: the median of those that differ
        distances = distances[distances > 0]
        if not len(distances):
            raise UserError("All rows are equal: there is no distance to compare by.")
        middle = float(distances.median())
    small, once, twice = (f * middle for f in FACTORS)
    return small, once, twice


def kernel(square: Tensor, widths: tuple[float, ...]) -> Tensor:
    """k for squared distances of any shape; overwrites them."""
    total = torch.zeros_like(square)
    largest = max(widths)
    base = square.mul_(-0.5 / largest**2).exp_()
    for h in widths:
        total += _power(base, (largest / h) ** 2)
    return total.div_(len(widths))


def _power(base: Tensor, exponent: float) -> Tensor:
    """base^exponent; by squaring where it is a power of 2, since exp and pow cost most of the time."""
    while exponent > 1 and exponent % 2 == 0:
        base, exponent = base * base, exponent / 2
    return base if exponent == 1 else base**exponent


def _within(x: Tensor, widths: tuple[float, ...]) -> _Sums:
    rows, squared = torch.zeros(len(x), dtype=torch.float64), 0.0
    for r, c in tiles(len(x), len(x)):
        if c.start < r.start:  # symmetric: the tile above the diagonal serves both
            continue
        k = kernel(squares(x[r], x[c]), widths)
        if r == c:
            k.fill_diagonal_(0)
        else:
            rows[c] += k.sum(0)
        rows[r] += k.sum(1)
        squared += float(k.square_().sum()) * (1 if r == c else 2)
    return _Sums(rows, rows, squared)


def _between(x: Tensor, y: Tensor, widths: tuple[float, ...]) -> _Sums:
    rows, columns = torch.zeros(len(x), dtype=torch.float64), torch.zeros(len(y), dtype=torch.float64)
    squared = 0.0
    for r, c in tiles(len(x), len(y)):
        k = kernel(squares(x[r], y[c]), widths)
        rows[r] += k.sum(1)
        columns[c] += k.sum(0)
        squared += float(k.square_().sum())
    return _Sums(rows, columns, squared)


@dataclass(frozen=True, eq=False)
class MmdReference:
    """Real rows y (m, d) that many samples are compared with: what depends on y alone is computed once.

    Raises UserError for fewer than 4 rows, rows that are not finite, or bandwidths that are not positive.
    """

    y: Tensor
    widths: tuple[float, ...]

    def __post_init__(self) -> None:
        check(self.y, self.y, FEWEST, ("y", "y"))
        if not self.widths or not all(0 < h < math.inf for h in self.widths):
            raise UserError(f"bandwidths must be positive and finite; got {self.widths}.")

    @cached_property
    def _real(self) -> tuple[Tensor, Tensor, _Sums]:
        """The mean of y, y about it, and the sums of its own kernel matrix."""
        y = self.y.double()
        middle = y.mean(0)
        return middle, y - middle, _within(y - middle, self.widths)

    @torch.no_grad()
    def score(self, x: Tensor) -> Mmd:
        """MMD^2 of x (n, d) against y. Raises UserError for rows that cannot be compared."""
        x, _ = checked(x, self.y, FEWEST)
        middle, y, yy = self._real
        x = x - middle
        xx, xy = _within(x, self.widths), _between(x, y, self.widths)
        n, m = len(x), len(y)
        means = float(xx.rows.sum()) / (n * (n - 1)), float(yy.rows.sum()) / (m * (m - 1))
        value = means[0] + means[1] - 2 * float(xy.rows.sum()) / (n * m)
        se, null_se = _errors(xx, yy, xy)
        return Mmd(value, se, xy.columns / n, null_se)


def _errors(xx: _Sums, yy: _Sums, xy: _Sums) -> tuple[float, float]:
    """The standard error, and the one at equality."""
    n, m = len(xx.rows), len(yy.rows)
    a = xx.rows / (n - 1) - xy.rows / m
    b = yy.rows / (m - 1) - xy.columns / n
    second = 2 * _own(xx, n) / (n * (n - 1)) + 2 * _own(yy, m) / (m * (m - 1)) + 4 * _cross(xy, n, m) / (n * m)
    return math.sqrt(4 * float(a.var()) / n + 4 * float(b.var()) / m + second), math.sqrt(second)


def _own(sums: _Sums, n: int) -> float:
    """Mean square of k - r_i - r_j + mean over pairs i != j, with r_i the mean of row i."""
    r = sums.rows / (n - 1)
    middle = float(r.mean())
    total = sums.squared - 2 * n * float((r * r).sum()) + n * (n + 1) * middle**2
    return max(0.0, total / (n * (n - 3)))


def _cross(sums: _Sums, n: int, m: int) -> float:
    r, c = sums.rows / m, sums.columns / n
    total = sums.squared - m * float((r * r).sum()) - n * float((c * c).sum())
    return max(0.0, (total + n * m * float(r.mean()) ** 2) / ((n - 1) * (m - 1)))


def mmd(x: Tensor, y: Tensor, widths: tuple[float, ...]) -> Mmd:
    """MMD^2 of x (n, d) against y (m, d) at the given bandwidths: MmdReference(y, widths).score(x)."""
    return MmdReference(y, widths).score(x)
