"""Who trains, who tunes, who judges: index arrays from (rows, groups, times, seeds) alone.

One test part per study: 20 % of the rows. The rest is redrawn for every seed: below 2,000 rows in
five folds (fold seed % 5 of partition seed // 5 validates), else 75 % training and 25 % validation
at random. Groups stay whole at every level. With times the test part is the latest 20 % and
validation the latest of the rest, for all seeds; seeds then differ by a random 90 % of the
training rows. A group's time is its latest row's; equal times stay together.
"""

from dataclasses import dataclass

import numpy as np

from whichloss.data.table import Table
from whichloss.errors import DataUnfit
from whichloss.rng import key

TEST, VALIDATION, FOLDS, MANY_ROWS, KEPT = 0.2, 0.25, 5, 2000, 0.9
WITHIN, SMALL_UNIT = 0.95, 0.01  # of the rows: those that share the class of their group; the largest such group


@dataclass(frozen=True, eq=False)
class Split:
    """Sorted row numbers, int64, without overlap."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(table: Table, *, seed: int, study_seed: int = 0, strata: np.ndarray | None = None) -> Split:
    """The rows of this seed. Raises DataUnfit if groups or times leave a part empty.

    strata: (rows,) classes whose shares every part keeps, to one row each; times come before them, and so do groups,
    unless nearly all of these lie within a class, as repeats of a row do.
    """
    rows = np.arange(len(table))
    many = len(table) >= MANY_ROWS
    if table.times is not None:
        return _by_time(table, rows, many, seed, study_seed)
    units = rows if table.groups is None else table.groups
    if len(np.unique(units)) < 3:
        raise DataUnfit(
            f"{table.source} has {len(np.unique(units))} groups; at least 3 are needed (training, validation, test). "
            "Choose another --group column, or none."
        )
    if strata is not None and (table.groups is None or _within(units, strata)):
        return _by_strata(rows, strata, units, many, seed, study_seed)
    test = _draw(units, TEST, 2, _generator("test", study_seed))
    rest = rows[~test]
    if many:
        validation = _draw(units[rest], VALIDATION, 1, _generator("validation", study_seed, seed))
    else:
        folds = _folds(units[rest], _generator("folds", study_seed, seed // FOLDS))
        validation = folds == seed % FOLDS % (folds.max() + 1)
    return Split(rest[~validation], rest[validation], rows[test])


def evenly(index: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, spread evenly: sorted rows often come class by class."""
    return np.asarray(index[np.linspace(0, len(index) - 1, min(len(index), most)).astype(int)])


def _generator(purpose: str, *seeds: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(key("split", purpose, *seeds)))


def _draw(units: np.ndarray, share: float, left: int, generator: np.random.Generator) -> np.ndarray:
    """A mask of about this share of the rows: units at random if they fit; `left` units stay."""
    names, place, sizes = np.unique(units, return_inverse=True, return_counts=True)
    room = round(share * len(units))
    taken = np.zeros(len(names), bool)
    for unit in generator.permutation(len(names)):
        if sizes[unit] <= room and taken.sum() < len(names) - left:
            taken[unit] = True
            room -= sizes[unit]
    if not taken.any():
        taken[np.argmin(sizes)] = True
    return np.asarray(taken[place])


def _within(units: np.ndarray, strata: np.ndarray) -> bool:
    _, first, place, sizes = np.unique(units, return_index=True, return_inverse=True, return_counts=True)
    return bool((strata[first][place] == strata).mean() >= WITHIN and sizes.max() <= len(units) * SMALL_UNIT)


def _by_strata(
    rows: np.ndarray, strata: np.ndarray, units: np.ndarray, many: bool, seed: int, study_seed: int
) -> Split:
    test = _every(round(1 / TEST), 0, units, strata, _generator("test", study_seed))
    rest = rows[~test]
    own, kinds = units[rest], strata[rest]
    if many:
        validation = _every(round(1 / VALIDATION), 0, own, kinds, _generator("validation", study_seed, seed))
    else:
        validation = _every(FOLDS, seed % FOLDS, own, kinds, _generator("folds", study_seed, seed // FOLDS))
    return Split(rest[~validation], rest[validation], rows[test])


def _every(k: int, start: int, units: np.ndarray, strata: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A mask of every k-th of the units, shuffled within their strata."""
    names, first, place = np.unique(units, return_index=True, return_inverse=True)
    taken = np.zeros(len(names), bool)
    taken[spread(np.arange(len(names)), strata[first], generator)[start::k]] = True
    return np.asarray(taken[place])


def spread(rows: np.ndarray, strata: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The rows, shuffled, then put in the order of their strata: every k-th has the strata's shares."""
    order = generator.permutation(len(rows))
    return np.asarray(rows[order[np.argsort(strata[order], kind="stable")]])


def _folds(units: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(rows,) fold numbers: units, largest first, each into the fold with the fewest rows."""
    names, place, sizes = np.unique(units, return_inverse=True, return_counts=True)
    order = generator.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(min(FOLDS, len(names)), np.int64)
    fold = np.empty(len(names), np.int64)
    for unit in order:
        fold[unit] = np.argmin(filled)
        filled[fold[unit]] += sizes[unit]
    return np.asarray(fold[place])


def _by_time(table: Table, rows: np.ndarray, many: bool, seed: int, study_seed: int) -> Split:
    assert table.times is not None
    clock = table.times
    if table.groups is not None:
        latest = np.full(table.groups.max() + 1, -np.inf)
        np.maximum.at(latest, table.groups, table.times)
        clock = latest[table.groups]
    test = _latest(table.source, clock, TEST, 2)
    rest = rows[~test]
    validation = _latest(table.source, clock[rest], VALIDATION if many else 1 / FOLDS, 1)
    train = rest[~validation]
    kept = _generator("train", study_seed, seed).permutation(len(train))[: max(1, round(KEPT * len(train)))]
    return Split(np.sort(train[kept]), rest[validation], rows[test])


def _latest(source: str, clock: np.ndarray, share: float, left: int) -> np.ndarray:
    """A mask of about the latest share of the rows; equal times together, `left` times stay."""
    distinct = np.unique(clock)
    if len(distinct) <= left:
        raise DataUnfit(
            f"{source}: the --time column has too few distinct times to part training, validation "
            "and test rows in order. Choose another column, or none."
        )
    limit = np.sort(clock)[len(clock) - max(1, round(share * len(clock)))]
    return np.asarray(clock >= max(limit, distinct[left]))
