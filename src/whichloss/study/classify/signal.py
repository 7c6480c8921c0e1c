"""Before training, in seconds: is there anything to learn, does a column give the label away, which labels look wrong?

The probe is kernel ridge regression of the labels on the ranks of the columns, ten-fold cross-fitted. It is linear in
the labels, so that one solved system serves every permutation of them (Ojala & Garriga, 2010) and every fold b:

    A = (K + r I)^-1,    predicted_b = -A_bb^-1 A_b,rest Y_rest,    statistic = sum_c <Y_c, predicted_c> / |Y_c|^2

with Y_c a class, centred on its share. Everything is measured on samples, so that time does not grow with the rows.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from ...data import Encoder, Pictures, Schema
from ...metrics import labels as scores
from ...rng import key
from ..judge import Judge, Preflight
from .anchors import logits

if TYPE_CHECKING:
    from .judge import Labelled

PROBED = 1500  # rows of the probe, at most; half of it beyond FEW_CLASSES classes
FEW_CLASSES = 20
PERMUTATIONS = 499
LEVEL = 0.01  # p at or above: no signal that a cheap probe can see
FOLDS = 10
RIDGE = 1.0
WIDTHS = (0.5, 1.0, 2.0)
AMOUNTS = ("number", "integer", "date")
SUREST = 0.25  # of the rows; there the probe is as good as right
UNEVEN = (2, 9)  # times as frequent: one class as another; one value of a label as the other
NOISY = 0.1  # share of contradicted labels from which it is said: classes that overlap reach several percent
SUSPECTS = 10
ROPE_ROWS = 5000  # that logistic regression learns from, at most
GIVES_AWAY = 0.98  # balanced accuracy from one column, or from the difference of two, that is called a leak
PROMISING = 0.9  # on SCREENED rows, for a difference to be looked at on LEAK_ROWS
LEAK_ROWS, SCREENED = 2000, 400
PAIRED = 64  # number columns whose differences are looked at, at most
LOOKED_AT = 20  # labels searched for leaks where rows have several, at most
NEAR = 5  # rows on either side, in the order of a column, that vote
CHANCE = 1e-6  # that all rows without a value have one label
ONE_EACH = 100  # groups from which the probe takes one row each


class Leak(msgspec.Struct, frozen=True):
    """A column, or two by their difference, that alone predicts the label; `label` where rows have several."""

    columns: tuple[str, ...]
    balanced_accuracy: float
    label: str = ""


class Absence(msgspec.Struct, frozen=True):
    """A column whose rows without a value all have one label."""

    column: str
    label: str
    rows: int


class Suspect(msgspec.Struct, frozen=True):
    """A row whose label the other rows contradict."""

    row: int  # counted from 1
    label: str
    likely: str
    probability: float  # of the given label
    file: str = ""  # of a picture


class Signal(Preflight, frozen=True, kw_only=True):
    """p: of the permutation test; accuracy and chance: balanced, of the probe and 95 % of shuffled labels."""

    p: float
    accuracy: float
    chance_low: float
    chance_high: float
    probed: int
    counts: dict[str, int]
    all_rows: int
    several: bool  # labels a row may have, each counted
    duplicates: int  # test rows that stand among the other rows too
    contradicting: int  # of these, with another label
    leaks: tuple[Leak, ...]
    absences: tuple[Absence, ...]
    noise: float  # share of labels that contradict the probe where it is surest: wrong ones, if classes do not overlap
    suspects: tuple[Suspect, ...]
    pictures: bool = False  # which have no columns: no leaks are looked for

    @property
    def imbalance(self) -> float:
        """The most frequent class against the rarest; of several labels, the most uneven one's two values."""
        if self.several:
            return max(max(c, self.all_rows - c) / max(1, min(c, self.all_rows - c)) for c in self.counts.values())
        return max(self.counts.values()) / max(1, min(self.counts.values()))

    @property
    def guessed(self) -> float | None:
        """Mean recall of guesses, and two standard errors: each class has its share of the judging rows."""
        if self.p < LEVEL:
            return None
        sizes = [self.rows * count / self.all_rows for count in self.counts.values()]
        if self.several:
            sizes += [self.rows - size for size in sizes]
        chance = 1 / (2 if self.several else len(self.counts))
        variance: float = chance * (1 - chance) * sum(1 / max(size, 1) for size in sizes) / len(sizes) ** 2
        return chance + 2 * math.sqrt(variance)

    def refusal(self, judge: Judge) -> str:
        """Refuse where a cheap probe sees no signal."""
        if self.p < LEVEL:
            return ""
        return (
            f"no signal in these labels that a cheap probe can see: it predicts {self.accuracy:.1%} of the rows "
            f"(balanced over classes), and with shuffled labels {self.chance_low:.1%} to {self.chance_high:.1%} "
            f"(p = {self.p:.2g}, {self.probed:,} rows). Are labels and rows in the same order? "
            "--anyway trains regardless."
        )

    def cautions(self) -> tuple[str, ...]:
        """Leaks, duplicates, noise and imbalance, in sentences."""
        said = []
        if self.p >= LEVEL:
            said.append(f"A cheap probe saw no signal in these labels (p = {self.p:.2g}); trained because asked to.")
        for leak in self.leaks:
            what, label = " minus ".join(leak.columns), f"the label {leak.label}" if leak.label else "the label"
            said.append(f"{what} alone gives {label} away ({leak.balanced_accuracy:.1%}): is it known in advance?")
        for label in dict.fromkeys(a.label for a in self.absences):
            columns = " or ".join(a.column for a in self.absences if a.label == label)
            said.append(f"Where {columns} has no value, the label is always {label}: is it known in advance?")
        if self.duplicates:
            said.append(
                f"{self.duplicates:,} test rows stand among the training or validation rows too "
                f"({self.contradicting:,} with another label): scores on them are too good, or cannot be good."
            )
        return tuple(said)

    def why(self) -> tuple[str, ...]:
        """The measured facts that decide between losses."""
        said = []
        if self.noise >= NOISY and self.p < LEVEL:  # a probe that sees nothing contradicts at random
            said.append(
                f"{self.noise:.0%} of the labels contradict a cheap probe where it is surest: about as many are wrong, "
                f"unless {'pictures this small' if self.pictures else 'these columns'} do not tell the classes apart."
            )
        if self.imbalance >= UNEVEN[self.several]:
            said.append(self.unevenness())
        return tuple(said)

    def unevenness(self) -> str:
        """How uneven the classes are, in a sentence."""
        if self.several:
            name, count = max(self.counts.items(), key=lambda pair: abs(2 * pair[1] - self.all_rows))
            return f"Labels are uneven: '{name}' stands on {count / self.all_rows:.1%} of the rows."
        rare = min(self.counts, key=lambda name: self.counts[name])
        return f"The classes are uneven: the most frequent has {self.imbalance:.0f} times the rows of '{rare}'."

    def facts(self) -> dict[str, Any]:
        """With what they mean for the choice, in words."""
        return super().facts() | {"why": list(self.why()), "imbalance": self.imbalance}


