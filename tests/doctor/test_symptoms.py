"""Every symptom rule finds the record planted for it and leaves its healthy twin alone; the outcome sets the level."""

import math
from dataclasses import replace

import pytest
import torch

from whichloss.doctor import Outcome, symptoms
from whichloss.objectives.nce import NCE
from whichloss.objectives.pcd import PCD
from whichloss.objectives.wgan import WGAN
from whichloss.rng import Rng
from whichloss.task import Task
from whichloss.train import Lanes, train

GOOD = Outcome(
    score=0.004,
    baseline=0.05,
    noise=0.001,
    spread_ratio=1.0,
    coverage=0.9,
    real_coverage=0.95,
    precision=0.9,
    share_difference=0.05,
    real_share_difference=0.03,
    least_share=0.8,
    copies_p=0.5,
    loss_skill=0.8,
    quarter_scores=(0.02, 0.006, 0.0042, 0.004),
)
BAD = replace(GOOD, score=0.3, quarter_scores=(0.8, 0.4, 0.31, 0.3))
N = 50
RUN = [i / (N - 1) for i in range(N)]
SWING = [math.sin(9 * t) for t in RUN]

# Curves of sound runs, with the values that such runs show.
HEALTHY = {
    "loss 0:D": [1.3 + 0.1 * s for s in SWING],
    "critic accuracy": [0.65 + 0.1 * s for s in SWING],
    "saturated share": [0.0] * N,
    "critic slope": [2.0 + s for s in SWING],
    "critic gap / slope": [0.3 + 0.2 * s for s in SWING],
    "hinge share": [1.0] * N,
    "fakes under margin": [0.5 + 0.3 * s for s in SWING],
    "energy gap": [0.3 * s for s in SWING],
    "chain reach": [0.6 + 0.1 * s for s in SWING],
    "chain sd": [1.0] * N,
    "noise ess": [0.1 + 0.02 * s for s in SWING],
    "acceptance": [0.5 + 0.02 * s for s in SWING],
    "KL(q(x_T) || prior)": [1e-5] * N,
}


def found(outcome=GOOD, **changed):
    """rule -> finding, the healthy curves changed by name (underscores stand for what a keyword cannot hold)."""
    curves = dict(HEALTHY)
    names = {"".join(c if c.isalnum() else "_" for c in name): name for name in HEALTHY}
    curves |= {names[key]: value for key, value in changed.items()}
    result = {f.rule: f for f in symptoms("toy", curves, outcome)}
    for f in result.values():
        assert f.objective == "toy"
        assert f.says and f.cause and f.remedy and f.evidence
    return result


def test_a_healthy_record_has_no_finding():
    assert found() == {}


def test_a_bad_score_alone_is_no_symptom():
    assert found(BAD) == {}


def test_nothing_measured_is_no_symptom():
    assert symptoms("toy", {}, Outcome(score=0.004, baseline=0.05, noise=0.001)) == ()
    assert symptoms("toy", {"loss 0:D": []}, replace(GOOD, quarter_scores=(None, None))) == ()


PLANTED = [
    ("non-finite", {}, {"loss_0_D": [1.0] * 20 + [None] * 30}),
    ("non-finite", {}, {"loss_0_D": [1.0] * 49 + [math.inf]}),
    ("mode collapse", {"spread_ratio": 0.04}, {}),
    ("mode dropping", {"coverage": 0.3}, {}),
    ("spread too narrow", {"spread_ratio": 0.5}, {}),
    ("spread too wide", {"spread_ratio": 2.0}, {}),
    ("saturated discriminator", {}, {"saturated_share": [t for t in RUN]}),
    ("critic slope off", {}, {"critic_slope": [1e-4] * N}),
    ("critic slope off", {}, {"critic_slope": [10.0 ** (4 * t) for t in RUN]}),
    ("hinge always off", {}, {"hinge_share": [0.0] * N}),
    ("hinge always off", {}, {"fakes_under_margin": [1 - t if t < 0.5 else 0.0 for t in RUN]}),
    ("hinge always on", {}, {"fakes_under_margin": [1.0] * N}),
    ("energy gap diverging", {}, {"energy_gap": [s + 300 * max(0, t - 0.5) for s, t in zip(SWING, RUN, strict=True)]}),
    ("chains not moving", {}, {"chain_reach": [0.02] * N}),
    ("proposal too thin", {}, {"noise_ess": [0.3 - 0.295 * t for t in RUN]}),
    ("mode weights not learnt", {"share_difference": 0.2, "least_share": 0.3}, {}),
    ("chains running away", {}, {"chain_sd": [1 + 20 * t for t in RUN]}),
    ("schedule ends before the prior", {}, {"KL_q_x_T_____prior_": [0.8] * N}),
    ("not started", {"loss_skill": 0.01}, {}),
    ("rotation", {}, {"critic_accuracy": [0.5 + 0.4 * (-1) ** i for i in range(N)]}),
    ("rotation", {}, {"critic_gap___slope": [0.2 * (-1) ** i for i in range(N)]}),
    ("worse than trivial at some levels", {"level_skills": (0.5, 0.2, -0.26)}, {}),
]  # fmt: skip


