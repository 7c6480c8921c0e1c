"""Energies with chains of samples, and those that are learnt against noise."""

import numpy as np
import pytest

from .case import Case, found
from .traces import energy, flat, gan, having, noise_contrast, swing

NAN = flat(float("nan"))
BACKWARD = {"game: slope by backward": 1.0, "loss: inputs": True}
STILL = {"game: chain reach": 0.0}
EASY = [*flat(0.5, 4), *flat(0.971, 16)]  # before a fifth of the 190 steps, and after it
LATE = list(range(60, 220, 10))  # the steps of the last 16 looks, to 210


def apart(early, end):
    """Energies of data and of samples lie so far apart in the first third and in the last fifth."""
    return [*flat(early, 4), 0.0, 0.0, *flat(0, 10), *flat(end, 3), 0.0]


LEVEL = {"game: made score": flat(0)}
TOLD = {"loss: binary accuracy": flat(1.0)}

CASES = [
    Case("signs", "contract: sign", energy, "game: pull made", flat(1), flat(-1)),
    Case("signs", "contract: sign", energy, "game: pull real", flat(-1), flat(1)),
    Case("signs", "contract: sign", energy, "game: follows", 0.051, 0.05),
    Case("signs", "contract: sign", energy, "game: follows", -0.051, -0.05,
         {"game: pull real": -1.0, "game: pull made": 1.0}),
    Case("signs", "contract: sign", energy, "game: pull real", flat(-1), swing(0, 1), {"game: pull made": 1.0}),
    Case("chain_gradients", "contract: gradient through the sampler", energy, "game: attached", 1.0, 0.0, window=1),
    Case("chain_gradients", "contract: stale gradient", energy, "game: slope by backward", 1, 0, BACKWARD, window=1),
    Case("chain_gradients", "contract: stale gradient", energy, "loss: inputs", True, False, BACKWARD),
    Case("chain_gradients", "contract: stale gradient", energy, "loss: moves", {"energy"}, set(), BACKWARD),
    Case("chain_gradients", "contract: stale gradient", energy, "loss: reaches", {"energy"}, set(), BACKWARD),
    Case("chains", "chains without noise", energy, "game: follows", 0.9991, 0.999, window=1),
    Case("chains", "chains without noise", energy, "game: follows", -0.9991, -0.999, window=1),
    Case("chains", "chains running away", energy, "game: chain sd", 2.5, 2.49),
    Case("chains", "chains not moving", energy, "game: chain reach", 0.0499, 0.05, {"game: told apart": 0.6},
         level="told"),
    *(Case("chains", "chains not moving", energy, "game: told apart", known, unknown, STILL, outcome="good",
           healthy_level="note") for known, unknown in ((0.701, 0.699), (0.299, 0.301), (flat(0), NAN))),
    Case("chains", "energies diverging", energy, "game: real score", apart(1, 20.1), apart(1, 20), LEVEL),
    Case("chains", "energies diverging", energy, "game: real score", apart(-3, -30.1), apart(-3, -30), LEVEL),
    Case("chains", "energies diverging", energy, "game: real score", apart(1, 24),
         [1, 1, *flat(4, 4), *apart(4, 24)[6:]], LEVEL),
    Case("chains", "energies diverging", energy, "game: real score", [99, 1, 1, 99], [99, 1, 99, 99],
         {"game: made score": flat(0, 4)}),
    Case("too_easy", "noise too easy", noise_contrast, "loss: binary accuracy", EASY, [*EASY[:-9], *flat(0.97, 9)]),
    Case("too_easy", "noise too easy", noise_contrast, "loss: binary accuracy", [*EASY[:-1], 0.951],
         [*EASY[:-1], 0.949]),
    Case("too_easy", "noise too easy", noise_contrast, "loss: binary accuracy", EASY, [*flat(0.5, 5), *EASY[5:]]),
    Case("too_easy", "noise too easy", noise_contrast, "trace: looks", [1, 2, 3, 41.9, *LATE], [1, 2, 3, 42, *LATE],
         {"loss: binary accuracy": EASY}),
    Case("too_easy", "noise too easy", noise_contrast, "loss: binary accuracy", np.repeat(EASY, 2).tolist(),
         [*flat(0.5, 9), *flat(1, 31)]),  # a loss that each look sees twice
    Case("too_easy", "noise too easy", noise_contrast, "loss: fact own output", 0.0, 1.0, TOLD),  # an easy classifier
    Case("too_easy", "noise too easy", noise_contrast, "loss: binary accuracy", flat(1, 5), flat(1, 4)),
    Case("too_easy", "noise too easy", noise_contrast, "loss: share of ones", 0.201, 0.2, TOLD, window=1),
    Case("too_easy", "noise too easy", noise_contrast, "loss: share of ones", 0.799, 0.8, TOLD, window=1),
    Case("too_easy", "noise too easy", noise_contrast, "loss: fact logits", 1.0, 0.0, TOLD),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_finding_starts_at_its_threshold(case):
    case.check()


def test_chains_that_run_away_are_not_also_said_to_stand_still():
    assert set(found("chains", having(energy(), {"game: chain sd": 3.0, "game: chain reach": 0.0}))) == {
        "chains running away"
    }


def test_without_looks_all_points_count():
    for curve, expected in ((flat(1), {"noise too easy": "fault"}), (EASY, {})):
        assert (
            found("too_easy", having(noise_contrast(), {"trace: looks": [], "loss: binary accuracy": curve}))
            == expected
        )


def test_players_of_a_game_are_no_chains():
    still = {"game: chain sd": 9.0, "game: chain reach": 0.0, "game: follows": 1.0}
    assert found("chains", having(gan(), still)) == {}
    assert found("chain_gradients", having(gan(), {"game: attached": 1.0})) == {}


def test_a_judge_that_tells_all_samples_is_another_matter_than_easy_noise():
    assert found("too_easy", having(gan(), {"judge's loss: binary accuracy": 1.0})) == {}


def test_chains_are_judged_where_all_of_their_curves_are_there():
    for name in ("chain reach", "chain sd", "follows"):
        trace = having(energy(), {"game: chain sd": 3.0, "game: chain reach": 0.0, "game: follows": 1.0})
        trace.games["chains", "energy"].curves[name] = []
        assert found("chains", trace) == {}
    assert found("signs", having(energy(), {"game: follows": []})) == {}
