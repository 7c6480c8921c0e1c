"""Charts of scores: every seed, score against budget, settings tried."""

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
    RED,
    SOFT,
    Axis,
    Figure,
    data,
    figure,
    hover,
    score_axis,
    small,
    trained_axis,
    wide,
)
from .lookup import level, of_role, rope, span
from .ranking import setting
from .wording import score_name
from .words import figures


def failed_seeds(row: Row) -> set[int]:
    """Which scores are failed runs: none scores better than any run that lived, so the worst ones are."""
    order = sorted(range(len(row.scores)), key=lambda i: -row.scores[i])
    return set(order[: row.failures])


def dots(study: Study) -> list[dict[str, Any]]:
    """Every seed of every line: screened (hollow), judged (solid) or failed (a cross)."""
    out = []
    for row in study.ranked():
        failed, final = failed_seeds(row), row.stage == "final"
        seeds = [(i, "failed" if i in failed else "judged" if final else "screened") for i in range(len(row.scores))]
        for i, kind in seeds:
            place = f"{i + 1} of {len(row.scores)}"
            out.append({"n": row.name, "r": row.role, "v": row.scores[i], "k": kind, "s": place})
        for i, score in enumerate(row.screen if final else ()):
            place = f"{i + 1} of {len(row.screen)}"
            out.append({"n": row.name, "r": row.role, "v": score, "k": "screened", "s": place})
    return out


def strips(study: Study) -> Figure:
    """One strip per line of the table: every seed, the mean and its interval, the noise."""
    axis, rows = score_axis(study), study.ranked()
    x = alt.X("v:Q", scale=axis.scale(), axis=axis.axis(9, f"score ({score_name(study)}): lower is better"))
    side = alt.Axis(title=None, labelLimit=170, domain=False, ticks=False, grid=True)
    y = alt.Y("n:N", sort=[row.name for row in rows], axis=side)
    roles = alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))
    colour = alt.Color("r:N", scale=roles, legend=None)
    tips = hover({"n": "what", "k": "run", "s": "seed"}, {"v": "score"})
    base = alt.Chart(data(dots(study))).encode(x, y, colour, tooltip=tips)
    ends = {r.name: dict(zip(("low", "high"), span(study, r), strict=True)) for r in rows}
    lines = [{"n": r.name, "r": r.role, "v": r.mean, **ends[r.name]} for r in rows]
    tips = hover({"n": "what"}, {"v": "mean", "low": "95 % from", "high": "to"})
    spans = alt.Chart(data(lines)).encode(y, colour, tooltip=tips)
    screened, judged, failed = (base.transform_filter(f"datum.k == '{k}'") for k in ("screened", "judged", "failed"))
    cross = failed.mark_point(shape="cross", angle=45, size=90, strokeWidth=1, filled=True)
    chart = alt.layer(
        band(study, "x", axis),
        spans.mark_bar(height=9, opacity=0.28).encode(alt.X("low:Q", scale=axis.scale()), alt.X2("high:Q")),
        screened.mark_point(size=26, strokeWidth=1.2, fill=None, yOffset=-9),
        judged.mark_circle(size=30, opacity=0.85),
        cross.encode(color=alt.value(RED)),
        spans.mark_tick(height=16, thickness=2.2).encode(x, color=alt.value(INK)),
    )
    within = {name: " to ".join(map(figures, pair.values())) for name, pair in ends.items()}
    means = "; ".join(f"{r.name} {figures(r.mean)} ({within[r.name]})" for r in rows)
    says = f"Scores of every seed, by objective and anchor, with means and 95 % intervals. {means}"
    return figure("strips", says, wide(chart, 30 * len(rows) + 44))


def band(study: Study, way: str, axis: Axis) -> Any:
    """The noise of the score, round the score of fresh real rows or of the best simple baseline."""
    middle, noise = level(study), rope(study)
    ends = {"a": max(middle - noise, axis.low), "b": min(middle + noise, axis.high)}
    chart = alt.Chart(data([ends])).mark_rect(color=NOISE, opacity=1)
    if way == "x":
        return chart.encode(alt.X("a:Q", scale=axis.scale()), alt.X2("b:Q"))
    return chart.encode(alt.Y("a:Q", scale=axis.scale()), alt.Y2("b:Q"))


