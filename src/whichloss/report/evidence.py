"""Charts of scores: every seed, score against budget, settings tried, quality against cost."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from ..study.records import Row, Study
from .charts import (
    BLUE,
    COLOURS,
    FAINT,
    INK,
    NOISE,
    PAPER,
    RED,
    SOFT,
    Axis,
    Figure,
    data,
    figure,
    score_axis,
    small,
    wide,
)
from .lookup import ceiling, of_role, rope
from .words import figures, flop

PLOT = 330  # pixels a chart of costs is at least wide, for placing its labels


def failed_seeds(row: Row) -> set[int]:
    """Which scores are failed runs: none scores better than any run that lived, so the worst ones are."""
    order = sorted(range(len(row.scores)), key=lambda i: -row.scores[i])
    return set(order[: row.failures])


def dots(study: Study) -> list[dict[str, Any]]:
    """Every seed of every line: screened (hollow), judged (solid) or failed (a cross)."""
    out = []
    for row in study.ranked():
        failed = failed_seeds(row)
        kind = "judged" if row.stage == "final" else "screened"
        for i, score in enumerate(row.scores):
            how = "failed" if i in failed else kind
            out.append({"n": row.name, "r": row.role, "v": score, "k": how, "seed": f"{i + 1} of {len(row.scores)}"})
        if row.stage == "final":
            for i, score in enumerate(row.screen):
                out.append({"n": row.name, "r": row.role, "v": score, "k": "screened", "seed": f"{i + 1} of {len(row.screen)}"})
    return out


def strips(study: Study) -> Figure:
    """One strip per line of the table: every seed, the mean and its interval, the noise of real rows."""
    axis, names = score_axis(study), [row.name for row in study.ranked()]
    x = alt.X("v:Q", scale=axis.scale(), axis=axis.axis(9, "score (MMD²): lower is better"))
    y = alt.Y("n:N", sort=names, axis=alt.Axis(title=None, labelLimit=170, domain=False, ticks=False, grid=True))
    colour = alt.Color("r:N", scale=roles(), legend=None)
    tips = [alt.Tooltip("n:N", title="what"), alt.Tooltip("k:N", title="run"), alt.Tooltip("seed:N"), alt.Tooltip("v:Q", title="score", format=".3~g")]
    base = alt.Chart(data(dots(study))).encode(x, y, colour, tooltip=tips)
    lines = [{"n": r.name, "r": r.role, "low": r.low, "high": r.high, "v": r.mean} for r in study.ranked()]
    spans = alt.Chart(data(lines)).encode(y, colour, tooltip=[
        alt.Tooltip("n:N", title="what"), alt.Tooltip("v:Q", title="mean", format=".3~g"),
        alt.Tooltip("low:Q", title="95 % from", format=".3~g"), alt.Tooltip("high:Q", title="to", format=".3~g"),
    ])  # fmt: skip
    chart = alt.layer(
        band(study, "x", axis),
        spans.mark_bar(height=9, opacity=0.28).encode(alt.X("low:Q", scale=axis.scale()), alt.X2("high:Q")),
        base.transform_filter("datum.k == 'screened'").mark_point(size=26, strokeWidth=1.2, fill=None, yOffset=-9),
        base.transform_filter("datum.k == 'judged'").mark_circle(size=30, opacity=0.85),
        base.transform_filter("datum.k == 'failed'").mark_point(shape="cross", angle=45, size=90, strokeWidth=1, filled=True, color=RED).encode(color=alt.value(RED)),
        spans.mark_tick(height=16, thickness=2.2).encode(x, color=alt.value(INK)),
    )
    says = "Scores of every seed, by objective and anchor, with means and 95 % intervals. " + "; ".join(
        f"{r.name} {figures(r.mean)} ({figures(r.low)} to {figures(r.high)})" for r in study.ranked()
    )
    return figure("strips", says, wide(chart, 30 * len(names) + 44))


def roles() -> Any:
    """Colour by role."""
    return alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))


def band(study: Study, way: str, axis: Axis) -> Any:
    """The noise of the score on real rows, round the score of fresh real rows."""
    middle, noise = ceiling(study), rope(study)
    chart = alt.Chart(data([{"a": middle - noise, "b": middle + noise}])).mark_rect(color=NOISE, opacity=1)
    if way == "x":
        return chart.encode(alt.X("a:Q", scale=axis.scale()), alt.X2("b:Q"))
    return chart.encode(alt.Y("a:Q", scale=axis.scale()), alt.Y2("b:Q"))


def over_budget(study: Study) -> list[Figure]:
    """Per objective: the validation score at each quarter of the budget, the others faint behind it."""
    rows = [r for r in of_role(study, "objective") if any(q is not None for q in r.quarters)]
    axis = score_axis(study)
    points = [
        {"n": r.name, "x": 100 * (i + 1) / len(r.quarters), "v": q}
        for r in rows for i, q in enumerate(r.quarters) if q is not None
    ]  # fmt: skip
    return [quarters_of(study, row, points, axis) for row in rows]


def quarters_of(study: Study, row: Row, points: Sequence[dict[str, Any]], axis: Axis) -> Figure:
    """One objective's score against its budget."""
    x = alt.X("x:Q", scale=alt.Scale(domain=[20, 105], nice=False), axis=alt.Axis(values=[25, 50, 75, 100], title="% of the budget", grid=False))
    y = alt.Y("v:Q", scale=axis.scale(), axis=axis.axis(4, None))
    base = alt.Chart(data(points)).encode(x, y)
    own = base.transform_filter(alt.FieldEqualPredicate(field="n", equal=row.name))
    tips = [alt.Tooltip("n:N", title="objective"), alt.Tooltip("x:Q", title="% of the budget"), alt.Tooltip("v:Q", title="score", format=".3~g")]
    chart = alt.layer(
        band(study, "y", axis),
        base.mark_line(color=FAINT, strokeWidth=1).encode(detail="n:N"),
        own.mark_line(color=BLUE, strokeWidth=2),
        own.mark_circle(color=BLUE, size=34, opacity=1).encode(tooltip=tips),
    )
    says = f"{row.name}: validation score at 25, 50, 75 and 100 % of the budget: " + ", ".join(figures(q) for q in row.quarters)
    return figure(f"budget-{row.name}", says, small(chart), row.name)


