"""Classifiers: their softmax, their labels, and what they say."""

import math

import numpy as np
import pytest

from .case import Case, findings, found
from .traces import classifier, denoiser, embedder, flat, gan, grouped, having, noise_contrast, normal

EVENLY = {"loss: fact even targets": 1.0}
NAN = flat(float("nan"))
WRONG = [10.1 * math.log(4), *flat(1)]
PINNED, PINNED_AT_1 = ({"loss: range of logits": widest, "loss: accuracy": 0.9} for widest in (1.9, 1.0))
POORLY, STOOD = {"loss: accuracy": 0.3}, flat(1.0)
GUESS = {"loss: accuracy": 0.01, "loss: classes predicted": 1.0}
ONE_CLASS = GUESS | {"loss: largest class": 0.8}
ROWS, LABELS = grouped([[k % 4] * 6 for k in range(20)])
MIXED = np.concatenate([[3], LABELS[1:]])
SHUFFLED = {"loss: labels": np.random.default_rng(0).permutation(LABELS)}
MANY = {"loss: rows": grouped([[0] * 6] * 100)[0]}


def same(different, rows=128):
    """Rows of a few kinds."""
    return np.resize(normal(different, 3), (rows, 3))


def beside(column):
    """Rows with one column more."""
    return np.column_stack([ROWS, np.broadcast_to(column, len(ROWS))])


def wrong(groups, of=100, mixed=0):
    """Labels of groups of six; in some of the groups one label is another, and in the last ones three are."""
    labels = np.repeat(np.arange(of) % 5, 6).reshape(of, 6)
    labels[:groups, 0] += 1
    labels[of - mixed :, :3] += 1
    return labels.flatten() % 5


