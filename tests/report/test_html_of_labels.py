"""The page of a study of predictions in a real browser, and the words it must not use."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, browser
from made_up_labels import DERIVED, make, species, tagged
from test_html import EVIL, brightness, narrow

from whichloss.report import write
from whichloss.report.words import fixed
from whichloss.study.records import Study
from whichloss.task import Finding

SECTIONS = ["answer", "signal", "ranking", "evidence", "why", "predictions", "budget", "health", "data", "method"]
FOREIGN = ("MMD", "real rows", "sampled", "samples", "copies", "copying", "privacy", "skill", "equilibrium", "damage")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        opened.view(1200)
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    return write(make(folder), folder)


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
    numbers = page.js("[...document.querySelectorAll('section h2 span:first-child')].map(s => s.textContent)")
    assert numbers == [str(k) for k in range(2, 11)]
    assert report.stat().st_size < 2_000_000
    assert narrow(page) == 390
    return page


def visible(report: Path) -> str:
    """The words of a page, without the theory cards, styles and scripts."""
    text = report.read_text(encoding="utf-8")
    text = re.sub(r"<(script|style).*?</\1>|<details class=\"theory\">.*?</details>", "", text, flags=re.DOTALL)
    tips = " ".join(re.findall(r'(?:title|aria-label)="([^"]*)"', text))
    return unescape(re.sub(r"<[^>]+>", " ", text) + tips)


@needs_chromium
def test_one_label(page, report):
    sound(page, report)
    drawn = page.js("[...document.querySelectorAll('[data-chart]')].map(c => c.dataset.chart)")
    assert {"chance", "strips", "training", "calibration-0", "roc-3", "pr-1", "budget-gce", "tuning-gce"} <= set(drawn)
    assert "sampling" not in drawn  # a row costs the same with every objective
    assert page.js("document.querySelectorAll('.confusions table').length") == 4


@needs_chromium
@pytest.mark.parametrize("kind", ["several labels", "thirty classes", "two classes"])
def test_other_labels(page, tmp_path, kind):
    table, target = {
        "several labels": (tagged(), ("red", "round")),
        "thirty classes": (species(1500, [f"a rather long class name {k}" for k in range(30)]), ("species",)),
        "two classes": (species(300, ("Adelie", "Gentoo")), ("species",)),
    }[kind]
    sound(page, write(make(tmp_path, table, target), tmp_path))
    said = page.js("document.querySelector('#predictions').innerText")
    assert ("The most frequent mistakes among 30 classes" in said) == (kind == "thirty classes")
    assert page.js("document.querySelectorAll('.confusions table').length") == (4 if kind == "two classes" else 0)


@needs_chromium
def test_dark(page, report):
    sound(page, report)
    page.view(1200, scheme="dark")
    assert brightness(page.js("getComputedStyle(document.body).backgroundColor")) < 128
    for chart in ("chance", "roc-0", "calibration-0"):
        label = f"getComputedStyle(document.querySelector('[data-chart={chart}] .role-axis-label text')).fill"
        assert brightness(page.js(label)) > 128
    page.view(1200)


@needs_chromium
def test_names_of_classes_and_columns_cannot_hurt_the_page(page, tmp_path):
    table = species(300, (EVIL, "{{7*7}}", "'\"\\"))
    study = make(tmp_path, table, names=("cross-entropy", "./<b>mein</b> 模型.py"), finalists=2)
    sound(page, write(study, tmp_path))
    assert page.js("window.hurt || 0") == 0
    assert page.js("document.querySelectorAll('img, main b b').length") == 0
    assert "</script>" in page.js("document.querySelector('#predictions').innerText")


@needs_chromium
def test_nothing_known_and_everything_failed(page, tmp_path):
    study = make(tmp_path, names=("squared", "a-name-that-is-really-much-too-long-for-any-table.py"), finalists=2)
    for row in study.rows:
        row.metrics, row.last_metrics, row.letters, row.sample = {}, {}, "", ""
        if row.role == "objective":
            row.failures, row.curves, row.quarters, row.tuning = len(row.scores), {}, (None,) * 4, (({}, None),)
            row.training_flops, row.use_flops, row.last = 0.0, 0.0, None
    study.clock, study.audit, study.preflight, study.skipped = {}, {}, {"rope": 0.0}, {}
    sound(page, write(study, tmp_path))
    said = page.js("document.body.innerText")
    assert "Every run of every objective failed" in said and "Nothing was measured of the labels" in said
    assert "every run failed, so there are no predictions to show" in said


def test_no_word_of_samples(report):
    text = visible(report)
    for word in FOREIGN:
        assert word.lower() not in text.lower(), word
    for words in ("predicted row", "model.predict(", "species: Adelie, Chinstrap and Gentoo", DERIVED, "log-loss"):
        assert words in text, words


def test_several_labels_are_told_from_rows(tmp_path):
    table = tagged()
    text = " ".join(visible(write(make(tmp_path, table, ("red", "round")), tmp_path)).split())
    assert re.search(r"as cross-entropy predicts it; all of them are right on \d+\.\d % of the rows", text)
    assert "of all labels of all rows; balanced over classes" in text
    assert "columns 1 to predict from, encoded as 1 number " in text


def test_what_no_reader_should_take_for_another(tmp_path):
    study = make(tmp_path, species(300, (" b", "a, c", "d")))
    study.preflight = {**study.preflight, "p": 0.3, "noise": 0.05}
    study.score_name = "1 - accuracy"
    study.skipped = {"bce": "rows have one", "poly": "no order", "asymmetric": "rows have one"}
    text = " ".join(visible(write(study, tmp_path)).split())
    for words in (
        "The score is the error rate (1 - accuracy) of the predictions for rows",
        "predicted species: ' b', 'a, c' and d",
        "Not compared: bce and asymmetric (rows have one); poly (no order).",
        "Measured before anything was trained. no signal A cheap probe",
        "on validation rows, at on judging rows",
        ", validation rows",
        "one run of each: cross-entropy (seed 1), gce (seed 1)",
        "cross-entropy seed 1, ",
    ):
        assert words in text, words
    assert "contradict" not in text.replace(" ".join(study.preflight["why"]), "")


def test_a_few_contradictions_make_no_label_wrong(tmp_path):
    study = make(tmp_path)
    assert "Labels that the other rows contradict: 1" in visible(write(study, tmp_path))
    study.preflight = {**study.preflight, "noise": 0.05}
    text = visible(write(study, tmp_path))
    assert "The 1 least certain labels: too few" in text and "other rows contradict" not in text


def test_no_word_of_predictions_where_rows_are_sampled(tmp_path):
    from made_up import make as make_samples
    from made_up import mixed

    text = visible(write(make_samples(tmp_path, mixed(200)), tmp_path))
    for word in ("predicted row", "log-loss", "last epoch", "balanced accuracy", "Confusion", "class counting"):
        assert word not in text, word


def test_a_score_that_cannot_be_negative_is_not_shown_below_zero(tmp_path):
    study = make(tmp_path)
    study.row("gce").low = -0.2
    line = re.search(r"<small>([^<]*) to [^<]*</small>", after(write(study, tmp_path), 'data-sort="gce"'))
    assert line and line[1] == "0.000"
    study.score_name = "calibration"
    line = re.search(r"<small>([^<]*) to [^<]*</small>", after(write(study, tmp_path), 'data-sort="gce"'))
    assert line and line[1] == fixed(-0.2, 3)


def after(report: Path, mark: str) -> str:
    """The page from a mark on."""
    text = report.read_text(encoding="utf-8")
    return text[text.index(mark) :]


def test_the_matrix_of_health_has_what_predicting_networks_can_show(tmp_path):
    from whichloss.report import health

    study: Study = make(tmp_path)
    assert [f.title for f in health.matrix(study)["families"]] == ["definition", "finite", "learning"]
    study.findings = (Finding("mode collapse", "gce", "fault", "One class only.", {}, "", ""),)
    assert [f.title for f in health.matrix(study)["families"]][-1] == "coverage"


def test_charts_over_the_budget_leave_the_majority_class_out(tmp_path):
    from whichloss.report.charts import score_axis, trained_axis

    study = make(tmp_path)
    study.row("majority class").scores = (50.0,) * 8
    assert score_axis(study).low == 0 == trained_axis(study).low
    assert trained_axis(study).high < 10 < 50 < score_axis(study).high