def best_of(scores: Sequence[float | None]) -> list[float]:
    """Expected best score of t settings drawn without replacement, t = 1 .. T (Dodge et al., 2019).

    E min = sum_i v_(i) C(T - i, t - 1) / C(T, t), v_(1) <= ... <= v_(T). A failed setting takes the worst
    score of those that lived; empty when none did.
    """
    lived = sorted(s for s in scores if s is not None)
    if not lived:
        return []
    values, total = lived + [lived[-1]] * (len(scores) - len(lived)), len(scores)
    return [
        sum(v * math.comb(total - i - 1, t - 1) for i, v in enumerate(values)) / math.comb(total, t)
        for t in range(1, total + 1)
    ]


def tuned(study: Study) -> list[Figure]:
    """Per objective: every setting tried, and the best score to expect of t of them."""
    out, axis = [], score_axis(study)
    for row in of_role(study, "objective"):
        curve = best_of([score for _, score in row.tuning])
        if len(curve) < 2:
            continue
        tried = [
            {"x": i + 1, "v": s, "d": i == 0, "s": ", ".join(f"{k} {v:g}" for k, v in setting.items())}
            for i, (setting, s) in enumerate(row.tuning) if s is not None
        ]  # fmt: skip
        x = alt.X("x:Q", scale=alt.Scale(domain=[0.7, len(curve) + 0.3], nice=False), axis=alt.Axis(title="settings tried", tickMinStep=1, format="d", grid=False, tickCount=min(8, len(curve))))
        y = alt.Y("v:Q", scale=axis.scale(), axis=axis.axis(4, None))
        lines = [{"x": i + 1, "v": v} for i, v in enumerate(curve)]
        points = alt.Chart(data(tried)).encode(x, y, tooltip=[alt.Tooltip("s:N", title="setting"), alt.Tooltip("v:Q", title="score", format=".3~g")])
        chart = alt.layer(
            band(study, "y", axis),
            alt.Chart(data(lines)).mark_line(color=BLUE, strokeWidth=2).encode(x, y),
            points.transform_filter("!datum.d").mark_circle(color=SOFT, size=24, opacity=0.8),
            points.transform_filter("datum.d").mark_point(color=INK, size=40, shape="diamond", filled=True),
        )
        says = f"{row.name}: expected best validation score of 1 to {len(curve)} settings: " + ", ".join(map(figures, curve))
        out.append(figure(f"tuning-{row.name}", says, small(chart), row.name))
    return out


