"""Which pairs are exchangeable: those of one concept, or whose rows are equal, or are one picture saved twice; a split
keeps them together."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from whichloss.data.pairs import Captions, Pairs, Side, Vectors
from whichloss.data.pictures import Pictures
from whichloss.data.pixels import LEAST_PICTURES, marks
from whichloss.data.raw import Raw
from whichloss.data.resaved import again
from whichloss.errors import DataUnfit, UserError


def check_pairs(label: str, n: int) -> None:
    if n < LEAST_PICTURES:
        raise DataUnfit(
            f"{label} has {n or 'no'} pair{'s' * (n != 1)}; at least {LEAST_PICTURES} are needed, so that training, "
            "validation and test each get some, and a pair has others to be told from. Add pairs."
        )


def paired(label: str, sides: Sequence[Side], notes: Sequence[str] = (), concept: Raw | None = None) -> Pairs:
    """Both sides together, with the units that may be exchanged; refused where there is nothing to tell apart."""
    first, second = sides
    if len(first) != len(second):
        raise UserError(f"{label}: {len(first):,} and {len(second):,} rows do not pair up. Give as many of both.")
    check_pairs(label, len(first))
    if _is_words(first):
        fix = (
            "one side must be pictures or vectors" if _is_words(second) else "swap --first and --second, or both arrays"
        )
        raise UserError(f"{label}: captions are the second side of a pair, and the first holds captions: {fix}.")
    keys = [alike(one) for one in sides]
    for one, found in zip(sides, keys, strict=True):
        if found.max() == 0:
            raise DataUnfit(f"{label} has nothing to learn: all {len(one):,} {_plural(one)} are equal. Give others.")
    known, said = ([], []) if concept is None else _concepts(label, concept)
    near = [again(one, k) if isinstance(one, Pictures) else k for one, k in zip(sides, keys, strict=True)]
    # captions of a concept may be anybody's; pictures and vectors that are equal tie concepts together
    joined = _joined([*known, *(k for one, k in zip(sides, near, strict=True) if not known or not _is_words(one))])
    units = int(joined.max()) + 1
    if units < 3:
        raise DataUnfit(
            f"{label}: rows that are equal, or nearly, tie all {len(first):,} pairs into {units} "
            f"unit{'s' * (units > 1)}; at least 3 are needed (training, validation, test). Give pairs that differ."
        )
    for one, found, joint in zip(sides, keys, near, strict=True):
        repeats, resaved = len(found) - int(found.max()) - 1, _resaved(found, joint)
        shown = f"of {len(found):,} {_plural(one)}"
        if repeats:
            said.append(f"{repeats:,} {shown} equal an earlier one and count as equally right.")
        if resaved:
            said.append(
                f"{resaved:,} {shown} are an earlier one saved again (written anew, or off by a few levels): these "
                "pairs were joined with its pairs."
            )
    if units < len(first):
        largest = int(np.bincount(joined).max())
        what = "concept" if known else "caption, picture or vector"
        said.append(
            f"Pairs of one {what} stay in one part of every split: {units:,} units, the largest of {largest:,} pairs."
        )
    inner = [note for one in sides if isinstance(one, Pictures) for note in one.notes]
    return Pairs(first, second, joined, label.strip("'"), notes=(*notes, *inner, *said))


def _resaved(equal: np.ndarray, joint: np.ndarray) -> int:
    """How many rows are joined with an earlier one that they do not equal."""
    first, place = np.unique(joint, return_index=True, return_inverse=True)[1:]
    return int((equal[first][place] != equal).sum())


def _is_words(one: Side) -> bool:
    return isinstance(one, Captions)


def _plural(one: Side) -> str:
    return {Captions: "captions", Vectors: "vectors", Pictures: "pictures"}[type(one)]


def alike(one: Side) -> np.ndarray:
    """int64 (n,) from 0: equal for equal rows; captions are equal where they have the same words in the same order,
    whatever their case and marks."""
    keys: Any = [_words(text) for text in one.texts] if isinstance(one, Captions) else marks(one.values)
    return np.asarray(np.unique(keys, return_inverse=True)[1].astype(np.int64))


def _words(text: str) -> str:
    folded = text.casefold()
    return " ".join(re.findall(r"\w+", folded)) or " ".join(folded.split())  # emoji are no words


def concept_numbers(label: str, concept: Raw) -> tuple[int, np.ndarray]:
    """How many concepts there are, and the number of each row's (n,). Raises DataUnfit where one is missing."""
    if concept.missing.any():
        row, _ = concept.first(concept.missing)
        raise DataUnfit(
            f"{label}, column '{concept.name}', row {row}: the concept is missing ({int(concept.missing.sum())} such "
            "rows). Fill it in, or leave these rows out."
        )
    names, place = np.unique(np.array([str(value) for value in concept.data]), return_inverse=True)
    return len(names), place.astype(np.int64)


def _concepts(label: str, concept: Raw) -> tuple[list[np.ndarray], list[str]]:
    count, place = concept_numbers(label, concept)
    return [place], [f"Column '{concept.name}' says which pairs show the same: {count:,} concepts."]


def _joined(keys: Sequence[np.ndarray]) -> np.ndarray:
    """int64 (n,) from 0: rows that agree in any of the keys, or are linked by others that do, are one unit."""
    n = len(keys[0])
    links = []
    for key in keys:
        _, head, place = np.unique(key, return_index=True, return_inverse=True)
        links.append(head[place])
    ends = np.tile(np.arange(n), len(links)), np.concatenate(links)
    graph = coo_array((np.ones(n * len(links)), ends), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1].astype(np.int64))
