"""Every objective has a card and every card an objective; cards agree with the code, and their code runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from whichloss import cards
from whichloss.objectives import available, find

NAMES = available()
CARDS = sorted(path.stem.replace("_", "-") for path in cards.HERE.glob("*.md"))


def test_every_objective_has_a_card_and_every_card_an_objective():
    assert list(NAMES) == CARDS


@pytest.mark.parametrize("name", NAMES)
def test_a_card_agrees_with_its_code(name):
    assert cards.verify(cards.card(name), find(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_readable_in_a_terminal(name):
    for width in (80, 100):
        text = cards.render(cards.card(name), width)
        code = cards.blocks(cards.card(name))
        prose = text
        for block in code.values():
            for line in block.splitlines():
                prose = prose.replace("    " + line, "", 1)
        assert "\\" not in prose and "$" not in prose and "```" not in prose


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("section", cards.RUNNABLE)
def test_a_cards_code_runs(name, section):
    """In a process of its own, as a reader would run it; warnings are errors."""
    code = cards.blocks(cards.card(name))[section]
    source = str(Path(cards.__file__).parents[1])
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": source}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=env, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
