"""Where findings land in the health matrix."""

import math

import pytest

from whichloss.report import health
from whichloss.task import Finding


@pytest.mark.parametrize(
    ("rule", "family"),
    [
        ("contract: gradient", "definition"),
        ("mode collapse", "coverage"),
        ("copying", "copying"),
        ("energy gap diverging", "energy and chains"),
        ("non-finite", "finite"),
        ("overtrained", "learning"),
        ("schedule ends before the prior", "noise and time"),
        ("hinge always off", "critic and generator"),
        ("spread too narrow", "coverage"),
        ("diverged", "finite"),
        ("needs longer", "learning"),
        ("critic too strong", "critic and generator"),
        ("energy gap", "energy and chains"),
        ("schedule", "noise and time"),
        ("vanishing gradients", "learning"),
        ("something new", "learning"),
    ],
)
def test_every_rule_has_a_family(rule, family):
    assert health.FAMILIES[health.family_of(Finding(rule, "gan", "note", "", {}, "", ""))].title == family


def test_the_order_of_the_matrix_names_every_family_once():
    assert sorted(health.ORDER) == list(range(len(health.FAMILIES)))


def states(study, name: str) -> dict[str, str]:
    made = health.matrix(study)
    cells = next(cells for _, row, cells in made["lines"] if row.name == name)
    return {family.title: state for family, (state, _) in zip(made["families"], cells, strict=True)}


def test_states(study):
    assert states(study, "ebgan")["critic and generator"] == "fault"
    assert states(study, "gan")["critic and generator"] == "note"
    assert states(study, "flow-matching")["critic and generator"] == "not applicable"
    assert states(study, "flow-matching")["coverage"] == "healthy"
    assert states(study, "wgan-gp")["learning"] == "note"
    study.row("r3gan").state = "not started"
    assert states(study, "r3gan")["learning"] == "note"
    assert states(study, "pcd")["finite"] == "fault"
    assert states(study, "pcd")["coverage"] == "unknown"


def test_equilibrium_lines_are_what_theory_says():
    # at D = 1/2 both terms of the cross-entropy are log 2
    assert health.EQUILIBRIA["gan", "loss 0:D"][0] == pytest.approx(-math.log(0.5) - math.log(1 - 0.5))
    assert health.EQUILIBRIA["gan", "loss 1:G"][0] == pytest.approx(-math.log(0.5))
    assert health.EQUILIBRIA["gan-minimax", "loss 1:G"][0] == pytest.approx(math.log(1 - 0.5))


def test_a_curve_with_gaps_is_summed_up_by_its_numbers():
    assert health.ends([1.0, None, 2.0, float("nan"), 3.0]) == ("1.00", "2.00", "3.00")
    assert health.known([None, float("inf")]) == []