def frontier(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that nothing is both cheaper and better than, cheapest first."""
    best, out = math.inf, []
    for point in sorted(points, key=lambda p: (p["x"], p["v"])):
        if point["v"] < best:
            best = point["v"]
            out.append(point)
    return out


def costs(study: Study) -> list[Figure]:
    """Quality against training compute (at every quarter of the budget) and against sampling compute."""
    rows = of_role(study, "objective")
    training = [
        {"n": r.name, "x": r.training_flops * (i + 1) / len(r.quarters), "v": q, "w": f"{25 * (i + 1)} % of the budget"}
        for r in rows for i, q in enumerate(r.quarters) if q is not None and r.training_flops > 0
    ]  # fmt: skip
    sampling = [
        {"n": r.name, "x": r.sampling_flops, "v": r.mean, "w": "judged" if r.stage == "final" else "screened"}
        for r in rows if r.sampling_flops > 0
    ]  # fmt: skip
    made = [
        ("training", "Score against training compute", "FLOP of training", training),
        ("sampling", "Score against the cost of a row", "FLOP per sampled row", sampling),
    ]
    return [cost_chart(study, *each) for each in made if each[3]]


def cost_chart(study: Study, name: str, title: str, label: str, points: list[dict[str, Any]]) -> Figure:
    """Score against a cost; a line joins what nothing is both cheaper and better than."""
    axis, edge = score_axis(study), frontier(points)
    low, high = min(p["x"] for p in points), max(p["x"] for p in points)
    low, high = low / 1.6, high * (8 if name == "training" else 1.6)  # there labels stand right of the lines
    ends = points if name == "sampling" else [max((p for p in points if p["n"] == n), key=lambda p: p["x"]) for n in dict.fromkeys(p["n"] for p in points)]
    labels = placed(ends, axis, low, high)
    x = alt.X("x:Q", scale=alt.Scale(type="log", domain=[low, high], nice=False), axis=alt.Axis(title=label, format="~s", tickCount=4, grid=False))
    y = alt.Y("v:Q", scale=axis.scale(), axis=axis.axis(8, "score"))
    tips = [alt.Tooltip("n:N", title="objective"), alt.Tooltip("w:N", title="run"), alt.Tooltip("x:Q", title=label, format=".2~s"), alt.Tooltip("v:Q", title="score", format=".3~g")]
    base = alt.Chart(data(points)).encode(x, y)
    words = alt.Chart(data(labels)).encode(x, y, text="n:N")
    at = {part: alt.ExprRef(expr=f"datum.{part}") for part in ("align", "dx", "dy")}
    chart = alt.layer(
        band(study, "y", axis),
        *([base.mark_line(color=FAINT, strokeWidth=1).encode(detail="n:N")] if name == "training" else []),
        alt.Chart(data(edge)).mark_line(color=BLUE, interpolate="step-after", strokeWidth=1.5).encode(x, y),
        base.mark_point(color=SOFT, size=30, filled=True, opacity=0.7).encode(tooltip=tips),
        alt.Chart(data(edge)).mark_circle(color=BLUE, size=52, opacity=1).encode(x, y, tooltip=tips),
        words.mark_text(**at, fontSize=11, stroke=PAPER, strokeWidth=3, strokeOpacity=0.8),
        words.mark_text(**at, fontSize=11, color=INK),
    )
    on = ", ".join(f"{p['n']} ({flop(p['x'])}, {figures(p['v'])})" for p in edge)
    return figure(name, f"{title}. Nothing is both cheaper and better than: {on}.", wide(chart, 330), title)


def placed(points: Sequence[dict[str, Any]], axis: Axis, low: float, high: float) -> list[dict[str, Any]]:
    """Labels moved up or down until they do not overlap on a chart PLOT pixels wide and 290 high.

    They stand on the side of their point where there is more room.
    """
    boxes: list[tuple[float, float, float]] = []
    out = []
    for point in sorted(points, key=lambda p: p["v"]):
        left = math.log(point["x"] / low) / math.log(high / low) * PLOT
        long, at = 8 + 6.2 * len(point["n"]), (1 - axis.place(point["v"])) * 290
        side = 1 if left < 0.6 * PLOT else -1
        left, right = min(left, left + side * long), max(left, left + side * long)
        shifts = sorted((12 * k - 8 for k in range(-14, 15)), key=lambda s: abs(s + 8))  # above lines
        free = (s for s in shifts if 0 <= at + s <= 290 and all(
            abs(at + s - y) >= 12 or left > b or right < a for a, b, y in boxes
        ))  # fmt: skip
        shift = next(free, -8)
        boxes.append((left, right, at + shift))
        out.append({"n": point["n"], "x": point["x"], "v": point["v"], "dy": shift, "dx": 7 * side, "align": "left" if side > 0 else "right"})
    return out
