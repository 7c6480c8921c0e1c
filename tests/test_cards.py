"""Cards on a card and an objective written here: what is parsed, what is refused and where, what is shown."""

# ruff: noqa: RUF001, E501  unicode signs are what is tested; a case stands on one line

import re
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import pytest

from whichloss import cards
from whichloss.cards import find, terminal
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
```python
proof = 1
```
## Where used and why
- first
- second
## Pros
Some.
## Cons and failure modes
Some.
## Deviations from the paper
None.
## Misreadings
Not two, as $\\log 1$ would be.
```python
assert 1 != 2
```
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
    assert cards.blocks(card) == {
        "Derivation": "proof = 1\n",
        "Misreadings": "assert 1 != 2\n",
        "Example": "# ## not a heading\na = 1\n",
        "Check": "assert 1 == 1\n",
    }
    assert (card.short, card.lang, card.lines["Pros"]) == ("", "en", TEXT.splitlines().index("## Pros") + 2)
    assert cards.verify(card, Toy) == []


@pytest.mark.parametrize(
    "old, new, near, says",
    [
        ("---\nname", "name", "name:", "begins with a line '---'"),
        ("family: Adversarial\n", "", "---\n\n", "lacks 'family:'"),
        ("year: 2014", "year: soon", "year:", "four digits"),
        ("losses: [bce_critic]", "losses", "losses", "expected 'key: value'"),
        ("title: A toy", "title: A toy\ntitle: B", "title: B", "given twice"),
        ("title: A toy", "title: A toy\ncolour: red", "colour", "'colour:' is no key of a card"),
        ("## Pros\n", "## Advantages\n", "## Adv", "expected the heading '## Pros'; found '## Advantages'"),
        ("## Pros\nSome.\n", "", "## Cons", "expected the heading '## Pros'; found '## Cons and failure modes'"),
        ("## Check\n```python\nassert 1 == 1\n```\n", "", None, "'## Check' is missing"),
        ("a = 1\n```", "a = 1\n", "```python\nassert 1 == 1", "before the last one was closed"),
        ("assert 1 == 1\n```", "assert 1 == 1\n", None, "a ``` block is never closed"),
        ("## Derivation", "## Definition\n## Derivation", "## Definition\n## D", "expected the heading '## Derivation'"),
        ("- first", "- first\n  ```python", "  ```python", "beginning of its line"),
        ("assert 1 == 1\n```", "assert 1 == 1\n```\n```python\n```", "```python\n```", "exactly one ```python block; found 2"),
        ("```python\nassert 1 ==", "```\nassert 1 ==", "```\nassert 1 ==", "'## Check' needs exactly one ```python block; found 0"),
        ("```python\nassert 1 != 2\n```", "", "Not two", "'## Misreadings' needs exactly one ```python block"),
        ("proof = 1\n```", "proof = 1\n```\n```python\n```", "```python\n```", "may have one ```python block, its proof; found 2"),
        ("\\sigma^2}$$", "\\sigma^2}$$.", "$$\\min", "must end with $$"),
        ("The slope $", "The slope ", "The slope", "an odd number of $"),
        ("Some.\n## Cons", "Now $$x$$ here.\n## Cons", "Now", "$$ must begin and end a line of its own"),
        ("| name | a |", "| name | a | b |", "| name", "a row of 4 cells in a table of 3"),
        ("|---|---|---|\n", "", "| field", "must be its rule"),
    ],
)  # fmt: skip
def test_a_malformed_card_is_refused_with_file_and_line(old, new, near, says):
    assert TEXT.count(old) == 1
    text = TEXT.replace(old, new)
    line = len(text.splitlines()) if near is None else text[: text.index(near)].count("\n") + 1
    with pytest.raises(UserError) as error:
        cards.parse(text, PATH)
    assert says in str(error.value)
    assert str(error.value).startswith(f"toy_card.md:{line}:"), (str(error.value), line)


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("`1e-3`", "`1e-2`", "'lr' defaults to 0.001 in the code; the card says 0.01"),
        ("| `betas` | `(0.5, 0.9)` | momenta |\n", "", "lacks 'betas' (default (0.5, 0.9))"),
        ("| `lr` |", "| `rate` |", "names 'rate', no field"),
        ("[bce_critic]", "[bce_critics]", "the code uses no 'bce_critics' (it uses ['bce_critic'])"),
        ("name: toy-card", "name: toy", "is not the file's name"),
        ("- first\n- second", "", "'## Where used and why' is empty"),
    ],
)
def test_a_card_that_its_code_contradicts_is_found(old, new, says):
    assert old in TEXT
    problems = cards.verify(cards.parse(TEXT.replace(old, new), PATH), Toy)
    assert any(says in problem for problem in problems), problems


