"""All cards in both languages as a folder of plain pages with relative links; no server, nothing from outside."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from .. import cards
from ..errors import UserError
from . import card_page
from .choose import FAMILIES
from .words_of_cards import WORDS

MARK = "style.css"
KINDS = {"objective": "objectives", "loss": "losses", "sampler": "samplers", "idea": "ideas"}


@dataclass(frozen=True)
class Place:
    """Where a page stands: the way to the root, and to the same page in the other language."""

    root: str
    other: str
    other_lang: str


def build(out: Path) -> int:
    """Write the site to a folder that is new, empty, or an older site; the number of pages. Raises UserError."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file()):
        raise UserError(f"'{out}' holds something else than a site of cards; give a new folder.")
    shelves = {lang: shelf(lang) for lang in cards.LANGUAGES}
    shutil.rmtree(out, ignore_errors=True)
    (out / "ko").mkdir(parents=True)
    (out / MARK).write_text(card_page.style(), encoding="utf-8")
    called = backlinks([card for group in shelves["en"].values() for card in group])
    pages = 0
    for lang, shelves_ in shelves.items():
        folder = out if lang == "en" else out / lang
        names = {card.name for group in shelves_.values() for card in group}
        both = names & {card.name for group in shelves["ko" if lang == "en" else "en"].values() for card in group}
        by_name = {card.name: card for group in shelves_.values() for card in group}
        for card in by_name.values():
            near = [by_name[name] for name in called[card.name] if name in by_name]
            page = one(card, near, place(lang, f"{card.name}.html" if card.name in both else ""))
            (folder / f"{card.name}.html").write_text(page, encoding="utf-8")
        (folder / "index.html").write_text(index(shelves_, lang), encoding="utf-8")
        pages += len(by_name) + 1
    return pages


def place(lang: str, page: str) -> Place:
    """The ways from a page of a language."""
    if lang == "en":
        return Place("", f"ko/{page}" if page else "", "ko")
    return Place("../", f"../{page}" if page else "", "en")


def shelf(lang: str) -> dict[str, list[cards.Card]]:
    """Kind -> its cards in a language, by family and title; a card that is not there in it is left out."""
    found: dict[str, list[cards.Card]] = {}
    for kind in ("idea", "loss", "objective", "sampler"):
        group = []
        for name in cards.names(kind):
            if lang == "en" or cards.path_of(name).with_suffix(".ko.md").is_file():
                group.append(cards.card(name, lang))
        found[kind] = sorted(group, key=lambda card: (_order(card.family), card.year, card.name))
    return found


def _order(family: str) -> tuple[int, str]:
    return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), family.lower()


def backlinks(group: list[cards.Card]) -> dict[str, list[str]]:
    """Card -> the cards it names and those that name it, sorted."""
    near: dict[str, set[str]] = {card.name: set() for card in group}
    for card in group:
        for name in near.keys() & card_page.named(card):
            near[card.name].add(name)
            near[name].add(card.name)
    return {name: sorted(others) for name, others in near.items()}


def one(card: cards.Card, near: list[cards.Card], where: Place) -> str:
    """The page of a card."""
    there = {other.name for other in near}
    content = card_page.content(card, lambda name: f"{name}.html" if name in there else "")
    links = [(other, f"{other.name}.html") for other in near]
    return card_page.render("card.html.j2", **content, near=links, style="", site=where)


def index(group: dict[str, list[cards.Card]], lang: str) -> str:
    """The first page of a language: kinds, families, cards, and a field to find them by."""
    shelves = []
    for kind, found in group.items():
        families: dict[str, list[cards.Card]] = {}
        for card in found:
            families.setdefault(card_page.family(card), []).append(card)
        shelves.append((KINDS[kind], families))
    where = place(lang, "index.html")
    return card_page.render("site.html.j2", words=WORDS[lang], shelves=shelves, lang=lang, site=where)


def main() -> None:
    """python -m whichloss.report.site OUT"""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "site")
    try:
        print(f"{build(out)} pages written; open {out / 'index.html'}")
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
