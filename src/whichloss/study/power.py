"""Can the metric see anything at this number of rows? Damage real rows on purpose and look."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import torch

from .. import metrics
from ..rng import key
from . import rank
from .anchors import marginals
from .judge import Judge
from .store import Store
from .work import judge_of

ALL = 5000  # rows that show dependence, at most
DRAWS = 6  # of each damage, each with other real rows
SEEN = 2.0  # real-against-real standard deviations


class Damage(msgspec.Struct, frozen=True):
    """A planted harm, what it did to the score, and whether that shows above the noise."""

    kind: str
    size: float
    harm: float  # mean score of damaged rows minus that of the same rows undamaged
    seen: bool

    @property
    def says(self) -> str:
        """The damage in words."""
        return {
            "noise": f"noise of {self.size:g} standard deviations added to every row",
            "mixing": f"{self.size:.0%} of the rows replaced by independent columns",
            "hole": f"the {self.size:.0%} of rows around one row missing",
            "shift": f"every row moved by {self.size:g} standard deviations",
        }[self.kind]


class Power(msgspec.Struct, frozen=True):
    """`rope`: standard deviation of the metric, real rows against real rows, at this n.

    marginals_seen: one score, or the study's own paired interval, tells rows with independently drawn columns from
    real ones (a table of one column: rows moved by half a standard deviation).
    independent: not even all rows show that the columns depend on each other.
    """

    rows: int
    rope: float
    damages: tuple[Damage, ...]
    marginals_seen: bool
    independent: bool = False

    @property
    def enough(self) -> bool:
        """Can anything be compared? Rows with independent columns must show, or be as good as real ones while the
        grossest of each other damage shows."""
        grossest = {d.kind: d.seen for d in self.damages if d.kind != "mixing"}  # sizes grow
        return self.marginals_seen or (self.independent and all(grossest.values()))

    def smallest(self) -> list[Damage]:
        """Of each kind, the smallest damage that shows."""
        kinds = dict.fromkeys(d.kind for d in self.damages)
        found = ([d for d in self.damages if d.kind == kind and d.seen] for kind in kinds)
        return [min(seen, key=lambda d: d.size) for seen in found if seen]


PLANTED: dict[str, tuple[float, ...]] = {
    "noise": (0.05, 0.1, 0.2, 0.4, 0.8),
    "mixing": (0.05, 0.1, 0.2, 0.5, 1.0),
    "hole": (0.05, 0.1, 0.2, 0.4),
    "shift": (0.05, 0.1, 0.2, 0.5),
}


def work(job: tuple[str, str], tell: Callable[[Any], None]) -> None:
    """Measure the power once per study and keep it."""
    folder, name = job
    power = measure(judge_of(folder))
    Store(folder).write(name, msgspec.to_builtins(power), {})


def measure(judge: Judge) -> Power:
    """The power of the primary metric on this table."""
    n = judge.size(1)
    real = [_real(judge, k, n) for k in range(DRAWS)]
    clean = [judge.score(judge.table.values[rows], 1, "test") for rows in real]
    rope = float(np.mean([score.se for score in clean]))
    damages, seen = [], False
    whole = ("mixing", 1.0) if judge.space.dim > 1 else ("shift", 0.5)  # one column is its own marginal
    for kind, size in _planted(judge.space.dim):
        scores = []
        for k, rows in enumerate(real):
            generator = np.random.Generator(np.random.PCG64(key("damage", kind, k)))
            scores.append(judge.score(damage(judge, judge.table.values[rows], kind, size, generator), 1, "test"))
        harm = float(np.mean([score.value for score in scores]) - np.mean([score.value for score in clean]))
        damages.append(Damage(kind, size, harm, harm > SEEN * rope))
        if (kind, size) == whole:
            paired = rank.difference(_scores(scores), _scores(clean), overlap=judge.overlap)
            seen = damages[-1].seen or paired.low > 0
    return Power(n, rope, tuple(damages), seen, not seen and judge.space.dim > 1 and not dependent(judge))


def _scores(found: Sequence[metrics.Mmd]) -> rank.Scores:
    """Draws as the seeds of one finalist."""
    witness = np.mean([score.witness.numpy() for score in found], axis=0)
    return rank.Scores("rows", tuple(score.value for score in found), witness, 0, 0.0, 0.0)


def dependent(judge: Judge) -> bool:
    """Do all rows together, without the test rows, show that the columns depend on each other?"""
    rows = judge.table.values[judge.rest][:: max(1, len(judge.rest) // ALL)]
    real = metrics.MmdReference(judge.place(rows), judge.widths)
    generator = np.random.Generator(np.random.PCG64(key("dependence")))
    mixed = [real.score(judge.place(marginals(rows, len(rows), generator))) for _ in range(DRAWS)]
    return bool(np.mean([m.value for m in mixed]) > SEEN * np.mean([m.se for m in mixed]))


def _planted(dim: int) -> Iterator[tuple[str, float]]:
    for kind, sizes in PLANTED.items():
        if not (kind == "mixing" and dim == 1):
            yield from ((kind, size) for size in sizes)


def _real(judge: Judge, draw: int, n: int) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(key("real rows", draw)))
    return np.asarray(generator.permutation(judge.rest)[:n])


def damage(judge: Judge, values: np.ndarray, kind: str, size: float, generator: np.random.Generator) -> np.ndarray:
    """Real rows with a planted harm."""
    x = judge.space.encode(values)
    if kind == "mixing":
        out = marginals(values, len(values), generator)
        keep = generator.random(len(values)) >= size
        out[keep] = values[keep]
        return out
    if kind == "hole":
        near = np.argsort(((x - x[generator.integers(len(x))]) ** 2).sum(1), kind="stable")
        left = near[int(size * len(x)) :]
        return np.asarray(values[generator.choice(left, len(values))])
    spread = x.std(0, keepdims=True)
    direction = generator.standard_normal(x.shape) if kind == "noise" else 1.0
    return judge.space.decode(torch.from_numpy(x + size * spread * direction).float().numpy())
