"""Charts of rows: real data and samples on the same axes."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from ..data import evenly
from .charts import BLUE, COLOURS, INK, REAL, Figure, data, figure, small
from .samples import Rows, Sample
from .shapes import Shape
from .words import cut, figures, named, percent

SQUARE = 172  # pixels a scatter plot is high
POINTS = 500  # drawn of a scatter plot
DEEPEST = 8.0  # nats above the least energy that are told apart
SHADE = (47, 107, 173)


def scatters(rows: Rows) -> list[Figure]:
    """Two columns of numbers: the real rows first, then every sample, on the real rows' axes."""
    columns = rows.table.schema.columns
    a, b = sorted(rows.shapes, key=lambda shape: columns.index(shape.column))
    real = scatter(rows, None, rows.real, (a, b))
    return [real, *(scatter(rows, s, s.values, (a, b)) for s in rows.samples if len(s.values))]


def scatter(rows: Rows, sample: Sample | None, values: np.ndarray, two: tuple[Shape, Shape]) -> Figure:
    """One panel."""
    name = sample.name if sample else "real rows"
    at = [rows.table.schema.columns.index(shape.column) for shape in two]
    inside = np.ones(len(values), bool)
    for j, shape in zip(at, two, strict=True):
        inside &= (values[:, j] >= shape.at[0]) & (values[:, j] <= shape.at[-1])
    shown = evenly(values[inside], POINTS)
    points = [{"x": moment(two[0], x), "y": moment(two[1], y)} for x, y in shown[:, at]]
    colour = COLOURS[sample.row.role] if sample else INK
    chart = alt.Chart(data(points)).mark_circle(size=9, opacity=0.55, color=colour)
    chart = chart.encode(
        axis_of(two[0], alt.X, "x"),
        axis_of(two[1], alt.Y, "y"),
        tooltip=[tip(two[0], "x"), tip(two[1], "y")],
    )
    beyond = 1 - float(inside.mean())
    note = f"{percent(beyond)} of rows outside" if beyond > 0 else ""
    number = str(rows.samples.index(sample)) if sample else "real"
    return figure(f"scatter-{number}", f"Scatter plot of {name}. {note}", small(chart, SQUARE), name, note)


def energies(rows: Rows) -> list[Figure]:
    """What the models that score rows say of every place: energy, or minus log-density, from its least upwards."""
    columns = rows.table.schema.columns
    shapes = sorted(rows.shapes, key=lambda shape: columns.index(shape.column))
    return [
        (plane if s.energy.ndim == 2 else valley)(rows.samples.index(s), s, shapes)
        for s in rows.samples
        if s.energy is not None and s.energy.ndim == len(shapes) and np.isfinite(s.energy).any()
    ]


def plane(number: int, sample: Sample, shapes: Sequence[Shape]) -> Figure:
    """A picture of the energy over two columns: the deeper the colour, the likelier the place."""
    assert sample.energy is not None and sample.box is not None
    (left, bottom), (right, top) = sample.box.tolist()
    middle = [{"x": (left + right) / 2, "y": (bottom + top) / 2}]
    sizes: Any = {"width": {"expr": "width"}, "height": {"expr": "height"}}
    chart = alt.Chart(data(middle)).mark_image(url=shaded(sample.energy), aspect=False, **sizes)
    pairs = zip((alt.X, alt.Y), ("x:Q", "y:Q"), shapes, ((left, right), (bottom, top)), strict=True)
    chart = chart.encode(
        *(
            channel(field, scale=alt.Scale(domain=list(ends), nice=False), axis=named_axis(shape))
            for channel, field, shape, ends in pairs
        )
    )
    says = f"Energy of {sample.name} over {shapes[0].column.name} and {shapes[1].column.name}."
    return figure(f"energy-{number}", says, small(chart, SQUARE), sample.name)


def valley(number: int, sample: Sample, shapes: Sequence[Shape]) -> Figure:
    """The energy over one column, as a line."""
    assert sample.energy is not None and sample.box is not None
    low, high = (float(end[0]) for end in sample.box)
    depth = np.minimum(sample.energy - np.nanmin(sample.energy), DEEPEST)
    places = np.linspace(low, high, len(depth))
    points = [{"x": float(x), "y": float(e)} for x, e in zip(places, depth, strict=True) if np.isfinite(e)]
    chart = alt.Chart(data(points)).mark_line(color=BLUE, strokeWidth=1.5)
    scale = alt.Scale(domain=[low, high], nice=False)
    chart = chart.encode(alt.X("x:Q", scale=scale, axis=named_axis(shapes[0])), alt.Y("y:Q", title="nats"))
    return figure(f"energy-{number}", f"Energy of {sample.name}.", small(chart), sample.name)


def shaded(energy: np.ndarray) -> str:
    """A picture (PNG, as a link) of an energy (x, y): full colour at its least, none from DEEPEST nats above it on."""
    from PIL import Image

    depth = np.nan_to_num(energy - np.nanmin(energy), nan=DEEPEST, posinf=DEEPEST)
    cover = np.round(8 * (1 - np.minimum(depth / DEEPEST, 1))) / 8  # steps, which read as contours
    pixels = np.zeros((*cover.T.shape, 4), np.uint8)
    pixels[..., :3] = SHADE
    pixels[..., 3] = (255 * cover.T[::-1]).astype(np.uint8)  # rows of a picture go down
    file = io.BytesIO()
    Image.fromarray(pixels).resize((2 * SQUARE, 2 * SQUARE), Image.Resampling.NEAREST).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def named_axis(shape: Shape) -> Any:
    """An axis with the column's name."""
    return alt.Axis(title=cut(shape.column.name), tickCount=4, grid=False)


