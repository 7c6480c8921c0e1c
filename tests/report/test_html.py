"""The page in a real browser: nothing asked for, nothing wrong, readable everywhere."""

import json
import re
from collections.abc import Iterator
from html import escape as html_escape
from pathlib import Path

import msgspec
import numpy as np
import pytest
from browser import CHROMIUM, Page, browser
from made_up import QUALITY, make, mixed

from whichloss.data import read
from whichloss.errors import UserError
from whichloss.objectives import available
from whichloss.report import html, words, write
from whichloss.study.records import Study

SECTIONS = ["answer", "ranking", "evidence", "why", "samples", "budget", "health", "data", "method"]
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: apt-get install chromium")
EVIL = "</script><script>window.hurt=1</script><img src=x onerror=window.hurt=1>"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        opened.view(1200)
        yield opened


@pytest.fixture(scope="module")
def mixed_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    return write(make(folder, mixed()), folder)


def sound(page: Page, report: Path) -> Page:
    """Open a report and check what must hold of every one."""
    page.requests.clear()
    page.errors.clear()
    page.view(1200)
    page.open(report)
    assert page.requests == [report.resolve().as_uri()]
    assert page.errors == []
    assert page.js("[...document.querySelectorAll('section')].map(s => s.id)") == SECTIONS
    assert page.js("document.querySelectorAll('[data-chart]:not(:has(svg))').length") == 0
    assert report.stat().st_size < 4_000_000
    return page


def narrow(page: Page) -> int:
    """The width of the page on a phone of 390 pixels."""
    page.view(390, 844, phone=True)
    width = page.js("document.documentElement.scrollWidth")
    page.view(1200)
    return int(width)


@needs_chromium
def test_a_mixed_table(page, mixed_report):
    sound(page, mixed_report)
    drawn = page.js("[...document.querySelectorAll('[data-chart]')].map(c => c.dataset.chart)")
    assert {
        "strips",
        "training",
        "sampling",
        "dependence",
        "column-0",
        "column-7",
        "budget-ddpm",
        "tuning-ddpm",
    } <= set(drawn)
    assert narrow(page) == 390


def test_the_cards_of_the_objectives_are_in_the_page_typeset_and_the_page_stays_small(mixed_report):
    page = mixed_report.read_text(encoding="utf-8")
    assert len(page.encode()) < 2_000_000
    theory = page[page.index("<h3>The theory</h3>") : page.index('<section id="samples">')]
    names = re.findall(r"<summary><b>([^<]+)</b>", theory)
    assert {"ddpm", "flow-matching", "ebgan"} <= set(names) == {name for name in names if name in available()}
    assert theory.count("<h4>Definition</h4>") == len(names)
    assert theory.count("<math") > 10 * len(names) and "<pre" not in theory and "href" not in theory


@needs_chromium
@pytest.mark.parametrize(
    ("source", "panel"), [("toy:ring8:600", "scatter-real"), ("toy:two-normals-1d:600", "line-real")]
)
def test_real_rows_come_first(page, tmp_path, source, panel):
    sound(page, write(make(tmp_path, read(source)), tmp_path))
    panels = page.js("[...document.querySelectorAll('#samples [data-chart]')].map(c => c.dataset.chart)")
    assert panels[0] == panel and len(panels) == 13
    assert "pcd: every run failed" in page.js("document.querySelector('#samples').innerText")


@needs_chromium
def test_dark_and_print(page, mixed_report, tmp_path):
    sound(page, mixed_report)
    light, dark = [], []
    for scheme, found in (("light", light), ("dark", dark)):
        page.view(1200, scheme=scheme)
        found.append(page.js("getComputedStyle(document.body).backgroundColor"))
        found.append(page.js("getComputedStyle(document.querySelector('#evidence .role-axis-label text')).fill"))
    assert [brightness(c) > 128 for c in light] == [True, False]
    assert [brightness(c) > 128 for c in dark] == [False, True]
    page.js("dispatchEvent(new Event('beforeprint'))")
    assert page.js("document.querySelectorAll('details:not([open])').length") == 0
    page.js("dispatchEvent(new Event('afterprint'))")
    assert page.js("document.querySelectorAll('details:not([open])').length") > 0
    page.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def brightness(colour: str) -> float:
    """0 to 255."""
    return float(np.mean([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]))


@needs_chromium
def test_sorting_choosing_and_opening(page, mixed_report):
    sound(page, mixed_report)
    body = "document.querySelectorAll('#ranking tbody')[1]"
    names = f"[...{body}.querySelectorAll('tr:not(.group) th')].map(t => t.dataset.sort)"
    first = page.js(names)
    page.js("document.querySelectorAll('#ranking thead button')[1].click()")
    assert page.js(names) == sorted(first) != first
    page.js("document.querySelectorAll('#ranking thead button')[1].click()")
    assert page.js(names) == sorted(first, reverse=True)
    line = "document.querySelector('[data-chart=column-1] svg').outerHTML"
    before = page.js(line)
    choose = "const s = document.querySelector('[data-pick]'); s.value = '6'; s.dispatchEvent(new Event('change'));"
    assert page.js(f"(() => {{ {choose} return new Promise(r => setTimeout(() => r({line}), 200)) }})()") != before
    page.js("document.querySelector('#health td.fault a').click()")
    assert page.js("new Promise(r => setTimeout(() => r(document.querySelector('#health-6').open), 100))")