def over_budget(study: Study) -> list[Figure]:
    """Per objective: the validation score at each quarter of the budget, the others faint behind it."""
    rows = [r for r in of_role(study, "objective") if any(q is not None for q in r.quarters)]
    points = [
        {"n": r.name, "x": 100 * (i + 1) / len(r.quarters), "v": q}
        for r in rows
        for i, q in enumerate(r.quarters)
        if q is not None
    ]
    return [quarters_of(study, row, points, trained_axis(study)) for row in rows]


def quarters_of(study: Study, row: Row, points: Sequence[dict[str, Any]], axis: Axis) -> Figure:
    """One objective's score against its budget."""
    below = alt.Axis(values=[25, 50, 75, 100], title="% of the budget", grid=False)
    x = alt.X("x:Q", scale=alt.Scale(domain=[20, 105], nice=False), axis=below)
    y = alt.Y("v:Q", scale=axis.scale(), axis=axis.axis(4, None))
    base = alt.Chart(data(points)).encode(x, y)
    own = base.transform_filter(alt.FieldEqualPredicate(field="n", equal=row.name))
    chart = alt.layer(
        band(study, "y", axis),
        base.mark_line(color=FAINT, strokeWidth=1).encode(detail="n:N"),
        own.mark_line(color=BLUE, strokeWidth=2),
        own.mark_circle(color=BLUE, size=34, opacity=1).encode(
            tooltip=hover({"n": "objective"}, {"x": "% of the budget", "v": "score"})
        ),
    )
    scores = ", ".join(figures(q) for q in row.quarters)
    says = f"{row.name}: validation score at 25, 50, 75 and 100 % of the budget: {scores}"
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
    axis = trained_axis(study)
    rows = [(row, best_of([score for _, score in row.tuning])) for row in of_role(study, "objective")]
    return [tuning_of(study, row, curve, axis) for row, curve in rows if len(curve) > 1]


def tuning_of(study: Study, row: Row, curve: Sequence[float], axis: Axis) -> Figure:
    """One objective's settings; a failed one is a cross at the upper edge."""
    tried = [
        {"x": i + 1, "v": axis.high if s is None else s, "k": kind(i, s), "s": setting(values)}
        for i, (values, s) in enumerate(row.tuning)
    ]
    below = alt.Axis(title="settings tried", tickMinStep=1, format="d", grid=False, tickCount=min(8, len(curve)))
    x = alt.X("x:Q", scale=alt.Scale(domain=[0.7, len(curve) + 0.3], nice=False), axis=below)
    y = alt.Y("v:Q", scale=axis.scale(), axis=axis.axis(4, None))
    tips = hover({"s": "setting", "k": "which"}, {"v": "score"})
    points = alt.Chart(data(tried)).encode(x, y, tooltip=tips)
    first, other, failed = (points.transform_filter(f"datum.k == '{k}'") for k in ("as shipped", "tried", "failed"))
    line = alt.Chart(data([{"x": i + 1, "v": v} for i, v in enumerate(curve)]))
    chart = alt.layer(
        band(study, "y", axis),
        line.mark_line(color=BLUE, strokeWidth=2).encode(x, y),
        other.mark_circle(color=SOFT, size=24, opacity=0.8),
        first.mark_point(color=BLUE, size=46, shape="diamond", filled=True, opacity=1),
        failed.mark_point(color=RED, size=60, shape="cross", angle=45, filled=True),
    )
    says = f"{row.name}: expected best validation score of 1 to {len(curve)} settings: "
    return figure(f"tuning-{row.name}", says + ", ".join(map(figures, curve)), small(chart), row.name)


def kind(i: int, score: float | None) -> str:
    """What a tried setting is."""
    return "failed" if score is None else "tried" if i else "as shipped"
