"""One judge for all: the same rows, the same space, what the user would get."""

import numpy as np
import pytest

from whichloss.data import TOYS, read
from whichloss.study.generate.judge import MOST, SampleJudge


@pytest.fixture(scope="module")
def judge(table_csv):
    return SampleJudge(read(str(table_csv)))


def test_the_test_rows_are_the_same_for_every_seed_and_never_trained_on(judge):
    tests = [set(judge.split(seed).test) for seed in range(6)]
    assert all(t == tests[0] for t in tests)
    for seed in range(6):
        parts = judge.split(seed)
        assert not set(parts.train) & set(parts.validation)
        assert not (set(parts.train) | set(parts.validation)) & tests[0]
        assert set(parts.train) | set(parts.validation) == set(judge.rest)


def test_small_tables_are_corrected_for_shared_rows(judge):
    parts = judge.split(1)
    assert judge.overlap == len(parts.validation) / len(parts.train) == pytest.approx(0.25)
    assert SampleJudge(read("toy:moons:4000")).overlap == 0


def test_both_sides_have_as_many_rows(judge):
    for seed in range(3):
        parts = judge.split(seed)
        assert judge.size(seed) == min(len(parts.validation), len(parts.test))
    big = SampleJudge(read("toy:moons:30000"))
    assert big.size(1) == MOST == len(big.numbers(1, "test")) == len(big.numbers(1, "validation"))


def test_the_score_is_the_metric_of_the_encoded_rows(judge):
    from whichloss.metrics import mmd

    values = judge.table.values[judge.split(1).train[:50]]
    y = judge.place(judge.table.values[judge.split(1).test])
    found = judge.score(values, 1, "test")
    assert found.value == pytest.approx(mmd(judge.place(values), y, judge.widths).value, abs=1e-12)
    assert len(found.influence) == len(y)


def test_the_same_test_rows_judge_every_seed(judge):
    values = judge.table.values[:50]
    assert judge.score(values, 1, "test").value == judge.score(values, 2, "test").value
    assert judge.score(values, 1, "validation").value != judge.score(values, 2, "validation").value


def test_units_do_not_matter(table_csv):
    """A column in other units (numbers only) leaves every score as it is."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)) @ [[1, 0.9], [0, 0.3]]
    scores = []
    for scale in (1.0, 1024.0):
        judge = SampleJudge(read(x * [1.0, scale]))
        scores.append(judge.score(judge.table.values[:60] * [1.0, 1.0], 1, "test").value)
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_worse_rows_score_worse(judge):
    rng = np.random.default_rng(0)
    real = judge.table.values[judge.split(1).train][:48]
    noisy = real.copy()
    noisy[:, 0] += 2 * rng.normal(size=48)
    assert judge.score(noisy, 1, "test").value > judge.score(real, 1, "test").value + 0.02


def test_describe_speaks_of_finite_numbers(judge):
    found = judge.describe(judge.table.values[judge.split(1).train][:48], 1, "test")
    assert all(np.isfinite(v) for v in found.values())
    assert found["spread"] == pytest.approx(1, abs=0.5)
    assert found["copied share"] > 0.9  # training rows are copies of themselves


@pytest.mark.parametrize("name", ["ring8", "normal1d"])
def test_toys_are_also_held_against_their_density(name):
    judge = SampleJudge(read(f"toy:{name}:400"))
    found = judge.toy(TOYS[name].sample(400, 7))
    assert abs(found["KL to the density"]) < 0.3
    if name == "ring8":
        assert found["modes covered"] == found["modes"] == 8