KOREAN = """---
title: 장난감
fails: 무너진다
---

## Definition
[[1]]
기울기(slope) $\\lVert x \\rVert$ 는 **하나**다.
[[2]]
## Derivation
[[1]]
한 문장이다.
## Where used and why
하나다.
## Pros
있다.
## Cons and failure modes
있다.
## Deviations from the paper
없다.
## Misreadings
[[1]]
## Example
[[1]]
## Check
[[1]]
"""


def merged(text: str) -> cards.Card:
    return cards.merge(text, Path("toy_card.ko.md"), cards.parse(TEXT, PATH))


def test_a_korean_card_has_its_own_prose_and_the_blocks_of_the_english_one():
    english, korean = cards.parse(TEXT, PATH), merged(KOREAN)
    assert (korean.title, korean.lang, korean.name) == ("장난감", "ko", "toy-card")
    assert (korean.good, korean.fails) == ("", "무너진다")
    assert cards.blocks(korean) == cards.blocks(english)
    assert cards.verify(korean, Toy) == []
    kinds = [piece.kind for piece in cards.pieces(korean.sections["Definition"])]
    assert kinds == ["display", "prose", "table"]
    assert "One sentence" not in korean.sections["Derivation"] and "[[" not in str(korean.sections)


@pytest.mark.parametrize(
    "old, new, near, says",
    [
        ("title: 장난감", "title: 장난감\nyear: 2014", "year", "'year:' is no key of a card"),
        ("[[2]]\n", "", "[[1]]\n기울기", "'## Definition' never calls [[2]], the table '| field | default | meaning |'"),
        ("## Check\n[[1]]\n", "## Check\n[[4]]\n", "[[4]]", "'## Check' of the English card has 1 block"),
        ("[[2]]", "[[3]]", "[[3]]", "[[3]]: '## Definition' of the English card has 2 blocks"),
        ("[[2]]", "[[2]]\n[[1]]", "[[1]]\n## Der", "[[1]] is called twice"),
        ("있다.\n## Cons", "보라 [[1]]\n## Cons", "보라", "[[n]] must stand on a line of its own"),
        ("없다.", "```python\na = 1\n```", "```python", "belongs in the English card"),
        ("없다.", "$$x$$", "$$x$$", "belongs in the English card"),
        ("없다.", "| a |", "| a |", "belongs in the English card"),
        ("없다.", "없다 $x", "없다 $x", "an odd number of $"),
        ("## Pros\n", "## 장점\n", "## 장점", "expected the heading '## Pros'"),
    ],
)  # fmt: skip
def test_a_malformed_korean_card_is_refused_with_file_and_line(old, new, near, says):
    assert old in KOREAN
    text = KOREAN.replace(old, new)
    line = text[: text.index(near)].count("\n") + 1
    with pytest.raises(UserError) as error:
        merged(text)
    assert says in str(error.value)
    assert str(error.value).startswith(f"toy_card.ko.md:{line}:"), (str(error.value), line)


def test_korean_letters_take_two_columns_and_no_line_is_too_wide():
    korean = merged(KOREAN.replace("있다.", "가나다라 마바사 " * 30))
    for width in (40, 60):
        text = cards.render(korean, width)
        assert max(len(line) + sum("가" <= c <= "힣" for c in line) for line in text.splitlines()) <= width
    assert "장난감 (toy-card)\n=================\n" in text


