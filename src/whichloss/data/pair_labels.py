"""Pairs that a label calls alike or not: both sides of one kind, the label, and what a split keeps whole.

A thing may stand in several pairs. Pairs that are linked by things they share must not lie on both sides of a split,
or what is learned of a thing in training helps to judge it. Where such links tie most pairs together, nothing but
equal pairs can be kept whole, and this is said.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from whichloss.data.pair_units import check_pairs
from whichloss.data.pairs import Captions, Pairs, Side, Vectors
from whichloss.data.pictures import Pictures
from whichloss.data.pixels import marks, shade
from whichloss.data.raw import Raw
from whichloss.data.resaved import again
from whichloss.data.words import understand
from whichloss.errors import DataUnfit, UserError

FEWEST = 10  # pairs of each label: some to learn from, to choose by, and to be judged by
LARGEST = 0.4  # of the pairs: the largest unit that splits can keep whole and still part the rest as they should
UNITS = 10  # at least, for that
LABELS = {"1": 1, "0": 0, "1.0": 1, "0.0": 0, "true": 1, "false": 0}


def labelled(
    label: str,
    sides: Sequence[Side],
    labels: np.ndarray,
    notes: Sequence[str] = (),
    concept: np.ndarray | None = None,
) -> Pairs:
    """Both sides together with their labels (n,) of 0 and 1; refused where there is nothing to compare.

    concept: (n,) of what a split keeps whole beside things that are equal.
    """
    first, second = sides
    if len(first) != len(second) or len(labels) != len(first):
        raise UserError(
            f"{label}: {len(first):,} and {len(second):,} rows with {len(labels):,} labels do not pair up. Give as "
            "many of each."
        )
    check_pairs(label, len(first))
    check_sides(label, first, second)
    for value in (1, 0):
        count = int((labels == value).sum())
        if count < FEWEST:
            raise DataUnfit(
                f"{label}: {count} of {len(labels):,} pairs {'are' if value else 'are not'} alike (label {value}); at "
                f"least {FEWEST} of each are needed to train, choose and judge. Add pairs of that label."
            )
    u, v = things(first, second)
    if u.max() == v.max() == 0:
        raise DataUnfit(f"{label} has nothing to learn: all {2 * len(u):,} things are equal. Give others.")
    groups, said = units(label, *near(first, second, u, v), concept)
    said = [f"{int(labels.sum()):,} of {len(labels):,} pairs are alike.", *facts(u, v, labels), *said]
    inner = list(dict.fromkeys(note for one in sides if isinstance(one, Pictures) for note in one.notes))
    return Pairs(first, second, groups, label.strip("'"), notes=(*notes, *inner, *said), labels=labels)


def check_sides(label: str, first: Side, second: Side) -> None:
    """Refuse sides that one network cannot see both."""
    if isinstance(first, Captions) or isinstance(second, Captions):
        raise UserError(
            f"{label}: pairs of texts cannot be embedded. Give two blocks of numbers, such as embeddings of the texts, "
            "or two columns of picture files; pictures and captions are pairs for --goal align."
        )
    if type(first) is not type(second):
        raise UserError(
            f"{label}: one side is {_said(first)}, the other {_said(second)}. Both must be of one kind, since one "
            "network sees both; different things that belong together are pairs for --goal align."
        )
    widths = [one.shape if isinstance(one, Pictures) else one.values.shape[1:] for one in (first, second)]
    if widths[0] != widths[1]:
        raise UserError(
            f"{label}: one side is {_said(first)}, the other {_said(second)}. Both must be as large, since "
            "one network sees both; things that differ in kind are pairs for --goal align."
        )


def _said(one: Side) -> str:
    if isinstance(one, Pictures):
        return f"{shade(one.shape)} pictures of {one.shape[1]} x {one.shape[2]}"
    return repr(one)


def read_labels(label: str, raw: Raw) -> np.ndarray:
    """1 or 0 (n,) of a column of 0 and 1, or true and false. Raises DataUnfit with the row for anything else."""
    raw = understand(raw)
    where = f"{label}, column '{raw.name}'"
    if raw.missing.any():
        row, _ = raw.first(raw.missing)
        raise DataUnfit(
            f"{where}, row {row}: the label is missing ({int(raw.missing.sum())} such rows). Write 1 (alike) or 0 (not "
            "alike), or leave these rows out."
        )
    words, place = np.unique(np.array([str(value).strip().lower() for value in raw.data]), return_inverse=True)
    codes = np.array([LABELS.get(str(word), -1) for word in words])[place]
    if (codes < 0).any():
        row, value = raw.first(codes < 0)
        raise DataUnfit(
            f"{where}, row {row}: '{value}' is no label of a pair ({int((codes < 0).sum()):,} such rows). Write 1 "
            "(alike) or 0 (not alike), or true and false."
        )
    return codes.astype(np.int64)


def things(first: Side, second: Side) -> tuple[np.ndarray, np.ndarray]:
    """The number of each thing, (n,) a side, equal where things are, on whichever side they stand."""
    found = [marks(one.values + np.float32(0) if isinstance(one, Vectors) else one.values) for one in (first, second)]  # type: ignore[union-attr]
    place = np.unique(np.concatenate(found), return_inverse=True)[1].astype(np.int64)
    return place[: len(first)], place[len(first) :]


def near(first: Side, second: Side, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of things (n,) a side, equal also where one picture is another one saved again: a split must not part
    these either."""
    if not isinstance(first, Pictures) or not isinstance(second, Pictures):
        return u, v
    found = again(first, np.concatenate([u, v]), second)
    return found[: len(u)], found[len(u) :]