@pytest.mark.parametrize("rule, outcome, curves", PLANTED)
def test_a_planted_symptom_is_a_fault_where_the_score_is_bad_and_a_note_where_it_is_not(rule, outcome, curves):
    worse = found(replace(BAD, **outcome), **curves)
    assert set(worse) == {rule}
    assert worse[rule].level == "fault"
    assert worse[rule].evidence["score"] == BAD.score
    better = found(replace(GOOD, **outcome), **curves)
    assert set(better) == {rule}
    assert better[rule].level == "note"


@pytest.mark.parametrize("rule, accuracy", [("saturated discriminator", [0.999] * N), ("critic guesses", [0.5] * N)])
def test_the_critics_accuracy_means_nothing_where_the_score_is_good(rule, accuracy):
    assert found(critic_accuracy=accuracy) == {}
    assert set(found(BAD, critic_accuracy=accuracy)) == {rule}


def test_the_players_circle_only_where_both_orders_are_frequent_at_the_end():
    right, wrong = 0.2, -0.2
    for many, rule in ((5, {"rotation"}), (4, set())):  # of the 25 points of the later half
        for often, seldom in ((right, wrong), (wrong, right)):
            gap = [right, wrong] * 12 + [0.0] + [seldom] * many + [often] * (25 - many)
            assert set(found(BAD, critic_gap___slope=gap)) == rule, (many, often)
    assert found(BAD, critic_gap___slope=[0.09, -0.2] * 25) == {} == found(BAD, critic_gap___slope=[0.2, -0.09] * 25)
    assert found(BAD, critic_accuracy=[0.36, 0.9] * 25) == {} == found(BAD, critic_accuracy=[0.1, 0.64] * 25)
    energies = {"energy gap": [0.2, -0.2] * 25, "chain reach": [0.6] * N}
    assert symptoms("pcd", energies, BAD) == ()  # energies of data and chains swing round 0, and that is health


def test_skill_at_every_level_is_asked_for():
    assert found(replace(BAD, level_skills=(0.5, -0.24, 0.3))) == {}
    assert found(replace(BAD, level_skills=(-0.9, -0.9, -0.9), loss_skill=None)) == {}
    said = found(replace(BAD, level_skills=(-0.5, 0.3, -1.0)))["worse than trivial at some levels"]
    assert "little and much noise" in said.says and "2.00 times" in said.says


@pytest.mark.parametrize(
    "quarters, stands",
    [
        ((0.3, 0.3, 0.3, 0.3), True),
        ((0.3, 0.286, 0.3, 0.314), True),
        ((0.3, 0.284, 0.3, 0.3), False),
        ((0.3, 0.3, 0.3, 0.316), False),
        ((0.3, None, 0.3, 0.3), False),
        ((0.3, 0.3, 0.3), False),
    ],
)
def test_a_bad_score_that_stands_is_told_where_nothing_else_is(quarters, stands):
    stood = replace(BAD, quarter_scores=quarters)
    assert ("stagnation" in found(stood)) == stands
    assert "stagnation" not in found(replace(stood, coverage=0.3)) and "stagnation" not in found(
        replace(stood, score=0.01)
    )


def test_a_diverged_run_says_that_and_nothing_else():
    outcome = replace(BAD, failed=True, why_failed="diverged: weights became infinite", spread_ratio=None)
    result = found(outcome, loss_0_D=[1.0] * 10 + [None] * 40, critic_accuracy=[0.5] * N)
    assert set(result) == {"non-finite"}
    assert result["non-finite"].level == "fault"
    assert result["non-finite"].evidence["share of the run"] == 0.2
    assert set(found(outcome)) == {"non-finite"}  # also where no curve shows it
    assert found(replace(outcome, why_failed="the worker was killed")) == {}


