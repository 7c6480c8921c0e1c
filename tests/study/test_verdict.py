import re
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest

from whichloss.errors import UserError
from whichloss.study.rank import Difference, Scores
from whichloss.study.verdict import Verdict, judge, letters

ROWS = 400


def scores(name, values, *, influence=None, failures=0, use=1.0, training=1.0) -> Scores:
    flat = np.zeros(ROWS) if influence is None else influence
    return Scores(name, tuple(values), flat, failures, use, training)


def around(mean: float, sd: float = 1.0, n: int = 16, seed: int = 0) -> np.ndarray:
    """Values with exactly this mean and standard deviation."""
    x = np.random.default_rng(seed).normal(size=n)
    return mean + sd * (x - x.mean()) / x.std(ddof=1)


def pair(gap: float, n: int = 16, **of_b) -> list[Scores]:
    """a better than b by `gap`, in standard deviations of the paired difference."""
    return [scores("a", np.zeros(n)), scores("b", around(gap, n=n), **of_b)]


def verdict(finalists, rope: float = 0.01, overlap: float = 0.0) -> Verdict:
    return judge(finalists, rope=rope, overlap=overlap)


def test_a_clear_gap_is_better_and_recommended_whatever_it_costs() -> None:
    found = verdict([scores("c", around(5.0, seed=1)), *pair(2.0, use=0.001)])
    assert (found.kind, found.leader, found.recommended) == ("better", "a", "a")
    assert "worse on 16 of 16 seeds" in found.sentence
    assert found.tied == ("a",)
    assert (found.seeds_needed, found.rows_needed) == (None, None)
    assert found.sentence.startswith("a is better than b and c. On 16 fresh seeds b scores 2.0")
    assert found.reason == "We recommend a because it is better than b and c."


def test_a_clear_gap_inside_the_noise_is_better_and_says_so() -> None:
    assert "may not matter in practice" in verdict(pair(2.0), rope=4.0).sentence
    assert "may not matter" not in verdict(pair(2.0), rope=2.0).sentence


def test_equivalent_needs_every_tied_interval_inside_the_rope() -> None:
    half = 2.131 / 4
    assert verdict(pair(0.2), rope=0.2 + half + 0.01).kind == "practically equivalent"
    assert verdict(pair(0.2), rope=0.2 + half - 0.01).kind == "undecided"
    worse = [*pair(0.2), scores("c", around(9.0, seed=1))]
    found = verdict(worse, rope=1.0)
    assert found.kind == "practically equivalent"
    assert found.tied == ("a", "b")
    assert "a and b are practically equivalent. a is better than c." in found.sentence
    assert found.reason.endswith("its mean score is the lowest; the two are practically equivalent.")


def test_undecided_names_the_seeds_that_decide_four_times_in_five() -> None:
    found = verdict(pair(0.4))
    assert found.kind == "undecided"
    # (1.96 + .84)^2 / .4^2 = 49.05 by the normal, a few more by Student's t
    assert found.seeds_needed is not None
    assert 50 <= found.seeds_needed <= 53
    assert f"About {found.seeds_needed} seeds each (--seeds) would probably decide" in found.sentence
    easier = verdict(pair(0.4), rope=0.9).seeds_needed  # inside the rope: .9 - .4 = .5 is wider
    assert easier is not None
    assert 32 <= easier < found.seeds_needed
    harder = verdict([*pair(0.4), scores("c", around(0.2, seed=1))])
    assert harder.seeds_needed is not None
    assert harder.seeds_needed > 3.8 * found.seeds_needed  # half the gap, four times the seeds


