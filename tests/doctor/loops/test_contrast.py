"""Pairs of rows, embeddings and their temperatures."""

import math

import numpy as np
import pytest

from .case import Case, findings, found
from .traces import contrastive, embedder, flat, gan, having, judged_pairs, normal

NAN = flat(float("nan"))
LOG = math.log(64)
HIGH = {"loss: cross-entropy": 0.92 * LOG, "loss: range of logits": 0.4, "loss: accuracy": 0.2}
LOW = {"loss: cross-entropy": 0.6 * LOG, "loss: largest share": flat(0.96)}
LEARNT = {"loss: accuracy": 0.95}
TWINS = {"loss: doubles": 0.5}
FEW = {"loss: effective rank": 5.0, "loss: accuracy": 0.7}
COSINES = {"loss: least score": -1.0, "loss: most score": 1.0}
CROWD = COSINES | {"loss: mean score of others": 0.7, "loss: spread of others": 0.1}
ALIKE = [*flat(0.9, 15), *flat(0.1, 5)]
LIKE = {"loss: spread of lengths": [0.021]}
ROWS = normal(150, 3, seed=9)


def joined(shuffled=False, kinds=(150, 150), bad=None):
    """Two sides of pairs, joined rightly or dealt at random; of so many kinds; one side with a bad number."""
    sides = [ROWS, ROWS + normal(150, 3, seed=10)]
    if shuffled:
        sides[1] = np.random.default_rng(0).permutation(sides[1])
    sides = [np.resize(side[:n], side.shape) for side, n in zip(sides, kinds, strict=True)]
    if bad is not None:
        sides[bad][0, 0] = np.nan
    return {("one", "other"): tuple(sides)}


def judged(shift, n=100):
    """Distances of so many pairs that are alike, and of as many that are not, which are larger by this rank."""
    apart = np.concatenate([np.arange(n), np.arange(n) + shift + 0.5])
    return apart, np.repeat([1.0, 0.0], n)


def between(start, end):
    """A curve from its first three looks to most of its last five, and elsewhere at neither."""
    return [start, start, 9, *flat(0, 12), end, end, end, 9, 0]


