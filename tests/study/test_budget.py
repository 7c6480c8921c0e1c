"""How much a study spends, exactly as the table of budgets says."""

from dataclasses import replace

import pytest

from whichloss.errors import UserError
from whichloss.study.budget import budget

# name: operations per run, settings, screen, finalists, fresh seeds, shares of the rows
TABLE = {
    "quick": (2e11, 3, 3, 2, 8, ()),
    "standard": (1e12, 8, 4, 3, 16, ()),
    "thorough": (1e13, 32, 4, 3, 24, (0.25, 0.5)),
}


@pytest.mark.parametrize("name", TABLE)
def test_named_budgets(name):
    b = budget(name)
    assert (b.flops, b.settings, b.screen, b.finalists, b.seeds, b.shares) == TABLE[name]
    assert b.name == name


@pytest.mark.parametrize(
    ("text", "like"),
    [("3e11", "quick"), ("7e11", "standard"), (5e12, "thorough"), ("1e15", "thorough"), (1e6, "quick")],
)
def test_a_number_takes_the_rest_from_the_nearest_name(text, like):
    b = budget(text)
    assert b.flops == float(text)
    assert (b.settings, b.screen, b.finalists, b.seeds, b.shares) == TABLE[like][1:]


def test_seeds_replace_the_fresh_seeds_only():
    assert budget("quick", 12).seeds == 12
    assert budget("quick", 12).screen == 3


@pytest.mark.parametrize("text", ["", "quik", "nan", "inf", "-1e9", "0", 999_999, "1e5"])
def test_what_is_no_budget(text):
    with pytest.raises(UserError, match=f"quick, standard, thorough.*got '{text}'"):
        budget(text)


@pytest.mark.parametrize("seeds", [1, 0, -3])
def test_an_interval_needs_two_seeds(seeds):
    with pytest.raises(UserError, match=f"at least 2.*got {seeds}"):
        budget("quick", seeds)


@pytest.mark.parametrize("name", TABLE)
def test_pictures_get_more_compute_under_the_same_name_and_nothing_else_changes(name):
    table, pictures = budget(name), budget(name, pictures=True)
    assert pictures.flops == 12 * table.flops
    assert replace(pictures, flops=table.flops) == table
    assert budget(str(pictures.flops), pictures=True).settings == table.settings
