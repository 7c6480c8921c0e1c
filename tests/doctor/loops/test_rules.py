"""All rules together: what is healthy has no fault, every finding is planted somewhere, and no trace stops a rule."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whichloss.cards import find
from whichloss.doctor import loops
from whichloss.doctor.loops import CARDS, FEWEST, OUTCOMES, RULES, SOON, examine
from whichloss.doctor.loops import labels as labels_rule
from whichloss.doctor.trace import Trace

from . import test_contrast, test_denoising, test_energies, test_games, test_labels, test_parameters
from .case import findings, found
from .traces import KINDS, classifier, ebgan, embedder, flat, having, normal, poorly

FAMILIES = (test_labels, test_games, test_energies, test_denoising, test_contrast, test_parameters)
CASES = [case for family in FAMILIES for case in family.CASES]
FOLDER = Path(loops.__file__).parent
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@kinds
@pytest.mark.parametrize("rule", RULES)
def test_a_healthy_loop_has_no_finding(rule, kind):
    assert found(rule, kind()) == {}


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_trace_has_no_finding(rule):
    assert found(rule, Trace("toy")) == {}


def test_every_file_is_a_rule_once():
    assert sorted(RULES) == sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def test_cards_are_of_rules_and_exist():
    assert set(CARDS) <= set(RULES)
    assert all(find.card(name) for name in CARDS.values())


def said(rule):
    """The findings that a rule's code can give."""
    calls = [n for n in ast.walk(ast.parse((FOLDER / f"{rule}.py").read_text())) if isinstance(n, ast.Call)]
    place = {"say.fault": 0, "say.note": 0, "say.told": 1}  # of the name among what is given
    return {(rule, c.args[place[f]].value) for c in calls if (f := ast.unparse(c.func)) in place}


def test_every_finding_is_planted():
    assert {(case.rule, case.finding) for case in CASES} == set().union(*map(said, RULES))


# --- what is made of all findings

AGAIN = {"loss: rows": np.resize(normal(9), (99, 3))}
BROKEN = AGAIN | {"net: unowned": ("a",), "net: update": 1.0, "loss: accuracy": 0.1}


def names(trace):
    """What is found, in order."""
    return [f.rule for f in examine(trace)]


def test_nothing_is_found_in_nothing():
    assert examine(Trace("toy")) == ()


def test_causes_come_before_what_follows_and_notes_last():
    parameters, rate, guess = "contract: parameters of nobody", "learning rate too high", "no better than guessing"
    assert names(having(classifier(), BROKEN)) == [parameters, rate, guess, "same rows again"]


@pytest.mark.parametrize(
    "looks, bad, symptoms",
    [
        (range(0, 250, 50), "", True),
        (range(0, 200, 50), "", False),  # too few
        (range(96, 101), "", True),
        (range(95, 100), "", False),  # none of them in the later half
        ([1], "nan", True),
    ],
)
def test_symptoms_need_looks_at_the_later_half_unless_a_number_went_bad(looks, bad, symptoms):
    rules = names(having(classifier(), BROKEN | {"trace: looks": [*looks], "trace: bad": bad}))
    assert "contract: parameters of nobody" in rules and len(range(0, 250, 50)) == FEWEST
    assert ("no better than guessing" in rules) == symptoms
    assert ("non-finite" in rules) == bool(bad)


@pytest.mark.parametrize("steps, level", [(SOON, "fault"), (SOON - 1, "note")])
def test_a_poor_outcome_after_few_steps_is_no_fault(steps, level):
    by_rule = {f.rule: f.level for f in examine(having(classifier(), BROKEN | {"trace: steps": steps}))}
    assert by_rule["no better than guessing"] == level
    assert by_rule["contract: parameters of nobody"] == by_rule["learning rate too high"] == "fault"


@pytest.mark.parametrize("steps, level", [(3 * SOON, "fault"), (3 * SOON - 1, "note")])
def test_games_take_longer_to_come_out(steps, level):
    copying = having(poorly(ebgan), {"game: energy of noise / real": 1.0, "trace: steps": steps})
    assert {f.rule: f.level for f in examine(copying)}["judge rebuilds anything"] == level


def test_stagnation_is_told_where_nothing_else_is():
    stood = {"loss: values": flat(1.0), "loss: explained": 0.02}
    assert names(having(embedder(), stood)) == ["stagnation"]
    assert names(having(embedder(), stood | {"net: update": 1.0})) == ["learning rate too high"]


def test_rules_of_outcomes_are_rules():
    assert set(OUTCOMES) <= set(RULES)


