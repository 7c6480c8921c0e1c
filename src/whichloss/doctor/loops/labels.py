"""Labels that the rows do not tell, tell too well, or that contradict like rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...task import Finding
from ..outcome import mixed
from ..say import Say
from ..trace import Trace

MOST, NEAR, DEALT = 1200, 5, 100  # rows; neighbours; how often labels are dealt at random
WIDEST = 50  # directions of the rows, in which a line may tell the labels
WRONG = 0.15  # of the labels contradict
KNOWN = 0.15  # of what chance leaves, neighbours tell
EVEN = 0.8  # of what they would tell if labels were wrong at random: where classes overlap, they tell less
WEAK = 0.6  # of pairs in the right order: a signal may hide below that, at most


def _tells(x: np.ndarray, y: np.ndarray) -> int | None:
    """A column that has one value for each class, if there is one."""
    classes = len(np.unique(y))
    for j in range(x.shape[1]):
        values = np.unique(x[:, j])
        if len(values) == classes and all(len(np.unique(y[x[:, j] == v])) == 1 for v in values):
            return j
    return None


@dataclass(frozen=True)
class _Signal:
    """What rows tell of labels, each class counted alike."""

    alike: float  # how often neighbours share a label
    dealt: float  # how often they would if labels were dealt, the most of many
    line: float  # the share of the classes' variance that a line in the rows' widest directions explains
    dealt_line: float
    against: float  # the share of labels that contradict their neighbours, where these agree
    least: float  # share that neighbours would have to agree in if those labels were wrong at random, and no others

    @property
    def nothing(self) -> bool:
        """Neither neighbours nor a line know more than they would of labels that were dealt."""
        return self.alike <= self.dealt and self.line <= self.dealt_line


def _signal(x: np.ndarray, y: np.ndarray) -> _Signal:
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    x = StandardScaler().fit_transform(x.astype(np.float64))
    others = NearestNeighbors(n_neighbors=NEAR + 1).fit(x).kneighbors(return_distance=False)[:, :NEAR]
    widest = PCA(min(WIDEST, x.shape[1], len(x) // 4), random_state=0).fit_transform(x)
    sizes = np.linalg.norm(widest, axis=0)
    widest = (widest / np.maximum(sizes, 1e-300))[:, sizes > 1e-6 * sizes.max()]
    names, y = np.unique(y, return_inverse=True)
    classes = len(names)
    members = np.eye(classes)

    def alike(y: np.ndarray) -> float:
        return float(np.mean([(y[others] == y[:, None]).mean(1)[y == k].mean() for k in range(classes)]))

    def line(y: np.ndarray) -> float:
        one = members[y] - members[y].mean(0)
        return float(((widest.T @ one) ** 2).sum(0) @ (1 / (one**2).sum(0))) / classes

    generator = np.random.Generator(np.random.PCG64(1))
    dealt = [(alike(z), line(z)) for z in (generator.permutation(y) for _ in range(DEALT))]
    votes = members[y[others]].sum(1)
    clear = votes.max(1) >= NEAR - 1
    against = float((votes.argmax(1) != y)[clear].mean()) if clear.any() else 0.0
    spread = (1 - against) ** 2 + against**2 / (classes - 1)
    least = 1 / classes + EVEN * (spread - 1 / classes)
    return _Signal(alike(y), max(a for a, _ in dealt), line(y), max(b for _, b in dealt), against, least)


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        x, y = loss.rows, loss.labels
        if mixed(loss) or len(x) < 100 or len(np.unique(y)) < 2 or not np.isfinite(x).all():
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
        told, entropy = _signal(x, y), loss.late("cross-entropy", 0.25)
        found = {"neighbours alike": told.alike, "by chance": told.dealt}
        if told.nothing:
            yield say.fault(
                "labels without signal",
                f"Rows that are alike do not have like labels at {loss.site}: {told.alike:.1%} of the nearest rows "
                "share a row's label, each class counted alike; with labels dealt at random it would be up to "
                f"{told.dealt:.1%}. A line in the rows tells no more of them either.",
                "Labels were shuffled or joined to the wrong rows, or the rows say nothing about them.",
                "Compare a few rows with their labels by hand; no loss can help.",
                found,
                "Ojala & Garriga, 2010; Zhang et al., 2017",
            )
        elif (
            told.against > WRONG
            and told.alike >= told.least
            and told.alike - told.dealt > KNOWN * (1 - told.dealt)
            and entropy is not None
        ):
            two = len(np.unique(y)) == 2  # classes that overlap look the same
            yield say.told(
                not two,
                "wrong labels",
                f"About {told.against:.0%} of the labels at {loss.site} contradict all rows that are like theirs, and "
                "they do so everywhere.",
                "Labels were given carelessly, or mixed up in part"
                + "; or the two classes overlap." * two
                + "." * (not two),
                "Look at these rows; or a loss that bears wrong labels (gce, symmetric-ce).",
                found | {"contradicted": told.against},
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