def measure(judge: "Labelled") -> Signal:
    """All of it, on samples of the rows that are not test rows; only duplicates are looked for among all."""
    labels, rest = judge.labels, judge.rest
    generator = np.random.Generator(np.random.PCG64(key("signal")))
    most = PROBED if len(labels.names) <= FEW_CLASSES else PROBED // 2
    free = exchangeable(judge, generator)
    chosen = free[balanced(labels.strata[free], most, generator)]
    h = probe(judge.ranked(chosen), folds(judge, chosen, generator))
    p, accuracy, low, high = permutation_test(h, ones(judge, chosen), generator)
    drawn = np.sort(generator.permutation(rest)[:most])  # with the classes' shares as they are
    if not np.array_equal(drawn, chosen):
        h = probe(judge.ranked(drawn), folds(judge, drawn, generator))
    noise, suspects = label_noise(judge, drawn, h)
    copies, contradicting = duplicates(judge)
    counts = ones(judge, np.arange(len(judge.table))).sum(0).astype(int)
    return Signal(
        rows=judge.size(1),
        rope=rope(judge, generator),
        p=p, accuracy=accuracy, chance_low=low, chance_high=high, probed=len(chosen),
        counts=dict(zip(labels.names, counts.tolist(), strict=True)),
        all_rows=len(judge.table),
        several=labels.kind == "several",
        duplicates=copies,
        contradicting=contradicting,
        leaks=tuple(leaks(judge, generator)),
        absences=tuple(absences(judge)),
        noise=noise,
        suspects=suspects if p < LEVEL else (),
        pictures=isinstance(judge.table, Pictures),
    )  # fmt: skip