def test_a_judge_that_copies_comes_before_the_margin_that_it_upsets():
    copying = having(poorly(ebgan), {"game: energy of noise / real": 1.0, "game: rows pulled": 0.0})
    assert names(copying) == ["judge rebuilds anything", "margin always off"]


def test_what_is_said_twice_is_said_once():
    trace = having(classifier(), {"loss: fact given away": 1.0})
    trace.losses["again"] = trace.losses["loss"]
    assert names(trace) == ["contract: target in the input"]


def test_trouble_while_watching_is_told_as_a_note():
    (finding,) = examine(having(classifier(), {"trace: trouble": "IndexError: list index out of range"}))
    assert finding.rule == "watching failed" and finding.level == "note" and "IndexError: list index" in finding.says


def test_a_finding_leads_to_its_card():
    by_rule = {f.rule: f.card for f in examine(having(classifier(), BROKEN))}
    assert by_rule["no better than guessing"] == CARDS["guessing"] == "cross-entropy"
    assert by_rule["learning rate too high"] == ""


def test_a_rule_that_fails_takes_no_other_finding_with_it(monkeypatch):
    def fails(trace, say):
        raise ZeroDivisionError("by 0")

    monkeypatch.setattr(labels_rule, "rule", fails)
    by_rule = {f.rule: f for f in examine(having(classifier(), BROKEN))}
    failed = by_rule["rule failed"]
    assert failed.level == "note" and "'labels'" in failed.says and "ZeroDivisionError: by 0" in failed.says
    assert "no better than guessing" in by_rule


# --- traces that nobody foresaw

NAN, FIRST = [math.nan], {(case.rule, case.finding, case.kind): case for case in reversed(CASES)}


@pytest.mark.parametrize("case", FIRST.values(), ids=str)
def test_no_missing_curve_stops_a_rule(case):
    trace = case.trace(poorly(case.kind))
    for owner in (*trace.networks.values(), *trace.losses.values(), *trace.games.values()):
        for name, curve in dict(owner.curves).items():
            del owner.curves[name]
            assert all(f.says for f in findings(case.rule, trace))
            for broken in (NAN * len(curve), NAN * 6 + curve[6:], curve[: len(curve) // 2] + NAN * (len(curve) // 2)):
                owner.curves[name] = broken
                assert all(f.says for f in findings(case.rule, trace))
            owner.curves[name] = curve


CURVES = {
    "missing": None, "empty": [], "nan": flat(math.nan), "one": [1.0], "0": flat(0), "infinite": flat(math.inf),
    "huge": flat(1e30), "ends in nan": [*flat(0.5), math.nan], "short": [0.3, 0.2, 0.1],
}  # fmt: skip
ROWS = {
    "empty": lambda x: x[:0], "few": lambda x: x[:5], "0": np.zeros_like, "nan": lambda x: np.full(x.shape, np.nan),
    "infinite": lambda x: np.full(x.shape, np.inf), "one": lambda x: np.repeat(x[:1], len(x), 0),
    "wide": lambda x: np.column_stack([x, x]) if x.ndim > 1 else x,
}  # fmt: skip


def damage(trace, where, curve, rows):
    """One curve or one set of rows becomes another."""
    owners = [*trace.networks.values(), *trace.losses.values(), *trace.games.values()]
    curves = [(owner.curves, name) for owner in owners for name in owner.curves]
    arrays = [(vars(loss), name) for loss in trace.losses.values() for name in ("rows", "judged", "denoised")]
    arrays += [(trace.pairs, key) for key in trace.pairs]
    arrays += [(vars(game), name) for game in trace.games.values() for name in ("real", "made", "first_made")]
    at, name = (curves + arrays)[where % len(curves + arrays)]
    if (at, name) in curves:
        at[name] = CURVES[curve]
        if at[name] is None:
            del at[name]
    elif isinstance(at[name], tuple):
        at[name] = tuple(ROWS[rows](part).astype(part.dtype) for part in at[name])
    elif rows != "wide":  # the sides of a game have the same columns
        at[name] = ROWS[rows](at[name])


DAMAGE = st.tuples(st.integers(0, 10**4), st.sampled_from(sorted(CURVES)), st.sampled_from(sorted(ROWS)))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CASES), st.lists(DAMAGE, max_size=9))
def test_no_trace_stops_a_rule(case, damages):
    trace = case.trace(poorly(case.kind))
    for where, curve, rows in damages:
        damage(trace, where, curve, rows)
    assert not [f.says for f in examine(trace) if f.rule == "rule failed"]
