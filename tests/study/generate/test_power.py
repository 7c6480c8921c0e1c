"""What the metric can see, by planted damage."""

import numpy as np
import pytest

from whichloss.data import read
from whichloss.study.generate import power
from whichloss.study.generate.judge import SampleJudge


@pytest.fixture(scope="module")
def dependent():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 1))
    return SampleJudge(read(np.hstack([x, x + 0.1 * rng.normal(size=(1200, 1))])))


@pytest.fixture(scope="module")
def measured(dependent):
    return power.measure(dependent)


def test_dependence_is_seen_and_its_absence_is_said(measured):
    assert measured.marginals_seen and measured.enough and not measured.independent


def test_independent_columns_are_compared_where_other_damage_shows():
    draw = np.random.default_rng(1).normal
    many, few = (power.measure(SampleJudge(read(draw(size=(n, 2))))) for n in (3000, 60))
    assert not many.marginals_seen and many.independent and many.enough
    assert not few.marginals_seen and not few.enough


def test_dependence_that_only_all_rows_show_is_no_independence():
    """400 moons: 80 judging rows cannot see it, 320 can. Comparing anything would be blind."""
    found = power.measure(SampleJudge(read("toy:moons:400")))
    assert not found.marginals_seen and not found.independent and not found.enough


def test_more_damage_does_more_harm(measured):
    for kind in power.PLANTED:
        harms = [d.harm for d in measured.damages if d.kind == kind]
        assert harms[-1] > harms[0]


def test_seen_means_twice_the_noise(measured):
    assert all(d.seen == (d.harm > 2 * measured.rope) for d in measured.damages)
    for d in measured.smallest():
        smaller = [e for e in measured.damages if e.kind == d.kind and e.size < d.size]
        assert d.seen and not any(e.seen for e in smaller)


def test_more_rows_see_more():
    few, many = (power.measure(SampleJudge(read(f"toy:moons:{n}"))) for n in (250, 4000))
    assert many.rope < few.rope
    assert sum(d.seen for d in many.damages) > sum(d.seen for d in few.damages)


def test_the_noise_is_that_of_real_rows_against_real_rows():
    """The mean analytic error against the spread of the score over fresh samples of the same law."""
    from whichloss.data import TOYS

    judge = SampleJudge(read("toy:moons:1200"))
    n = judge.size(1)
    scores = [judge.score(TOYS["moons"].sample(n, seed), 1, "test").value for seed in range(40)]
    assert 0.3 < power.measure(judge).rope / np.std(scores) < 3


def test_damage_does_what_it_says(dependent):
    values = dependent.table.values[:600]
    rng = lambda: np.random.default_rng(3)
    spread = values.std(0)
    shifted = power.damage(dependent, values, "shift", 0.5, rng())
    assert (shifted - values) / spread == pytest.approx(np.full_like(values, 0.5), abs=0.02)
    noisy = power.damage(dependent, values, "noise", 0.8, rng())
    assert ((noisy - values) / spread).std(0) == pytest.approx([0.8, 0.8], abs=0.08)
    mixed = power.damage(dependent, values, "mixing", 0.2, rng())
    assert (mixed != values).any(1).mean() == pytest.approx(0.2, abs=0.05)
    holed = power.damage(dependent, values, "hole", 0.4, rng())
    assert len(np.unique(holed, axis=0)) <= 0.6 * len(values)


def test_one_column_has_no_dependence_to_lose():
    found = power.measure(SampleJudge(read("toy:normal1d:2000")))
    assert "mixing" not in {d.kind for d in found.damages}
    assert found.marginals_seen


@pytest.mark.parametrize("kind", power.PLANTED)
def test_damages_are_said_in_words(kind):
    assert power.Damage(kind, 0.2, 0.1, True).says


def test_the_paired_interval_sees_what_one_score_cannot():
    """178 rows of 13 strongly dependent columns: 29 judging rows, one score at the noise, six paired ones above it."""
    from sklearn.datasets import load_wine

    found = power.measure(SampleJudge(read(load_wine().data)))
    whole = next(d for d in found.damages if (d.kind, d.size) == ("mixing", 1.0))
    assert not whole.seen and found.marginals_seen and found.enough