def rope(judge: "Labelled", generator: np.random.Generator) -> float:
    """The noise of the score: what another test set of this size would change, for logistic regression."""
    rows = np.sort(generator.permutation(judge.split(1).train)[:ROPE_ROWS])
    x, asked = judge.plain(rows, judge.numbers(1, "test"))
    (z,) = logits("logistic regression", x, judge.labels.codes[rows], len(judge.labels.names), [asked], 1)
    return scores.score(judge.noise_score, scores.predicted(torch.from_numpy(z), judge.truth(1, "test"))).se


def ones(judge: "Labelled", rows: np.ndarray) -> np.ndarray:
    """The labels of these rows as (n, K) of 0 and 1."""
    codes = judge.labels.codes[rows]
    return np.asarray(np.eye(len(judge.labels.names))[codes] if codes.ndim == 1 else codes)


def exchangeable(judge: "Labelled", generator: np.random.Generator) -> np.ndarray:
    """The rows that are not test rows; one of each group, where there are enough: a group's rows may share a label."""
    if judge.table.groups is None:
        return judge.rest
    order = generator.permutation(judge.rest)
    _, first = np.unique(judge.table.groups[order], return_index=True)
    return np.sort(order[first]) if len(first) >= ONE_EACH else judge.rest


def balanced(strata: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """Row numbers, at most `most`: one of each class in turn, so that rare classes count."""
    order = generator.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    _, first, sizes = np.unique(strata[order], return_index=True, return_counts=True)
    turn = np.arange(len(order)) - np.repeat(first, sizes)
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])


