"""Charts of rows: real data and samples on the same axes."""

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from .charts import BLUE, COLOURS, INK, REAL, Figure, data, figure, small, wide
from .dependence import dependence
from .samples import Rows, Sample
from .shapes import Shape, numeric
from .words import figures, percent

SQUARE = 172  # pixels a scatter plot is high
POINTS = 500  # drawn of a scatter plot
STEPS = (-0.495, -0.195, -0.045, 0.045, 0.195, 0.495)  # where the heat map changes colour
COOL = ["var(--d1)", "var(--d2)", "var(--d3)", "var(--d4)", "var(--d5)", "var(--d6)", "var(--d7)"]


def scatters(rows: Rows) -> list[Figure]:
    """Two columns of numbers: the real rows first, then every sample, on the real rows' axes."""
    a, b = (shape for shape in sorted(rows.shapes, key=lambda s: rows.table.schema.columns.index(s.column)))
    real = scatter("real rows", None, rows.real, rows, (a, b))
    return [real, *(scatter(s.name, s, s.values, rows, (a, b)) for s in rows.samples if len(s.values))]


def scatter(name: str, sample: Sample | None, values: np.ndarray, rows: Rows, two: tuple[Shape, Shape]) -> Figure:
    """One panel."""
    at = [rows.table.schema.columns.index(shape.column) for shape in two]
    inside = np.ones(len(values), bool)
    for j, shape in zip(at, two, strict=True):
        low, high = edges(shape)
        inside &= (values[:, j] >= low) & (values[:, j] <= high)
    shown = values[inside]
    shown = shown[np.linspace(0, len(shown) - 1, min(POINTS, len(shown))).astype(int)]
    points = [{"x": moment(two[0], x), "y": moment(two[1], y)} for x, y in shown[:, at]]
    chart = (
        alt.Chart(data(points))
        .mark_circle(size=9, opacity=0.55, color=COLOURS[sample.row.role] if sample else INK)
        .encode(
            axis_of(two[0], alt.X, "x"), axis_of(two[1], alt.Y, "y"),
            tooltip=[tip(two[0], "x"), tip(two[1], "y")],
        )
    )  # fmt: skip
    beyond = 1 - inside.mean() if len(values) else 0.0
    note = f"{percent(float(beyond))} of rows outside" if beyond > 0 else ""
    number = "real" if sample is None else str(rows.samples.index(sample))
    return figure(f"scatter-{number}", f"Scatter plot of {name}. {note}", small(chart, SQUARE), name, note)


def edges(shape: Shape) -> tuple[float, float]:
    """The ends of a column's axis."""
    return float(shape.at[0]), float(shape.at[-1])


def moment(shape: Shape, x: float) -> float:
    """Dates are milliseconds in a chart."""
    return float(round(x * 1000)) if shape.column.kind == "date" else float(x)


def axis_of(shape: Shape, channel: Any, field: str, title: bool = True) -> Any:
    """The axis of a column of numbers or dates."""
    low, high = (moment(shape, x) for x in edges(shape))
    dated = shape.column.kind == "date"
    name = shorten(shape.column.name) if title else None
    axis = alt.Axis(title=name, tickCount=4, grid=False, format="~s" if not dated and max(abs(low), abs(high)) >= 1e4 else alt.Undefined)
    kind = alt.Scale(domain=[low, high], nice=False, type="utc" if dated else "linear")
    return channel(f"{field}:{'T' if dated else 'Q'}", scale=kind, axis=axis)


def tip(shape: Shape, field: str) -> Any:
    """What a point says of a column."""
    dated = shape.column.kind == "date"
    kind, how = ("T", "%Y-%m-%d") if dated else ("Q", ".4~g")
    return alt.Tooltip(f"{field}:{kind}", title=shorten(shape.column.name, 40), format=how)


def shorten(name: str, most: int = 26) -> str:
    """A long name, cut in the middle."""
    name = " ".join(name.split()) or "(no name)"
    return name if len(name) <= most else f"{name[: most - 10]}…{name[-9:]}"