def noisy(share, classes=5):
    """Labels of groups of six, a share of which are dealt anew."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(100) % classes, 6)
    anew = generator.random(600) < share
    labels[anew] = generator.integers(0, classes, anew.sum())
    return labels


CASES = [
    Case("softmax", "contract: softmax twice", classifier, "loss: fact twice", 1.0, 0.0),
    Case("softmax", "contract: softmax axis", classifier, "loss: fact axis", 0, -1),
    Case("softmax", "contract: softmax axis", classifier, "loss: fact classes", 4, 64, {"loss: fact axis": 0}),
    Case("softmax", "contract: sign", classifier, "loss: fact weight", -1e-9, 0.0),
    Case("every_pair", "contract: every pair", embedder, "loss: fact every pair", 1.0, 0.0),
    Case("wrong_loss", "contract: wrong loss", classifier, "loss: fact whole targets", 3.0, 0.0, EVENLY),
    Case("wrong_loss", "contract: wrong loss", classifier, "loss: fact even targets", 1.0, 0.0,
         {"loss: fact whole targets": 3.0}),  # counts die out
    Case("start", "weights too large at the start", classifier, "loss: cross-entropy", [13.9, *flat(1)],
         [13.8, *flat(99)], outcome="poor"),  # 10 log 4
    Case("start", "weights too large at the start", classifier, "loss: fact classes", 2, 1,
         {"loss: cross-entropy": WRONG}, outcome="poor"),
    Case("start", "weights too large at the start", classifier, "loss: fact pairs", 0.0, 1.0,
         {"loss: cross-entropy": WRONG}, outcome="poor"),
    Case("start", "weights too large at the start", classifier, "loss: entropy of labels", 1.05, 1.06,
         {"loss: cross-entropy": WRONG}, outcome="poor", window=1.0),  # it tells something by now
    Case("bounded", "bounded logits", classifier, "loss: range of logits", flat(2.0), [*flat(2.0), 2.01],
         {"loss: cross-entropy": 0.5}),
    Case("bounded", "bounded logits", classifier, "loss: range of logits", flat(2.0, 5), flat(2.0, 4),
         {"loss: cross-entropy": 0.5}),
    Case("bounded", "bounded logits", classifier, "loss: range of logits", flat(1.0), [*flat(1.0), 1.9],
         PINNED | {"loss: cross-entropy": 1.0}, outcome="good"),
    Case("bounded", "bounded logits", classifier, "loss: fact twice", 0.0, 1.0, PINNED | {"loss: cross-entropy": 0.5}),
    Case("bounded", "bounded logits", classifier, "loss: cross-entropy", 0.96, 0.98, PINNED, outcome="good",
         window=0.25),  # 0.6 of the way from the least that a range of 2 allows (0.34) to log 4
    Case("bounded", "bounded logits", classifier, "loss: cross-entropy", 1.12, 1.14, PINNED_AT_1, outcome="good",
         window=0.25),
    Case("bounded", "bounded logits", classifier, "loss: accuracy", 0.649, 0.651,
         PINNED | {"loss: cross-entropy": 1.3}, window=0.25),
    Case("majority", "most frequent class only", classifier, "loss: largest class", 0.601, 0.6, GUESS, window=1),
    Case("majority", "most frequent class only", classifier, "loss: largest class", 0.901, 0.9,
         GUESS | {"loss: fact classes": 2}, window=1),
    Case("majority", "most frequent class only", classifier, "loss: accuracy", 0.829, 0.831, ONE_CLASS, window=0.25),
    Case("majority", "most frequent class only", classifier, "loss: fact pairs", 0.0, 1.0, ONE_CLASS),
    Case("majority", "most frequent class only", classifier, "loss: fact classes", 4, 0, ONE_CLASS),
    Case("majority", "most frequent class only", classifier, "loss: moves", {"net"}, set(), ONE_CLASS),
    Case("majority", "most frequent class only", classifier, "loss: classes predicted", flat(1), NAN, ONE_CLASS),
    Case("majority", "most frequent class only", classifier, "loss: classes predicted", 1.79, 1.8, ONE_CLASS,
         window=0.25),  # rare classes are predicted too
    Case("majority", "most frequent class only", classifier, "loss: entropy of labels", 1.0, 1.001,
         ONE_CLASS | {"loss: cross-entropy": 0.95}, window=1.0, healthy_level="note"),
    Case("guessing", "no better than guessing", classifier, "loss: accuracy", 0.369, 0.371, window=0.25),
    Case("guessing", "no better than guessing", classifier, "loss: moves", {"net"}, set(), GUESS),
    Case("guessing", "no better than guessing", classifier, "loss: fact pairs", 0.0, 1.0, GUESS),
    Case("guessing", "no better than guessing", classifier, "loss: cross-entropy", flat(1), NAN, GUESS),
    Case("guessing", "no better than guessing", classifier, "loss: largest class", flat(0.3), NAN, GUESS),
    Case("same_batch", "same rows again", classifier, "loss: rows", same(64), same(65), level="note"),
    Case("same_batch", "same rows again", classifier, "loss: rows", same(9, 64), same(9, 63), level="note"),
    Case("same_batch", "same rows again", classifier, "loss: fact labelled looks", 5.0, 4.0, {"loss: rows": same(9)},
         level="note"),
    Case("labels", "label among the inputs", classifier, "loss: rows", beside(3.0 - 2 * LABELS), beside(LABELS // 2)),
    Case("labels", "label among the inputs", classifier, "loss: rows", beside(LABELS), beside(MIXED)),
    Case("labels", "label among the inputs", classifier, "loss: labels", LABELS, 0 * LABELS,
         {"loss: rows": np.column_stack([beside(LABELS), np.ones(120)])}),  # one class is in any constant column
    Case("labels", "labels without signal", classifier, "loss: labels", *SHUFFLED.values(), LABELS),
    Case("labels", "labels without signal", classifier, "loss: rows", ROWS[:100], ROWS[:99], SHUFFLED),
    Case("labels", "labels without signal", classifier, "loss: rows", ROWS[:100], ROWS[[*range(99), 0]], SHUFFLED),
    Case("labels", "labels without signal", classifier, "loss: rows", ROWS, beside([np.nan, *flat(0, 119)]), SHUFFLED),
    Case("labels", "wrong labels", classifier, "loss: labels", wrong(91), wrong(90), MANY),  # more than 15 % of 600
    Case("labels", "wrong labels", classifier, "loss: labels", wrong(85, mixed=15), wrong(75, mixed=25), MANY),
    Case("labels", "wrong labels", classifier, "loss: labels", noisy(0.5), noisy(0.6), MANY),  # then little is known
    Case("labels", "wrong labels", classifier, "loss: labels", noisy(0.4, 2), noisy(0.1, 2), MANY, level="note"),
    Case("labels", "wrong labels", classifier, "loss: labels", noisy(0.4, 3), noisy(0.1, 3), MANY),
    Case("labels", "wrong labels", classifier, "loss: cross-entropy", flat(1), NAN, MANY | {"loss: labels": wrong(99)}),
    Case("stagnation", "stagnation", classifier, "loss: values",
         [*STOOD[:15], *flat(0.951, 5)], [*STOOD[:15], *flat(0.949, 5)], POORLY),
    Case("stagnation", "stagnation", classifier, "loss: values", STOOD, [*flat(1.06, 5), *flat(1)], POORLY),
    Case("stagnation", "stagnation", classifier, "loss: moves", {"net"}, set(),
         POORLY | {"loss: values": STOOD}),  # whose loss passes through it is a player's
    Case("stagnation", "stagnation", classifier, "loss: accuracy", 0.369, 0.371, {"loss: values": STOOD}, window=0.25),
    Case("stagnation", "stagnation", denoiser, "loss: explained", 0.029, 0.03, {"loss: values": STOOD}, window=0.25),
    Case("stagnation", "stagnation", classifier, "loss: accuracy", flat(0.3), [], {"loss: values": STOOD}),
    Case("stagnation", "stagnation", noise_contrast, "loss: binary accuracy", 0.519, 0.521, {"loss: values": STOOD},
         window=0.25),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_finding_starts_at_its_threshold(case):
    case.check()


def test_the_losses_of_players_need_not_fall():
    stood = {"judge's loss: values": STOOD, "judge's loss: binary accuracy": 0.5, "maker's loss: values": STOOD}
    assert found("stagnation", having(gan(), stood)) == {}


def test_columns_of_any_unit_are_compared():
    """A column of noise in large numbers hides no neighbour, nor does a constant one."""
    assert found("labels", having(classifier(), {"loss: rows": beside(1e6 * normal(120, 1)[:, 0])})) == {}
    constants = np.ones((600, 1)) * np.random.default_rng(0).normal(size=16)  # whose spread is what rounding leaves
    given = {"loss: rows": np.column_stack([*MANY.values(), constants]), "loss: labels": wrong(99)}
    assert found("labels", having(classifier(), given)) == {"wrong labels": "fault"}


def test_a_weak_signal_is_one():
    """Rows of which a line knows a little, and neighbours nothing that could be seen."""
    rows = normal(1000, 10)
    labels = (rows[:, 0] / 2 + np.random.default_rng(3).logistic(size=1000) > 0).astype(int)
    assert found("labels", having(classifier(), {"loss: rows": rows, "loss: labels": labels})) == {}
    (told,) = found("labels", having(classifier(), {"loss: rows": rows, "loss: labels": np.roll(labels, 1)}))
    assert told == "labels without signal"


def test_the_least_loss_of_a_softmax_twice_is_said():
    (finding,) = findings("softmax", having(classifier(), {"loss: fact twice": 1.0}))
    assert finding.evidence["least loss"] == pytest.approx(-math.log(math.e / (math.e + 3)))
