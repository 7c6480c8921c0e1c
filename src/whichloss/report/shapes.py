"""One column, real rows and samples on the same axes: densities of numbers and dates, bars of categories."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..data.schema import Column

MOST_LEVELS = 12  # drawn of a category; the rest are one bar
FEW_VALUES = 12  # a whole number with so few values is drawn as bars
GRID = 64  # points of a density


@dataclass(frozen=True, eq=False)
class Shape:
    """One column on one set of axes. `heights`: real rows first, then every sample; None where absent.

    bars: `labels` name the levels and heights are shares of all rows. Otherwise heights are densities at `at`.
    """

    column: Column
    at: np.ndarray
    labels: tuple[str, ...]
    heights: tuple[np.ndarray | None, ...]
    apart: tuple[float | None, ...]  # per sample: the largest difference of shares from the real rows
    missing: tuple[float | None, ...]  # share, real first
    outside: tuple[float | None, ...]  # share of known values beyond the axes, real first
    hidden: int = 0  # levels put together in the last bar but one

    @property
    def bars(self) -> bool:
        """Is it drawn as bars?"""
        return bool(self.labels)


def numeric(column: Column) -> bool:
    """Is it on a line? (numbers, whole numbers, dates)"""
    return column.kind in ("number", "integer", "date")


def mean_apart(shape: Shape, own: Sequence[int]) -> float:
    """How far the objectives are from the real rows in this column, on average."""
    known = [a for k, a in enumerate(shape.apart) if k in own and a is not None]
    return float(np.mean(known)) if known else 0.0


def shape(column: Column, each: Sequence[np.ndarray | None]) -> Shape:
    """One column of the real rows, which come first, and of every sample; None where there is none."""
    real = each[0]
    assert real is not None
    missing = tuple(None if v is None else float(np.isnan(v).mean()) for v in each)
    apart = tuple(None if v is None else difference(real, v, numeric(column)) for v in each[1:])
    known = real[~np.isnan(real)]
    few = column.kind == "integer" and len(np.unique(known)) <= FEW_VALUES
    if not numeric(column) or few or not len(known):
        return bars(column, each, apart, missing)
    low, high = limits(known)
    at = np.linspace(low, high, GRID)
    width = bandwidth(known, min(known_rows(v) for v in each if v is not None), high - low)
    inside = [None if v is None else v[(v >= low) & (v <= high)] for v in each]
    heights = [
        None if v is None or w is None else density(v, int((~np.isnan(w)).sum()), at, width)
        for v, w in zip(inside, each, strict=True)
    ]
    outside = tuple(
        None if v is None else float(((v < low) | (v > high)).sum() / max(1, (~np.isnan(v)).sum())) for v in each
    )
    return Shape(column, at, (), tuple(heights), apart, missing, outside)


def limits(known: np.ndarray) -> tuple[float, float]:
    """Axes that hold every real value with a margin."""
    low, high = float(known.min()), float(known.max())
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


def known_rows(values: np.ndarray) -> int:
    """How many values are not missing; 1 if none is."""
    return max(1, int((~np.isnan(values)).sum()))


def bandwidth(known: np.ndarray, rows: int, span: float) -> float:
    """Half of Silverman's (1986) rule, which is made for one hump, and nearly a grid step at least.

    rows: of the smallest sample, so that all are smoothed alike and none is rough for want of rows.
    """
    quarter = float(np.subtract(*np.percentile(known, [75, 25]))) / 1.34
    spread = min(float(known.std()), quarter) or float(known.std())
    rule: float = 0.45 * spread * rows**-0.2
    return max(rule, span / GRID * 0.8)


def density(values: np.ndarray, count: int, at: np.ndarray, width: float) -> np.ndarray:
    """A Gaussian kernel density at the grid, with area len(values) / count; fine bins stand for the rows."""
    if not count:
        return np.zeros(len(at))
    bins, edges = np.histogram(values, bins=512, range=(at[0], at[-1]))
    middles = (edges[1:] + edges[:-1]) / 2
    kernel = np.exp(-(((at[:, None] - middles) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
    return np.asarray(kernel @ bins / count)


def bars(
    column: Column,
    each: Sequence[np.ndarray | None],
    apart: tuple[float | None, ...],
    missing: tuple[float | None, ...],
) -> Shape:
    """Shares of levels: the most frequent real ones, the others together, missing last."""
    real = each[0]
    assert real is not None
    levels, counts = np.unique(real[~np.isnan(real)], return_counts=True)
    codes = np.arange(len(column.categories)) if column.kind == "category" else levels
    frequent = {float(level): int(count) for level, count in zip(levels, counts, strict=True)}
    first = sorted(map(float, codes), key=lambda c: (-frequent.get(c, 0), c))
    shown = first[: MOST_LEVELS if len(first) > MOST_LEVELS + 1 else MOST_LEVELS + 1]
    if column.kind != "category":
        shown = sorted(shown)
    hidden, gone = len(first) - len(shown), any(missing)
    # a sample may hold whole numbers that no real row has
    stray = any(v is not None and not np.isin(v[~np.isnan(v)], first).all() for v in each)
    labels = [level(column, c) for c in shown]
    labels += [f"{hidden} others" if hidden else "others"] if hidden or stray else []
    labels += ["(missing)"] if gone else []
    heights: list[np.ndarray | None] = []
    for v in each:
        if v is None:
            heights.append(None)
            continue
        shares = [float((v == c).mean()) for c in shown]
        empty = float(np.isnan(v).mean())
        shares += [max(0.0, 1 - sum(shares) - empty)] if hidden or stray else []
        heights.append(np.array(shares + ([empty] if gone else [])))
    none = tuple(None if v is None else 0.0 for v in each)
    return Shape(column, np.arange(len(labels)), tuple(labels), tuple(heights), apart, missing, none, hidden)


def level(column: Column, code: float) -> str:
    """A level in the user's words."""
    if column.kind == "category":
        return column.categories[int(code)]
    if column.kind == "boolean":
        return (column.categories or ("false", "true"))[int(code)]
    return f"{code:g}"


def difference(real: np.ndarray, values: np.ndarray, ordered: bool) -> float:
    """sup |F - F'| (Kolmogorov and Smirnov) on a line, else total variation; in [0, 1]. Missing is a value."""
    top = np.float64(np.inf)
    a, b = np.where(np.isnan(real), top, real), np.where(np.isnan(values), top, values)
    levels = np.union1d(a, b)
    if not ordered:
        shares = [np.bincount(np.searchsorted(levels, v), minlength=len(levels)) / len(v) for v in (a, b)]
        return float(np.abs(shares[0] - shares[1]).sum() / 2)
    below = [np.searchsorted(np.sort(v), levels, side="right") / len(v) for v in (a, b)]
    return float(np.abs(below[0] - below[1]).max())
