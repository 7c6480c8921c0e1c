"""Pairs that do not belong together."""

from collections.abc import Iterator

import numpy as np

from ...task import Finding
from ..say import Say
from ..trace import Trace

MOST, NEAR, DEALT = 1000, 3, 40


def _near(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """How far apart the second sides of pairs with like first sides are, in usual distances; the least of many."""
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    a, b = (StandardScaler().fit_transform(x.astype(np.float64)) for x in (a, b))
    first = np.unique(a, axis=0, return_index=True)[1]
    a, b = a[first], b[first]
    others = NearestNeighbors(n_neighbors=NEAR + 1).fit(a).kneighbors(return_distance=False)[:, :NEAR]
    usual = float(np.linalg.norm(b - np.roll(b, len(b) // 2, 0), axis=1).mean())
    generator = np.random.Generator(np.random.PCG64(0))

    def apart(b: np.ndarray) -> float:
        return float(np.linalg.norm(b[:, None] - b[others], axis=2).mean()) / max(usual, 1e-12)

    return apart(b), min(apart(generator.permutation(b)) for _ in range(DEALT))


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (one, other), (a, b) in trace.pairs.items():
        if (
            len(np.unique(a, axis=0)) < 100
            or len(np.unique(b, axis=0)) < 100
            or not (np.isfinite(a).all() and np.isfinite(b).all())
        ):
            continue
        found, dealt = _near(a[:MOST], b[:MOST])
        if found >= dealt:
            yield say.fault(
                "pairs without signal",
                f"Where the rows given to {one} are alike, those given to {other} beside them are no more alike than "
                "if the pairs "
                f"had been dealt at random ({found:.3g} against at least {dealt:.3g} times the usual distance).",
                "The two sides were shuffled against each other or joined wrongly: whatever is learnt is learnt by "
                "heart.",
                "Look at a few pairs by hand.",
                {"distance": found, "dealt": dealt},
            )
