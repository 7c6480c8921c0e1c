"""How strongly columns depend on each other, whatever their types."""

from collections.abc import Sequence

import numpy as np


def dependence(values: np.ndarray, lines: Sequence[bool]) -> np.ndarray:
    """values (n, k) -> (k, k): how strongly two columns depend on each other.

    Pearson's r of two numbers, in [-1, 1]; the correlation ratio of a number given a category and Cramér's V
    of two categories, in [0, 1]; on the rows where both are known; nan where one does not vary.
    """
    out = np.full((len(lines), len(lines)), np.nan)
    for a in range(len(lines)):
        for b in range(a):
            x, y = values[:, a], values[:, b]
            both = ~(np.isnan(x) | np.isnan(y))
            out[a, b] = out[b, a] = pair(x[both], y[both], lines[a], lines[b])
    return out


def pair(x: np.ndarray, y: np.ndarray, x_line: bool, y_line: bool) -> float:
    """The dependence of two columns without missing values."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    if x_line and y_line:
        return float(np.corrcoef(x, y)[0, 1])
    if not x_line and not y_line:
        return cramer(x, y)
    number, group = (x, y) if x_line else (y, x)
    _, at = np.unique(group, return_inverse=True)
    sizes = np.bincount(at)
    means = np.bincount(at, number) / sizes
    return float(np.sqrt(min(1.0, (sizes * (means - number.mean()) ** 2).sum() / len(x) / number.var())))


def cramer(x: np.ndarray, y: np.ndarray) -> float:
    """Cramér's (1946) V: sqrt(chi^2 / (n (min(r, c) - 1)))."""
    _, at = np.unique(x, return_inverse=True)
    _, by = np.unique(y, return_inverse=True)
    table = np.bincount(at * (by.max() + 1) + by, minlength=(at.max() + 1) * (by.max() + 1))
    seen = table.reshape(at.max() + 1, by.max() + 1) / len(x)
    expected = seen.sum(1, keepdims=True) * seen.sum(0, keepdims=True)
    chi = float(((seen - expected) ** 2 / expected).sum())
    return float(np.sqrt(min(1.0, chi / (min(seen.shape) - 1))))