def folds(judge: "Labelled", rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The fold of each row; groups stay whole."""
    groups = np.arange(len(rows)) if judge.table.groups is None else judge.table.groups[rows]
    names, place = np.unique(groups, return_inverse=True)
    return np.asarray((generator.permutation(len(names)) % FOLDS)[place])


def ranked(schema: Schema, values: np.ndarray) -> np.ndarray:
    """Rows (n, columns) encoded, with ranks in place of amounts: no far value can hide the others."""
    from scipy.stats import rankdata

    values = values.copy()
    for j, column in enumerate(schema.columns):
        if column.kind in AMOUNTS:
            values[:, j] = rankdata(values[:, j], nan_policy="omit")
    return Encoder.fit(schema, values).encode(values).astype(np.float64)


def probe(x: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """H (n, n), predicted = H Y, where row i leaves out its fold; K is the mean of Gaussian and linear kernels."""
    n = len(x)
    inner = x @ x.T
    squares = np.maximum(np.diag(inner)[:, None] + np.diag(inner) - 2 * inner, 0)
    middle = np.median(squares[~np.eye(n, dtype=bool)]) or 1.0
    k = inner / max(np.trace(inner) / n, 1e-9)
    for w in WIDTHS:
        k += np.exp(-squares / (2 * w**2 * middle))
    a = np.linalg.inv(k / (len(WIDTHS) + 1) + RIDGE * np.eye(n))
    h = np.zeros((n, n))
    for f in np.unique(fold):
        out, rest = np.flatnonzero(fold == f), np.flatnonzero(fold != f)
        h[np.ix_(out, rest)] = -np.linalg.solve(a[np.ix_(out, out)], a[np.ix_(out, rest)])
    return h


def permutation_test(h: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[float, float, float, float]:
    """(p, balanced accuracy, and the 2.5 and 97.5 % points of that accuracy with shuffled labels); y (n, K) of 0, 1."""
    centred = y - y.mean(0)
    size = np.maximum((centred**2).sum(0), 1e-12)
    h32 = h.astype(np.float32)

    def look(order: np.ndarray) -> tuple[float, float]:
        said = h32 @ centred[order].astype(np.float32)
        return float(((said * centred[order]).sum(0) / size).sum()), _accuracy(said / np.sqrt(size), y[order])

    statistic, accuracy = look(np.arange(len(y)))
    null = [look(generator.permutation(len(y))) for _ in range(PERMUTATIONS)]
    above = sum(value >= statistic for value, _ in null)
    low, high = np.quantile([value for _, value in null], [0.025, 0.975])
    return (1 + above) / (1 + PERMUTATIONS), accuracy, float(low), float(high)


def _accuracy(said: np.ndarray, y: np.ndarray) -> float:
    """Mean recall of the class whose prediction stands highest above its share; of both values of several labels."""
    if np.all(y.sum(1) == 1):
        right = (said.argmax(1) == y.argmax(1)) @ y
        return float((right / np.maximum(y.sum(0), 1)).sum() / y.any(0).sum())
    right = (said > 0) == (y > 0)
    return float(np.mean([right[y[:, c] == v, c].mean() for c in range(y.shape[1]) for v in (0, 1)]))


def label_noise(judge: "Labelled", rows: np.ndarray, h: np.ndarray) -> tuple[float, tuple[Suspect, ...]]:
    """(share of wrong labels, the most suspect rows), from cross-fitted probabilities.

    The share that contradicts the probe on the quarter of the rows where it is surest: nearly all of it is noise unless
    no class is sure anywhere, which looks the same. Counting all contradictions (confident learning, Northcutt et al.,
    2021) takes overlapping classes for noise; its rule picks the suspects: labelled i, but p_j the largest and at
    least its mean over the rows labelled j.
    """
    y, names = ones(judge, rows), judge.labels.names
    p = np.clip(y.mean(0) + h @ (y - y.mean(0)), 1e-3, 1)
    owner, label = rows, [""] * len(rows)
    if judge.labels.codes.ndim > 1:  # a row for every label: absent or there
        owner, label = np.repeat(rows, len(names)), [f"{name} = " for name in names] * len(rows)
        p, y = (np.stack([1 - v.reshape(-1), v.reshape(-1)], axis=1) for v in (np.minimum(p, 1 - 1e-3), y))
        names = ("0", "1")
    p = p / p.sum(1, keepdims=True)
    given, at = y.argmax(1), np.arange(len(y))
    surest = np.argsort(-p.max(1), kind="stable")[: max(1, round(SUREST * len(p)))]
    noise = float((p[surest].argmax(1) != given[surest]).mean())
    limits = (p * y).sum(0) / np.maximum(y.sum(0), 1)
    likely = p.argmax(1)
    wrong = np.flatnonzero((likely != given) & (p[at, likely] >= limits[likely]))
    worst = wrong[np.argsort((p[at, given] - p[at, likely])[wrong], kind="stable")][:SUSPECTS]
    files = getattr(judge.table, "files", ()) or [""] * len(judge.table)
    return noise, tuple(
        Suspect(
            int(owner[i]) + 1,
            label[i] + names[given[i]],
            label[i] + names[likely[i]],
            float(p[i, given[i]]),
            files[owner[i]],
        )
        for i in worst
    )


def duplicates(judge: "Labelled") -> tuple[int, int]:
    """(test rows that are equal to a row outside, those of them with another label)."""
    rows, test, rest = judge.marks(), judge.split(1).test, judge.rest
    with_label = hashed(judge.labels.columns.astype(np.float64), rows)
    known = np.isin(rows[test], rows[rest])
    return int(known.sum()), int((known & ~np.isin(with_label[test], with_label[rest])).sum())


def hashed(values: np.ndarray, seed: np.ndarray | int = 0) -> np.ndarray:
    """64 bits of each row: that two of a million rows share theirs by chance has probability 3e-8."""
    out = np.zeros(len(values), np.uint64) + np.uint64(seed)
    for column in values.T:
        bits = np.where(np.isnan(column), np.nan, column + 0.0).view(np.uint64)  # one nan, one zero
        out = (out ^ bits) * np.uint64(0x9E3779B97F4A7C15)
        out ^= out >> np.uint64(29)
        out *= np.uint64(0xBF58476D1CE4E5B9)
        out ^= out >> np.uint64(32)
    return out


def leaks(judge: "Labelled", generator: np.random.Generator) -> Iterator[Leak]:
    """Columns, and differences of two number columns, from which the label of a row is read off its neighbours."""
    columns = judge.schema.columns
    for name, codes, classes in _labels(judge) if columns else ():
        rows = judge.rest[balanced(codes[judge.rest], LEAK_ROWS, generator)]
        rows = generator.permutation(rows)  # the order decides among equal values
        values, y = judge.inputs[rows], codes[rows]
        found = alone(values, y, classes)
        for j, column in enumerate(columns):
            if column.kind in ("category", "boolean"):
                found[j] = by_level(values[:, j], y, classes)
        yield from (Leak((c.name,), float(v), name) for c, v in zip(columns, found, strict=True) if v >= GIVES_AWAY)
        numbers = [j for j, c in enumerate(columns) if c.kind in AMOUNTS and found[j] < GIVES_AWAY][:PAIRED]
        first, second = (np.array(numbers, np.int64)[k] for k in np.triu_indices(len(numbers), 1))
        few = balanced(y, SCREENED, generator)
        good = alone(gaps(values[few], first, second), y[few], classes) >= PROMISING
        first, second = first[good], second[good]
        for a, b, v in zip(first, second, alone(gaps(values, first, second), y, classes), strict=True):
            if v >= GIVES_AWAY:
                yield Leak((columns[a].name, columns[b].name), float(v), name)


def _labels(judge: "Labelled") -> list[tuple[str, np.ndarray, int]]:
    """(name, codes (n,), classes) of the label, or of each of several."""
    target = judge.labels
    if target.codes.ndim == 1:
        return [("", target.codes, len(target.names))]
    return [(name, target.codes[:, c].astype(np.int64), 2) for c, name in enumerate(target.names)][:LOOKED_AT]


def alone(values: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """(columns,) balanced accuracy of each column of (n, columns): a row's neighbours in its order vote."""
    n, sizes = len(y), np.bincount(y, minlength=classes)
    own = y[np.argsort(values, axis=0, kind="stable")]  # missing values come last
    low, high = np.maximum(np.arange(n) - NEAR, 0), np.minimum(np.arange(n) + NEAR + 1, n)
    best, said = np.zeros(own.shape), np.full(own.shape, -1)
    for c in np.flatnonzero(sizes):
        total = np.concatenate([np.zeros((1, own.shape[1]), np.int64), np.cumsum(own == c, axis=0)])
        votes = (total[high] - total[low] - (own == c)) / sizes[c]
        said = np.where(votes > best, c, said)
        best = np.maximum(votes, best)
    hits = [((said == c) & (own == c)).sum(0) / sizes[c] for c in np.flatnonzero(sizes)]
    return np.asarray(np.mean(hits, axis=0))


def by_level(values: np.ndarray, y: np.ndarray, classes: int) -> float:
    """The same for a category: the other rows of the same level vote."""
    _, level = np.unique(values, return_inverse=True)
    own, sizes = np.eye(classes)[y], np.bincount(y, minlength=classes)
    counts = np.zeros((level.max() + 1, classes))
    np.add.at(counts, level, own)
    votes = (counts[level] - own) / np.maximum(sizes, 1)
    return float(((votes.argmax(1) == y) @ own)[sizes > 0].dot(1 / sizes[sizes > 0]) / (sizes > 0).sum())


def gaps(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Differences of columns; of two columns of clock times (hhmm) in minutes, the shorter way around the clock."""
    out = np.asarray(values[:, first] - values[:, second])
    clock = np.array([is_clock(column) for column in values.T], bool)
    both = clock[first] & clock[second]
    minutes = values // 100 * 60 + values % 100
    out[:, both] = (minutes[:, first[both]] - minutes[:, second[both]] + 720) % 1440 - 720
    return out


def is_clock(column: np.ndarray) -> bool:
    """Whole numbers from 0 to 2400, many, whose last two digits are below 60."""
    known = column[~np.isnan(column)]
    fits = (known >= 0) & (known <= 2400) & (known % 100 < 60) & (known == np.round(known))
    return bool(fits.all() and len(np.unique(known)) >= 50)


def absences(judge: "Labelled") -> Iterator[Absence]:
    """Columns whose missing values tell the label: so many have the same that chance is out of the question."""
    for j, column in enumerate(judge.schema.columns):
        gone = np.isnan(judge.inputs[judge.rest, j])
        if not gone.any():
            continue
        for name, codes, _ in _labels(judge):
            y = codes[judge.rest]
            only = y[gone][0]
            if (y[gone] == only).all() and (y == only).mean() ** gone.sum() < CHANCE:
                said = f"{name} = {only}" if name else f"'{judge.labels.names[only]}'"
                yield Absence(column.name, said, int(gone.sum()))
