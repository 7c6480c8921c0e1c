"""Every objective, loss, sampler and idea has a card in two languages that agrees with the code, and its code runs."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from whichloss import cards
from whichloss.cards.find import functions
from whichloss.cards.terminal import columns
from whichloss.errors import UserError
from whichloss.formulas import unknown
from whichloss.objectives import available, find
from whichloss.report import typeset

SOURCE = Path(cards.__file__).parents[2]
NAMES = {kind: cards.names(kind) for kind in cards.KINDS}
ALL = [name for kind in cards.KINDS for name in NAMES[kind]]
IDEAS = ("diffusion", "energy", "information", "logit", "optimal-transport")
PROOFS = 30
SECONDS = 60.0  # of CPU for the code of all cards
AT_ONCE = 24  # cards whose blocks share a process


def public(path: Path) -> set[str]:
    """The public functions that a file defines."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}


def offered(folder: str) -> set[str]:
    """The public functions of all public modules of a folder."""
    files = (SOURCE / "whichloss" / folder).glob("[a-z]*.py")
    return {name for path in files for name in public(path)}


def sound(name: str, lang: str = "en") -> cards.Card | None:
    """The card, or None where it is malformed: that is another test's business."""
    try:
        return cards.card(name, lang)
    except UserError:
        return None


def test_every_objective_sampler_and_idea_has_a_card_and_no_card_is_without_its_code():
    assert list(available()) == list(NAMES["objective"])
    modules = {path.stem for path in (SOURCE / "whichloss" / "samplers").glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in NAMES["sampler"]} == modules
    assert set(IDEAS) <= set(NAMES["idea"])


@pytest.mark.parametrize("name", available())
def test_a_card_says_which_defaults_are_others_for_pictures(name):
    table = (SOURCE / "whichloss" / "objectives" / f"{find(name).__module__.rpartition('.')[2]}.md").read_text()
    for field, value in find(name).pictures.items():
        said = str(value).lower() if not isinstance(value, float) else f"{value:g}".removeprefix("0")
        assert re.search(rf"^\| `{field}` .* {re.escape(said)} for pictures \|$", table, re.MULTILINE), (field, said)


def test_no_two_cards_have_one_name():
    assert sorted({*ALL}) == sorted(ALL)


def test_every_public_loss_and_sampler_has_a_card_and_every_function_a_card_names_is_there():
    about = {name.replace("-", "_") for name in functions()}
    assert sorted((offered("losses") | offered("samplers")) - about) == []
    assert sorted(about - offered("losses") - offered("samplers")) == []


@pytest.mark.parametrize("name", ALL)
def test_a_card_is_well_formed_and_agrees_with_its_code(name):
    card = cards.card(name)
    assert (cards.verify(card, find(name)) if name in NAMES["objective"] else cards.faults(card)) == []


@pytest.mark.parametrize("name", ALL)
def test_a_card_has_its_korean_twin(name):
    korean = cards.card(name, "ko")
    assert cards.faults(korean) == []
    for heading, text in korean.sections.items():
        prose = "".join(piece.text for piece in cards.pieces(text) if piece.kind == "prose")
        assert not re.sub(r"\$[^$]*\$|`[^`]*`", "", prose).strip() or re.search("[가-힣]", prose), heading


def test_every_korean_card_has_its_english_twin():
    for folder in cards.FOLDERS.values():
        for path in folder.glob("*.ko.md"):
            assert path.with_name(path.name.removesuffix(".ko.md") + ".md").is_file(), path


@pytest.mark.parametrize("name", ALL)
def test_a_cards_formulas_keep_to_the_commands_that_can_be_shown(name):
    for lang in cards.LANGUAGES:
        card = sound(name, lang)
        for heading, text in (card.sections if card else {}).items():
            for piece in cards.pieces(text):
                found = [piece.inner] if piece.kind == "display" else []
                if piece.kind in ("prose", "table"):
                    found = re.findall(r"(?<!\\)\$([^$]+)\$", re.sub(r"`[^`]*`", "", piece.text))
                for latex in found:
                    assert unknown(latex) == [], f"{card.path}:{card.lines[heading] + piece.line}: {latex}"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_a_card_says_what_the_list_needs_in_few_words(name, lang):
    card = sound(name, lang)
    needed = ("short",) if name in NAMES["idea"] else ("good", "fails", "cost")
    needed += ("short",) if name in NAMES["objective"] else ()
    for key in needed if card else ():
        said = getattr(card, key)
        assert 0 < len(said) <= 80, f"{card.path.name}: '{key}:' {said!r}"
        assert lang == "en" or re.search("[가-힣]", said) or "n" in said or "^" in said, (
            f"{name}: '{key}:' is not Korean"
        )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_a_card_is_typeset_without_a_mark_left_over(name, lang):
    card = sound(name, lang)
    for heading, text in (card.sections if card else {}).items():
        page = typeset.html(text)
        assert "<merror" not in page
        seen = re.sub(r"<[^>]+>", "", re.sub(r"<code.*?</code>", "", page, flags=re.DOTALL))
        for sign in ("\\", "$", "**", "`", "[["):
            assert sign not in seen, f"{heading}: {next(line for line in seen.splitlines() if sign in line)}"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_a_card_is_readable_in_a_terminal(name, lang):
    card = sound(name, lang)
    for width in (60, 100) if card else ():
        prose = cards.render(card, width)
        for section in card.sections.values():
            for piece in cards.pieces(section):
                for line in piece.inner.splitlines() if piece.kind == "code" else ():
                    prose = prose.replace("    " + line, "", 1)
        for sign in ("\\", "$", "```", "**", "[["):
            assert sign not in prose, next(line for line in prose.splitlines() if sign in line)
        assert [line for line in prose.splitlines() if columns(line) > width] == []


def test_enough_cards_prove_a_step_of_their_derivation():
    found = [name for name in ALL if (card := sound(name)) and "sympy" in cards.blocks(card).get(cards.PROOF, "")]
    assert len(found) >= PROOFS, found


def chunks() -> list[list[str]]:
    """Cards of one folder, a few at a time."""
    return [list(names[k : k + AT_ONCE]) for names in NAMES.values() for k in range(0, len(names), AT_ONCE)]


@pytest.mark.parametrize("names", chunks(), ids=lambda names: f"{names[0]}..{names[-1]}")
def test_the_code_of_cards_runs(names):
    """In a process of its own per folder, with an answer per block; warnings are errors."""
    found = [(name, cards.blocks(card)) for name in names if (card := sound(name))]
    work = [(name, section, code) for name, blocks in found for section, code in blocks.items()]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("run_cards.py"))]
    run = subprocess.run(command, input=json.dumps(work), env=env, capture_output=True, text=True, timeout=300)
    done = [json.loads(line) for line in run.stdout.splitlines()]
    faults = [f"{card}, {section}: {fault}" for card, section, fault, _ in done if fault]
    assert not faults, "\n".join(["", *faults])
    assert len(done) == len(work), f"stopped in {work[len(done)][:2]}: {run.stderr[-2000:]}"
    assert sum(seconds for *_, seconds in done) < SECONDS * len(names) / max(1, len(ALL)) + 10
