"""Cards on a card and an objective written here: what is parsed, what is refused and where, what is shown."""

# ruff: noqa: RUF001  unicode signs are what is tested

from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import pytest

from whichloss import cards
from whichloss.errors import UserError
from whichloss.formulas import unicode
from whichloss.losses.adversarial import bce_critic

USED = bce_critic  # stands for an import that an objective's module would use


@dataclass(frozen=True)
class Toy:
    """Stands for an objective."""

    lr: float = 1e-3
    name: str = "a"
    betas: tuple[float, float] = (0.5, 0.9)


TEXT = """---
name: toy-card
title: A toy
family: Adversarial
year: 2014
reference: Someone (2014), A title: with a colon
losses: [bce_critic]
symbols: [D: critic, p_g: law of G(z), z]
---

# A toy

## Definition
$$\\min_G \\frac{a + b}{\\sigma^2}$$

The slope $\\lVert \\nabla D(\\hat x) \\rVert_2$ is **one**, see `grad`.

| field | default | meaning |
|---|---|---|
| `lr` | `1e-3` | rate |
| name | a | what it is called, in a sentence that is long enough to be broken over several lines of a terminal |
| `betas` | `(0.5, 0.9)` | momenta |

## Derivation
One sentence.
## Where used and why
- first
- second
## Pros
Some.
## Cons and failure modes
Some.
## Deviations from the paper
None.
## Example
```python
# ## not a heading
a = 1
```
## Check
```python
assert 1 == 1
```
"""
PATH = Path("toy_card.md")


def test_a_sound_card_is_parsed_and_agrees_with_its_code():
    card = cards.parse(TEXT, PATH)
    assert (card.name, card.year, card.losses) == ("toy-card", 2014, ("bce_critic",))
    assert card.reference == "Someone (2014), A title: with a colon"
    assert card.symbols == ("D: critic", "p_g: law of G(z)", "z")
    assert tuple(card.sections) == cards.HEADINGS
    assert cards.blocks(card) == {"Example": "# ## not a heading\na = 1\n", "Check": "assert 1 == 1\n"}
    assert cards.verify(card, Toy) == []


@pytest.mark.parametrize(
    "old, new, line, says",
    [
        ("---\nname", "name", 1, "begins with a line '---'"),
        ("family: Adversarial\n", "", 8, "lacks 'family:'"),
        ("year: 2014", "year: soon", 1, "four digits"),
        ("losses: [bce_critic]", "losses", 7, "expected 'key: value'"),
        ("title: A toy", "title: A toy\ntitle: B", 4, "given twice"),
        ("## Pros\n", "## Advantages\n", 29, "expected the heading '## Pros'; found '## Advantages'"),
        ("## Pros\nSome.\n", "", 29, "expected the heading '## Pros'; found '## Cons and failure modes'"),
        ("## Check\n```python\nassert 1 == 1\n```\n", "", 39, "'## Check' is missing"),
        ("a = 1\n```", "a = 1\n", 41, "before the last one was closed"),
        ("## Derivation", "## Definition\n## Derivation", 24, "expected the heading '## Derivation'"),
    ],
)
def test_a_malformed_card_is_refused_with_file_and_line(old, new, line, says):
    assert old in TEXT
    with pytest.raises(UserError) as error:
        cards.parse(TEXT.replace(old, new), PATH)
    assert says in str(error.value)
    assert str(error.value).startswith(f"toy_card.md:{line}:")


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("`1e-3`", "`1e-2`", "'lr' defaults to 0.001 in the code; the card says 0.01"),
        ("| `betas` | `(0.5, 0.9)` | momenta |\n", "", "lacks 'betas' (default (0.5, 0.9))"),
        ("| `lr` |", "| `rate` |", "names 'rate', no field"),
        ("[bce_critic]", "[bce_critics]", "the code uses no 'bce_critics' (it uses ['bce_critic'])"),
        ("name: toy-card", "name: toy", "is not the file's name"),
        ("One sentence.", "", "'## Derivation' is empty"),
        ("assert 1 == 1\n```", "assert 1 == 1\n```\n```python\n```", "exactly one ```python block; found 2"),
        ("```python\nassert", "```\nassert", "exactly one ```python block; found 0"),
    ],
)
def test_a_card_that_its_code_contradicts_is_found(old, new, says):
    assert old in TEXT
    problems = cards.verify(cards.parse(TEXT.replace(old, new), PATH), Toy)
    assert any(says in problem for problem in problems), problems


def test_an_objective_without_a_card_says_where_it_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"no card: expected the file .*mine\.md"):
        cards.card(str(tmp_path / "mine.py"))
    (tmp_path / "mine.md").write_text(TEXT, encoding="utf-8")
    assert cards.card(str(tmp_path / "mine.py")).title == "A toy"


@pytest.mark.parametrize("width", [60, 100])
def test_a_card_is_shown_within_the_width_with_its_table_aligned(width):
    text = cards.render(cards.parse(TEXT, PATH), width)
    assert max(map(len, text.splitlines())) <= width
    assert "    min_G (a + b)/σ²" in text
    assert normalize("NFC", "The slope ‖∇D(x̂) ‖₂ is one, see grad.") in text
    table = [line for line in text.splitlines() if line.startswith(("field", "lr", "betas"))]
    assert {line.index(word) for line, word in zip(table, ("meaning", "rate", "momenta"), strict=True)} == {19}
    assert "- first\n- second" in text
    assert "    # ## not a heading\n    a = 1" in text
    assert "$" not in text and "```" not in text and "\\" not in text


@pytest.mark.parametrize(
    "latex, text",
    [
        (r"\mathbb E_{x \sim p} \log D(x)", "𝔼_(x ~ p) log D(x)"),
        (r"\sqrt{\bar\alpha_t}\, x_0", "√(ᾱₜ) x₀"),
        (r"\theta^{k+1} \in \mathbb{R}^d", "θᵏ⁺¹ ∈ ℝ^d"),
        (r"A^\top \mathcal{N}(0, I)", "Aᵀ𝒩(0, I)"),
        (r"\left[ \tfrac12 \right] \text{if } p = q", "[ 1/2 ] if p = q"),
        (r"\unknown{x}", "unknownx"),
    ],
)
def test_formulas_become_unicode(latex, text):
    assert unicode(latex) == normalize("NFC", text)
