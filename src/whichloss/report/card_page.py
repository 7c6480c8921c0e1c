"""A card as one self-contained page, and as a piece of the report: formulas typeset, curves drawn, cards linked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from .. import cards
from ..cards.find import functions
from ..errors import UserError
from . import curves, typeset
from .curves.korean import korean
from .html import text
from .words_of_cards import WORDS

Href = Callable[[str], str]  # a card's name -> where it is
IN_REPORT = ("Definition", "Where used and why", "Pros", "Cons and failure modes", "Deviations from the paper")


@dataclass(frozen=True)
class Fact:
    """One line of the list below the title, as HTML."""

    name: str
    value: str


@cache
def known() -> Mapping[str, str]:
    """What may be called by name, with hyphens -> the card's name: cards and the functions they are about."""
    own = {name: name for kind in cards.KINDS for name in cards.names(kind)}
    about = {function: path.stem.replace("_", "-") for function, path in functions().items()}
    return about | own


def named(card: cards.Card) -> list[str]:
    """The other cards that a card names in its text or uses losses of, in order."""
    found: dict[str, None] = {}

    def note(text: str) -> str:
        found.setdefault(known().get(plain(text), card.name))
        return ""

    for function in card.losses:
        note(function)
    for section in card.sections.values():
        typeset.html(section, note)
    return [name for name in found if name != card.name]


def plain(code: str) -> str:
    """A name in code as cards are called: bce_critic() is bce-critic."""
    return code.removesuffix("()").rpartition(".")[2].replace("_", "-")


def linker(card: cards.Card, href: Href) -> typeset.Link:
    """Code that names another card leads to it."""

    def link(code: str) -> str:
        name = known().get(plain(code), "")
        return href(name) if name and name != card.name else ""

    return link


def write(name: str, path: Path, lang: str = "en") -> Path:
    """The page of a card, complete in one file. Raises UserError where there is no such card or folder."""
    page = alone(cards.card(name, lang))
    if path.is_dir():
        raise UserError(f"'{path}' cannot be written: it is a folder.")
    if not path.parent.is_dir():
        raise UserError(f"'{path}' cannot be written: the folder '{path.parent}' does not exist.")
    path.write_text(page, encoding="utf-8")
    return path


def alone(card: cards.Card) -> str:
    """A page that needs no other: the cards it names are below, with their definitions."""
    near = [other for name in named(card) if (other := _readable(name, card.lang))]
    here = {other.name for other in near}

    def href(name: str) -> str:
        return f"#card-{name}" if name in here else ""

    below = [(other, typeset.html(other.sections["Definition"], linker(other, href))) for other in near]
    return render("card.html.j2", **content(card, href), near=below, style=style(), site=None)


def content(card: cards.Card, href: Href) -> dict[str, Any]:
    """What the template of a card shows."""
    link = linker(card, href)
    words = WORDS[card.lang]
    sections = [
        (heading.lower().replace(" ", "-"), words[heading], typeset.html(text, link))
        for heading, text in card.sections.items()
    ]
    return {
        "card": card,
        "kind": kind(card),
        "words": words,
        "facts": list(facts(card, link)),
        "sections": sections,
        "panels": curves.panels(card.name),
        "runs": ("misreadings", "example", "check"),
        "symbols": list(symbols(card)),
        "said": korean if card.lang == "ko" else str,
    }


def kind(card: cards.Card) -> str:
    """objective, loss, sampler or idea; the card of a user's file is an objective's."""
    return next((kind for kind, folder in cards.FOLDERS.items() if card.path.parent == folder), "objective")


def symbols(card: cards.Card) -> Iterable[tuple[str, str]]:
    """(symbol, meaning) of a card as HTML; a symbol is a formula where it has a LaTeX command."""
    for symbol in card.symbols:
        name, _, meaning = symbol.partition(":")
        latex = name.strip().strip("$")
        shown = typeset.math(latex) if "\\" in latex else f"<code>{escape(latex)}</code>"
        yield shown, inside(meaning.strip())


def facts(card: cards.Card, link: typeset.Link) -> Iterable[Fact]:
    """Family and year, what it is good at, how it fails, its cost and functions."""
    words = WORDS[card.lang]
    yield Fact(words["family"], f"{escape(family(card))}, {card.year}")
    for key in ("good", "fails", "cost"):
        if value := getattr(card, key):
            note = f" <small>({words['cost note']})</small>" if key == "cost" and kind(card) == "objective" else ""
            yield Fact(words[key], f"{inside(value)}{note}")
    if card.losses:
        code = ", ".join(inside(f"`{name}`", link) for name in card.losses)
        yield Fact(words["functions"], code)


def inside(markdown: str, link: typeset.Link = lambda name: "") -> str:
    """One line of markdown as HTML, without its paragraph."""
    return typeset.html(markdown, link).strip().removeprefix("<p>").removesuffix("</p>")


def family(card: cards.Card) -> str:
    """A card's family in its language."""
    name = capital(card.family)
    return str(WORDS[card.lang]["families"].get(name, name))


def in_report(name: str) -> str:
    """The card of a shipped objective as HTML without code and curves; nothing for a user's own file."""
    card = _readable(name, "en") if name in cards.names("objective") else None
    if card is None:
        return ""
    parts = (f"<h4>{heading}</h4>\n{typeset.html(card.sections[heading])}" for heading in IN_REPORT)
    return "\n".join(parts) + f'\n<p class="reference">{escape(card.reference)}</p>'


def capital(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def style() -> str:
    """The style of pages of cards, after the report's."""
    return text("style.css") + text("card.css")


def render(template: str, **context: Any) -> str:
    """A template of this package."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(context)


def _readable(name: str, lang: str) -> cards.Card | None:
    """A card in the language, or else in English, or None."""
    for each in dict.fromkeys((lang, "en")):
        try:
            return cards.card(name, each)
        except UserError:
            continue
    return None
