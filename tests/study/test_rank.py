import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from whichloss.errors import UserError
from whichloss.study.rank import (
    Difference,
    Scores,
    audit,
    difference,
    finalists,
    interval,
    rows_for,
    seeds_for,
    skill,
    smallest_gap,
    wilson,
)

X, Y = (0.12, 0.08, 0.15, 0.11, 0.09), (0.10, 0.09, 0.12, 0.13, 0.05)
FLAT = np.full(50, 0.3)


def scores(name: str, values, influence=FLAT, failures: int = 0) -> Scores:
    return Scores(name, tuple(values), influence, failures, 1.0, 1.0)


def one(values=X, others=Y, influence=FLAT, overlap: float = 0.0, level: float = 0.95) -> Difference:
    a, b = scores("a", values, influence), scores("b", others)
    return difference(a, b, overlap=overlap, level=level)


def test_seeds_alone_give_the_paired_t_interval() -> None:
    for level in (0.8, 0.95):
        d, known = one(level=level), stats.ttest_rel(X, Y).confidence_interval(level)
        assert (d.low, d.high) == pytest.approx((known.low, known.high), rel=1e-9)
        assert d.mean == pytest.approx(np.mean(X) - np.mean(Y))


def test_test_rows_alone_give_the_one_sample_t_interval_of_the_influence() -> None:
    influence = FLAT + np.random.default_rng(0).normal(size=50)
    d = one(np.array(Y) + 0.5, Y, influence)
    known = stats.ttest_1samp(influence - FLAT, 0.0).confidence_interval(0.95)
    assert d.seed_variance == 0
    assert d.high - d.low == pytest.approx(known.high - known.low, rel=1e-9)


def test_nadeau_bengio_by_hand() -> None:
    # d = .02 -.01 .03 -.02 .04: mean .012, s^2 = (.0034 - 5 * .000144) / 4 = .00067
    # (1/5 + 1/4) * .00067 = .0003015, its root .0173638; t_{.975, 4} = 2.776445; half .0482096
    d = one(overlap=0.25)
    assert d.seed_variance == pytest.approx(0.00067)
    assert d.low == pytest.approx(0.012 - 0.0482096, abs=1e-6)
    assert d.high == pytest.approx(0.012 + 0.0482096, abs=1e-6)
    assert interval([x - y for x, y in zip(X, Y, strict=True)], 0.25) == pytest.approx((d.mean, d.low, d.high))


def test_both_parts_by_hand() -> None:
    # V_s = .00067 / 5 = .000134; the influence difference is ±.1 in 50 rows: .01 * 50/49 / 50
    influence = FLAT + 0.1 * np.tile([1, -1], 25)
    v_s, v_t = 0.000134, 4 * 0.0025 / 49
    df = (v_s + v_t) ** 2 / (v_s**2 / 4 + v_t**2 / 49)
    half = stats.t.ppf(0.975, df) * math.sqrt(v_s + v_t)
    d = one(influence=influence)
    assert d.test_variance == pytest.approx(v_t)
    assert (d.low, d.high) == pytest.approx((0.012 - half, 0.012 + half))
    assert 4 < df < 53


def test_equal_scores_tie_and_a_constant_gap_without_spread_is_no_evidence() -> None:
    same = one(X, X)
    assert (same.mean, same.low, same.high, same.apart) == (0, 0, 0, False)
    assert (same.wins, same.probability) == (0, 0.5)
    constant = one(np.array(X) + 0.7, X)  # the differences vary by rounding only
    assert constant.seed_variance == 0
    assert constant.low == constant.high != 0
    assert not constant.apart
    sure = one(np.array(X) + 0.7, X, FLAT + 0.01 * np.tile([1, -1], 25))
    assert sure.apart  # every seed agrees, and the test rows say how far to trust that


@given(st.integers(-20, 20), st.lists(st.floats(-1, 1), min_size=5, max_size=5))
def test_scaling_and_swapping(power: int, values: list[float]) -> None:
    scale, influence = 2.0**power, FLAT + np.linspace(0, 1, 50) ** 2
    a, b = scores("a", values, influence), scores("b", Y)
    big = [scores(s.name, scale * np.array(s.values), scale * s.influence) for s in (a, b)]
    d, scaled = difference(a, b, overlap=0.1), difference(*big, overlap=0.1)
    assert (scaled.low, scaled.high) == (scale * d.low, scale * d.high)
    back = difference(b, a, overlap=0.1)
    assert (back.low, back.high) == (-d.high, -d.low)
    assert back.probability == pytest.approx(1 - d.probability)
    assert back.probability_low == pytest.approx(1 - d.probability_high)


def test_wins_and_their_interval() -> None:
    d = one((0, 0, 1, 1, 1), (1, 1, 0, 1, 0))
    assert d.wins == 2
    assert d.probability == pytest.approx(2.5 / 5)
    known = stats.binomtest(8, 10).proportion_ci(method="wilson")
    assert wilson(8, 10) == pytest.approx((known.low, known.high))
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1
    wide = one((0, 0, 0, 1, 1), (1, 1, 1, 0, 0), overlap=0.25)
    assert (wide.probability_low, wide.probability_high) == pytest.approx(wilson(0.6 / 0.45, 1 / 0.45))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (scores("a", X), scores("b", Y[:4]), "5 and 4 seeds"),
        (scores("a", X), scores("b", Y, FLAT[:9]), "50 and 9 test rows"),
        (scores("a", X[:1]), scores("b", Y[:1]), "at least 2"),
    ],
)
def test_unpaired_scores_are_refused(a: Scores, b: Scores, message: str) -> None:
    with pytest.raises(UserError, match=message):
        difference(a, b, overlap=0)


