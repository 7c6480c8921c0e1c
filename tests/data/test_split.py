"""Splits: disjoint, complete, whole groups, ordered in time, and functions of the seeds alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whichloss.data import Split, Table, evenly, read, split
from whichloss.errors import DataUnfit

SCHEMA = read("toy:normal1d:20").schema
SIZES = st.sampled_from([20, 21, 99, 344, 1999, 2000, 2503])
SETTINGS = settings(max_examples=50, deadline=None)


def table(rows: int, groups=None, times=None) -> Table:
    return Table(SCHEMA, np.zeros((rows, 1)), groups=groups, times=times)


def parts(s: Split) -> list[set[int]]:
    return [set(part.tolist()) for part in (s.train, s.validation, s.test)]


def check(s: Split, rows: int, complete: bool = True) -> None:
    train, validation, test = parts(s)
    assert train and validation and test
    assert len(train) + len(validation) + len(test) == len(train | validation | test)
    covered = train | validation | test
    assert covered == set(range(rows)) if complete else covered <= set(range(rows))
    assert all(np.all(np.diff(part) > 0) for part in (s.train, s.validation, s.test))


@SETTINGS
@given(SIZES, st.integers(0, 50), st.integers(0, 3))
def test_parts_are_disjoint_complete_and_sized(rows, seed, study_seed):
    s = split(table(rows), seed=seed, study_seed=study_seed)
    check(s, rows)
    assert len(s.test) == round(0.2 * rows)
    share = len(s.validation) / (rows - len(s.test))
    assert share == pytest.approx(0.25 if rows >= 2000 else 0.2, abs=1 / 15)
    assert np.array_equal(s.test, split(table(rows), seed=seed + 1, study_seed=study_seed).test)


def test_five_seeds_validate_every_row_once_and_the_next_five_differ():
    splits = [split(table(344), seed=seed) for seed in range(10)]
    for five in (splits[:5], splits[5:]):
        rows = np.concatenate([s.validation for s in five])
        assert sorted(rows.tolist() + five[0].test.tolist()) == list(range(344))
    assert not np.array_equal(splits[0].validation, splits[5].validation)


def test_study_seeds_redraw_the_test_part():
    assert parts(split(table(100), seed=0))[2] != parts(split(table(100), seed=0, study_seed=1))[2]


@SETTINGS
@given(SIZES, st.integers(0, 20))
def test_a_split_depends_on_nothing_drawn_before(rows, seed):
    first = split(table(rows), seed=seed)
    split(table(50), seed=seed + 1)
    np.random.default_rng(0).random(10)
    other = Table(SCHEMA, np.random.default_rng(seed).normal(size=(rows, 1)))
    assert parts(first) == parts(split(other, seed=seed))


@SETTINGS
@given(SIZES, st.integers(3, 60), st.integers(0, 20), st.floats(0, 3))
def test_groups_never_straddle(rows, count, seed, skew):
    weights = np.arange(1, count + 1.0) ** -skew
    drawn = np.random.default_rng(seed).choice(count, rows, p=weights / weights.sum())
    drawn[:3] = [0, 1, 2]
    groups = np.unique(drawn, return_inverse=True)[1]
    s = split(table(rows, groups), seed=seed)
    check(s, rows)
    seen = [set(groups[part].tolist()) for part in (s.train, s.validation, s.test)]
    assert sum(map(len, seen)) == len(set.union(*seen))


def test_three_groups_are_enough_and_two_are_not():
    check(split(table(60, np.arange(60) % 3), seed=4), 60)
    with pytest.raises(DataUnfit, match=r"2 groups; at least 3"):
        split(table(60, np.arange(60) % 2), seed=0)


@SETTINGS
@given(SIZES, st.integers(0, 20), st.sampled_from([4, 30, 10**6]))
def test_time_runs_from_training_to_test(rows, seed, values):
    times = np.random.default_rng(seed).integers(0, values, rows).astype(float)
    times[:4] = [0, 1, 2, 3]
    s = split(table(rows, times=times), seed=seed)
    check(s, rows, complete=False)
    assert times[s.train].max() < times[s.validation].min()
    assert times[s.validation].max() < times[s.test].min()
    again = split(table(rows, times=times), seed=seed + 1)
    assert parts(s)[1:] == parts(again)[1:]
    if values == 10**6:
        assert len(s.test) == pytest.approx(0.2 * rows, abs=1)
        assert rows < 300 or parts(s)[0] != parts(again)[0]


def test_groups_and_times_together_keep_groups_whole():
    groups = np.arange(300) % 30
    s = split(table(300, groups, np.arange(300.0)), seed=0)
    check(s, 300, complete=False)
    seen = [set(groups[part].tolist()) for part in (s.train, s.validation, s.test)]
    assert sum(map(len, seen)) == len(set.union(*seen))


def test_three_times_of_any_sizes_are_enough():
    for sizes in ([45, 5, 10], [1, 58, 1], [58, 1, 1], [1, 1, 58]):
        times = np.repeat([0.0, 1, 2], sizes)
        s = split(table(60, times=times), seed=0)
        assert [set(times[part]) for part in (s.train, s.validation, s.test)] == [{0}, {1}, {2}]


def test_two_distinct_times_cannot_be_split():
    with pytest.raises(DataUnfit, match=r"too few distinct times"):
        split(table(40, times=np.arange(40.0) % 2), seed=0)


@SETTINGS
@given(
    st.sampled_from([60, 344, 1999, 2000, 2503]),
    st.lists(st.integers(0, 14), min_size=1, max_size=4),
    st.integers(0, 20),
)
def test_strata_keep_their_shares_to_one_row_in_every_part(rows, rare, seed):
    strata = np.random.default_rng(seed).permutation(np.repeat(range(len(rare) + 1), [*rare, rows - sum(rare)]))
    s = split(table(rows), seed=seed, strata=strata)
    check(s, rows)
    share = 0.25 if rows >= 2000 else 0.2
    for name in np.unique(strata):
        whole, test, validation = (int((strata[part] == name).sum()) for part in (slice(None), s.test, s.validation))
        assert abs(test - 0.2 * whole) < 1
        assert abs(validation - share * (whole - test)) < 1


def test_with_strata_five_seeds_validate_every_row_once_and_the_test_part_stays():
    strata = np.arange(344) % 7
    splits = [split(table(344), seed=seed, strata=strata) for seed in range(10)]
    rows = np.concatenate([s.validation for s in splits[:5]])
    assert sorted(rows.tolist() + splits[0].test.tolist()) == list(range(344))
    assert not np.array_equal(splits[0].validation, splits[5].validation)
    assert all(np.array_equal(s.test, splits[0].test) for s in splits)
    many = [split(table(2000), seed=seed, strata=np.arange(2000) % 7).validation for seed in range(2)]
    assert not np.array_equal(*many)


def test_groups_and_times_come_before_strata():
    groups, times, strata = np.arange(90) % 9, np.arange(90.0), np.arange(90) % 2
    for grouped, timed in ((groups, None), (None, times), (groups, times)):
        plain, with_strata = (split(table(90, grouped, timed), seed=3, strata=s) for s in (None, strata))
        assert parts(plain) == parts(with_strata)


@pytest.mark.parametrize("rows", [400, 4000])
def test_repeats_stay_together_and_classes_keep_their_shares(rows):
    strata = np.sort(np.random.default_rng(0).integers(0, 4, rows))
    groups = np.arange(rows)
    groups[rows // 2 : rows // 2 + 6] = groups[rows // 2]  # some equal rows of one class
    for seed in range(4):
        s = split(table(rows, groups=groups), seed=seed, strata=strata)
        check(s, rows)
        for part in (s.train, s.validation, s.test):
            shares = np.bincount(strata[part], minlength=4) / len(part)
            assert np.abs(shares - np.bincount(strata) / rows).max() < 16 / len(part)
        homes = [len({groups[i] for i in one} & {groups[rows // 2]}) for one in parts(s)]
        assert sum(homes) == 1


def test_groups_that_mix_classes_come_before_their_shares():
    strata, groups = np.tile([0, 1], 200), np.repeat(np.arange(100), 4)
    mixed = split(table(400, groups=groups), seed=1, strata=strata)
    assert np.array_equal(mixed.train, split(table(400, groups=groups), seed=1).train)


def test_rows_are_taken_evenly_and_all_where_they_are_few():
    assert evenly(np.arange(10), 20).tolist() == list(range(10))
    taken = evenly(np.repeat([0, 1], 500), 10)
    assert np.bincount(taken).tolist() == [5, 5]
    assert len(evenly(np.arange(0), 5)) == 0
