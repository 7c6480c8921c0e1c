"""What the charts of scores are made of."""

from itertools import combinations, pairwise
from statistics import fmean

import altair as alt
import pytest

from whichloss.report import costs, evidence, health
from whichloss.report.charts import Axis, lean, score_axis


def test_best_of_t_is_the_mean_over_all_subsets():
    scores = [0.4, 0.1, 0.7, 0.2, 0.9]
    every = [fmean(min(c) for c in combinations(scores, t)) for t in range(1, 6)]
    assert evidence.best_of(scores) == pytest.approx(every)


def test_a_failed_setting_takes_the_worst_score_that_lived():
    assert evidence.best_of([0.4, None, 0.1]) == pytest.approx(evidence.best_of([0.4, 0.4, 0.1]))
    assert evidence.best_of([None, None]) == []


def test_the_frontier_is_what_nothing_dominates():
    points = [{"x": x, "v": v} for x, v in [(1, 5), (2, 3), (2, 4), (3, 3), (4, 1), (0.5, 9), (5, 2)]]
    free = [p for p in points if not any(q["x"] <= p["x"] and q["v"] <= p["v"] and q != p for q in points)]
    assert costs.frontier(points) == sorted(free, key=lambda p: p["x"])


def test_labels_do_not_overlap(study):
    axis = score_axis(study)
    points = [{"n": "a long enough name", "x": 10.0, "v": 0.01 + k / 1e5} for k in range(12)]
    labels = costs.placed(points, axis, (1.0, 100.0), (1,))
    heights = sorted((1 - axis.place(p["v"])) * costs.PLOT[1] + p["dy"] for p in labels)
    assert min(b - a for a, b in pairwise(heights)) >= 11.9


def test_failed_seeds_are_the_worst_ones_and_as_many_as_failed(study):
    row = study.row("ebgan")
    (failed,) = evidence.failed_seeds(row)
    assert row.scores[failed] == max(row.scores)
    kinds = [d["k"] for d in evidence.dots(study) if d["n"] == "pcd"]
    assert kinds == ["failed"] * 4


def test_every_seed_is_a_dot(study):
    expected = sum(len(r.scores) + (len(r.screen) if r.stage == "final" else 0) for r in study.rows)
    assert len(evidence.dots(study)) == expected


@pytest.mark.parametrize(("low", "high"), [(-0.003, 0.2), (-1e-5, 3.0), (-0.002, 0.004)])
def test_ticks_lie_on_the_axis_apart_and_hold_zero(low, high):
    axis = Axis(0.001, low, high)
    ticks = axis.ticks(8)
    places = [axis.place(t) for t in ticks]
    assert 0 in ticks and all(0 <= p <= 1 for p in places)
    assert all(b - a >= 1 / 8 - 1e-9 for a, b in pairwise(places))


def test_the_axis_holds_every_score_and_bends_as_vega_does(study):
    axis = score_axis(study)
    for row in study.rows:
        assert all(0 <= axis.place(s) <= 1 for s in (*row.scores, *row.screen, row.low, row.high))
    assert axis.bend(-0.01) == -axis.bend(0.01)


def test_numbers_in_charts_are_short_but_whole_numbers_are_kept():
    assert lean({"a": [0.123456789, 1.7e12 + 1, float("nan")], "b": "x"}) == {
        "a": [0.1235, 1700000000001, None],
        "b": "x",
    }


def test_every_chart_is_valid_vega_lite(study):
    figures = [
        evidence.strips(study),
        *evidence.over_budget(study)[:1],
        *evidence.tuned(study)[:1],
        *costs.costs(study),
    ]
    figures += next(iter(d["curves"][:1] for d in health.details(study) if d["row"].name == "gan"))
    for figure in figures:
        alt.Chart.from_dict(dict(figure.spec))