def equal_pairs(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """int64 (n,) from 0: equal for pairs of the same two things, in either order."""
    both = np.sort(np.stack([u, v], axis=1), axis=1)
    return np.asarray(np.unique(both, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64))


def linked(u: np.ndarray, v: np.ndarray, concept: np.ndarray | None = None) -> np.ndarray:
    """int64 (n,) from 0: equal for pairs that share a thing or a concept, or are linked by others that do."""
    n = int(max(u.max(), v.max())) + 1
    heads, tails, size = [u], [v], n
    if concept is not None:
        heads, tails, size = [u, u], [v, n + concept], n + int(concept.max()) + 1
    ends = np.concatenate(heads), np.concatenate(tails)
    part = connected_components(coo_array((np.ones(len(ends[0])), ends), shape=(size, size)), directed=False)[1]
    return np.asarray(np.unique(part[u], return_inverse=True)[1].astype(np.int64))


def units(label: str, u: np.ndarray, v: np.ndarray, concept: np.ndarray | None = None) -> tuple[np.ndarray, list[str]]:
    """(what a split keeps whole (n,), what is to be said of it): linked pairs where splits can, else equal ones."""
    whole, n = linked(u, v, concept), len(u)
    sizes = np.bincount(whole)
    shared = "a thing or a concept" if concept is not None else "a thing"
    if len(sizes) >= UNITS and sizes.max() <= LARGEST * n:
        if len(sizes) == n:
            return whole, []
        return whole, [
            f"Pairs that share {shared} stay in one part of every split: {len(sizes):,} units, the largest of "
            f"{int(sizes.max()):,} pairs."
        ]
    if concept is not None:
        raise DataUnfit(
            f"{label}: things and concepts that pairs share tie {int(sizes.max()):,} of {n:,} pairs together "
            f"({len(sizes):,} unit{'s' * (len(sizes) > 1)}), so that no split can keep them whole. Leave --group out, "
            "or give pairs within a concept."
        )
    return equal_pairs(u, v), [
        f"Things that stand in several pairs tie {int(sizes.max()):,} of {n:,} pairs together, so that pairs are split "
        "one by one: things of test pairs stand in training pairs too."
    ]


def facts(u: np.ndarray, v: np.ndarray, labels: np.ndarray) -> list[str]:
    """What repeats among pairs."""
    equal, said = equal_pairs(u, v), []
    again = len(u) - int(equal.max()) - 1
    if again:
        said.append(f"{again:,} of {len(u):,} pairs equal an earlier one, in either order; they stay together.")
    if clash := contradicting(equal, labels):
        said.append(f"{clash:,} pairs are alike in one row and not in another: nothing can tell them.")
    if same := int((u == v).sum()):
        said.append(f"{same:,} pairs are of one thing twice: every network calls them alike.")
    return said


def contradicting(equal: np.ndarray, labels: np.ndarray) -> int:
    """How many pairs stand with both labels among those equal to them."""
    ones, sizes = np.bincount(equal, weights=labels), np.bincount(equal)
    return int(((ones > 0) & (ones < sizes))[equal].sum())


def halves(both: Pictures) -> tuple[Pictures, Pictures]:
    """Pictures read together, the first half with the second."""
    n = len(both) // 2
    first = replace(both, values=both.values[:n], files=both.files[:n])
    return first, replace(both, values=both.values[n:], files=both.files[n:], notes=())