def moment(shape: Shape, x: float) -> float:
    """Dates are milliseconds in a chart."""
    return float(round(x * 1000)) if shape.column.kind == "date" else float(x)


def axis_of(shape: Shape, channel: Any, field: str, title: bool = True) -> Any:
    """The axis of a column of numbers or dates."""
    low, high = moment(shape, float(shape.at[0])), moment(shape, float(shape.at[-1]))
    dated = shape.column.kind == "date"
    form = "~s" if not dated and max(abs(low), abs(high)) >= 1e4 else alt.Undefined
    axis = alt.Axis(title=cut(shape.column.name) if title else None, tickCount=4, grid=False, format=form)
    kind = alt.Scale(domain=[low, high], nice=False, type="utc" if dated else "linear")
    return channel(f"{field}:{'T' if dated else 'Q'}", scale=kind, axis=axis)


def tip(shape: Shape, field: str) -> Any:
    """What a point says of a column."""
    kind, form = ("T", "%Y-%m-%d") if shape.column.kind == "date" else ("Q", ".4~g")
    return alt.Tooltip(f"{field}:{kind}", title=cut(shape.column.name, 40), format=form)


def upward(top: float) -> Any:
    """The axis of a density, without numbers."""
    axis = alt.Axis(title=None, labels=False, ticks=False, grid=False)
    return alt.Y("y:Q", scale=alt.Scale(domain=[0, max(top, 1e-12)], clamp=True, nice=False), axis=axis)


def lines(rows: Rows) -> list[Figure]:
    """One column of numbers: the real rows alone, then every sample over the real rows."""
    (shape,) = rows.shapes
    drawn = [(k, s) for k, s in enumerate(rows.samples) if shape.heights[k + 1] is not None]
    return [curve(shape, None, None), *(curve(shape, k, sample) for k, sample in drawn)]


def curve(shape: Shape, k: int | None, sample: Sample | None) -> Figure:
    """One density over the real rows' one."""
    real = shape.heights[0]
    assert real is not None
    x, y = axis_of(shape, alt.X, "x"), upward(1.25 * float(real.max()))
    layers = [grey(shape, x, y)]
    note = ""
    if k is not None and sample is not None:
        line = alt.Chart(data(points(shape, k + 1))).encode(x, y)
        layers.append(line.mark_line(color=COLOURS[sample.row.role], strokeWidth=1.8))
        outside = shape.outside[k + 1]
        note = f"{percent(outside)} of rows outside" if outside else ""
    name = sample.name if sample else "real rows"
    says = f"Density of {name} over that of the real rows. {note}"
    number = "real" if k is None else str(k)
    return figure(f"line-{number}", says, small(alt.layer(*layers)), name, note)


def grey(shape: Shape, x: Any, y: Any) -> Any:
    """The real rows' density as an area."""
    return alt.Chart(data(points(shape, 0))).mark_area(color=REAL, opacity=1).encode(x, y, tooltip=[tip(shape, "x")])


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
    known = [k for k, height in enumerate(shape.heights[1:]) if height is not None]
    apart = ", ".join(f"{rows.samples[k].name} {figures(shape.apart[k])}" for k in known)
    says = f"Column {shape.column.name}: real rows and a sample. Largest difference of shares: {apart}"
    chart = (bar_chart if shape.bars else density_chart)(shape, known, chosen)
    return figure(f"column-{number}", says, small(chart), cut(shape.column.name, 34))


def density_chart(shape: Shape, known: Sequence[int], chosen: Any) -> Any:
    """The real rows' density as an area, the sample's as a line."""
    tallest = [float(h.max()) for h in shape.heights if h is not None]
    x, y = axis_of(shape, alt.X, "x", title=False), upward(1.05 * min(1.8 * tallest[0], max(tallest)))
    own = alt.Chart(data([{**point, "s": k} for k in known for point in points(shape, k + 1)])).encode(x, y)
    line = own.mark_line(color=BLUE, strokeWidth=1.8).transform_filter("datum.s == pick").add_params(chosen)
    return alt.layer(grey(shape, x, y), line) if known else grey(shape, x, y)


def bar_chart(shape: Shape, known: Sequence[int], chosen: Any) -> Any:
    """Shares of levels: real ones as wide bars, the sample's as narrow ones on them."""
    labels = [cut(label, 14) for label in shape.labels]
    turned = max(map(len, labels)) > 3 or len(labels) > 7
    below = alt.Axis(title=None, labelExpr=named(labels), labelAngle=-40 if turned else 0, labelLimit=70, ticks=False)
    x = alt.X("x:O", axis=below)
    y = alt.Y("y:Q", stack=None, axis=alt.Axis(title=None, format="%", tickCount=3))
    share = alt.Tooltip("y:Q", title="share", format=".1%")
    tips = [alt.Tooltip("l:N", title="value"), alt.Tooltip("w:N", title="rows"), share]
    real, own = (alt.Chart(data(levels(shape, which))).encode(x, y, tooltip=tips) for which in ([None], known))
    wide, thin = real.mark_bar(color=REAL, width={"band": 0.86}), own.mark_bar(color=BLUE, width={"band": 0.36})
    return alt.layer(wide, thin.transform_filter("datum.s == pick").add_params(chosen)) if known else wide


def levels(shape: Shape, which: Sequence[int | None]) -> list[dict[str, Any]]:
    """The shares of samples; None is the real rows."""
    out = []
    for k in which:
        heights = shape.heights[0 if k is None else k + 1]
        assert heights is not None
        word = "real" if k is None else "sample"
        out += [{"x": i, "l": shape.labels[i], "y": float(y), "w": word, "s": k} for i, y in enumerate(heights)]
    return out
