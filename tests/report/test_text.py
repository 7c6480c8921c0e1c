"""The terminal's table and last lines, and the notebook's."""

from html.parser import HTMLParser
from io import StringIO

import made_up_labels
import msgspec
import pytest
from made_up import make, mixed
from rich.console import Console

from whichloss.report import sheet, text
from whichloss.study.records import Study


def printed(*things: object) -> str:
    console = Console(file=StringIO(), width=160)
    for thing in things:
        console.print(thing)
    return console.file.getvalue()


def test_the_table_has_a_line_for_every_row_in_rank_order(study):
    shown = printed(text.table(study))
    places = [shown.index(f" {row.name}") for row in study.ranked() if row.name not in ("gan", "Gaussian")]
    assert places == sorted(places)
    assert "flow-matching *" in shown and "4 of 4" in shown


def test_the_last_lines_say_what_was_run_the_verdict_and_the_faults(study):
    lines = text.closing(study)
    assert lines[0] == "8 objectives, 120 runs, 108\u00a0TFLOP, 12 min 34 s, 5 failed runs counted"
    assert lines[1].startswith("practically equivalent: flow-matching, ddpm (ddpm ")
    assert lines[2].startswith("recommended: flow-matching, because it is 33 times cheaper to use than ddpm")
    (fault,) = [line for line in lines if line.startswith("fault: ebgan: The hinge is inactive on 99 %")]
    assert fault.endswith("-> Set the margin to the energy of real rows, about 0.9 (1 more)")
    assert "2 notes" in lines[-1]


def test_names_are_no_markup(tmp_path):
    name = "[bold]my[/bold].py"
    study = make(tmp_path, mixed(300), names=(name, "ddpm"), finalists=2)
    for shown in (printed(text.table(study)), printed(*text.closing(study))):
        assert name in shown


def test_the_table_fits_a_terminal_of_eighty_columns(study):
    console = Console(file=StringIO(), width=80)
    console.print(text.table(study))
    shown = console.file.getvalue()
    assert "denoising-score-matching" in shown and "independent marginals" in shown and "…" not in shown


def test_one_finalist_has_nothing_to_be_compared_with(tmp_path):
    study = make(tmp_path, mixed(300), names=("ddpm",), finalists=1)
    assert text.closing(study)[1] == "undecided: ddpm"


class Tags(HTMLParser):
    """Collects the tags it meets."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_notebooks_html_is_whole_and_escapes_names(tmp_path):
    study = make(tmp_path, mixed(300), names=("<img src=x>", "ddpm"), finalists=2)
    parser = Tags()
    parser.feed(text.notebook(study))
    assert parser.open == [] and "img" not in parser.seen and "table" in parser.seen


@pytest.fixture
def predictions(tmp_path):
    """A study of labels."""
    return made_up_labels.make(tmp_path)


def test_predictions_have_columns_of_their_own(predictions):
    shown = printed(text.table(predictions))
    assert "skill" not in shown and "MMD" not in shown and "Score: log-loss" in shown
    row = predictions.row("gce")
    line = next(line for line in shown.splitlines() if " gce " in line)
    accuracy, area, error = (row.metrics[name][0] for name in ("accuracy", "auroc", "calibration error"))
    for number in (f"{row.mean:.3f} ±", f" {row.last:.3f} ", f" {100 * accuracy:.1f} ", f"{area:.3f}", f"{error:.3f}"):
        assert number in line
    assert "squared (3 of 3 failed)" in shown
    screened, judged = predictions.row("label-smoothing"), predictions.row("gce")
    assert f"± {screened.high - screened.mean:.3f}v " in shown and f"± {judged.high - judged.mean:.3f}v " not in shown


@pytest.mark.parametrize(("noise", "whole"), [(0.015, True), (0.0012, False)])
def test_predictions_fit_a_terminal_of_eighty_columns(predictions, noise, whole):
    predictions.preflight = {**predictions.preflight, "rope": noise}
    console = Console(file=StringIO(), width=80)
    console.print(text.table(predictions))
    shown = console.file.getvalue()
    assert ("weighted-cross-entropy" in shown or not whole) and "…" not in shown
    assert " 18\u00a0k" in shown and f"{predictions.row('gce').mean:.{3 if whole else 4}f} ±" in shown


def test_the_last_lines_say_what_labels_are_like_and_how_good_predictions_are(predictions):
    lines = text.closing(predictions)
    assert [line for line in lines if line.startswith("why: ")] == [
        f"why: {fact}" for fact in predictions.preflight["why"]
    ]
    (best,) = [line for line in lines if line.startswith("cross-entropy: log-loss ")]
    row = predictions.row("cross-entropy")
    assert f"accuracy {100 * row.metrics['accuracy'][0]:.1f}\u00a0%, balanced" in best
    assert "at the last epoch" in best and "accuracy 81.2\u00a0%" in best
    assert f"({row.metrics['calibration error if calibrated'][0]:.3f} if calibrated)" in best
    assert best.endswith(f"to {row.metrics['log-loss, scaled'][0]:.2g}")
    (simple,) = [line for line in lines if line.startswith("logistic regression: ")]
    assert "temperature" not in simple and "at the last epoch" not in simple


def test_what_would_decide_is_said_as_in_the_verdict(predictions):
    predictions.answer.seeds_needed = 153
    (said,) = [line for line in text.closing(predictions) if line.startswith("recommended: ")]
    sentence = "About 160 seeds each (--seeds) would probably decide, if the differences stay as they are."
    assert said.endswith(sentence) and sheet.changes(predictions)[0] == sentence
    predictions.answer.seeds_needed, predictions.answer.rows_needed = None, 513
    assert "about 520 test rows (there are 400)" in sheet.changes(predictions)[0]
    predictions.preflight = {**predictions.preflight, "p": 0.3}
    assert not any("would" in said for said in (text.recommended(predictions), *sheet.changes(predictions)))


def test_of_several_labels_the_accuracy_is_one_of_labels(predictions):
    assert ", accuracy 9" in text.quality(predictions)[0]
    predictions.preflight = {**predictions.preflight, "several": True}
    assert ", accuracy of all labels 9" in text.quality(predictions)[0]


def test_the_last_lines_of_a_study_of_samples_know_nothing_of_labels(study):
    assert text.why(study) == [] == text.quality(study)


def test_a_study_of_labels_of_which_nothing_is_known_has_lines_too(predictions):
    for row in predictions.rows:
        row.metrics, row.last_metrics, row.last = {}, {}, None
    assert "log-loss" in printed(text.table(predictions), *text.closing(predictions))


def test_how_outliers_are_found_is_told_with_what_chance_would_give(study):
    study = msgspec.json.decode(msgspec.json.encode(study), type=Study)
    assert text.quality(study) == []
    names = ("outlier AUROC", "outlier false alarms", "outlier average precision", "outlier share")
    row = study.row(study.answer.recommended)
    row.metrics.update(zip(names, ((0.931, 0.0), (0.12, 0.0), (0.8, 0.0), (0.2, 0.0)), strict=True))
    assert [line.replace("\xa0", " ") for line in text.quality(study)] == [
        f"{row.name}: outliers: AUROC 0.931, 95 % of them at 12.0 % false alarms, average precision 0.800 "
        "(0.200 by chance)"
    ]
