"""Makers and judges: signs, players, penalties, clips, margins, certainty and collapse."""

import math
from itertools import chain

import numpy as np
import pytest

from .case import Case, findings, found
from .traces import ebgan, energy, flat, gan, having, normal, wgan, wgan_gp

REAL = normal(seed=1)
FALLEN = [1.0, 1.0, *flat(0.001, 18)]
BOUNDED = normal(seed=2).clip(-1, 1)
TANH = {"game: real": normal(), "game: made": BOUNDED, "game: first_made": BOUNDED, "maker: fact ends in tanh": 1.0}
LOOSE = {"judge: at the clip": 0.0}


def late(value):
    """A curve that has this value in its second half."""
    return [*flat(0.9, 10), *flat(value, 10)]


PENALTY_CUT = {"game: penalty cut": [1.0], "game: penalty slope": []}
HALF = {"maker's loss: fact target cut": 1.0}


def outside(n):
    """1000 numbers, so many of them outside -1 and 1."""
    rows = np.linspace(-1, 1, 1000)
    rows[:n] = np.resize([-1.1, 1.1], n)
    return rows.reshape(500, 2)


def circle(groups, of=20, n=400):
    """Rows in some of the groups on a circle, and far apart whichever they are."""
    angle = 2 * np.pi * np.linspace(0, 1, groups, endpoint=False)
    angle = np.round(angle / (2 * np.pi) * of) / of * 2 * np.pi
    at = np.resize(angle, n)
    return 10 * np.stack([np.cos(at), np.sin(at)], 1) + 0.1 * normal(n, seed=groups)


def alternating(middle, by):
    """A curve that differs from its mean by so much at every look."""
    return [middle + by * (-1) ** k for k in range(20)]


def turning(high, low):
    """Data now above samples and now below them, two looks each."""
    return [*flat(0.5, 12), high, high, 0.5, 0.5, low, low, 0.5, 0.5]


