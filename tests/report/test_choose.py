"""The tables of `whichloss list`: everything is in them, at every width, and what cannot be listed is refused."""

import re
from itertools import pairwise

import pytest
import torch

from whichloss import cards
from whichloss.cards.terminal import columns
from whichloss.errors import DataUnfit, UserError
from whichloss.nets import builder
from whichloss.objectives import available, find
from whichloss.objectives.find import DEFAULTS
from whichloss.report import choose
from whichloss.rng import Rng
from whichloss.task import Task
from whichloss.train import Lanes, flops_per_step

GOALS = [goal for goal in choose.GOALS if available(goal)]
TABLES = {
    "objective": lambda width: "\n".join(choose.objectives(goal, width) for goal in GOALS),
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


@pytest.mark.parametrize("width", [60, 96, 120])
def test_classifiers_are_listed_by_what_is_difficult_about_the_labels(width):
    text = choose.objectives("classify", width)
    names = available("classify")
    assert sorted(listed(text, "objective")) == list(names)
    families = [line for line in text.splitlines() if line.isupper()]
    assert families == [family.upper() for family in choose.GOALS["classify"]]
    for first, second in pairwise((*families, "* compared by default")):
        part = text[text.index(f"\n{first}\n" if width >= 96 else f"{first}\n") : text.index(f"\n{second}")]
        assert {cards.card(name).family.upper() for name in listed(part, "objective")} == {first}
    marked = {line.split()[1] for line in text.splitlines() if line.startswith("*  " if width >= 96 else "* ")}
    assert marked & set(names) == set(DEFAULTS["classify"])
    assert "cost" not in text.split("* compared")[0]


def test_the_list_says_which_labels_a_classifier_takes():
    text = " ".join(choose.objectives("classify", 200).split())
    assert "Several labels a row: asymmetric, bce." in text
    assert "all, ordinal only where the classes have an order" in text
    assert "--goal classify" in choose.objectives("generate", 200)


def test_classifiers_cost_the_same_as_the_list_says():
    """The largest counted step is within a few percent of the least."""
    rows, counted = torch.zeros(1, 9, 21), {}
    for name in available("classify"):
        task = Task("classify", 20, 9, 5, "ordered")
        counted[name] = flops_per_step(
            Lanes(find(name)(), task, builder(), Rng(Rng.of(0, 1).key[:1]), rows, torch.tensor([9]), torch.zeros(1, 20))
        )
    assert max(counted.values()) < 1.05 * min(counted.values()), counted
    assert {cards.card(name).cost for name in counted} == {"1 x, 1 pass"}


def test_embedders_cost_what_their_cards_say():
    rows, counted = torch.zeros(1, 300, 9), {}
    for name in available("embed"):
        task = Task("embed", 8, 300, 3, "one")
        rng, jitter = Rng(Rng.of(0, 1).key[:1]), torch.zeros(1, 8)
        counted[name] = flops_per_step(Lanes(find(name)(), task, builder(64), rng, rows, torch.tensor([300]), jitter))
    for name, flops in counted.items():
        assert cards.card(name).cost == f"{flops / counted['pair-contrastive']:.2g} x, 1 pass"


@pytest.mark.parametrize("width", [60, 120])
def test_an_objective_says_what_it_is_good_at_how_it_fails_and_what_it_costs(width):
    text = " ".join(choose.objectives("generate", width).split())
    card = cards.card("pcd")
    said = (card.cost, card.fails, card.good, card.short)
    assert all(each in text for each in said) if width == 60 else all(word in text for word in " ".join(said).split())
    assert ("main failure" in text) == (width == 120) and ("fails: " in text) == (width == 60)
    assert all(name in text for name in available("generate"))


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
        (lambda: choose.objectives("regression", 100), DataUnfit, "no goal of whichloss"),
        (lambda: choose.losses("regression", 100), UserError, "classify, embed, align, generate"),
    ],
)
def test_an_unknown_goal_is_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()
