"""The section on outliers: its numbers against scikit-learn and the terminal, its words, its page."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import altair as alt
import made_up
import numpy as np
import pytest
import sklearn.metrics as peer
from browser import CHROMIUM, Page, browser
from made_up_outliers import DETECTORS, GAINS, OVERLAP, make
from test_html import SECTIONS, brightness, narrow

from whichloss.report import charts, diagrams, evidence, lookup, outliers, text, write
from whichloss.report.charts import Figure
from whichloss.report.words import fixed, hundredths
from whichloss.study import rank
from whichloss.study.records import Study

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    """A study in which outliers decide, and its folder."""
    folder = tmp_path_factory.mktemp("outliers")
    return make(folder), folder


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        opened.view(1200)
        yield opened


def scored(inside: np.ndarray, outside: np.ndarray, seed: int = 1) -> outliers.Scored:
    """One run's scores."""
    marks = np.repeat([0, 1], [len(inside), len(outside)])
    return outliers.Scored(seed, inside, outside, peer.roc_auc_score(marks, np.concatenate([inside, outside])))


def values(figure: Figure, layer: int) -> list[dict[str, float]]:
    """What a layer of a chart draws."""
    return figure.spec["datasets"][figure.spec["layer"][layer]["data"]["name"]]


def words(report: Path, part: str = "outliers") -> str:
    """The words of a section."""
    html = report.read_text(encoding="utf-8")
    html = html[html.index(f'<section id="{part}"') :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html[: html.index("</section>")])).split())


@pytest.mark.parametrize("gain", [-4.0, -1.2, 0.0, 4.0])
@pytest.mark.parametrize("ties", [False, True])
def test_curves_are_those_of_scikit_learn_and_their_areas_the_auroc(ties, gain):
    g = np.random.default_rng(0)
    run = scored(*((g.normal(size=n) + m).round(1 if ties else 12) for n, m in ((400, 0.0), (150, gain))))
    wrong, right, _ = peer.roc_curve(
        np.repeat([0, 1], [400, 150]), np.concatenate([run.inside, run.outside]), drop_intermediate=False
    )
    last = np.append(np.flatnonzero(np.diff(wrong)), len(wrong) - 1)
    assert run.curve == pytest.approx(np.interp(diagrams.ALARMS, wrong[last], right[last]))
    assert np.trapezoid(run.curve, diagrams.ALARMS) == pytest.approx(run.auroc, abs=0.005)


@pytest.mark.parametrize("alarm", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("rows", [1, 7, 100, 360])
def test_the_threshold_is_the_lowest_score_with_so_few_false_alarms(rows, alarm):
    g = np.random.default_rng(rows)
    run = scored(g.permutation(rows).astype(float), g.normal(rows / 2, rows, 50))
    wrong = (run.inside > run.threshold(alarm)).mean()
    assert wrong <= alarm + 1e-12 < wrong + 1 / rows + 1e-9
    assert run.finds(alarm) == np.mean([x > run.threshold(alarm) for x in run.outside])


def test_every_run_of_every_line_is_read_and_its_mean_is_the_studys(found):
    lines = outliers.load(*found)
    assert {line.name: len(line.runs) for line in lines} == {
        "flow": 16,
        "ml": 16,
        "autoencoder": 4,
        **dict.fromkeys(DETECTORS, 16),
    }
    assert [line.auroc for line in lines] == sorted((line.auroc for line in lines), reverse=True)
    for line in lines:
        assert line.auroc == pytest.approx(np.mean([run.auroc for run in line.runs]))
        for run in line.runs:
            assert scored(run.inside, run.outside).auroc == pytest.approx(run.auroc, abs=1e-9)
        low, high = line.span(OVERLAP)
        known = (1 - line.row.high, 1 - line.row.low)
        assert (low, high) == pytest.approx(np.clip(known, 0, 1))


def test_a_difference_is_that_of_the_study(found):
    study, folder = found
    by_name = {line.name: line for line in outliers.load(study, folder)}
    a, b = by_name["flow"], by_name["nearest neighbours"]
    d = outliers.compared(a, b, OVERLAP)
    seeds_only = rank.interval([x - y for x, y in zip(a.row.scores, b.row.scores, strict=True)], OVERLAP)
    assert d.mean == pytest.approx(seeds_only[0]) and d.low < seeds_only[1] < seeds_only[2] < d.high
    assert outliers.compared(b, a, OVERLAP).mean == pytest.approx(-d.mean)
    assert not outliers.compared(a, a, OVERLAP).apart
    assert outliers.compared(a, by_name["autoencoder"], OVERLAP) is None  # judged on other rows


def test_numbers_are_those_of_the_terminal(found):
    study, folder = found
    said = words(write(study, folder))
    for line in outliers.load(study, folder):
        terminal = text.finds(study, line.row).replace("\xa0", " ")
        form = r"AUROC (\S+), 95 % of them at (\S+ %) .* precision (\S+) \((\S+) by"
        area, alarms, precision, share = re.search(form, terminal).groups()
        note = {"flow": "recommended", "ml": "", "autoencoder": "validation rows"}.get(line.name, "simple baseline")
        low, high = (fixed(end, 3) for end in line.span(OVERLAP))
        shown = (
            line.name,
            note,
            area,
            low,
            "to",
            high,
            alarms,
            hundredths(line.finds()),
            precision,
            share,
            "by chance",
        )
        assert " ".join(filter(None, shown)).replace("\xa0", " ") in said
        legend = outliers.curves(study, [line]).spec["layer"][1]["encoding"]["color"]["legend"]
        assert f"{line.name} {area}" in legend["labelExpr"]


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        (3.0, r"flow finds outliers better than the best simple detector, nearest neighbours \(AUROC 0\.98\d against"),
        (1.2, r"flow cannot be told apart from the best simple detector, nearest neighbours \(AUROC 0\.7"),
        (0.1, r"nearest neighbours, finds outliers better than flow \(AUROC 0\.8\d+ against 0\.5"),
    ],
)
def test_what_is_said_of_the_best_simple_detector(gain, says, tmp_path):
    study = make(tmp_path, gains={"flow": gain, "ml": 0.3})
    first = outliers.sentences(study, outliers.load(study, tmp_path))[0]
    assert re.search(says, first)
    low, high = (float(x.replace("\u2212", "-")) for x in re.search(r"difference (\S+) to (\S+),", first).groups())
    assert low < high and ((low < 0 < high) if "told apart" in first else low > 0)


