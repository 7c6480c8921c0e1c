"""Charts of quality against cost: training compute and the compute of a sampled or predicted row."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from ..study.records import Study
from ..study.verdict import SAME_COST
from .charts import BLUE, FAINT, INK, PAPER, SOFT, Axis, Figure, data, figure, hover, trained_axis, wide
from .evidence import band
from .lookup import of_role, things
from .wording import wording
from .words import figures, flop

PLOT = (330.0, 290.0)  # pixels a chart is at least wide, and high, for placing its labels
Points = list[dict[str, Any]]
Box = tuple[float, float, float]  # left, right, height


def frontier(points: Points) -> Points:
    """Those that nothing is both cheaper and better than, cheapest first; costs within 10 % count as equal."""
    out: Points = []
    for point in sorted(points, key=lambda p: (p["x"], p["v"])):
        if not out or point["v"] < out[-1]["v"]:
            if out and point["x"] <= SAME_COST * out[-1]["x"]:
                out.pop()
            out.append(point)
    return out


def costs(study: Study) -> list[Figure]:
    """Quality against training compute (at every quarter of the budget) and against the compute of a row."""
    rows = of_role(study, "objective")
    training = [
        {"n": r.name, "x": r.training_flops * (i + 1) / len(r.quarters), "v": q, "w": f"{25 * (i + 1)} % of the budget"}
        for r in rows
        for i, q in enumerate(r.quarters)
        if q is not None and r.training_flops > 0
    ]
    sampling = [
        {"n": r.name, "x": r.use_flops, "v": r.mean, "w": "judged" if r.stage == "final" else "screened"}
        for r in rows
        if r.use_flops > 0
    ]
    made = []
    if training:
        last = {p["n"]: p for p in training}
        title = "Score against training compute"
        made.append(chart_of(study, ("training", title, "FLOP of training"), training, list(last.values())))
    if sampling and (study.goal == "generate" or apart([r.use_flops for r in rows if r.use_flops > 0])):
        title = "Score against the cost of a row"
        label = f"FLOP per {wording(study).use} {things(study)[:-1]}"
        made.append(chart_of(study, ("sampling", title, label), sampling, sampling))
    return made


def apart(costs: Sequence[float]) -> bool:
    """Do any two differ by more than counts as equal?"""
    return max(costs) > SAME_COST * min(costs)


def chart_of(study: Study, titles: tuple[str, str, str], points: Points, ends: Points) -> Figure:
    """Score against a cost; a line joins what nothing is both cheaper and better than."""
    name, title, label = titles
    axis, edge = trained_axis(study), frontier(points)
    low = min(p["x"] for p in points) / 1.6
    high = max(p["x"] for p in points) * (8 if name == "training" else 4)  # room for labels
    below = alt.Axis(title=label, format="~s", tickCount=4, grid=False)
    x = alt.X("x:Q", scale=alt.Scale(type="log", domain=[low, high], nice=False), axis=below)
    y = alt.Y("v:Q", scale=axis.scale(), axis=axis.axis(8, "score"))
    tips = hover({"n": "objective", "w": "run"}, {"x": label, "v": "score"}, ".2~g")
    every, best = (alt.Chart(data(p)).encode(x, y) for p in (points, edge))
    words = alt.Chart(data(placed(ends, axis, (low, high), (1,) if name == "training" else (1, -1)))).encode(
        x, y, text="n:N"
    )
    at: dict[str, Any] = {part: alt.ExprRef(expr=f"datum.{part}") for part in ("align", "dx", "dy")}
    paths = [every.mark_line(color=FAINT, strokeWidth=1).encode(detail="n:N")] if name == "training" else []
    chart = alt.layer(
        band(study, "y", axis),
        *paths,
        best.mark_line(color=BLUE, interpolate="step-after", strokeWidth=1.5),
        every.mark_point(color=SOFT, size=30, filled=True, opacity=0.7).encode(tooltip=tips),
        best.mark_circle(color=BLUE, size=52, opacity=1).encode(tooltip=tips),
        words.mark_text(**at, fontSize=11, stroke=PAPER, strokeWidth=3, strokeOpacity=0.8),
        words.mark_text(**at, fontSize=11, color=INK),
    )
    on = ", ".join(f"{p['n']} ({flop(p['x'])}, {figures(p['v'])})" for p in edge)
    return figure(name, f"{title}. Nothing is both cheaper and better than: {on}.", wide(chart, 330), title)


def placed(
    points: Sequence[dict[str, Any]], axis: Axis, span: tuple[float, float], sides: Sequence[int] = (1, -1)
) -> Points:
    """Labels beside their points, moved up or down until they do not overlap on a chart of the size PLOT.

    span: the ends of the axis of costs; sides: 1 right of the point, -1 left of it, the better one first.
    """
    boxes: list[Box] = []
    out = []
    for point in sorted(points, key=lambda p: p["v"]):
        x = math.log(point["x"] / span[0]) / math.log(span[1] / span[0]) * PLOT[0]
        y = (1 - axis.place(point["v"])) * PLOT[1]
        side, dy, box = free_place(boxes, (x, y), 18 + 6.2 * len(point["n"]), sides)
        boxes.append(box)
        align = "left" if side > 0 else "right"
        out.append({"n": point["n"], "x": point["x"], "v": point["v"], "dy": dy, "dx": 7 * side, "align": align})
    return out


def free_place(
    boxes: Sequence[Box], point: tuple[float, float], length: float, sides: Sequence[int]
) -> tuple[int, float, Box]:
    """(side, move, box) of the smallest move of a label to where no other is."""
    x, y = point
    coarse, fine = ([step * k - 8.0 for k in range(-count, count + 1)] for step, count in ((12, 14), (3, 96)))
    for move in (move for moves in (coarse, fine) for move in sorted(moves, key=lambda m: abs(m + 8))):  # -8: above
        for side in sides:
            left, right = sorted((x, x + side * length))
            free = all(abs(y + move - other) >= 12 or left > b or right < a for a, b, other in boxes)
            if free and 0 <= y + move <= PLOT[1] and left >= -20 and right <= PLOT[0] + 20:
                return side, move, (left, right, y + move)
    left, right = sorted((x, x + sides[0] * length))
    return sides[0], -8.0, (left, right, y - 8)