def test_numbers_that_cannot_be_ranked_are_refused() -> None:
    with pytest.raises(UserError, match="'a', score of seed 1 is nan"):
        scores("a", (0.1, math.nan))
    with pytest.raises(UserError, match="none"):
        scores("a", ())
    with pytest.raises(UserError, match="influence"):
        scores("a", X, np.array([1.0, math.inf]))
    with pytest.raises(UserError, match="7 failures among 5"):
        scores("a", X, failures=7)
    with pytest.raises(UserError, match="training cost"):
        replace(scores("a", X), training_cost=math.nan)
    with pytest.raises(UserError, match="overlap"):
        one(overlap=-0.1)
    with pytest.raises(UserError, match="level"):
        one(level=95)
    with pytest.raises(UserError, match="at least 2"):
        interval([0.1], 0)
    with pytest.raises(UserError, match="no share"):
        wilson(3, 2)


def test_smallest_gap_is_what_the_interval_finds_four_times_in_five() -> None:
    rng, found, d = np.random.default_rng(3), 0, one(overlap=0.0)
    gap = smallest_gap(replace(d, seed_variance=1.0, test_variance=0.0, seeds=16))
    for _ in range(1000):
        x = rng.normal(size=16)
        found += one(x + gap, np.zeros(16)).apart
    assert 0.75 < found / 1000 < 0.85


def test_seeds_for_is_the_first_number_that_is_enough() -> None:
    d = one(influence=FLAT + 0.02 * np.tile([1, -1], 25))
    n = seeds_for(d, 0.012)
    assert n is not None
    assert smallest_gap(d, seeds=n) <= 0.012 < smallest_gap(d, seeds=n - 1)
    assert seeds_for(d, smallest_gap(d, seeds=math.inf)) is None
    assert seeds_for(replace(d, overlap=0.25), 0.012) is None
    assert seeds_for(one(X, X), 0.1) is None


def test_rows_for_makes_a_number_of_seeds_enough() -> None:
    d = one(influence=FLAT + 0.2 * np.tile([1, -1], 25))
    assert seeds_for(d, 0.012) is None
    m = rows_for(d, 0.012)
    assert m is not None
    more = replace(d, test_variance=d.test_variance * d.rows / m, rows=m)
    assert seeds_for(more, 0.012) is not None
    assert rows_for(d, 0.0) is None


def test_finalists_are_the_best_means_and_ties_go_by_name() -> None:
    screen = {"c": (1, 3), "b": (2, 2), "a": (9, 0), "d": (0, 1)}
    assert finalists(screen, 3) == ("d", "b", "c")
    assert finalists(dict(reversed(screen.items())), 9) == ("d", "b", "c", "a")
    with pytest.raises(UserError, match="'c'"):
        finalists({"c": (1, math.nan)}, 1)
    with pytest.raises(UserError, match="a 2, b 1"):
        finalists({"a": (1, 2), "b": (1,)}, 1)
    with pytest.raises(UserError, match="at least 1"):
        finalists({}, 1)


def test_skill_runs_from_the_baseline_to_the_ceiling() -> None:
    assert skill(0.5, 0.5, 0.1, 0.01) == 0
    assert skill(0.1, 0.5, 0.1, 0.01) == 1
    assert skill(0.9, 0.5, 0.1, 0.01) == pytest.approx(-1)
    assert skill(0.1, 0.105, 0.1, 0.01) is None
    assert skill(0.1, 0.05, 0.1, 0.01) is None


def test_a_twin_ties_and_another_objective_does_not() -> None:
    rng = np.random.default_rng(5)
    first, twin = (scores(name, rng.normal(size=16)) for name in ("a", "a'"))
    assert audit(first, twin, 0.0)
    assert not audit(first, scores("b", 5 + rng.normal(size=16)), 0.0)


def coverage(n: int, fail: tuple[float, float], *, sims: int = 2000) -> float:
    """How often the interval covers: seed noise sd 1, test-row noise of the mean sd .3."""
    rng, covered, baseline = np.random.default_rng([n, sims]), 0, 6.0
    truth = (0.5 * (1 - fail[0]) + fail[0] * baseline) - fail[1] * baseline
    for _ in range(sims):
        pair = []
        for mean, share in zip((0.5, 0.0), fail, strict=True):
            x = np.where(rng.random(n) < share, baseline, mean + rng.normal(size=n))
            rows = rng.normal(size=400) * 6
            pair.append(scores("ab"[len(pair)], x + rows.mean(), rows))
        d = difference(*pair, overlap=0.0)
        covered += d.low <= truth <= d.high
    return covered / sims


@pytest.mark.parametrize("n", [8, 16, 24])
@pytest.mark.parametrize("fail", [(0.0, 0.0), (0.2, 0.2)])
def test_the_interval_covers_at_its_level(n: int, fail: tuple[float, float]) -> None:
    assert 0.93 <= coverage(n, fail) <= 0.98


def test_failures_of_one_alone_cost_coverage_as_documented() -> None:
    assert 0.87 < coverage(8, (0.2, 0.0)) < 0.94
    assert 0.92 < coverage(24, (0.2, 0.0)) < 0.97
