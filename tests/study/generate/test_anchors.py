"""The simple models, the ceiling and the cheat."""

import numpy as np
import pytest

from whichloss.data import read
from whichloss.study.generate import anchors
from whichloss.study.generate.judge import SampleJudge


@pytest.fixture(scope="module")
def judge(table_csv):
    return SampleJudge(read(str(table_csv)))


@pytest.fixture(scope="module")
def drawn(judge):
    return {a.name: (a.answer, a.log_likelihood) for a in judge.anchors(1, "test")}


def answers(judge, seed):
    return {a.name: a.answer for a in judge.anchors(seed, "test")}


def test_every_anchor_has_its_role_and_as_many_rows(judge, drawn):
    assert list(drawn) == list(anchors.ROLES)
    assert {len(values) for values, _ in drawn.values()} == {judge.size(1)}


def test_marginals_keep_columns_and_lose_dependence():
    x = np.random.default_rng(0).normal(size=(4000, 1))
    both = np.hstack([x, x])
    out = anchors.marginals(both, 4000, np.random.default_rng(1))
    assert abs(np.corrcoef(out.T)[0, 1]) < 0.05
    assert set(out[:, 0]) <= set(x[:, 0])
    assert out.mean(0) == pytest.approx(both.mean(0), abs=0.1)


def test_marginals_in_parts_are_the_marginals_in_one(monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (50, 30)).astype(np.uint8)
    at_once = anchors.marginals(x, 101, np.random.default_rng(1))
    monkeypatch.setattr(anchors, "DRAWN", 200)
    in_parts = anchors.marginals(x, 101, np.random.default_rng(1))
    assert in_parts.dtype == np.uint8 and np.array_equal(in_parts, at_once)
    assert len(anchors.marginals(x[:, :0], 3, np.random.default_rng(1))) == 3


def test_copies_are_training_rows_and_fresh_rows_are_none(judge, drawn):
    def rows(values):
        return {tuple(np.nan_to_num(r, nan=-9.0)) for r in values}

    parts = judge.split(1)
    train, held = (rows(judge.table.values[i]) for i in (parts.train, parts.validation))
    assert rows(drawn["copies of training rows"][0]) <= train
    assert rows(drawn["fresh real rows"][0]) <= held


def test_simple_models_speak_the_users_types(judge, drawn):
    for name, (values, _) in drawn.items():
        assert set(np.unique(values[:, 2])) <= {0, 1}, name
        assert np.array_equal(values[:, 3], np.round(values[:, 3])), name
        assert not np.isnan(values[:, [0, 2, 3, 4]]).any(), name


def test_the_right_model_wins_on_its_own_law():
    rng = np.random.default_rng(0)
    two = np.where(rng.random((900, 1)) < 0.5, -4.0, 4.0) + rng.normal(size=(900, 2)) * 0.3
    judge = SampleJudge(read(two))
    score = {name: judge.score(values, 1, "test").value for name, values in answers(judge, 1).items()}
    assert score["Gaussian mixture"] < score["Gaussian"]
    assert score["Gaussian mixture"] < score["independent marginals"]


def test_the_log_likelihood_of_a_gaussian():
    rng = np.random.default_rng(0)
    judge = SampleJudge(read(rng.normal(size=(1500, 2)) @ [[1.0, 0.8], [0.0, 0.6]]))
    found = {a.name: a.log_likelihood for a in judge.anchors(1, "test")}["Gaussian"]
    # unit variances and correlation .8 in the judge's space: -log(2 pi e) - log(1 - .64) / 2
    expected = -np.log(2 * np.pi * np.e) - 0.5 * np.log(1 - 0.8**2)
    assert found == pytest.approx(expected, abs=0.15)


def test_equal_seeds_draw_equal_rows(judge, drawn):
    again = answers(judge, 1)
    assert all(np.array_equal(again[name], values, equal_nan=True) for name, (values, _) in drawn.items())
    other = answers(judge, 2)
    assert not np.array_equal(other["Gaussian"], again["Gaussian"], equal_nan=True)


def test_a_mixture_needs_rows_for_its_components():
    x = np.random.default_rng(0).normal(size=(12, 3))
    assert anchors.mixture(x, anchors.COMPONENTS, 0).n_components == 1