CASES = [
    Case("signs", "contract: sign", gan, "game: pull real", flat(1), flat(-1)),
    Case("signs", "contract: sign", gan, "game: pull made", flat(-1), flat(1)),
    Case("signs", "contract: sign", gan, "game: pull of maker", flat(1), flat(-1)),
    Case("signs", "contract: sign", gan, "game: pull made", [*flat(-1, 8), *flat(1)], [*flat(-1, 7), *flat(1)]),
    Case("signs", "contract: sign", gan, "game: pull made", [*flat(0), -1, -1], [*flat(0), -1]),
    Case("signs", "contract: sign", gan, "game: pull made", flat(-0.34), flat(-0.32),
         {"game: pull real": flat(-1.0), "game: pull of maker": flat(1.0)}),
    Case("signs", "contract: sign", gan, "game: pull of maker", flat(0.34), flat(0.32), {"game: pull made": flat(1.0)}),
    Case("wrong_player", "contract: wrong player moved", gan, "judge's loss: moves", {"maker", "judge"}, {"judge"}),
    Case("wrong_player", "contract: wrong player moved", gan, "maker's loss: moves", {"maker", "judge"}, {"maker"}),
    Case("penalty", "contract: penalty cut", wgan_gp, "game: penalty cut", [1.0], [], PENALTY_CUT),
    Case("penalty", "contract: penalty cut", wgan_gp, "game: penalty slope", [], [1.0], PENALTY_CUT),
    Case("penalty", "contract: penalty norm", wgan_gp, "judge's loss: fact norms off", 1.0, 0.0),
    Case("energy_cut", "contract: half an energy", ebgan, "maker's loss: fact target cut", 1.0, 0.0),
    Case("energy_cut", "contract: half an energy", ebgan, "maker's loss: moves", {"maker"}, {"maker", "judge"}, HALF),
    Case("energy_cut", "contract: half an energy", ebgan, "maker's loss: moves", {"maker"}, set(), HALF),
    Case("energy_cut", "contract: half an energy", ebgan, "game: energy of real", [1.0], [], HALF),
    Case("out_of_reach", "contract: out of reach", gan, "game: real", outside(11), outside(10), TANH),
    Case("out_of_reach", "contract: out of reach", gan, "game: made", BOUNDED, BOUNDED * 1.01, TANH),
    Case("out_of_reach", "contract: out of reach", gan, "game: first_made", BOUNDED, BOUNDED * 1.01, TANH),
    Case("out_of_reach", "contract: out of reach", gan, "game: first_made", BOUNDED, BOUNDED[:0], TANH),
    Case("out_of_reach", "contract: out of reach", gan, "game: made", BOUNDED[:64], BOUNDED[:63], TANH),
    Case("out_of_reach", "contract: out of reach", gan, "game: real", normal(64), normal(63), TANH),
    Case("out_of_reach", "contract: out of reach", gan, "maker: fact ends in tanh", 1.0, 0.0, TANH),
    Case("certain_judge", "vanishing slope of a certain judge", gan, "game: told apart", 0.991, 0.99,
         {"game: slope passed to maker": FALLEN}, outcome="poor"),
    Case("certain_judge", "vanishing slope of a certain judge", gan, "game: told apart", 0.009, 0.011,
         {"game: slope passed to maker": FALLEN}, outcome="poor"),  # certain, and the wrong way round
    Case("certain_judge", "vanishing slope of a certain judge", gan, "game: slope passed to maker",
         [1, 1, *flat(9, 8), *flat(0.0099, 6), *flat(9, 4)], [1, 1, *flat(0, 8), *flat(0.01, 6), *flat(0, 4)],
         {"game: told apart": 1.0}, outcome="poor"),
    Case("certain_judge", "vanishing slope of a certain judge", gan, "game: slope passed to maker", [1, 1, 0, 0, 0],
         [1, 0, 0, 0], {"game: told apart": 1.0}, outcome="poor"),
    Case("certain_judge", "vanishing slope of a certain judge", gan, "game: slope passed to maker",
         [3, 0, 3, *flat(0.02, 27)], [0, 0, 3, *flat(0.02, 27)],
         {"game: told apart": 1.0}, outcome="poor"),  # the first tenth is where it came from
    Case("clipped_judge", "contract: judge without bound", wgan, "judge: at the clip", flat(0.0039),
         [*flat(0), 0.004, *flat(0)],  # few stand there at a time
         {"judge: parameters": 1000}),
    Case("clipped_judge", "contract: judge without bound", wgan, "judge: fact parametrised", 0.0, 1.0, LOOSE),
    Case("clipped_judge", "contract: judge without bound", wgan, "game: penalty slope", [], [1.0], LOOSE),
    Case("clipped_judge", "contract: judge without bound", wgan, "game: pull real", alternating(-1, 0.00099),
         alternating(-1, 0.00101), LOOSE),
    Case("clipped_judge", "contract: judge without bound", wgan, "game: pull made", [*flat(0), *flat(1, 5)],
         [*flat(0), *flat(1, 4)], LOOSE),
    Case("clipped_judge", "judge without bound", wgan_gp, "game: penalty slope", 2.51, 2.5, level="told"),
    Case("clipped_judge", "judge without bound", wgan_gp, "game: penalty slope", 5.01, 5.0, outcome="good",
         healthy_level="note"),  # so steep that it is one whatever comes of it
    Case("clipped_judge", "judge too flat", wgan, "game: slope at made", 0.0099, 0.01, outcome="poor"),
    Case("rotation", "rotation", gan, "game: told apart", turning(0.95, 0.05), turning(0.95, 0.06), level="told"),
    Case("rotation", "rotation", gan, "game: told apart", turning(0.95, 0.05), turning(0.94, 0.05), level="told"),
    Case("rotation", "rotation", gan, "game: told apart", [*flat(0.5, 6), 1, 0, 1, 0, *flat(0.5, 10)],
         [*flat(0.5, 5), 1, 1, 0, 0, *flat(0.5, 11)], level="told"),  # in the first third all is new
    Case("rotation", "rotation", gan, "game: told apart", [*flat(0.5, 16), 1, 0, 1, 0], [*flat(0.5, 16), 1, 0, 1, 0.5],
         level="told"),
    Case("margin", "margin always off", ebgan, "game: rows pulled", 0.0199, 0.02, level="told"),
    Case("margin", "margin always on", ebgan, "game: rows pulled", 0.981, 0.98, outcome="poor"),
    Case("margin", "margin always off", ebgan, "game: rows pulled", flat(0, 5), flat(0, 4), level="told"),
    Case("margin", "margin always off", ebgan, "game: energy of real", [1.0], [], {"game: rows pulled": 0.0},
         level="told"),
    Case("copying_judge", "judge rebuilds anything", ebgan, "game: energy of noise / real", 1.99, 2, outcome="poor"),
    Case("copying_judge", "judge rebuilds anything", ebgan, "game: noise not rebuilt", 0.019, 0.02, outcome="poor"),
    Case("blind_judge", "judge guesses", gan, "game: told apart", late(0.401), late(0.4), outcome="poor"),
    Case("blind_judge", "judge guesses", gan, "game: told apart", late(0.599), late(0.6), outcome="poor"),
    Case("blind_judge", "judge guesses", gan, "game: told apart", [*late(0.5)[:18], 0.9, 0.1],
         [*late(0.5)[:17], 0.9, 0.1, 0.9], outcome="poor"),  # one that swings is not blind
    Case("collapse", "mode collapse", gan, "game: made", 0.099 * REAL, 0.101 * REAL, also={"mode dropping"}),
    Case("collapse", "mode collapse", gan, "game: made", 0.05 * REAL[:16], 0.05 * REAL[:15]),
    Case("collapse", "mode dropping", gan, "game: made", circle(3), circle(4), {"game: real": circle(20)}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_finding_starts_at_its_threshold(case):
    case.check()


MAKERS = [case for case in CASES if case.rule != "signs" and case.finding != "contract: penalty norm"]


@pytest.mark.parametrize("case", MAKERS, ids=str)
def test_a_maker_that_is_not_watched_is_not_judged(case):
    trace = case.trace(case.kind() if case.outcome == "any" else having(case.kind(), {"game: made": 3 * normal()}))
    assert found(case.rule, trace)
    del trace.networks["maker"]
    assert found(case.rule, trace) == {}


def test_only_the_makers_own_loss_needs_the_target_of_an_energy():
    assert found("energy_cut", having(ebgan(), {"judge's loss: fact target cut": 1.0})) == {}


def test_pulls_that_are_no_numbers_show_no_sign():
    nans = flat(float("nan"))
    assert found("signs", having(gan(), {"game: pull real": nans, "game: pull made": nans})) == {}


def test_one_sign_is_said_once_and_names_who_errs():
    for trace, words in (
        (having(gan(), {"game: pull made": -1.0}), "judge's loss pushes its output the same way"),
        (having(gan(), {"game: pull of maker": 1.0}), "play together"),
        (having(energy(), {"game: pull made": 1.0}), "on the samples of its chains"),
        (having(energy(), {"game: follows": 0.4}), "The chains go where energy rises"),
    ):
        (finding,) = findings("signs", trace)
        assert words in finding.says


def test_pulls_that_grow_without_end_are_left_out():
    grown = [*flat(1, 5), *flat(math.inf)]
    assert found("clipped_judge", having(wgan(), LOOSE | {"game: pull made": grown})) == {
        "contract: judge without bound": "fault"
    }


def test_both_sides_of_a_wasserstein_loss_must_be_linear():
    swings = list(chain.from_iterable([[0.5, 0.7]] * 10))
    for side in ("real", "made"):
        assert found("clipped_judge", having(wgan(), LOOSE | {f"game: pull {side}": swings})) == {}


@pytest.mark.parametrize("made, level", [(-10.1, "fault"), (-9.9, "note")])
def test_a_margin_below_all_samples_is_a_fault_where_they_lie_far_off(made, level):
    changed = {"game: rows pulled": 0.0, "game: made score": made, "game: energy of real": 1.0}
    assert found("margin", having(ebgan(), changed)) == {"margin always off": level}