def test_weights_are_not_learnt_where_all_groups_are_there_and_chance_does_not_explain_it():
    off = replace(BAD, share_difference=0.2, least_share=0.3)
    for other in (
        {"real_share_difference": 0.08},  # few rows: chance
        {"least_share": 0.05},  # a lost group is another fault
        {"real_share_difference": None},
        {"share_difference": None, "least_share": None},  # the data have no groups
    ):
        assert found(replace(off, **other)) == {}


def test_scores_do_not_see_the_weights_of_modes():
    off = replace(BAD, share_difference=0.2, least_share=0.3)
    said = {
        n: symptoms(n, {}, off) for n in ("score-matching", "sliced-score-matching", "denoising-score-matching", "gan")
    }
    assert all(len(f) == 1 for f in said.values())
    causes = {n: f[0].cause for n, f in said.items()}
    assert len(set(causes.values())) == 2 and causes["score-matching"] != causes["gan"]
    assert "Wenliang" in said["denoising-score-matching"][0].reference and not said["gan"][0].reference
    assert said["gan"][0].evidence["share difference"] == 0.2


def test_short_chains_make_a_sampler_where_the_energy_itself_is_not_the_data():
    short = {"chain_reach": [0.2] * N}
    assert found(BAD, **short) == {}
    weights = replace(BAD, share_difference=0.2, least_share=0.3)
    assert set(found(weights, **short)) == {"mode weights not learnt", "a sampler, not a density"}
    assert set(found(replace(BAD, coverage=0.3), **short)) == {"mode dropping", "a sampler, not a density"}
    assert set(found(weights)) == {"mode weights not learnt"}  # chains that go far
    assert found(replace(weights, score=0.004), **short)["a sampler, not a density"].level == "note"
    assert "a sampler, not a density" not in found(weights, chain_reach=[0.02] * N)  # they do not move: said already


def test_refused_proposals_are_said():
    assert set(found(BAD, acceptance=[0.04] * N)) == {"chains mostly refused"}
    assert found(BAD, acceptance=[0.5] * N) == {}


def test_the_gap_to_noise_may_grow_where_there_are_no_chains():
    drift = [s + 300 * max(0, t - 0.5) for s, t in zip(SWING, RUN, strict=True)]
    assert symptoms("nce", {"energy gap": drift}, BAD) == ()
    assert [f.rule for f in symptoms("pcd", {"energy gap": drift, "chain reach": [0.6] * N}, BAD)] == [
        "energy gap diverging"
    ]
    assert "energy gap diverging" in [f.rule for f in symptoms("ebgan", {"energy gap / margin": drift}, BAD)]


def test_a_thin_proposal_is_judged_at_the_end():
    assert found(BAD, noise_ess=[0.001 if t < 0.8 else 0.1 for t in RUN]) == {}
    assert set(found(BAD, noise_ess=[0.1 if t < 0.8 else 0.001 for t in RUN])) == {"proposal too thin"}


def test_copying_is_judged_by_the_copy_test_alone():
    assert found(replace(GOOD, copies_p=1e-5))["copying"].level == "fault"
    assert found(replace(GOOD, copies_p=0.02)) == {}


@pytest.mark.parametrize(
    "rule, quarters",
    [("needs longer", (0.5, 0.4, 0.3, 0.2)), ("overtrained", (0.02, 0.01, 0.05, 0.2)), ("", (0.3, 0.2, 0.1, 0.0999))],
)
def test_the_score_over_the_run_gives_notes_only(rule, quarters):
    result = found(replace(BAD, quarter_scores=quarters))
    assert set(result) == {rule} - {""}
    assert {f.level for f in result.values()} <= {"note"}


def test_a_change_within_the_noise_is_no_symptom():
    assert found(replace(GOOD, quarter_scores=(0.0012, 0.001, 0.0014, 0.0009))) == {}


def test_a_slope_is_judged_only_where_it_is_pulled_to_one():
    """r3gan's slope tends to 0 at equilibrium, and that is health."""
    curves = {"critic accuracy": HEALTHY["critic accuracy"], "critic slope": [1e-4] * N}
    assert symptoms("r3gan", curves, BAD) == ()


