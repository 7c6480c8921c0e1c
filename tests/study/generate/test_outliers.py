"""Outliers in a study: who trains on them, who is judged by them, and what is refused."""

import numpy as np
import pytest
from small_study import Here

from whichloss.comparison import as_python, compare
from whichloss.data import read
from whichloss.errors import UserError
from whichloss.objectives import find
from whichloss.study.generate.outliers import DETECTORS, OutlierJudge
from whichloss.study.goals import judge_of
from whichloss.study.request import request


def ring(n=300, seed=0):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.05 * rng.normal(size=(n, 2))


def columns(x, **more):
    return {"x": x[:, 0], "y": x[:, 1]} | more


@pytest.fixture
def judge():
    middle = 0.2 * np.random.default_rng(1).normal(size=(60, 2))
    table = read(columns(ring()))
    return OutlierJudge(table, read(columns(middle), schema=table.schema), "auroc")


def test_each_half_of_the_outliers_is_seen_in_one_place(judge):
    one, other = judge.halves["validation"], judge.halves["test"]
    both = np.concatenate([one, other])
    assert len(one) == len(other) == 30 and len(np.unique(both, axis=0)) == 60
    assert judge.judged(3, "test")[-30:].tolist() == other.tolist()
    assert not set(map(tuple, both)) & set(map(tuple, judge.table.values))


def test_simple_detectors_find_the_middle_of_a_ring_except_the_gaussian(judge):
    found = {a.name: judge.describe(a.answer, 1, "test")["outlier AUROC"] for a in judge.anchors(1, "test")}
    assert set(found) == set(DETECTORS)
    assert found["Gaussian"] < 0.1 < 0.9 < min(found["nearest neighbours"], found["Gaussian mixture"])
    assert judge.score(judge.anchors(1, "test")[0].answer, 1, "test").value > 0.9


def test_objectives_that_score_no_rows_are_unfit_only_where_outliers_decide(judge):
    assert "no row an energy" in judge.unfit(find("gan"))
    assert judge.unfit(find("pcd")) is None
    assert OutlierJudge(judge.table, judge.outliers, "mmd").unfit(find("gan")) is None


@pytest.mark.parametrize("metric", ["mmd", "auroc"])
def test_a_study_says_how_well_outliers_are_found(metric, tmp_path, monkeypatch):
    monkeypatch.setattr("whichloss.study.request.Local", lambda workers: Here())
    mark = np.repeat([0, 1], [300, 60])
    x = np.concatenate([ring(), 0.2 * np.random.default_rng(1).normal(size=(60, 2))])
    asked = {"outliers": "odd", "metric": metric, "budget": 1e8, "seeds": 2, "objectives": ["pcd"], "anyway": True}
    run = compare(columns(x, odd=mark), out=tmp_path / "r", **asked)
    row = run.study.row("pcd")
    assert {"outlier AUROC", "outlier false alarms", "outlier average precision"} <= set(row.metrics)
    assert run.study.data.rows == 300 and run.study.score_name == {"mmd": "MMD^2", "auroc": "1 - auroc"}[metric]
    if metric == "auroc":
        assert row.mean == pytest.approx(1 - row.metrics["outlier AUROC"][0])
        assert {r.name for r in run.study.rows if r.role == "baseline"} == set(DETECTORS)
    again = judge_of(str(tmp_path / "r"))
    assert isinstance(again, OutlierJudge) and len(again.outliers) == 60 and again.metric == metric
    assert "odd" not in again.table.schema.names
    assert (tmp_path / "r" / "report.html").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"outliers": "y"}, r"--outliers 'y': this column must be 0 or 1"),
        ({"outliers": "nowhere.csv"}, r"neither a file nor a column"),
        ({"outliers": columns(ring(12))}, r"12 outliers; at least 20"),
        ({"outliers": {"x": np.zeros(30)}}, r"y"),
        ({"outliers": columns(ring(30)), "metric": "accuracy"}, r"--metric 'accuracy': with --outliers.*auroc"),
        ({"metric": "auroc"}, r"to --outliers"),
        (
            {"outliers": columns(ring(30)), "target": "x"},
            r"belongs to the goal 'classify'|belongs to the goal 'generate'",
        ),
    ],
)
def test_what_is_refused(options, says):
    with pytest.raises(UserError, match=says):
        request(columns(ring()), **options)


def test_outliers_given_as_rows_are_named_in_the_call():
    said = as_python(ring(), 1e8, None, {"outliers": ring(30), "metric": "auroc", "target": None, "drop": ()})
    assert said == "whichloss.compare(data, budget=100000000.0, outliers=outliers, metric='auroc')"
    assert "outliers='odd'" in as_python("a.csv", "quick", None, {"outliers": "odd"})


def test_outliers_that_are_rows_of_the_data_are_noticed():
    x = ring()
    with pytest.raises(UserError, match="all 40 rows of the outliers are rows of the data as well"):
        request(columns(x), outliers=columns(x[:40]))
    mixed = np.concatenate([x[:10], 3 + ring(30, seed=5)])
    judge = request(columns(x), outliers=columns(mixed)).judge
    assert any("10 of 40 outliers are rows of the data" in note for note in judge.outliers.notes)


def test_a_mark_without_ordinary_rows_is_refused():
    with pytest.raises(UserError, match="every row is marked as an outlier"):
        request(columns(ring(), odd=np.ones(300, int)), outliers="odd")
