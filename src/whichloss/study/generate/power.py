"""Can the metric see anything at this number of rows? Damage real rows on purpose and look."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from ... import metrics
from ...data.pixels import taken
from ...rng import key
from .. import rank
from ..judge import Judge, Preflight, Scored
from .anchors import marginals

if TYPE_CHECKING:
    from .judge import SampleJudge

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
            "grain": f"noise of {self.size:g} of 255 levels added to every pixel",
            "blur": f"every picture blurred by {self.size:g} pixels (Gaussian)",
            "pixels": f"{self.size:.0%} of the pictures replaced by independent pixels",
            "one kind": f"{self.size:.0%} of the pictures replaced by pictures of one kind",
            "copies": f"{self.size:.0%} copies of training rows (to the copy test alone)",
        }[self.kind]


class Power(Preflight, frozen=True, kw_only=True):
    """`rope`: standard deviation of the metric, real rows against real rows, at this n.

    marginals_seen: one score, or the study's own paired interval, tells rows with independently drawn columns from
    real ones (a table of one column: rows moved by half a standard deviation).
    independent: not even all rows show that the columns depend on each other.
    """

    damages: tuple[Damage, ...]
    marginals_seen: bool
    independent: bool = False
    copies: tuple[Damage, ...] = ()  # not the score's to see: harm is z of the copy test, where it was measured

    @property
    def enough(self) -> bool:
        """Can anything be compared? Rows with independent columns must show, or be as good as real ones while the
        grossest of each other damage shows."""
        grossest = {d.kind: d.seen for d in self.damages if d.kind not in MARGINAL}  # sizes grow
        return self.marginals_seen or (self.independent and all(grossest.values()))

    def refusal(self, judge: Judge) -> str:
        """Refuse a verdict only if the metric cannot tell independent marginals from real rows that are none."""
        if self.enough:
            return ""
        alone = judge.task.dim == 1  # the rule of `measure`
        damaged = "moved by half a standard deviation" if alone else "whose columns were drawn independently"
        return (
            f"with {self.rows} rows on each side the score cannot tell rows {damaged} from real ones (noise "
            f"{self.rope:.2g}). There are too few rows to compare anything; more rows are the only cure."
        )

    def cautions(self) -> tuple[str, ...]:
        """That there may be nothing but single columns to learn."""
        alone = "The columns look independent of each other: only the shape of each column could be compared."
        return (alone,) * self.independent

    def facts(self) -> dict[str, Any]:
        """With the smallest damages in words."""
        return super().facts() | {"smallest": [d.says for d in self.smallest()]}

    def smallest(self) -> list[Damage]:
        """Of each kind, the smallest damage that shows."""
        planted = (*self.damages, *self.copies)
        kinds = dict.fromkeys(d.kind for d in planted)
        found = ([d for d in planted if d.kind == kind and d.seen] for kind in kinds)
        return [min(seen, key=lambda d: d.size) for seen in found if seen]


PLANTED: dict[str, tuple[float, ...]] = {
    "noise": (0.05, 0.1, 0.2, 0.4, 0.8),
    "mixing": (0.05, 0.1, 0.2, 0.5, 1.0),
    "hole": (0.05, 0.1, 0.2, 0.4),
    "shift": (0.05, 0.1, 0.2, 0.5),
}
MARGINAL = ("mixing", "pixels")  # right margins, no dependence


def measure(judge: "SampleJudge") -> Power:
    """The power of the primary metric on this table."""
    n, real = judge.size(1), judge.real(0, "test")
    clean, harmed = [], dict[tuple[str, float], list[metrics.Mmd]]()
    for draw in range(judge.draws):
        rows = _real(judge, draw, n)
        clean.append(real.score(judge.compared(rows)))
        for kind, size, points in judge.damaged(rows, draw):
            harmed.setdefault((kind, size), []).append(real.score(points))
    rope = float(np.mean([score.se for score in clean]))
    damages, seen = [], False
    wholes = [(kind, 1.0) for kind in MARGINAL] if judge.space.dim > 1 else [("shift", 0.5)]  # its own marginal
    for (kind, size), scores in harmed.items():
        harm = float(np.mean([score.value for score in scores]) - np.mean([score.value for score in clean]))
        damages.append(Damage(kind, size, harm, harm > SEEN * rope))
        if (kind, size) in wholes:
            paired = rank.difference(_scores(scores), _scores(clean), overlap=judge.overlap)
            seen = damages[-1].seen or paired.low > 0
    independent = not seen and judge.space.dim > 1 and not dependent(judge)
    copies = tuple(Damage("copies", size, z, seen) for size, z, seen in judge.copied())
    return Power(rows=n, rope=rope, damages=tuple(damages), marginals_seen=seen, independent=independent, copies=copies)


def _scores(found: Sequence[Scored]) -> rank.Scores:
    """Draws as the seeds of one finalist."""
    influence = np.mean([score.influence.numpy() for score in found], axis=0)
    return rank.Scores("rows", tuple(score.value for score in found), influence, 0, 0.0, 0.0)


def dependent(judge: "SampleJudge") -> bool:
    """Do all rows together, without the test rows, show that the columns depend on each other?"""
    numbers = judge.rest[:: max(1, len(judge.rest) // ALL)]
    real, rows = metrics.MmdReference(judge.at(numbers), judge.widths), taken(judge.table.values, numbers)
    generator = np.random.Generator(np.random.PCG64(key("dependence")))
    mixed = [real.score(judge.place(marginals(rows, len(rows), generator))) for _ in range(DRAWS)]
    return bool(np.mean([m.value for m in mixed]) > SEEN * np.mean([m.se for m in mixed]))


def planted(dim: int) -> Iterator[tuple[str, float]]:
    """(kind, size) of what is planted in a table of so many columns."""
    for kind, sizes in PLANTED.items():
        if not (kind == "mixing" and dim == 1):
            yield from ((kind, size) for size in sizes)


def _real(judge: "SampleJudge", draw: int, n: int) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(key("real rows", draw)))
    return np.asarray(generator.permutation(judge.rest)[:n])


def damage(
    judge: "SampleJudge", values: np.ndarray, kind: str, size: float, generator: np.random.Generator
) -> np.ndarray:
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