def record(objective, steps=150):
    """Curves of a short real run on rows of two groups."""
    x = Rng.of(0)["data"].normal("x", (1, 1000, 2)) * 0.1
    x[:, ::2] += 1.0
    x = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
    lanes = Lanes(
        objective, Task("generate", 2, 1000), lambda role, i, o, smooth=False: torch.nn.Sequential(
            torch.nn.Linear(i, 32), torch.nn.SiLU() if smooth else torch.nn.ReLU(), torch.nn.Linear(32, o)
        ), Rng(Rng.of(1, 2).key[:1]), x, torch.tensor([1000]), torch.zeros(1, 2),
    )  # fmt: skip
    curves = {}
    for state, losses in train(lanes, steps):
        if state.step % (steps // 25) == 0:
            for name, value in (losses | lanes.watch(state, steps)).items():
                curves.setdefault(name, []).append(float(value))
    return curves


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule, planted, healthy",
    [
        ("critic slope off", WGAN(clip=1e-4), WGAN()),
        ("chains not moving", PCD(step=1e-8), PCD()),
    ],
)
def test_real_runs(rule, planted, healthy):
    assert rule in [f.rule for f in symptoms("toy", record(planted), BAD)]
    assert symptoms("toy", record(healthy), BAD) == ()


@pytest.mark.slow
def test_a_real_energy_learnt_against_noise_is_sound_although_its_gap_to_the_noise_grows():
    curves = record(NCE())
    assert curves["energy gap"][-1] > 3 and symptoms("nce", curves, BAD) == ()


def test_labels_known_by_heart_and_guessed_elsewhere():
    heart = replace(BAD, training_accuracy=0.99, accuracy=0.52, guessed=0.55)
    result = found(heart)["labels learnt by heart"]
    assert result.level == "fault" and "99%" in result.says and "55%" in result.says
    for other in ({"guessed": None}, {"accuracy": 0.6}, {"training_accuracy": 0.7}):
        assert "labels learnt by heart" not in found(replace(heart, **other))


EMBEDDED = replace(GOOD, spread_ratio=None, coverage=None, collapse=math.log(511), effective_rank=20.0)
EMBEDDED_BAD = replace(EMBEDDED, score=0.3)


def rules(outcome, curves):
    return {f.rule: f.level for f in symptoms("simclr", curves, outcome)}


def test_a_loss_that_rests_where_equal_embeddings_are_is_named():
    at, below = [math.log(511) + 0.01 * s for s in SWING], [3.0 + s for s in SWING]
    assert rules(EMBEDDED_BAD, {"loss 0:F+H": at})["loss at its collapse value"] == "fault"
    assert "loss at its collapse value" not in rules(EMBEDDED, {"loss 0:F+H": at})  # yet it works
    assert "loss at its collapse value" not in rules(EMBEDDED_BAD, {"loss 0:F+H": below})
    started = [math.log(511) - 3 * t for t in RUN]  # every run starts there
    assert "loss at its collapse value" not in rules(EMBEDDED_BAD, {"loss 0:F+H": started})


def test_embeddings_on_one_line_have_collapsed():
    curves = {"loss 0:F+H": [3.0 + s for s in SWING]}
    assert rules(replace(EMBEDDED_BAD, effective_rank=1.2), curves)["embedding collapse"] == "fault"
    assert "embedding collapse" not in rules(EMBEDDED_BAD, curves)


def test_a_factor_of_cosines_at_its_bound_is_noted():
    curves = {"scale of cosines": [min(100.0, 14 + 200 * t) for t in RUN]}
    assert rules(EMBEDDED, curves)["temperature at its bound"] == "note"
    assert "temperature at its bound" not in rules(EMBEDDED, {"scale of cosines": [14 + 20 * t for t in RUN]})


def test_embeddings_in_few_directions_are_noted_or_blamed():
    few = {"effective_rank": 4.0, "directions": 64.0}
    curves = {"loss 0:F+H": [3.0 + s for s in SWING]}
    assert rules(replace(EMBEDDED_BAD, **few), curves)["dimensional collapse"] == "fault"
    assert rules(replace(EMBEDDED, **few), curves)["dimensional collapse"] == "note"
    for fine in ({"effective_rank": 7.0}, {"effective_rank": 1.5}, {"directions": 9.0}):  # ten classes need nine
        assert "dimensional collapse" not in rules(replace(EMBEDDED_BAD, **few | fine), curves)


def test_a_loss_that_cannot_go_lower_is_noted():
    bounded = replace(EMBEDDED_BAD, least=1.47)
    at, above = [1.5 + 0.02 * s for s in SWING], [2.5 + 0.1 * s for s in SWING]
    assert rules(bounded, {"loss 0:F+H": at})["loss at its least"] == "note"
    assert "loss at its least" not in rules(bounded, {"loss 0:F+H": above})
    assert "loss at its least" not in rules(
        replace(bounded, least=0.01), {"loss 0:F+H": [0.02 + 0.001 * s for s in SWING]}
    )
