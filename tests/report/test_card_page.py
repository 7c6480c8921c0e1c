"""A card as one page: complete in itself, every link leads somewhere, readable in a real browser on any screen."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, browser

from whichloss import cards
from whichloss.errors import UserError
from whichloss.report import card_page
from whichloss.report.words_of_cards import WORDS

SHOWN = ("binary-cross-entropy", "adversarial-bce", "kl-divergence", "ddpm", "langevin", "optimal-transport")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: apt-get install chromium")


class Links(HTMLParser):
    """Addresses, identities and elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.to: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.to.append(value or "")
            if name == "id":
                self.ids.append(value or "")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("cards")
    names = [(name, lang) for name in SHOWN for lang in cards.LANGUAGES]
    return {(name, lang): card_page.write(name, folder / f"{name}.{lang}.html", lang) for name, lang in names}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_a_page_is_complete_in_itself(written, name, lang):
    page = written[name, lang].read_text(encoding="utf-8")
    found = Links(page)
    assert f'<html lang="{lang}">' in page and "default-src 'none'" in page
    assert sorted(set(found.ids)) == sorted(found.ids)
    assert all(to.startswith("#") for to in found.to)
    assert {to[1:] for to in found.to} <= set(found.ids)
    assert not {"script", "img", "link", "iframe", "object"} & set(found.tags)
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    assert found.tags.count("math") > 5 and found.tags.count("svg") >= 2
    assert len(page.encode()) < 400_000


@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_a_page_has_all_sections_facts_code_and_titles_in_its_language(written, lang):
    page = written["ddpm", lang].read_text(encoding="utf-8")
    card = cards.card("ddpm", lang)
    for heading in cards.HEADINGS:
        assert f"<h2>{WORDS[lang][heading]}</h2>" in page
    for said in (card.title, card.short, card.good, card.fails, card.cost, WORDS[lang]["fails"]):
        assert said in page
    assert page.count(WORDS[lang]["runs"]) == len(cards.RUNNABLE)
    assert ("Signal to noise" in re.sub(r'aria-label="[^"]*"', "", page)) == (lang == "en")


def test_a_card_that_is_named_is_there_to_be_read(written):
    page = written["langevin", "en"].read_text(encoding="utf-8")
    near = card_page.named(cards.card("langevin"))
    assert "pcd" in near and "langevin" not in near
    for name in near:
        assert f'<article id="card-{name}">' in page


def test_words_are_the_same_in_both_languages():
    assert WORDS["en"].keys() == WORDS["ko"].keys()
    families = {card_page.capital(cards.card(name).family) for kind in cards.KINDS for name in cards.names(kind)}
    assert families - WORDS["ko"]["families"].keys() == set()


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"the folder '.*no' does not exist"):
        card_page.write("gan", tmp_path / "no" / "gan.html")
    with pytest.raises(UserError, match="is a folder"):
        card_page.write("gan", tmp_path)
    with pytest.raises(UserError, match="en and ko"):
        card_page.write("gan", tmp_path / "gan.html", "fr")
    assert list(tmp_path.iterdir()) == []


def test_a_users_own_card_is_shown_and_cannot_hurt(tmp_path):
    text = (cards.FOLDERS["objective"] / "gan.md").read_text(encoding="utf-8").replace("name: gan", "name: mine")
    text = text.replace("title: Gen", "title: <script>hurt()</script> Gen").replace(
        "## Pros\n", "## Pros\n<img src=x>\n"
    )
    (tmp_path / "mine.md").write_text(text, encoding="utf-8")
    page = card_page.write(str(tmp_path / "mine.py"), tmp_path / "mine.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page and not {"script", "img"} & set(Links(page).tags)


def test_the_report_holds_definitions_and_use_but_no_code():
    part = card_page.in_report("wgan-gp")
    assert "<math" in part and "Cons and failure modes" in part and "<pre" not in part and "Gulrajani" in part
    assert card_page.in_report("./mine.py") == card_page.in_report("focal-loss") == ""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        yield opened


@needs_chromium
@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_a_page_in_a_browser_asks_for_nothing_and_fits(page, written, name, lang):
    file = written[name, lang]
    for width, phone in ((390, True), (1100, False)):
        page.requests.clear()
        page.errors.clear()
        page.view(width, 844, "dark" if phone else "light", phone)
        page.open(file, "true")
        assert page.requests == [file.resolve().as_uri()] and page.errors == []
        assert page.js("document.documentElement.scrollWidth") == width
    sizes = page.js("[...document.querySelectorAll('main math')].map(m => m.getBoundingClientRect().height)")
    assert min(sizes) > 5
