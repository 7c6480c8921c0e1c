"""Charts of predictions: how sure against how often right, ROC and precision-recall curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from ..metrics.labels import Predicted
from ..study.rank import wilson
from .charts import BLUE, COLOURS, FAINT, SOFT, Figure, data, figure, hover, small
from .labels import of_class, scores
from .predictions import Prediction, Predictions
from .words import cut, fixed, percent

SQUARE = 172  # pixels a chart is high
POINTS = 10  # of a reliability diagram, at most
PER_POINT = 15  # rows of a point, at least
GRID = np.linspace(0, 1, 51)
ALARMS = np.sin(np.pi / 2 * GRID) ** 2  # finer at both ends, where a ROC curve rises
MOST_CURVES = 8  # classes drawn, the worst ranked first


def calibrations(rows: Predictions) -> list[Figure]:
    """How often right against how sure, as trained and after temperature scaling."""
    return [calibration(i, p) for i, p in enumerate(rows.known)]


def sureness(found: Predicted) -> tuple[np.ndarray, np.ndarray]:
    """(how sure, whether right) of the predicted label of every row, or of every label where rows have several."""
    if found.kind == "several":
        return found.p.reshape(-1).numpy(), found.targets.reshape(-1).numpy()
    return found.p.max(1).values.numpy(), (found.chosen * found.targets).sum(1).numpy()


def reliability(found: Predicted) -> list[dict[str, float]]:
    """Points of equally many rows: mean confidence, share right with Wilson's interval, number of rows."""
    sure, right = sureness(found)
    order = np.argsort(sure, kind="stable")
    count = max(3, min(POINTS, len(sure) // PER_POINT))
    out = []
    for part in np.array_split(order, min(count, len(sure))):
        low, high = wilson(float(right[part].sum()), len(part))
        point = {"x": float(sure[part].mean()), "y": float(right[part].mean())}
        out.append(point | {"low": low, "high": high, "n": len(part)})
    return out


def calibration(i: int, p: Prediction) -> Figure:
    """One reliability diagram."""
    assert p.found is not None
    found = {"as trained": reliability(p.found), "scaled": reliability(p.scaled)}
    points = [{**point, "k": kind} for kind, part in found.items() for point in part]
    low = math.floor(10 * min(q[end] for part in found.values() for q in part for end in ("x", "low"))) / 10
    scale = alt.Scale(domain=[low, 1], nice=False)
    x = alt.X("x:Q", scale=scale, axis=percents("how sure"))
    y = alt.Y("y:Q", scale=scale, axis=percents("how often right"))
    tips = hover({"k": "probabilities"}, {"x": "mean confidence", "y": "share right", "n": "rows"})
    base = alt.Chart(data(points)).encode(x, tooltip=tips)
    own, scaled = (base.transform_filter(f"datum.k == '{kind}'") for kind in found)
    colour = COLOURS[p.row.role]
    chart = alt.layer(
        diagonal(low, x, y),
        own.mark_rule(color=colour, opacity=0.35, strokeWidth=2).encode(alt.Y("low:Q", scale=scale), alt.Y2("high:Q")),
        scaled.mark_point(color=SOFT, size=30, strokeWidth=1.4, fill=None).encode(y),
        own.mark_circle(color=colour, size=34, opacity=1).encode(y),
    )
    means = ", ".join(f"{percent(q['x'])} sure: {percent(q['y'])} right" for q in found["as trained"])
    note = f"temperature {fixed(p.temperature, 2)}"
    return figure(f"calibration-{i}", f"Reliability of {p.name}. {means}", small(chart, SQUARE), p.name, note)


def percents(title: str) -> Any:
    """An axis of shares."""
    return alt.Axis(title=title, format="%", tickCount=4, grid=False)


def shares(below: str, beside: str) -> tuple[Any, Any]:
    """Two axes from 0 to 1."""
    scale = alt.Scale(domain=[0, 1], nice=False)
    return alt.X("x:Q", scale=scale, axis=percents(below)), alt.Y("y:Q", scale=scale, axis=percents(beside))


def diagonal(low: float, x: Any, y: Any) -> Any:
    """Where both are equal."""
    line = alt.Chart(data([{"x": low, "y": low}, {"x": 1, "y": 1}])).encode(x, y)
    return line.mark_line(color=SOFT, strokeDash=[4, 3], strokeWidth=1.3)


@dataclass(frozen=True)
class Curve:
    """The curve of one class: shares of its rows found at ALARMS (ROC), or precision on GRID (precision-recall)."""

    name: str
    values: np.ndarray
    area: float


def roc(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The share of rows with the label found at each share of false ALARMS, ties as one step."""
    order = np.argsort(-z, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(z[order])), len(z) - 1)
    found = np.append(0, np.cumsum(t[order])[ends]) / t.sum()
    wrong = np.append(0, np.cumsum(1 - t[order])[ends]) / (1 - t).sum()
    last = np.append(np.flatnonzero(np.diff(wrong)), len(wrong) - 1)  # the upper end of each vertical step
    return np.asarray(np.interp(ALARMS, wrong[last], found[last]))


def precision_recall(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The precision where a share of the rows with the label is found, for the shares on GRID."""
    order = np.argsort(-z, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(z[order])), len(z) - 1)
    found, said = np.cumsum(t[order])[ends], ends + 1
    at = np.searchsorted(found / t.sum(), GRID - 1e-12)
    return np.asarray((found / said)[np.minimum(at, len(ends) - 1)])


def curves(p: Prediction, classes: Sequence[str], kind: str) -> list[Curve]:
    """One curve per class that is judged and that some rows have and some lack."""
    found = p.found
    assert found is not None
    out = []
    for c in found.judged:
        z, t = scores(found, c).numpy(), found.targets[:, c].numpy()
        own = of_class(found, c)
        area = own.auroc if kind == "roc" else own.average_precision
        if area is not None:
            out.append(Curve(classes[c], (roc if kind == "roc" else precision_recall)(z, t), area))
    return out


def rankings(rows: Predictions, kind: str) -> list[Figure]:
    """ROC (`kind` roc) or precision-recall curves (pr) of every line shown."""
    made = [(p, curves(p, rows.classes, kind)) for p in rows.known]
    drawn = [(i, p, found) for i, (p, found) in enumerate(made) if found]
    first = np.mean([c.values for c in drawn[0][2]], axis=0) if drawn else GRID
    return [ranking(i, p, found, kind, first) for i, p, found in drawn]


def ranking(i: int, p: Prediction, found: list[Curve], kind: str, first: np.ndarray) -> Figure:
    """The curves of one line: classes faint, their mean strong, the first line's mean behind."""
    area = float(np.mean([c.area for c in found]))
    titles = ("false alarms", "found") if kind == "roc" else ("found", "precision")
    x, y = shares(*titles)
    shown = sorted(found, key=lambda c: c.area)[:MOST_CURVES] if len(found) > 1 else []
    classes = [{**q, "c": cut(c.name)} for c in shown for q in points(kind, c.values)]
    mean = np.mean([c.values for c in found], axis=0)
    line = alt.Chart(data(points(kind, mean))).encode(x, y)
    layers = [
        alt.Chart(data(classes)).mark_line(color=FAINT, strokeWidth=1).encode(x, y, detail="c:N"),
        line.mark_line(color=COLOURS[p.row.role], strokeWidth=2),
        line.mark_point(size=30, opacity=0).encode(tooltip=hover({}, {"x": titles[0], "y": titles[1]})),
    ]
    if i:
        layers.insert(
            0, alt.Chart(data(points(kind, first))).mark_line(color=BLUE, strokeWidth=1, opacity=0.6).encode(x, y)
        )
    if kind == "roc":
        layers.insert(0, diagonal(0, x, y))
    what = "AUROC" if kind == "roc" else "average precision"
    each = ", ".join(f"{c.name} {fixed(c.area, 3)}" for c in found[:MOST_CURVES])
    says = f"{'ROC' if kind == 'roc' else 'Precision-recall'} curve of {p.name}. {what} {fixed(area, 3)}: {each}"
    return figure(f"{kind}-{i}", says, small(alt.layer(*layers), SQUARE), p.name, f"{what} {fixed(area, 3)}")


def points(kind: str, values: np.ndarray) -> list[dict[str, float]]:
    """A curve."""
    return [{"x": float(x), "y": float(y)} for x, y in zip(ALARMS if kind == "roc" else GRID, values, strict=True)]
