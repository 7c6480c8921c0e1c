"""Before training, in seconds: do two things tell at all whether they are alike, as far as a cheap probe sees?

The probe is kernel ridge regression of the labels on what two things have in common and what parts them, cross-fitted
by unit; labels are permuted against it (see `classify.signal`), over one pair of each unit where there are enough.
"""

from typing import TYPE_CHECKING

import numpy as np

from ...data.pair_labels import contradicting, equal_pairs, linked
from ...metrics.embeddings import least_noise
from ...rng import key
from ..classify.signal import FOLDS, LEVEL, ONE_EACH, PROBED, balanced, permutation_test, probe
from ..judge import Judge, Preflight

if TYPE_CHECKING:
    from .given import AlikeJudge

DIRECTIONS = 32  # of the things, that the probe sees
WEIGHT = 4.0  # of cosine and distance among all that it sees


class AlikeSignal(Preflight, frozen=True, kw_only=True):
    """p: of the permutation test; accuracy and chance: balanced, of the probe and 95 % of shuffled labels.

    alike: pairs with the label 1; units: what a split keeps whole; again: pairs that equal an earlier one;
    contradicting: pairs that stand with both labels; shared: test pairs with a thing that other pairs hold too.
    """

    p: float
    accuracy: float
    chance_low: float
    chance_high: float
    probed: int
    pairs: int
    alike: int
    things: int
    units: int
    linked: int
    again: int
    contradicting: int
    shared: float

    @property
    def seen(self) -> bool:
        """Does the probe see a signal?"""
        return self.p < LEVEL

    def refusal(self, judge: Judge) -> str:
        """Refuse where a cheap probe sees no signal."""
        if self.seen:
            return ""
        return (
            f"no signal in these pairs that a cheap probe can see: it calls {self.accuracy:.1%} of them as they are "
            f"labelled (balanced), and with shuffled labels {self.chance_low:.1%} to {self.chance_high:.1%} (p = "
            f"{self.p:.2g}, {self.probed:,} pairs). Are both sides and the labels in the same order? "
            "--anyway trains regardless."
        )

    def cautions(self) -> tuple[str, ...]:
        """Shared things, contradictions and no signal, in sentences."""
        said = []
        if not self.seen:
            said.append(f"A cheap probe saw no signal in these pairs (p = {self.p:.2g}); trained because asked to.")
        if self.shared > 0.01:
            said.append(
                f"{self.shared:.0%} of the test pairs hold a thing that other pairs hold too: scores tell how new "
                "pairs of known things are told; of new things they may be told worse."
            )
        if self.contradicting > 0.01 * self.pairs:
            said.append(f"{self.contradicting:,} pairs stand with both labels: nothing can tell them.")
        return tuple(said)


def measure(judge: "AlikeJudge") -> AlikeSignal:
    """All of it; the probe on a sample of the pairs that are not test pairs."""
    table, labels = judge.table, judge.alike
    generator = np.random.Generator(np.random.PCG64(key("alike")))
    order = generator.permutation(judge.rest)
    _, first = np.unique(table.groups[order], return_index=True)
    free = np.sort(order[first]) if len(first) >= ONE_EACH else judge.rest
    rows = free[balanced(labels[free], PROBED, generator)]
    names, place = np.unique(table.groups[rows], return_inverse=True)
    h = probe(common(*judge.plain(rows)), (generator.permutation(len(names)) % FOLDS)[place])
    p, accuracy, low, high = permutation_test(h, np.eye(2)[labels[rows]], generator)
    u, v = judge.things
    scores = [judge.score(anchor.answer, 1, "test") for anchor in judge.anchors(1, "test")]
    equal = equal_pairs(u, v)
    test = judge.split(1).test
    known = np.concatenate([u[judge.rest], v[judge.rest]])
    return AlikeSignal(
        rows=judge.size(1),
        rope=max(min(scores, key=lambda found: found.value).se, least_noise(judge.size(1))),
        p=p, accuracy=accuracy, chance_low=low, chance_high=high, probed=len(rows),
        pairs=len(labels),
        alike=int(labels.sum()),
        things=len(np.unique(np.concatenate([u, v]))),
        units=len(np.unique(table.groups)),
        linked=int(np.bincount(linked(u, v)).max()),
        again=len(u) - int(equal.max()) - 1,
        contradicting=contradicting(equal, labels),
        shared=float((np.isin(u[test], known) | np.isin(v[test], known)).mean()),
    )  # fmt: skip


def common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What two things (n, d) each have in common and what parts them, whichever comes first: |a - b| and a b in their
    principal directions, their cosine and their distance; each with variance 1, the last two weighed most."""
    both = np.concatenate([a, b])
    middle = both.mean(axis=0)
    axes = np.linalg.svd(both - middle, full_matrices=False)[2][:DIRECTIONS].T
    p, q = (a - middle) @ axes, (b - middle) @ axes
    sizes = np.linalg.norm(a - middle, axis=1) * np.linalg.norm(b - middle, axis=1)
    cosine = ((a - middle) * (b - middle)).sum(axis=1) / np.maximum(sizes, 1e-12)
    x = np.column_stack([np.abs(p - q), p * q, WEIGHT * cosine, WEIGHT * np.linalg.norm(a - b, axis=1)])
    weights = np.repeat([1.0, WEIGHT], [2 * p.shape[1], 2])
    return np.asarray((x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12) * weights)