def lines(rows: Rows) -> list[Figure]:
    """One column of numbers: the real rows alone, then every sample over the real rows."""
    (shape,) = rows.shapes
    out = [curve("real", "real rows", shape, None, COLOURS["objective"])]
    for k, sample in enumerate(rows.samples):
        if shape.heights[k + 1] is not None:
            out.append(curve(str(k), sample.name, shape, k + 1, COLOURS[sample.row.role], shape.outside[k + 1]))
    return out


def curve(number: str, name: str, shape: Shape, k: int | None, colour: str, outside: float | None = 0) -> Figure:
    """One density over the real rows' one."""
    top = 1.25 * max(float(shape.heights[0].max()) if shape.heights[0] is not None else 1.0, 1e-12)
    x = axis_of(shape, alt.X, "x")
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, top], clamp=True, nice=False), axis=alt.Axis(title=None, labels=False, ticks=False, grid=False))
    layers = [alt.Chart(data(points(shape, 0))).mark_area(color=REAL, opacity=1).encode(x, y, tooltip=[tip(shape, "x")])]
    if k is not None:
        layers.append(alt.Chart(data(points(shape, k))).mark_line(color=colour, strokeWidth=1.8).encode(x, y))
    note = f"{percent(outside)} of rows outside" if outside else ""
    says = f"Density of {name} over that of the real rows. {note}"
    return figure(f"line-{number}", says, small(alt.layer(*layers)), name, note)


def points(shape: Shape, k: int) -> list[dict[str, float]]:
    """A density's points."""
    heights = shape.heights[k]
    assert heights is not None
    return [{"x": moment(shape, float(x)), "y": float(y)} for x, y in zip(shape.at, heights, strict=True)]


def columns(rows: Rows, pick: int) -> list[Figure]:
    """Every column of a table: the real rows and one sample, which the page lets the reader choose."""
    return [column(rows, i, shape, pick) for i, shape in enumerate(rows.shapes)]


def column(rows: Rows, number: int, shape: Shape, pick: int) -> Figure:
    """One column; the parameter `pick` is the number of the sample."""
    chosen = alt.param(name="pick", value=pick)
    known = [k for k, s in enumerate(rows.samples) if shape.heights[k + 1] is not None]
    title = shorten(shape.column.name, 34)
    says = f"Column {shape.column.name}: real rows and a sample. Largest difference of shares: " + ", ".join(
        f"{rows.samples[k].name} {figures(shape.apart[k])}" for k in known
    )
    if shape.bars:
        return figure(f"column-{number}", says, small(bar_chart(shape, known, chosen)), title)
    base = axis_of(shape, alt.X, "x", title=False)
    tallest = max(float(h.max()) for h in shape.heights if h is not None)
    top = max(min(1.8 * float(shape.heights[0].max()), tallest) if shape.heights[0] is not None else tallest, 1e-12)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, top * 1.05], clamp=True, nice=False), axis=alt.Axis(title=None, labels=False, ticks=False, grid=False))
    own = [{**p, "s": k} for k in known for p in points(shape, k + 1)]
    chart = alt.layer(
        alt.Chart(data(points(shape, 0))).mark_area(color=REAL, opacity=1).encode(base, y, tooltip=[tip(shape, "x")]),
        alt.Chart(data(own)).mark_line(color=BLUE, strokeWidth=1.8).encode(base, y).transform_filter("datum.s == pick").add_params(chosen),
    )
    return figure(f"column-{number}", says, small(chart), title)


def bar_chart(shape: Shape, known: Sequence[int], chosen: Any) -> Any:
    """Shares of levels: real ones as wide bars, the sample's as narrow ones on them."""
    real, labels = shape.heights[0], list(shape.labels)
    assert real is not None
    x = alt.X("x:O", axis=alt.Axis(title=None, labelExpr=named([shorten(label, 12) for label in labels]), labelAngle=-40 if max(map(len, labels)) > 3 or len(labels) > 7 else 0, labelLimit=70, ticks=False))
    y = alt.Y("y:Q", axis=alt.Axis(title=None, format="%", tickCount=3))
    tips = [alt.Tooltip("l:N", title="value"), alt.Tooltip("w:N", title="rows"), alt.Tooltip("y:Q", title="share", format=".1%")]
    first = [{"x": i, "l": label, "y": float(real[i]), "w": "real"} for i, label in enumerate(labels)]
    rest = []
    for k in known:
        heights = shape.heights[k + 1]
        assert heights is not None
        rest += [{"x": i, "l": label, "y": float(heights[i]), "w": "sample", "s": k} for i, label in enumerate(labels)]
    return alt.layer(
        alt.Chart(data(first)).mark_bar(color=REAL, width={"band": 0.86}).encode(x, y, tooltip=tips),
        alt.Chart(data(rest)).mark_bar(color=BLUE, width={"band": 0.36}).encode(x, y, tooltip=tips).transform_filter("datum.s == pick").add_params(chosen),
    )


