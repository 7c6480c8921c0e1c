"""The site of all cards: built in a folder, every link and anchor in it resolved, nothing from outside."""

import re
import time
from pathlib import Path

import pytest
from browser import CHROMIUM, browser
from test_card_page import Links

from whichloss import cards
from whichloss.errors import UserError
from whichloss.report import site

ALL = [name for kind in cards.KINDS for name in cards.names(kind)]
SECONDS, KILOBYTES = 60, 90  # of all pages, of one on average
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "out"
    begun = time.process_time()
    assert site.build(out) == 2 * len(ALL) + 2
    assert time.process_time() - begun < SECONDS
    return out


def test_every_card_has_a_page_in_both_languages_and_nothing_else_is_there(built):
    names = {f"{name}.html" for name in (*ALL, "index")}
    assert {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()} == (
        names | {f"ko/{name}" for name in names} | {"style.css"}
    )
    assert sum(path.stat().st_size for path in built.rglob("*")) < 2 * len(names) * KILOBYTES * 1e3


def test_every_link_and_anchor_leads_somewhere_inside(built):
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in built.rglob("*.html")}
    lost = []
    for path, page in pages.items():
        assert sorted(set(page.ids)) == sorted(page.ids), path
        assert not {"img", "iframe", "object", "base"} & set(page.tags)
        for to in page.to:
            file, _, anchor = to.partition("#")
            target = (path.parent / file).resolve() if file else path
            inside = not re.match(r"/|[a-z]+:", to) and target.is_relative_to(built.resolve()) and target.is_file()
            if not inside or (anchor and anchor not in pages[target].ids):
                lost.append(f"{path.relative_to(built)}: {to}")
    assert lost == []
    for text in (path.read_text(encoding="utf-8") for path in built.rglob("*") if path.is_file()):
        assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|WebSocket|file://", text)


def test_the_index_of_each_language_shows_every_card_by_kind_and_family(built):
    for lang, folder in (("en", built), ("ko", built / "ko")):
        page = (folder / "index.html").read_text(encoding="utf-8")
        for name in ALL:
            card = cards.card(name, lang)
            assert page.count(f'href="{name}.html"') == 1
            assert f'">{card.title}</a>'.replace("'", "&#39;") in page
        assert Links(page).ids == ["none", "ideas", "losses", "objectives", "samplers"]
    assert page.index("긴 꼬리") > page.index("잡음 레이블") > page.index("<h3>분류")


def test_a_page_leads_to_its_twin_in_the_other_language_and_back(built):
    for name in (*ALL, "index"):
        english = Links((built / f"{name}.html").read_text(encoding="utf-8"))
        korean = Links((built / "ko" / f"{name}.html").read_text(encoding="utf-8"))
        assert f"ko/{name}.html" in english.to and f"../{name}.html" in korean.to


def test_a_card_leads_to_those_it_names_and_those_that_name_it(built):
    to = Links((built / "adversarial-bce.html").read_text(encoding="utf-8")).to
    assert {"gan.html", "gan-minimax.html"} <= set(to)
    assert "adversarial-bce.html" in Links((built / "gan.html").read_text(encoding="utf-8")).to


def test_a_folder_that_is_no_site_is_refused_and_an_older_site_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        site.build(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    few = {"en": {"idea": [cards.card("logit")]}, "ko": {"idea": [cards.card("logit", "ko")]}}
    monkeypatch.setattr(site, "shelf", few.__getitem__)
    out = tmp_path / "out"
    site.build(out)
    (out / "old.html").write_text("old")
    assert site.build(out) == 4
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "ko", "logit.html", "style.css"]


@needs_chromium
def test_in_a_browser_from_a_file(built):
    with browser() as page:
        for name in ("index.html", "ko/index.html", "ko/wgan-gp.html"):
            for width in (390, 1100):
                page.view(width, 844, phone=width == 390)
                page.open(built / name, "true")
                assert page.js("document.documentElement.scrollWidth") == width, name
        asked = [each for each in page.requests if not each.startswith(built.resolve().as_uri())]
        assert page.errors == asked == []
        page.open(built / "index.html", "true")
        page.js("i = document.querySelector('input'); i.value = 'bce_critic'; i.dispatchEvent(new Event('input'))")
        seen = page.js("[...document.querySelectorAll('li:not([hidden]) a')].map(a => a.getAttribute('href'))")
        assert "adversarial-bce.html" in seen and "kl-divergence.html" not in seen