@needs_chromium
def test_a_page_cannot_be_hurt_by_names_and_values(page, tmp_path):
    g = np.random.default_rng(0)
    columns = {EVIL: g.normal(size=200), "c": np.array([EVIL, "{{7*7}}", "'\"\\", "ok"], object)[g.integers(0, 4, 200)]}
    table = msgspec_replace_source(read(columns), EVIL)
    study = make(tmp_path, table, names=("gan", "./<b>mein</b> 模型.py"), finalists=2)
    study.command = EVIL
    study.answer.sentence = EVIL
    sound(page, write(study, tmp_path))
    assert page.js("window.hurt || 0") == 0
    assert page.js("document.querySelectorAll('img, main b b').length") == 0
    assert EVIL in page.js("document.querySelector('#answer').innerText")
    assert json.loads(page.js("document.querySelector('#study').textContent"))["command"] == EVIL


def msgspec_replace_source(table, source: str):
    """The same table, from elsewhere."""
    from dataclasses import replace

    return replace(table, source=source)


@needs_chromium
def test_sixty_four_columns_show_the_most_different_ones_and_say_so(page, tmp_path):
    g = np.random.default_rng(0)
    columns = {f"a rather long column name, number {j}": g.normal(size=200) for j in range(63)}
    columns["hundred"] = np.array([f"value {i % 100}" for i in range(200)], object)
    sound(page, write(make(tmp_path, read(columns), names=tuple(QUALITY)[:3], finalists=2), tmp_path))
    assert "The table has 64 columns that vary; the 12 in which" in page.js(
        "document.querySelector('#samples').innerText"
    )
    assert page.js("document.querySelectorAll('#samples .panel').length") == 12
    assert narrow(page) == 390


@needs_chromium
@pytest.mark.parametrize(
    "column",
    [
        np.array(["a", "b", "c", None], object)[np.arange(100) % 4],
        np.arange("2020-01-01", "2020-04-10", dtype="datetime64[D]"),
    ],
    ids=["category", "date"],
)
def test_one_column_one_finalist_no_findings(page, tmp_path, column):
    study = make(tmp_path, read({"only": column}), names=("ddpm",), finalists=1, findings=())
    study.budget = {**study.budget, "name": "quick"}
    sound(page, write(study, tmp_path))
    assert page.js("document.querySelector('.banner').innerText").startswith("Indicative. This is the quick budget")


@needs_chromium
def test_nothing_known_and_everything_failed(page, tmp_path):
    table = mixed(100)
    study = make(
        tmp_path,
        table,
        names=("pcd", "an-objective-with-a-name-that-is-really-much-too-long-for-any-table.py"),
        finalists=2,
    )
    for row in study.rows:
        row.metrics, row.skill, row.letters = {}, None, ""
        if row.role == "objective":
            row.failures, row.sample, row.curves, row.quarters, row.tuning = (
                len(row.scores),
                "",
                {},
                (None,) * 4,
                (({}, None),),
            )
            row.training_flops = row.use_flops = 0.0
            row.loss_skill = row.last = row.log_likelihood = None
    study.clock, study.audit, study.preflight, study.skipped = {}, {}, {"rope": 0.0}, {}
    (tmp_path / "runs" / "anchors-1.safetensors").write_bytes(b"damaged")
    sound(page, write(study, tmp_path))
    said = page.js("document.body.innerText")
    assert "Every run of every objective failed" in said and "is missing or damaged" in said
    assert narrow(page) == 390


def test_the_page_holds_the_study_as_json_and_its_numbers_as_text_and_is_always_the_same(study, tmp_path):
    page = write(study, tmp_path).read_text()
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', page, re.DOTALL)
    again = msgspec.json.decode(found[1], type=Study)
    assert msgspec.json.encode(again) == msgspec.json.encode(study)
    text = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    for row in study.rows:
        assert words.fixed(row.mean, 4) in text
    for column in study.data.columns:
        assert html_escape(column["name"]) in text
    assert write(study, tmp_path).read_text() == page


def test_no_character_of_embedded_json_can_end_its_element():
    text = html.as_json({"a": EVIL, "b": "<!--\u2028"})
    assert "<" not in text and "\u2028" not in text
    assert json.loads(text) == {"a": EVIL, "b": "<!--\u2028"}


def test_a_folder_without_its_table_is_refused(study, tmp_path):
    (tmp_path / "data.safetensors").unlink()
    with pytest.raises(UserError, match=r"data\.safetensors"):
        write(study, tmp_path)
