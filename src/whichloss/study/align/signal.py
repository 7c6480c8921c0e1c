"""Before training, in seconds: do the pairs belong together at all, as far as a cheap probe sees?

The probe is kernel ridge regression of the second things on the first, cross-fitted by unit; the statistic is the mean
cosine of prediction and truth less that of other units. It is linear in the second things, so one solved system serves
every permutation of them (Ojala & Garriga, 2010). What is permuted is the unit: pairs of a unit move together, because
a permutation that repeats within a unit can be learned, and a split that cuts units would not notice.
"""

from typing import TYPE_CHECKING

import numpy as np

from ...data import Captions
from ...metrics.embeddings import least_noise
from ...rng import key
from ..classify.signal import FOLDS, LEVEL, PERMUTATIONS, probe
from ..judge import Judge, Preflight
from . import simple

if TYPE_CHECKING:
    from .judge import PairJudge

PROBED = 1000  # units of the probe, at most, one pair of each
RESEMBLES = 0.55  # the share of other units that a prediction's own partner must beat: less is no signal worth training


class PairSignal(Preflight, frozen=True, kw_only=True):
    """p: of the permutation test; told: how often a prediction lies nearer to its own partner than to another's."""

    p: float
    told: float
    chance_low: float
    chance_high: float
    probed: int
    units: int
    floor: float  # what repeats leave of InfoNCE's loss, nats, among all pairs
    cut: float  # share of texts that do not fit into the context
    context: int
    ids: int

    @property
    def seen(self) -> bool:
        """Does the probe see a signal?"""
        return self.p < LEVEL and self.told >= RESEMBLES

    def refusal(self, judge: Judge) -> str:
        """Refuse where a cheap probe sees no signal."""
        if self.seen:
            return ""
        return (
            f"no signal in these pairs that a cheap probe can see: its predictions lie nearer to their own partner "
            f"than to another's {self.told:.1%} of the time, and with shuffled pairs {self.chance_low:.1%} to "
            f"{self.chance_high:.1%} (p = {self.p:.2g}, {self.probed:,} units). Are both columns in the same order? "
            "--anyway trains regardless."
        )

    def cautions(self) -> tuple[str, ...]:
        """What repeats and cuts mean, in sentences."""
        said = []
        if not self.seen:
            said.append(f"A cheap probe saw no signal in these pairs (p = {self.p:.2g}); trained because asked to.")
        if self.cut > 0.01:
            said.append(f"{self.cut:.0%} of the texts are longer than the {self.context} ids that networks read.")
        return tuple(said)


def measure(judge: "PairJudge") -> PairSignal:
    """All of it, on a sample of the pairs that are not test pairs."""
    from ...data.describe_pairs import describe_pairs

    generator = np.random.Generator(np.random.PCG64(key("pairs")))
    order = generator.permutation(judge.rest)
    _, first = np.unique(judge.table.groups[order], return_index=True)
    rows = order[np.sort(first)[:PROBED]]  # one pair of each unit
    x, y = judge.plain(rows)
    middle, axes = simple.directions(y, simple.DIRECTIONS)
    z = (y - middle) @ axes
    h = probe(x - x.mean(axis=0), generator.permutation(len(rows)) % FOLDS)
    told = nearer(h @ z, z)
    null = [nearer(h @ (shuffled := z[generator.permutation(len(z))]), shuffled) for _ in range(PERMUTATIONS)]
    low, high = np.quantile(null, [0.025, 0.975])
    raw = next(anchor.answer for anchor in judge.anchors(1, "test") if anchor.name == "canonical correlations")
    cut = 0.0
    if judge.texts is not None and isinstance(judge.table.second, Captions):
        from ...data.pair_encode import vocabulary

        lost = vocabulary(judge.texts.merges).encode(judge.table.second.texts, judge.texts.context).cut
        cut = float((lost > 0).mean())
    return PairSignal(
        rows=judge.size(1),
        rope=max(judge.score(raw, 1, "test").se, least_noise(judge.size(1))),
        p=(1 + sum(value >= told for value in null)) / (1 + len(null)),
        told=told,
        chance_low=float(low),
        chance_high=float(high),
        probed=len(rows),
        units=len(np.unique(judge.table.groups)),
        floor=describe_pairs(judge.table).floor,
        cut=cut,
        context=judge.texts.context if judge.texts else 0,
        ids=judge.texts.words if judge.texts else 0,
    )


def nearer(said: np.ndarray, truth: np.ndarray) -> float:
    """How often a prediction's cosine with its own truth is above that with another's."""
    a, b = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (said, truth))
    cosine = a @ b.T
    own = np.diag(cosine)[:, None]
    others = ~np.eye(len(cosine), dtype=bool)
    return float(((cosine < own) & others).sum() / others.sum())
