"""Labels that the rows do not tell, tell too well, or that contradict like rows."""

from collections.abc import Iterator

import numpy as np

from ...task import Finding
from ..say import Say
from ..trace import Trace

MOST, NEAR, DEALT = 1200, 5, 40  # rows; neighbours; how often labels are dealt at random
WEAK = 0.6  # of pairs in the right order: a signal may hide below that, at most


def _tells(x: np.ndarray, y: np.ndarray) -> int | None:
    """A column that has one value for each class, if there is one."""
    classes = len(np.unique(y))
    for j in range(x.shape[1]):
        values = np.unique(x[:, j])
        if len(values) == classes and all(len(np.unique(y[x[:, j] == v])) == 1 for v in values):
            return j
    return None


def _neighbours(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float | None]:
    """How often neighbours share a label, how often they would if labels were dealt (the most of many), the share of
    rows whose neighbours all agree on another label, where most neighbours agree."""
    from sklearn.neighbors import NearestNeighbors

    scale = x.std(0)
    near = NearestNeighbors(n_neighbors=NEAR + 1).fit(x / np.where(scale > 0, scale, 1))
    others = near.kneighbors(return_distance=False)[:, :NEAR]
    classes = int(y.max()) + 1

    def right(y: np.ndarray) -> float:
        alike = (y[others] == y[:, None]).mean(1)
        return float(np.mean([alike[y == k].mean() for k in np.unique(y)]))

    generator = np.random.Generator(np.random.PCG64(1))
    dealt = [right(generator.permutation(y)) for _ in range(DEALT)]
    votes = np.zeros((len(y), classes))
    np.add.at(votes, (np.arange(len(y))[:, None], y[others]), 1)
    clear = votes.max(1) >= NEAR - 1
    against = float((votes.argmax(1) != y)[clear].mean()) if clear.sum() >= 30 else None
    return right(y), max(dealt), against


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        x, y = loss.rows, loss.labels
        if len(x) < 100 or len(np.unique(y)) < 2 or not np.isfinite(x).all():
            continue
        x, first = np.unique(x, axis=0, return_index=True)
        y = y[first].astype(np.int64)
        if len(x) < 100:
            continue
        order = np.random.Generator(np.random.PCG64(0)).permutation(len(x))[:MOST]
        x, y = x[order], y[order]
        column = _tells(x, y)
        if column is not None:
            yield say.fault(
                "label among the inputs",
                f"Number {column} of each row that comes to {loss.site} is its label, written otherwise.",
                "The label was left among the columns.",
                "Take the column out.",
                {"column": float(column)},
            )
            continue
        right, chance, agree = _neighbours(x, y)
        entropy = loss.late("cross-entropy", 0.25)
        found = {"neighbours alike": right, "by chance": chance}
        if right <= chance:
            yield say.fault(
                "labels without signal",
                f"Rows that are alike do not have like labels at {loss.site}: {right:.1%} of the nearest rows share a "
                f"row's label, each class counted alike; with labels dealt at random it would be up to {chance:.1%}.",
                "Labels were shuffled or joined to the wrong rows, or the rows say nothing about them.",
                "Compare a few rows with their labels by hand; no loss can help.",
                found,
                "Ojala & Garriga, 2010; Zhang et al., 2017",
            )
        elif agree is not None and agree > 0.15 and entropy is not None:
            yield say.fault(
                "wrong labels",
                f"About {agree:.0%} of the labels at {loss.site} contradict all rows that are like theirs.",
                "Labels were given carelessly, or mixed up in part.",
                "Look at these rows; or a loss that bears wrong labels (gce, symmetric-ce).",
                found | {"contradicted": agree},
                "Northcutt et al., 2021",
            )
    yield from _pairs(trace, say)


def _pairs(trace: Trace, say: Say) -> Iterator[Finding]:
    """Of pairs that are called alike or not: are alike ones nearer to each other?"""
    from scipy.stats import mannwhitneyu

    for loss in trace.losses.values():
        if not loss.judged:
            continue
        apart, alike = loss.judged
        near, far = apart[alike > 0.5], apart[alike <= 0.5]
        if min(len(near), len(far)) < 100 or not np.isfinite(apart).all():
            continue
        test = mannwhitneyu(near, far, alternative="two-sided")
        share = float(test.statistic) / (len(near) * len(far))
        wide = 2 * ((len(apart) + 1) / (12 * len(near) * len(far))) ** 0.5  # twice the error of that share
        if test.pvalue > 0.05 and 0.5 + abs(share - 0.5) + wide < WEAK:
            yield say.fault(
                "labels without signal",
                f"Pairs that {loss.site} is told are alike lie as far apart as others do: of one of each the alike "
                "one is the "
                f"nearer in {1 - share:.1%} of {len(apart)} pairs (p = {test.pvalue:.2f}).",
                "Labels were shuffled or dealt at random, or the rows are noise.",
                "Compare a few pairs by hand; no loss can help.",
                {"alike one nearer": 1 - share, "p": float(test.pvalue)},
                "Ojala & Garriga, 2010; Zhang et al., 2017",
            )
