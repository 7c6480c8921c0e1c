"""What was understood of pairs, and what looks wrong with them, in plain English."""

import math
from dataclasses import dataclass

import numpy as np

from whichloss.data.pair_units import alike
from whichloss.data.pairs import Captions, Pairs, Vectors
from whichloss.data.pixels import said, shade

FEW = 0.1  # of the pairs: fewer different captions than that leave little to tell apart


@dataclass(frozen=True)
class PairDescription:
    """What `describe` found of pairs; distinct: how many different ones there are of each side; floor: the least that
    cross-entropy over all pairs can reach where equal ones cannot be told apart, in nats; alike: how many pairs a label
    calls so, where there is one."""

    source: str
    pairs: int
    sides: tuple[str, str]
    distinct: tuple[int, int]
    units: int
    largest: int
    floor: float
    words: tuple[int, int, int] | None
    concerns: tuple[str, ...]
    notes: tuple[str, ...]
    alike: int | None = None

    def lines(self) -> list[str]:
        """The description for a terminal, one fact a line."""
        out = [f"{self.source}: {self.pairs:,} pairs of {self.sides[0]} with {self.sides[1]}."]
        if self.alike is not None:
            out.append(
                f"  alike: {self.alike:,} ({self.alike / self.pairs:.0%}); not alike: {self.pairs - self.alike:,}."
            )
        out.append(f"  different ones: {self.distinct[0]:,} and {self.distinct[1]:,}.")
        if self.words:
            least, middle, most = self.words
            out.append(f"  captions: {least:,} to {most:,} words, half of them up to {middle:,}.")
        kind = "exchangeable units" if self.alike is None else "units that a split keeps whole"
        out.append(f"  {kind}: {self.units:,}, the largest of {self.largest:,} pairs.")
        if self.alike is None:
            floor = f"{self.floor:.3f} (log n = {self._chance:.3f})"
            out.append(f"  cross-entropy over all of them cannot fall below {floor}.")
        out += [f"Suspicious: {concern}" for concern in self.concerns]
        return out + [f"Note: {note}" for note in self.notes]

    @property
    def _chance(self) -> float:
        return math.log(self.pairs)


def describe_pairs(pairs: Pairs) -> PairDescription:
    """Count, kinds, repeats on each side, lengths of captions, exchangeable units, the floor that repeats set."""
    n, sides = len(pairs), (pairs.first, pairs.second)
    sizes = [np.bincount(alike(one)) for one in sides]
    # k rows that share a caption share its probability, whichever side asks: 1 / n sum over captions k log k
    floor = max(float((k * np.log(k)).sum()) / n for k in sizes)
    units = np.bincount(pairs.groups)
    texts = [text for one in sides if isinstance(one, Captions) for text in one.texts]
    lengths = [len(text.split()) for text in texts]
    words = (min(lengths), int(np.median(lengths)), max(lengths)) if lengths else None
    concerns = [
        f"only {len(k):,} of {n:,} {_kind(one)} differ: a loss near {floor:.2f} then means repeats, not failure."
        for one, k in zip(sides, sizes, strict=True)
        if len(k) < FEW * n and pairs.labels is None
    ]
    if units.max() > n / 2:
        concerns.append(f"one unit holds {units.max():,} of {n:,} pairs, so that splits are uneven.")
    return PairDescription(
        pairs.source,
        n,
        (_kind(pairs.first), _kind(pairs.second)),
        (len(sizes[0]), len(sizes[1])),
        len(units[units > 0]),
        int(units.max()),
        floor,
        words,
        tuple(concerns),
        pairs.notes,
        None if pairs.labels is None else int(pairs.labels.sum()),
    )


def _kind(one: object) -> str:
    if isinstance(one, Captions | Vectors):
        return repr(one)
    shape = one.shape  # type: ignore[attr-defined]
    return f"{shade(shape)} pictures of {said(shape[1:])}"