def test_a_table_with_korean_letters_is_aligned():
    rows = ["| 이름 | what |", "|---|---|", "| ab | 가나 |", "| 가나다 | `x|y` |".replace("|y", r"\|y")]
    lines = list(terminal.aligned(rows, 60))
    assert lines == ["이름    what", "------  ----", "ab      가나", "가나다  x|y"]
    assert terminal.fitted(["| name | " + "a " * 50 + "|", "| nearly-as-long-a-name | b |"], 40, whole=1)[0] == 21


def test_emphasis_may_hold_code_with_stars():
    assert (
        terminal.inline("**`p ** q` from a softmax** and `a ** b` and *c*") == "p ** q from a softmax and a ** b and c"
    )


def test_a_long_title_is_broken():
    text = cards.render(cards.parse(TEXT.replace("A toy", "A toy " * 20, 1).replace("# A toy ", "# A toy"), PATH), 60)
    assert max(map(len, text.splitlines())) <= 60


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Four empty folders in place of the shipped cards; shelf(kind, name, **front) puts one there."""
    folders = {kind: tmp_path / kind for kind in cards.KINDS}
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.setattr(find, "FOLDERS", folders)
    find.functions.cache_clear()

    def put(kind: str, name: str, losses: str = "[]") -> None:
        text = TEXT.replace("name: toy-card", f"name: {name}").replace("[bce_critic]", losses)
        (folders[kind] / f"{name.replace('-', '_')}.md").write_text(text, encoding="utf-8")

    yield put
    find.functions.cache_clear()


def test_a_card_is_found_by_its_name_or_by_a_function_and_losses_come_first(shelf):
    shelf("objective", "gan", "[bce_critic, only_here]")
    shelf("loss", "adversarial-bce", "[bce_critic, bce_generator]")
    shelf("idea", "logit", "[softmax]")
    shelf("sampler", "ladder")
    (find.FOLDERS["sampler"] / "ladder.py").write_text("def up(x): ...\n\ndef _down(x): ...\n")
    asked = {"gan": "gan", "bce_critic": "adversarial-bce", "bce-generator": "adversarial-bce", "only-here": "gan"}
    asked |= {"softmax": "logit", "up": "ladder", "adversarial_bce": "adversarial-bce", "ladder": "ladder"}
    assert {name: cards.card(name).name for name in asked} == asked
    cases = (
        ("bce_critc", "did you mean 'bce-critic'?"),
        ("BCE", "'adversarial-bce', 'bce-critic' or 'bce-generator'?"),
    )
    for unknown, says in (*cases, ("qqqq", ""), ("_down", ""), ("", "")):
        with pytest.raises(UserError, match=f"There is no card '{unknown}'.*{re.escape(says)}.* All names: `which"):
            cards.card(unknown)
    with pytest.raises(UserError, match=r"no Korean card: expected .*gan\.ko\.md"):
        cards.card("gan", "ko")
    with pytest.raises(UserError, match="en and ko; got 'fr'"):
        cards.card("gan", "fr")
    (find.FOLDERS["objective"] / "gan.ko.md").write_text(KOREAN, encoding="utf-8")
    assert cards.card("GAN", "ko").title == "장난감"
    assert cards.names("objective") == ("gan",)


def test_a_malformed_card_hides_no_other(shelf):
    shelf("loss", "broken", "[a]")
    shelf("loss", "sound", "[b]")
    (find.FOLDERS["loss"] / "broken.md").write_text("no card")
    assert cards.card("b").name == "sound"
    with pytest.raises(UserError, match=r"broken\.md:1:"):
        cards.card("broken")


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
    assert normalize("NFC", "The slope ‖∇D(x̂)‖₂ is one, see grad.") in text
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
        (r"\alpha - \beta A", "α - βA"),
        (r"\lVert \hat x \rVert_2 / K", "‖x̂‖₂ / K"),
        (r"\unknown{x}", "unknownx"),
    ],
)
def test_formulas_become_unicode(latex, text):
    assert unicode(latex) == normalize("NFC", text)