CASES = [
    Case("normal", "contract: not normalised", contrastive, "loss: spread of lengths", [0, 0.021], [0, 0.02]),
    Case("normal", "contract: not normalised", contrastive, "loss: fact pairs", 1.0, 0.0, LIKE),
    Case("contrast", "equal rows in a batch", contrastive, "loss: doubles", 0.051, 0.05, window=1),
    Case("contrast", "equal rows in a batch", contrastive, "loss: doubles", 0.051, 0.05, LEARNT, window=1,
         level="note"),
    Case("contrast", "equal rows in a batch", contrastive, "loss: accuracy", 0.899, 0.9, TWINS, window=0.25,
         healthy_level="note"),
    Case("contrast", "equal rows in a batch", contrastive, "loss: fact pairs", 1.0, 0.0, TWINS),
    Case("contrast", "equal rows in a batch", contrastive, "loss: accuracy", flat(0.8), NAN, TWINS),
    Case("contrast", "equal rows in a batch", contrastive, "loss: cross-entropy", flat(1), NAN, TWINS),
    Case("contrast", "temperature too high", contrastive, "loss: range of logits", 0.499, 0.5, HIGH, window=1),
    Case("contrast", "temperature too high", contrastive, "loss: cross-entropy", 0.901 * LOG, 0.899 * LOG, HIGH,
         window=0.25),
    Case("contrast", "temperature too low", contrastive, "loss: largest share", [0.951, *flat(0)], [0.95, *flat(1)],
         LOW),
    Case("contrast", "temperature too low", contrastive, "loss: cross-entropy", 0.501 * LOG, 0.499 * LOG, LOW,
         outcome="good", window=0.25),
    Case("contrast", "temperature too low", contrastive, "loss: accuracy", 0.507, 0.509,
         LOW | {"loss: cross-entropy": 0.3 * LOG}, window=0.25),  # half of the way from guessing
    Case("contrast", "temperature too low", contrastive, "loss: cross-entropy", [*flat(20.1 * LOG, 3), *flat(1, 17)],
         [*flat(19.9 * LOG, 3), *flat(1, 17)], LOW | {"loss: accuracy": 0.8}),
    Case("contrast", "temperature too low", contrastive, "loss: largest share", flat(1, 5), flat(1, 4), LOW),
    Case("contrast", "embedding collapse", contrastive, "loss: mean cosine", 0.951, 0.95, window=0.25, level="told"),
    Case("contrast", "embedding collapse", contrastive, "loss: effective rank", 1.49, 1.5, LEARNT, window=0.25,
         level="note"),
    Case("contrast", "embedding collapse", contrastive, "loss: effective rank", 1.49, 1.5, window=0.25, level="told",
         also={"dimensional collapse"}),
    Case("contrast", "embedding collapse", contrastive, "loss: fact directions", 2.0, 1.0,
         {"loss: effective rank": 1.0}, level="told"),  # two rows lie on a line whatever they are
    Case("contrast", "dimensional collapse", contrastive, "loss: effective rank", 6.39, 6.41, FEW, window=0.25,
         level="note"),
    Case("contrast", "dimensional collapse", contrastive, "loss: accuracy", 0.507, 0.509, FEW, window=0.25,
         healthy_level="note"),
    Case("contrast", "dimensional collapse", contrastive, "loss: accuracy", 0.899, 0.9, FEW, window=0.25, level="note"),
    Case("contrast", "pairs not found", contrastive, "loss: cross-entropy", 0.931 * LOG, 0.929 * LOG, window=0.25),
    Case("contrast", "pairs not found", contrastive, "loss: accuracy", 2.99 / 64, 3.01 / 64, window=0.25),
    Case("contrast", "pairs not found", contrastive, "loss: accuracy", 0.49, 0.51, {"loss: fact rows": 4},
         window=0.25),  # in small batches chance is high
    Case("pairs", "pairs without signal", contrastive, "trace: pairs", joined(shuffled=True), joined()),
    *(Case("pairs", "pairs without signal", contrastive, "trace: pairs", joined(True, enough), joined(True, few))
      for enough, few in (((100, 150), (99, 150)), ((150, 100), (150, 99)))),
    *(Case("pairs", "pairs without signal", contrastive, "trace: pairs", joined(True), joined(True, bad=side))
      for side in (0, 1)),
    Case("same_output", "embedding collapse", embedder, "net: spread of outputs", between(0.9, 0.449),
         between(0.9, 0.451)),
    Case("same_output", "embedding collapse", embedder, "net: spread of outputs", between(0.3, 0.249),
         between(0.3, 0.251)),  # it fell by a sixth
    Case("same_output", "embedding collapse", embedder, "net: spread of outputs", [0.1, 0.4, 0.4, *flat(0.3)],
         [0.1, 0.1, 0.4, *flat(0.3)]),
    Case("same_output", "embedding collapse", contrastive, "loss: fact pairs", 1.0, 0.0,
         {"one: spread of outputs": ALIKE}),
    Case("bounded", "bounded logits", judged_pairs, "loss: least score", flat(-1.0), [*flat(-1.0), -1.01], COSINES,
         level="told"),
    Case("bounded", "bounded logits", judged_pairs, "loss: most score", flat(1.0), [*flat(1.0), 1.01], COSINES,
         level="told"),
    Case("bounded", "bounded logits", judged_pairs, "loss: least score", flat(-1, 5), flat(-1, 4), COSINES,
         level="told"),
    Case("bounded", "bounded logits", judged_pairs, "loss: least score", [-0.701, *flat(0)], [-0.7, *flat(0)],
         {"loss: most score": 0.5}, level="told"),  # weaker scores are no cosines that reach their bound
    Case("bounded", "bounded logits", judged_pairs, "loss: most score", [0.701, *flat(0)], [0.7, *flat(0)],
         {"loss: least score": -0.5}, level="told"),
    Case("crowded", "embedding collapse", judged_pairs, "loss: mean score of others", 0.51, 0.5, CROWD, "poor", 0.25),
    Case("crowded", "embedding collapse", judged_pairs, "loss: spread of others", 0.19, 0.2, CROWD, "poor", 0.25),
    Case("crowded", "embedding collapse", judged_pairs, "loss: most score", flat(1.0), [*flat(1), 1.01], CROWD, "poor"),
    Case("bounded", "bounded logits", contrastive, "loss: range of logits", 0.851, 0.85, {"loss: accuracy": 0.3},
         window=0.25),
    Case("bounded", "bounded logits", contrastive, "loss: range of logits", 1.701, 1.7, {"loss: accuracy": 0.3},
         window=0.25),  # weak logits are just weak, at the end
    Case("bounded", "bounded logits", judged_pairs, "loss: fact logits", 1.0, 0.0, COSINES, level="told"),
    Case("bounded", "bounded logits", judged_pairs, "loss: share of ones", flat(0.5), NAN, COSINES, level="told"),
    Case("labels", "labels without signal", judged_pairs, "loss: judged", judged(15, 400), judged(16, 400)),
    *(Case("labels", "labels without signal", judged_pairs, "loss: judged", judged(weak), judged(unsure))
      for weak, unsure in ((1, 2), (-2, -3))),  # 0.6 is within twice the error, or 0.4
    *(Case("labels", "labels without signal", judged_pairs, "loss: judged", judged(0), [x[few] for x in judged(0)])
      for few in (slice(1, None), slice(-1))),  # 100 pairs of either kind
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_finding_starts_at_its_threshold(case):
    case.check()


def test_a_judge_that_guesses_at_the_end_gives_no_bounded_logits():
    weak = {
        "fact logits": 1.0,
        "share of ones": 0.5,
        "mean score": 0.0,
        "least score": -1.0,
        "most score": 1.0,
        "binary accuracy": 0.5,
    }
    for loss in ("judge's loss", "maker's loss"):
        assert found("bounded", having(gan(), {f"{loss}: {name}": value for name, value in weak.items()})) == {}


def test_targets_and_games_keep_outputs_apart():
    alike = {"net: spread of outputs": ALIKE}
    assert found("same_output", having(embedder(), alike)) == {"embedding collapse": "fault"}
    assert found("same_output", having(embedder(), alike | {"loss: explained": 0.5})) == {}
    assert found("same_output", having(embedder(), alike | {"loss: fact own output": 1.0})) == {}
    predicts = having(embedder(), alike)
    predicts.losses["loss"].operations = frozenset({"SmoothL1Loss"})
    assert found("same_output", predicts) == {}
    assert found("same_output", having(gan(), {"maker: spread of outputs": ALIKE})) == {}
    elsewhere = having(
        contrastive(), {"one: spread of outputs": ALIKE, "loss: reaches": {"other"}, "loss: fact pairs": 0}
    )
    assert found("same_output", elsewhere) == {"embedding collapse": "fault"}


def test_the_least_loss_of_cosines_is_said():
    (finding,) = findings("bounded", having(judged_pairs(), COSINES))
    assert finding.evidence["least loss"] == pytest.approx(-math.log(1 / (1 + math.exp(-1))))


def test_a_batch_of_two_in_which_all_pairs_are_found_is_fine():
    small = {"loss: fact rows": 2, "loss: fact classes": 2, "loss: cross-entropy": 0.01, "loss: accuracy": 1.0}
    assert found("contrast", having(contrastive(), small)) == {}


def test_pairs_that_are_told_to_be_alike_may_as_well_be_the_farther_ones():
    """1 means alike in one library and different in another."""
    apart, alike = judged(60)
    assert found("labels", having(judged_pairs(), {"loss: judged": (apart, 1 - alike)})) == {}


def test_distances_that_are_no_numbers_say_nothing():
    apart, alike = judged(0)
    apart[0] = np.nan
    assert found("labels", having(judged_pairs(), {"loss: judged": (apart, alike)})) == {}


def test_sides_of_any_unit_are_compared():
    """Columns of other sizes, and one that is constant, hide no pair."""
    ((one, other),) = joined().values()
    given = {("one", "other"): (one * [1, 1e-3, 0], other * [1, 1e4, 0] + [0, 0, 7])}
    assert found("pairs", having(contrastive(), {"trace: pairs": given})) == {}