def test_below_a_half_is_explained_only_where_it_occurs(found, tmp_path):
    study, folder = found
    said = " ".join(outliers.sentences(study, outliers.load(study, folder)))
    assert "ml and Gaussian: AUROC below 0.5" in said and "density is high where rows crowd" in said
    alarms = hundredths(study.row("flow").metrics["outlier false alarms"][0])
    assert said.endswith(f"To find 95 % of the outliers, flow raises a false alarm for {alarms} of the rows.")
    del folder
    study = make(tmp_path, "mmd", {"flow": 1.0})
    study.rows = tuple(row for row in study.rows if row.name != "Gaussian")
    assert "below" not in " ".join(outliers.sentences(study, outliers.load(study, tmp_path)))


def test_where_samples_decide(tmp_path):
    study = make(tmp_path, "mmd", {"flow": 0.5, "ml": 2.0, "gan": None})
    said = words(write(study, tmp_path))
    assert "Outliers did not decide what is recommended. Of the finalists, ml finds them best" in said
    assert "Without a finite score for every row: gan." in said and "nearest neighbours" not in said
    study.answer.recommended = "gan"
    said = words(write(study, tmp_path))
    assert "gan is recommended, but does not give every row a finite score. ml finds" in said
    assert "outlier" not in words(tmp_path / "report.html", "samples")


def test_no_objective_gives_finite_scores(tmp_path):
    said = words(write(make(tmp_path, gains={"flow": None, "ml": None}), tmp_path))
    assert said.startswith("5 Outliers No objective gives every row a finite score.")
    assert "To find 95 % of the outliers, nearest neighbours raises" in said


def test_simple_detectors_draw_no_samples_and_none_is_missed(found):
    study, folder = found
    said = words(write(study, folder), "samples")
    assert "isolation forest" not in said and "holds no rows" not in said
    assert "damaged on purpose" not in words(folder / "report.html", "data")


def test_what_is_missing_is_said(tmp_path):
    study = make(tmp_path)
    first = study.row("flow").sample
    for path in (tmp_path / "runs").glob("flow-*"):
        if path.stem != first:
            path.write_bytes(b"damaged")
    (tmp_path / "runs" / f"{study.row('ml').sample}.safetensors").unlink()
    said = words(write(study, tmp_path))
    assert "flow recommended without 15 runs" in said and "ml without 16 runs" in said
    assert "Too few runs on the same rows to compare them." in said
    assert "Without charts, because their runs are missing or damaged: ml." in said


