"""How a loop came out: the outcomes that make a symptom a fault."""

import math

import numpy as np
import pytest

from whichloss.doctor import outcome

from .case import found, tail
from .test_games import circle
from .traces import KINDS, classifier, contrastive, denoiser, embedder, flat, gan, having, judged_pairs, normal, poorly

REAL = normal(seed=1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_healthy_loops_came_out_well_and_poor_ones_did_not(kind):
    for trace, expected in ((kind(), False), (poorly(kind), True)):
        assert any(outcome.poor(trace, name) for name in trace.networks) == expected


@pytest.mark.parametrize(
    "kind, curve, well, ill, given",
    [
        (classifier, "accuracy", 0.651, 0.649, {}),  # half of the way from 0.3 to 1
        (contrastive, "accuracy", 0.509, 0.507, {}),  # from 1 / 64
        (denoiser, "explained", 0.1, 0.099, {}),
        (judged_pairs, "binary accuracy", 0.601, 0.599, {}),
        (judged_pairs, "binary accuracy", 0.901, 0.899, {"loss: share of ones": 0.2}),
        (judged_pairs, "binary accuracy", 0.901, 0.899, {"loss: share of ones": 0.8}),
    ],
)
def test_what_was_learnt_is_judged_by_the_last_quarter(kind, curve, well, ill, given):
    for value, other in ((well, ill), (ill, well)):
        trace = having(kind(), given | {f"loss: {curve}": tail(value, other, 0.25)})
        assert outcome.unlearnt(trace.losses["loss"]) == (value == ill)


@pytest.mark.parametrize(
    "balanced, classes, expected",
    [(0.25, 4, 0.0), (0.625, 4, 0.5), (1.0, 4, 1.0), (0.75, 2, 0.5), (0.1, 4, 0.0)],
)
def test_what_weights_on_the_classes_ask_for_is_skill_too(balanced, classes, expected):
    """Accuracy .3 is that of always naming the largest class."""
    seldom = {"loss: accuracy": 0.3, "loss: balanced accuracy": balanced, "loss: classes in a batch": float(classes)}
    assert outcome.skill(having(classifier(), seldom).losses["loss"]) == pytest.approx(expected)


@pytest.mark.parametrize("entropy, told", [(0.94, True), (0.96, False)])
def test_a_cross_entropy_below_that_of_the_labels_informs(entropy, told):
    rare = {"loss: accuracy": 0.3, "loss: cross-entropy": entropy, "loss: entropy of labels": 1.0}
    loss = having(classifier(), rare).losses["loss"]
    assert outcome.informed(loss) == told
    assert outcome.nothing(loss) != told
    assert found("guessing", having(classifier(), rare)) == ({} if told else {"no better than guessing": "fault"})


SEEN = {"loss: accuracy": 0.3, "loss: entropy of labels": 1.0, "loss: cross-entropy": 0.99, "loss: ranked": 0.6}


@pytest.mark.parametrize(
    "given, told",
    [
        ({}, True),
        ({"loss: ranked": [*flat(0.5, 10), *flat(0.571, 10)]}, True),
        ({"loss: ranked": tail(0.569, 0.6, 0.25)}, True),  # a mean over the later half
        ({"loss: ranked": 0.569}, False),
        ({"loss: ranked": [0.6, 0.6]}, False),  # too few
        ({"loss: ranked": [*flat(float("nan"), 4), 0.6, 0.6]}, False),
        ({"loss: cross-entropy": tail(1.001, 1.001, 0.25)}, False),  # in order, and no cheaper than the frequencies
        ({"loss: cross-entropy": [*flat(2), *flat(0.99, 10)]}, True),
        ({"loss: cross-entropy": []}, True),
    ],
)
def test_rows_of_a_class_that_come_before_others_inform(given, told):
    loss = having(classifier(), SEEN | given).losses["loss"]
    assert outcome.informed(loss) == told


def test_a_rare_class_that_comes_first_is_learnt():
    rare = {"loss: binary accuracy": 0.95, "loss: share of ones": 0.05}
    for ranked, learnt in ((0.6, True), (0.5, False)):
        loss = having(judged_pairs(), rare | {"loss: ranked": ranked}).losses["loss"]
        assert outcome.unlearnt(loss) != learnt and outcome.nothing(loss) != learnt


@pytest.mark.parametrize("rule", ["guessing", "majority", "labels", "bounded"])
def test_rewards_and_preferences_are_no_classes(rule):
    """A cross-entropy that is made smaller for some rows and larger for others."""
    names = {"loss: largest class": 0.9, "loss: classes predicted": 1.0, "loss: range of logits": 2.0}
    poor = {"loss: accuracy": 0.01, "loss: labels": np.random.default_rng(0).integers(0, 4, 120)} | names
    both = {"loss: fact least factor": -1.0, "loss: fact most factor": 1.0}
    assert found(rule, having(classifier(), poor)) and not found(rule, having(classifier(), poor | both))


def test_factors_below_0_that_differ_are_rewards_and_no_sign():
    below = {"loss: fact weight": -1.0, "loss: fact least factor": -1.0, "loss: fact most factor": -0.1}
    assert found("softmax", having(classifier(), below)) == {"contract: sign": "fault"}
    assert not found("softmax", having(classifier(), below | {"loss: fact uneven": 1.0}))


@pytest.mark.parametrize("first, well, ill", [(1.0, 0.9, 0.901), (-1.0, -1.1, -1.099)])
def test_an_unknown_loss_must_fall_by_a_tenth(first, well, ill):
    for value, other in ((well, ill), (ill, well)):
        trace = having(embedder(), {"loss: values": [first, first, *tail(value, other, 0.25)[2:]]})
        assert outcome.unlearnt(trace.losses["loss"]) == (value == ill)
    assert outcome.unlearnt(having(embedder(), {"loss: values": flat(float("nan"))}).losses["loss"])


def played(**changes):
    (game,) = having(gan(), {f"game: {name}": rows for name, rows in changes.items()}).games.values()
    return game


@pytest.mark.parametrize("well, ill", [(0.501, 0.499), (1.99, 2.01)])
def test_samples_spread_as_data_do(well, ill):
    assert outcome.spread(played(real=REAL, made=ill * REAL)) == pytest.approx(ill, rel=1e-5)
    assert not outcome.badly(played(real=REAL, made=well * REAL))
    assert outcome.badly(played(real=REAL, made=ill * REAL))


def test_samples_cover_the_groups_of_data():
    assert outcome.badly(played(real=circle(20), made=circle(4)))
    assert not outcome.badly(played(real=circle(20), made=circle(5)))
    assert not outcome.badly(played(real=circle(20)[:15], made=circle(4)))  # too few to tell


def test_the_same_rows_again_are_no_more_data():
    again = [np.resize(circle(20)[:n], (400, 2)) for n in (64, 63)]
    enough, few = (outcome.coverage(played(real=rows, made=circle(20))) for rows in again)
    assert enough is not None and few is None


@pytest.mark.parametrize("side", ["real", "made"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_rows_that_are_no_numbers_cover_nothing(side, bad):
    rows = {"real": circle(20), "made": circle(20)}
    assert outcome.coverage(played(**rows)) is not None
    rows[side][0, 0] = bad
    assert outcome.coverage(played(**rows)) is None
    assert outcome.badly(played(**rows)) == (side == "made")


def test_rows_that_ran_away_are_spread_too_far():
    assert outcome.badly(played(real=REAL, made=np.float32(1e30) * REAL))


def test_players_are_judged_by_their_samples_and_others_by_their_loss():
    assert not outcome.poor(having(gan(), {"judge's loss: values": flat(1.0)}), "judge")
    unrelated = having(poorly(embedder), {"loss: reaches": set(), "loss: moves": set()})
    assert not outcome.poor(unrelated, "net")
    assert outcome.poor(having(poorly(embedder), {"loss: reaches": set()}), "net")