def named(labels: Sequence[str]) -> str:
    """A Vega expression from a bar's number to its label; labels are JSON text and can be nothing else."""
    return f"{json.dumps(labels)}[datum.value]"


def heat_map(rows: Rows, pick: int) -> Figure | None:
    """How much stronger or weaker columns depend on each other in a sample than in the real rows."""
    at = [rows.table.schema.columns.index(shape.column) for shape in rows.shapes]
    if len(at) < 2:
        return None
    kinds = [numeric(rows.table.schema.columns[j]) for j in at]
    names = [shorten(rows.table.schema.columns[j].name, 18) for j in at]
    real, cells = dependence(rows.real[:, at], kinds), []
    for k, sample in enumerate(rows.samples):
        if not len(sample.values):
            continue
        own = dependence(sample.values[:, at], kinds)
        cells += [
            {"s": k, "a": a, "b": b, "A": names[a], "B": names[b], "r": real[a, b], "o": own[a, b], "d": round(own[a, b] - real[a, b], 2) + 0.0}
            for a in range(len(at)) for b in range(a)
        ]  # fmt: skip
    label = {"labelExpr": named(names), "labelLimit": 120, "title": None, "ticks": False, "domain": False, "grid": False}
    base = alt.Chart(data(cells)).transform_filter("datum.s == pick").encode(
        alt.X("b:O", scale=alt.Scale(domain=list(range(len(at) - 1))), axis=alt.Axis(labelAngle=-40, **label)),
        alt.Y("a:O", scale=alt.Scale(domain=list(range(1, len(at)))), axis=alt.Axis(**label)),
        tooltip=[alt.Tooltip("A:N", title="column"), alt.Tooltip("B:N", title="and"), alt.Tooltip("r:Q", title="real rows", format="+.2f"), alt.Tooltip("o:Q", title="sample", format="+.2f"), alt.Tooltip("d:Q", title="difference", format="+.2f")],
    )  # fmt: skip
    colour = alt.Color("d:Q", scale=alt.Scale(type="threshold", domain=list(STEPS), range=COOL), legend=None)
    layers = [base.mark_rect(stroke="var(--paper)", strokeWidth=1).encode(colour).add_params(alt.param(name="pick", value=pick))]
    if len(at) <= 9:
        layers.append(base.mark_text(fontSize=10, color=INK).encode(alt.Text("d:Q", format="+.2f")))
    says = "Differences of dependence between columns, a sample against the real rows; the table below has the numbers."
    return figure("dependence", says, wide(alt.layer(*layers), 80 + 27 * len(at)))


def worst_pairs(rows: Rows) -> list[dict[str, Any]]:
    """Per sample: the mean size of the differences of dependence, and the largest one in words."""
    at = [rows.table.schema.columns.index(shape.column) for shape in rows.shapes]
    names = [rows.table.schema.columns[j].name for j in at]
    kinds, out = [numeric(rows.table.schema.columns[j]) for j in at], []
    real = dependence(rows.real[:, at], kinds)
    for sample in rows.samples:
        own = dependence(sample.values[:, at], kinds)
        gap = np.abs(own - real)
        if not len(sample.values) or np.isnan(gap).all():
            out.append({"name": sample.name, "mean": None, "pair": sample.absent, "real": None, "own": None})
            continue
        a, b = np.unravel_index(int(np.nanargmax(gap)), gap.shape)
        pair = f"{names[int(b)]} and {names[int(a)]}"
        out.append({"name": sample.name, "mean": float(np.nanmean(gap)), "pair": pair, "real": float(real[a, b]), "own": float(own[a, b])})
    return out
