"""The tables of `whichloss list`: everything is in them, at every width, and what cannot be listed is refused."""

import re

import pytest

from whichloss import cards
from whichloss.cards.terminal import columns
from whichloss.errors import DataUnfit, UserError
from whichloss.objectives import available
from whichloss.report import choose

TABLES = {
    "objective": lambda width: choose.objectives("generate", width),
    "loss": lambda width: choose.losses(None, width),
    "sampler": choose.samplers,
    "idea": choose.ideas,
}


def listed(text: str, kind: str) -> list[str]:
    """The names of a kind that a table shows whole, in order."""
    first = (re.match(r"[* ]{0,3}([^\s*]+)", line) for line in text.splitlines())
    return [found[1] for found in first if found and found[1] in cards.names(kind)]


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("width", [60, 80, 96, 120])
def test_a_table_names_every_card_once_within_the_width(kind, width):
    text = TABLES[kind](width)
    assert sorted(listed(text, kind)) == sorted(cards.names(kind))
    assert max(map(columns, text.splitlines())) <= width
    assert "whichloss explain NAME" in text and "\n\n\n" not in text


@pytest.mark.parametrize("width", [60, 120])
def test_an_objective_says_what_it_is_good_at_how_it_fails_and_what_it_costs(width):
    text = " ".join(TABLES["objective"](width).split())
    card = cards.card("pcd")
    said = (card.cost, card.fails, card.good, card.short)
    assert all(each in text for each in said) if width == 60 else all(word in text for word in " ".join(said).split())
    assert ("main failure" in text) == (width == 120) and ("fails: " in text) == (width == 60)
    assert all(name in text for name in available())


@pytest.mark.parametrize("goal", choose.GOALS)
def test_losses_of_a_goal_are_those_of_its_families_in_order(goal):
    shown = [cards.card(name).family for name in listed(choose.losses(goal, 120), "loss")]
    assert list(dict.fromkeys(shown)) == [family for family in choose.GOALS[goal] if family in shown]
    assert set(shown) >= {"classify": {"Long tail"}, "generate": {"Adversarial"}}.get(goal, {"Contrastive"})


def test_every_loss_belongs_to_a_family_that_a_goal_knows():
    found = {name: cards.card(name).family for name in cards.names("loss")}
    assert {name: family for name, family in found.items() if family not in choose.FAMILIES} == {}


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: choose.objectives("classify", 100), UserError, "whichloss list --losses --goal classify"),
        (lambda: choose.objectives("regression", 100), DataUnfit, "no goal of whichloss"),
        (lambda: choose.losses("regression", 100), UserError, "classify, embed, align, generate"),
    ],
)
def test_an_unknown_goal_is_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()
