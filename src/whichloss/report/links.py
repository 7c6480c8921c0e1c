"""How columns depend on each other in a sample, against the real rows: the heat map and its table."""

from typing import Any

import altair as alt
import numpy as np

from .charts import INK, Figure, data, figure, wide
from .dependence import dependence
from .samples import Rows
from .shapes import numeric
from .words import cut, named

STEPS = (-0.495, -0.195, -0.045, 0.045, 0.195, 0.495)  # where the colour changes
COLOURS = [f"var(--d{i})" for i in range(1, 8)]
SPACIOUS = 9  # columns up to which every cell shows its number


def drawn(rows: Rows) -> tuple[list[int], list[bool], list[str]]:
    """The columns shown: places, whether they are numeric, names."""
    columns = rows.table.schema.columns
    at = [columns.index(shape.column) for shape in rows.shapes]
    return at, [numeric(columns[j]) for j in at], [columns[j].name for j in at]


def heat_map(rows: Rows, pick: int) -> Figure | None:
    """How much stronger or weaker columns depend on each other in a sample than in the real rows."""
    at, kinds, names = drawn(rows)
    if len(at) < 2:
        return None
    values = cells(rows, at, kinds, names)
    if not values:
        return None
    labels = named([cut(name, 18) for name in names])
    side = alt.Axis(labelExpr=labels, labelLimit=120, title=None, ticks=False, domain=False, grid=False)
    below = alt.Axis(
        labelExpr=labels, labelLimit=120, title=None, ticks=False, domain=False, grid=False, labelAngle=-40
    )
    numbers = [("r", "real rows"), ("o", "sample"), ("d", "difference")]
    tips = [alt.Tooltip("A:N", title="column"), alt.Tooltip("B:N", title="and")]
    tips += [alt.Tooltip(f"{field}:Q", title=title, format="+.2f") for field, title in numbers]
    base = alt.Chart(data(values)).transform_filter("datum.s == pick")
    base = base.encode(
        alt.X("b:O", scale=alt.Scale(domain=list(range(len(at) - 1))), axis=below),
        alt.Y("a:O", scale=alt.Scale(domain=list(range(1, len(at)))), axis=side),
        tooltip=tips,
    )
    scale = alt.Scale(type="threshold", domain=list(STEPS), range=COLOURS)
    squares = base.mark_rect(stroke="var(--paper)", strokeWidth=1).encode(alt.Color("d:Q", scale=scale, legend=None))
    layers = [squares.add_params(alt.param(name="pick", value=pick))]
    if len(at) <= SPACIOUS:
        layers.append(base.mark_text(fontSize=10, color=INK).encode(alt.Text("d:Q", format="+.2f")))
    says = "Differences of dependence between columns, sample against real rows; the table below has the numbers."
    return figure("dependence", says, wide(alt.layer(*layers), 80 + 27 * len(at)))


def cells(rows: Rows, at: list[int], kinds: list[bool], names: list[str]) -> list[dict[str, Any]]:
    """Every pair of columns of every sample; differences that do not exist are left out."""
    real, out = dependence(rows.real[:, at], kinds), []
    short = [cut(name, 40) for name in names]
    for k, sample in enumerate(rows.samples):
        if not len(sample.values):
            continue
        own = dependence(sample.values[:, at], kinds)
        for a in range(len(at)):
            for b in range(a):
                if np.isfinite(own[a, b] - real[a, b]):
                    gap = round(float(own[a, b] - real[a, b]), 2) + 0.0
                    cell = {"s": k, "a": a, "b": b, "A": short[a], "B": short[b], "d": gap}
                    out.append(cell | {"r": float(real[a, b]), "o": float(own[a, b])})
    return out


def worst_pairs(rows: Rows) -> list[dict[str, Any]]:
    """Per sample: the mean size of the differences of dependence, and the largest one in words."""
    at, kinds, names = drawn(rows)
    out: list[dict[str, Any]] = []
    real = dependence(rows.real[:, at], kinds)
    for sample in rows.samples:
        own = dependence(sample.values[:, at], kinds)
        gap = np.abs(own - real)
        if not np.isfinite(gap).any():
            why = sample.absent or "no two columns vary together"
            out.append({"name": sample.name, "mean": None, "pair": why, "real": None, "own": None})
            continue
        a, b = np.unravel_index(int(np.nanargmax(gap)), gap.shape)
        pair = f"{names[int(b)]} and {names[int(a)]}"
        numbers = {"mean": float(np.nanmean(gap)), "real": float(real[a, b]), "own": float(own[a, b])}
        out.append({"name": sample.name, "pair": pair, **numbers})
    return out