def test_undecided_asks_for_rows_where_seeds_cannot_decide() -> None:
    noise = 10 * np.tile([1.0, -1.0], ROWS // 2)
    rows = verdict([scores("a", np.zeros(16)), scores("b", around(0.4), influence=2 * noise)])
    assert (rows.kind, rows.seeds_needed) == ("undecided", None)
    assert rows.rows_needed is not None
    # 2 (1.96 + .84)^2 * Var / gap^2, Var = 400
    assert rows.rows_needed == pytest.approx(2 * 7.849 * 400 / 0.16, rel=0.02)
    assert "More rows, not more seeds, would decide: about 40,000 test rows (there are 400)" in (rows.sentence)
    folds = verdict(pair(0.4), overlap=0.25)
    assert (folds.seeds_needed, folds.rows_needed) == (None, ROWS)
    assert "More rows, not more seeds, would decide: at least 2,000 rows in all" in folds.sentence


def test_nothing_is_promised_where_there_is_nothing_to_learn() -> None:
    found = judge(pair(0.4), rope=0.01, overlap=0.0, promise=False)
    assert (found.kind, found.seeds_needed, found.rows_needed) == ("undecided", None, None)
    assert "would" not in found.sentence


def test_equal_scores_tie_and_never_win() -> None:
    x = around(0.0)
    found = verdict([scores("b", x), scores("a", x)], rope=0.0)
    assert found.kind == "practically equivalent"
    assert found.tied == ("a", "b")
    assert "b scores the same as a" in found.sentence
    assert "first by name" in found.reason
    constant = verdict([scores("a", x), scores("b", x + 0.7)])
    assert (constant.kind, constant.seeds_needed) == ("undecided", None)
    assert "cannot be computed" in constant.sentence


def test_one_finalist_wins_nothing() -> None:
    found = verdict([scores("a", around(0.0))])
    assert (found.kind, found.recommended, found.seeds_needed) == ("undecided", "a", None)
    assert found.letters == {"a": "a"}
    assert found.sentence == "a is the only finalist, so it was compared with nothing."


@pytest.mark.parametrize(
    ("costs", "name", "why"),
    [
        ({"failures": 2}, "a", "it failed in 0 of 16 runs (b in 2)"),
        ({"failures": 2, "use": 0.01}, "a", "it failed in 0 of 16 runs (b in 2)"),
        ({"use": 1 / 12}, "b", "it is 12 times cheaper to use than a"),
        ({"use": 0.4, "training": 9.0}, "b", "it is 2.5 times cheaper to use than a"),
        ({"use": 0.95, "training": 0.7}, "b", "it is 30 % cheaper to train than a"),
        ({"use": 0.0}, "b", "it is free to use, unlike a"),
        ({}, "a", "where costs are equal (a and b) its mean score is the lowest"),
    ],
)
def test_costs_decide_inside_a_tie_in_their_order(costs, name: str, why: str) -> None:
    found = verdict(pair(0.1, **costs))
    assert found.kind == "undecided"
    assert found.recommended == name
    assert found.reason == f"We recommend {name} because {why}; we cannot tell the two apart."


def test_reasons_add_up_over_the_rules() -> None:
    tied = [
        scores("a", np.zeros(16), use=24.0),
        scores("b", around(0.1), use=1.0, failures=1),
        scores("c", around(0.11, seed=1), use=2.0),
        scores("d", around(0.12, seed=2), use=7.0),
    ]
    found = verdict(tied)
    assert found.recommended == "c"
    assert "it failed in 0 of 16 runs (b in 1) and it is at least 3.5 times" in found.reason
    assert "we cannot tell a, b, c and d apart" in found.reason


def test_a_cheap_one_that_is_worse_than_another_of_the_tie_is_not_recommended() -> None:
    # the leader swings so much that nothing is parted from it, but b beats c on every seed
    b = around(0.5, sd=0.01)
    tied = [
        scores("a", around(0.0, sd=9.0, seed=1)),
        scores("b", b),
        scores("c", b + around(0.2, sd=0.01, seed=2), use=0.001),
    ]
    found = verdict(tied)
    assert found.tied == ("a", "b", "c")
    assert found.letters == {"a": "ab", "b": "a", "c": "b"}
    assert found.recommended == "a"
    assert "we cannot tell the two apart" in found.reason


@pytest.mark.parametrize("seed", range(40))
def test_two_share_a_letter_exactly_if_they_are_not_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranked = [scores(name, (0.0, 1.0)) for name in "pqrstuv"]
    far = {frozenset(two): bool(rng.random() < 0.5) for two in combinations("pqrstuv", 2)}
    blank = Difference("", "", 1, 0, 0, 1, 0, 2, 0, 0.5, 0, 1, ROWS, 0, 0.95)
    pairs = [
        replace(blank, a=a, b=b, low=0.5 if far[frozenset((a, b))] else -0.5, high=1.0)
        for a, b in combinations("pqrstuv", 2)
    ]
    marks = letters(ranked, pairs)
    for a, b in combinations("pqrstuv", 2):
        assert bool(set(marks[a]) & set(marks[b])) == (not far[frozenset((a, b))])
    assert "a" in marks["p"]
    groups = [{n for n in marks if mark in marks[n]} for mark in set("".join(marks.values()))]
    assert not any(g < h for g in groups for h in groups)


def test_order_and_scale_change_nothing() -> None:
    rng = np.random.default_rng(4)
    three = [
        scores(name, rng.normal(size=8), influence=2 * rng.normal(size=ROWS), use=cost)
        for name, cost in (("a", 3.0), ("b", 2.0), ("c", 1.0))
    ]
    found = verdict(three, rope=0.25)
    for order in permutations(three):
        assert verdict(order, rope=0.25) == found
    eighth = [scores(s.name, np.array(s.values) / 8, influence=s.influence / 8, use=s.use_cost) for s in three]
    small = verdict(eighth, rope=0.25 / 8)
    for field in ("kind", "leader", "recommended", "tied", "reason", "letters", "seeds_needed"):
        assert getattr(small, field) == getattr(found, field)


def test_bad_input_is_refused() -> None:
    with pytest.raises(UserError, match="at least one"):
        verdict([])
    with pytest.raises(UserError, match="each name once"):
        verdict([scores("a", (0.0, 1.0)), scores("a", (0.0, 1.0))])
    with pytest.raises(UserError, match="rope"):
        verdict(pair(1.0), rope=float("nan"))


def test_sentences_never_print_a_number_nobody_can_read() -> None:
    for gap in (0.0, 1e-7, 0.3, 12.0):
        for rope in (0.0, 1.0, 30.0):
            found = verdict(pair(gap), rope=rope)
            assert not re.search(r"-0\.0\b(?!\d)|nan|inf|None|\d{8}", found.sentence)


def winners(
    rng: np.random.Generator,
    means: tuple[float, ...],
    n: int,
    count: int,
    fail: float = 0.0,
    row_sd: float = 6.0,
) -> list[str]:
    """Leaders of the studies that end with 'better': seed noise sd 1, row noise row_sd / 20."""
    won = []
    for _ in range(count):
        three = []
        for number, mean in enumerate(means):
            rows = row_sd * rng.normal(size=ROWS)
            x = np.where(rng.random(n) < fail, 6.0, mean + rng.normal(size=n)) + rows.mean()
            three.append(scores("abc"[number], x, influence=rows))
        found = verdict(three)
        won += [found.leader] if found.kind == "better" else []
    return won


@pytest.mark.parametrize("master", range(4))
@pytest.mark.parametrize(("n", "fail"), [(8, 0.0), (16, 0.0), (16, 0.2), (24, 0.0)])
def test_at_most_5_of_100_null_studies_have_a_winner(master: int, n: int, fail: float) -> None:
    rng = np.random.default_rng([master, n, round(10 * fail)])
    assert len(winners(rng, (0.0, 0.0, 0.0), n, 100, fail)) <= 5


def test_choosing_the_leader_on_the_same_seeds_keeps_the_false_winner_rate() -> None:
    for n, means in ((8, (0.0, 0.0)), (16, (0.0, 0.0, 1.5)), (24, (0.0, 0.0, 5.0))):
        count = 1500
        found = len(winners(np.random.default_rng(n), means, n, count)) / count
        assert found <= 0.05 + 2.6 * (0.05 * 0.95 / count) ** 0.5


def test_one_better_by_one_and_a_half_sd_wins_at_16_seeds() -> None:
    won = winners(np.random.default_rng(7), (1.5, 0.0, 1.5), 16, 200, row_sd=2.0)
    assert won.count("b") >= 165
    assert set(won) == {"b"}