def test_no_section_without_outliers(tmp_path):
    study = made_up.make(tmp_path, made_up.mixed(200), names=("ddpm",), finalists=1)
    assert 'id="outliers"' not in write(study, tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize("large", [False, True])
def test_a_histogram_holds_every_row_in_any_unit(found, large):
    line = next(line for line in outliers.load(*found) if line.name == "flow")
    heights = []
    for unit, start in ((1.0, 0.0), (1e6, 3e7), (1e-3, -2.0)):
        runs = (scored(unit * line.runs[0].inside + start, unit * line.runs[0].outside + start),)
        figure = outliers.histogram(outliers.Line(line.row, runs), 0, large)
        alt.Chart.from_dict(figure.spec)
        rows, strange = ([point["y"] for point in values(figure, layer)] for layer in (0, 1))
        assert sum(rows[:-1]) == pytest.approx(1, abs=0.01) and sum(strange[:-1]) == pytest.approx(1, abs=0.01)
        heights.append([rows, strange])
    assert heights[1] == heights[0] == heights[2]


def test_a_histogram_of_equal_and_of_huge_scores():
    row = made_up.anchor("Gaussian", False)
    for inside in (np.zeros(30), np.append(np.zeros(29), 1e30), np.arange(30.0)):
        for outside in (np.zeros(20), np.full(20, 1e35), np.full(20, -1e-9)):
            figure = outliers.histogram(outliers.Line(row, (scored(inside, outside),)), 0)
            for points in (values(figure, 0), values(figure, 1)):
                assert sum(p["y"] for p in points[:-1]) == pytest.approx(1, abs=0.01)
                assert [p["x"] for p in points] == sorted(p["x"] for p in points)


def test_many_objectives_share_few_colours_and_the_recommended_one_is_drawn(tmp_path):
    names = {f"an-objective-with-a-long-name-{k}.py": 0.2 * k for k in range(9)}
    study = make(tmp_path, gains=names, finalists=3)
    lines = outliers.load(study, tmp_path)
    figure = outliers.curves(study, lines)
    alt.Chart.from_dict(figure.spec)
    colours = figure.spec["layer"][1]["encoding"]["color"]["scale"]["range"]
    assert len(colours) == len(outliers.HUES) + len(DETECTORS) and study.answer.recommended in figure.says
    assert len([c for c in colours if c == outliers.COLOURS["baseline"]]) == len(DETECTORS)
    assert all(name in figure.says for name in DETECTORS)


def test_where_a_simple_detector_is_perfect_the_axis_of_scores_stays_readable(tmp_path):
    study = make(tmp_path)
    study.preflight = {**study.preflight, "rope": 2e-17}
    best, flow = study.row("nearest neighbours"), study.row("flow")
    best.scores, best.mean, best.low, flow.low = (2e-17,) * 16, 2e-17, 2e-17, -0.2
    assert lookup.rope(study) == max(row.mean for row in study.rows) / 1000
    axis = charts.score_axis(study)
    assert axis.low == 0 == lookup.span(study, flow)[0]
    (band,) = evidence.band(study, "x", axis).to_dict(validate=False)["datasets"].values()
    assert min(band[0].values()) >= 0


@needs_chromium
@pytest.mark.parametrize("metric", ["auroc", "mmd"])
def test_the_page(page, tmp_path, metric):
    study = make(tmp_path, metric)
    report = write(study, tmp_path)
    page.requests.clear()
    page.errors.clear()
    page.open(report)
    assert page.requests == [report.resolve().as_uri()] and page.errors == []
    ids = page.js("[...document.querySelectorAll('section')].map(s => s.id)")
    assert ids == [*SECTIONS[:4], "outliers", *SECTIONS[4:]]
    numbers = page.js("[...document.querySelectorAll('section h2 span:first-child')].map(s => s.textContent)")
    assert numbers == [str(k) for k in range(2, 11)]
    assert page.js("document.querySelectorAll('[data-chart]:not(:has(svg))').length") == 0
    drawn = page.js("[...document.querySelectorAll('#outliers [data-chart]')].map(c => c.dataset.chart)")
    own = [name for name, gain in GAINS.items() if gain is not None]
    assert drawn[0] == "outlier-roc" and len(drawn) == 1 + len(own) + (4 if metric == "auroc" else 2)
    assert "Gaussian mixture 0.7" in page.js("document.querySelector('[data-chart=outlier-roc] svg').textContent")
    assert report.stat().st_size < 2_000_000 and narrow(page) == 390
    page.view(1200, scheme="dark")
    for mark in (".role-axis-label text", ".role-legend-label text"):
        fill = f"getComputedStyle(document.querySelector('[data-chart=outlier-roc] {mark}')).fill"
        assert brightness(page.js(fill)) > 128
    page.view(1200)
