"""Pairs <-> numbers: each side in its own encoding, the second behind the first in every row."""

from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from ..errors import UserError
from .captions import Vocabulary
from .pairs import Captions, Pairs, Side, Vectors
from .pictures import Pictures, Scale


class SideCode(msgspec.Struct, frozen=True):
    """One side: pictures of a `shape`, texts by `merges` in a `context`, or vectors less `mean` over `sd`."""

    shape: tuple[int, ...] = ()
    merges: tuple[tuple[str, str], ...] = ()
    context: int = 0
    mean: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()

    @property
    def dim(self) -> int:
        """How many numbers a row has."""
        return int(np.prod(self.shape)) if self.shape else self.context or len(self.mean)

    @property
    def words(self) -> int:
        """How many ids there are; 0 where rows are no texts."""
        return len(vocabulary(self.merges)) if self.context else 0

    def encode(self, side: Side) -> np.ndarray:
        """float32 (n, dim). Raises UserError for a side of another kind."""
        if self.shape and isinstance(side, Pictures):
            return Scale(self.shape).encode(np.asarray(side.values))  # type: ignore[arg-type]
        if self.context and isinstance(side, Captions):
            return vocabulary(self.merges).encode(side.texts, self.context).ids.astype(np.float32)
        if self.mean and isinstance(side, Vectors) and side.values.shape[1] == len(self.mean):
            mean, sd = (np.array(known, np.float32) for known in (self.mean, self.sd))
            return np.asarray((side.values - mean) / sd)
        raise UserError(f"{side!r} was given; this model knows {self.said}.")

    @property
    def said(self) -> str:
        """What it encodes, in words."""
        if self.shape:
            return f"pictures of {self.shape[1]} x {self.shape[2]}, {'grey' if self.shape[0] == 1 else 'colour'}"
        return "texts" if self.context else f"vectors of {len(self.mean)} numbers"


class Pairing(msgspec.Struct, frozen=True):
    """Both sides of a pair."""

    first: SideCode
    second: SideCode

    @staticmethod
    def fit(pairs: Pairs, rows: np.ndarray, texts: SideCode | None) -> "Pairing":
        """Means and deviations of vectors from these rows; texts as they are coded for all."""
        return Pairing(*(_fitted(side, rows, texts) for side in (pairs.first, pairs.second)))


@lru_cache(maxsize=4)
def vocabulary(merges: tuple[tuple[str, str], ...]) -> Vocabulary:
    """The vocabulary of some merges; it is dear to make."""
    return Vocabulary(merges)


def _fitted(side: Side, rows: np.ndarray, texts: SideCode | None) -> SideCode:
    if isinstance(side, Pictures):
        return SideCode(shape=side.shape)
    if isinstance(side, Captions):
        assert texts is not None
        return texts
    known: Any = side.values[rows].astype(np.float64)
    sd = known.std(axis=0)
    floor = 1e-6 * max(float(sd.max()), 1e-12)
    return SideCode(mean=tuple(known.mean(axis=0).tolist()), sd=tuple(np.maximum(sd, floor).tolist()))
