"""Tables and curves of predictions, against scikit-learn's."""

from pathlib import Path

import altair as alt
import made_up_labels
import numpy as np
import pytest
import sklearn.metrics as peer
import torch
from made_up_labels import make, species, tagged

from whichloss.metrics.labels import Predicted, predicted, score
from whichloss.report import diagrams, labels
from whichloss.report.predictions import Predictions, load, saved
from whichloss.report.words import NONE, hundredths
from whichloss.study import store


def drawn(classes: int, several: bool = False, rows: int = 200, seed: int = 0) -> tuple[Predicted, np.ndarray]:
    """Predictions, with ties where rows have several labels, and their labels."""
    g = np.random.default_rng(seed)
    y = g.random((rows, classes)) < 0.3 if several else g.integers(0, classes, rows)
    hit = y.astype(float) if several else np.eye(classes)[y]
    z = torch.from_numpy((hit + g.normal(size=hit.shape)).round(1 if several else 12))
    truth = torch.from_numpy(y.astype(float) if several else y)
    return predicted(z, truth), y


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def ranks(found: Predicted, c: int) -> np.ndarray:
    """What scikit-learn is given to rank rows by."""
    return np.asarray(found.logits[:, c] if found.kind == "several" else found.p[:, c])


@pytest.mark.parametrize(("classes", "several"), [(2, False), (4, False), (3, True)])
def test_a_class_is_described_as_scikit_learn_does(classes, several):
    found, y = drawn(classes, several)
    said = found.chosen.numpy()
    for c in range(classes):
        truth, own = (y[:, c] if several else y == c).astype(int), labels.of_class(found, c)
        assert (own.rows, own.said) == (truth.sum(), said[:, c].sum())
        assert own.recall == pytest.approx(peer.recall_score(truth, said[:, c]))
        assert own.precision == pytest.approx(peer.precision_score(truth, said[:, c]))
        assert own.f1 == pytest.approx(peer.f1_score(truth, said[:, c]))
        assert own.auroc == pytest.approx(peer.roc_auc_score(truth, ranks(found, c)))
        assert own.average_precision == pytest.approx(peer.average_precision_score(truth, ranks(found, c)))


def test_the_mean_of_the_classes_is_the_score_of_the_study():
    found, _ = drawn(4)
    areas = [labels.of_class(found, c).auroc or 0.0 for c in range(4)]
    assert np.mean(areas) == pytest.approx(1 - score("auroc", found).value)


def test_what_cannot_be_divided_is_left_out():
    found = predicted(torch.tensor([[1.0, 0.0, -1.0], [1.0, 0.0, -1.0]]), torch.tensor([0, 0]))
    never = labels.of_class(found, 2)
    assert (never.rows, never.said, never.recall, never.precision, never.auroc) == (0, 0, None, None, None)


@pytest.mark.parametrize("several", [False, True])
def test_curves_are_scikit_learns(several):
    found, y = drawn(3, several)
    for c in range(3):
        truth = (y[:, c] if several else y == c).astype(float)
        z = labels.scores(found, c).numpy()
        wrong, right, _ = peer.roc_curve(truth, z, drop_intermediate=False)
        ends = np.append(np.flatnonzero(np.diff(wrong)), len(wrong) - 1)
        assert diagrams.roc(z, truth) == pytest.approx(np.interp(diagrams.ALARMS, wrong[ends], right[ends]))
        precision, recall, _ = peer.precision_recall_curve(truth, z)
        own = diagrams.precision_recall(z, truth)
        for share, value in zip(diagrams.GRID[1:], own[1:], strict=True):
            enough = np.flatnonzero(recall >= share - 1e-12)[-1]  # the highest threshold that finds so many
            assert value == pytest.approx(precision[enough])


def test_a_perfect_ranking_and_a_useless_one():
    truth = np.repeat([0.0, 1.0], 50)
    assert diagrams.roc(truth, truth) == pytest.approx(1)
    assert diagrams.roc(np.zeros(100), truth) == pytest.approx(diagrams.ALARMS)
    assert diagrams.precision_recall(np.zeros(100), truth) == pytest.approx(0.5)


@pytest.mark.parametrize("several", [False, True])
def test_reliability_holds_every_row_once_and_averages_to_the_accuracy(several):
    found, _ = drawn(3, several, rows=400)
    points = diagrams.reliability(found)
    sizes = np.array([p["n"] for p in points])
    assert sizes.sum() == (1200 if several else 400) and np.ptp(sizes) <= 1
    mean = found.targets.mean() if several else 1 - score("accuracy", found).value
    assert sum(p["n"] * p["y"] for p in points) / sizes.sum() == pytest.approx(float(mean))
    assert [p["x"] for p in points] == sorted(p["x"] for p in points)


def test_calibrated_predictions_lie_on_the_diagonal():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(20_000, 3, generator=g)
    y = torch.multinomial(z.softmax(1), 1, generator=g)[:, 0]
    points = diagrams.reliability(predicted(z, y))
    assert all(p["low"] - 0.01 <= p["x"] <= p["high"] + 0.01 for p in points)
    sure = diagrams.reliability(predicted(3 * z, y))
    assert sum(p["high"] < p["x"] for p in sure) > 7


def test_who_is_shown_and_on_which_rows(folder):
    study = make(folder)
    rows = load(study, folder)
    assert [p.name for p in rows.shown] == ["cross-entropy", "gce", "weighted-cross-entropy", "logistic regression"]
    assert [p.temperature for p in rows.shown] == [0.8, 0.8, 0.8, 0.5]
    for p in rows.shown:
        assert score("log-loss", p.found).value == pytest.approx(p.row.scores[0], rel=1e-5)
    study.answer.recommended = "label-smoothing"  # screened: its rows are validation rows
    first = load(study, folder).shown[0]
    assert score("log-loss", first.found).value == pytest.approx(first.row.scores[0], rel=1e-5)


def test_scaling_divides_the_logits(folder):
    p = load(make(folder), folder).shown[0]
    assert torch.equal(p.scaled.logits, p.found.logits / 0.8)


def test_what_is_missing_or_damaged_is_said(folder):
    study = make(folder)
    (folder / "runs" / "run-0.safetensors").write_bytes(b"damaged")
    study.row("gce").sample = ""
    made_up_labels.kept(folder, "run-2", {"seed": 1, "judge": "test"}, {"logits": np.zeros((2, 3))})
    rows = load(study, folder)
    assert [p.absent.split()[-1] for p in rows.shown[:3]] == ["damaged", "show", "rows"]
    assert [p.name for p in rows.known] == ["logistic regression"]
    assert labels.per_class(rows)["name"] == "logistic regression"


def test_the_confusion_matrix_is_scikit_learns(folder):
    rows = load(make(folder), folder)
    made = labels.confusions(rows)
    assert [m["name"] for m in made] == [p.name for p in rows.shown]
    for m, p in zip(made, rows.known, strict=True):
        counts = peer.confusion_matrix(p.found.targets.argmax(1), p.found.logits.argmax(1))
        shown = [[0 if cell["text"] == "·" else int(cell["text"]) for cell in cells] for _, cells in m["lines"]]
        assert shown == counts.tolist()
        assert all((cell["shade"] > 0) == (i == j) for i, (_, cs) in enumerate(m["lines"])
                   for j, cell in enumerate(cs) if cell["shade"])  # fmt: skip


def test_many_classes_have_their_worst_mistakes_in_words(folder):
    table = species(1500, [f"k{i:02}" for i in range(30)])
    rows = load(make(folder, table), folder)
    assert labels.confusions(rows) == []
    for (name, said), p in zip(labels.mistaken(rows), rows.known, strict=True):
        counts = peer.confusion_matrix(p.found.targets.argmax(1), p.found.logits.argmax(1))
        np.fill_diagonal(counts, 0)
        assert name == p.name and len(said) == labels.CONFUSIONS
        assert [int(text.split(": ")[1]) for text in said] == sorted(counts.ravel(), reverse=True)[: len(said)]


def test_several_labels_have_no_matrix_but_every_label(folder):
    rows = load(make(folder, tagged(), ("red", "round")), folder)
    assert labels.confusions(rows) == [] == labels.mistaken(rows)
    made = labels.per_class(rows)
    assert [name for name, _ in made["lines"]] == ["red", "round"]
    found = rows.known[0].found
    right = ((found.logits > 0) == (found.targets > 0)).all(1)
    assert made["entirely"] == hundredths(float(right.double().mean())) and labels.entirely(drawn(3)[0]) == ""


def test_every_run_names_its_seed(folder):
    rows = load(make(folder), folder)
    assert [p.seed for p in rows.shown] == [1, 1, 1, None]
    assert [m["seed"] for m in labels.confusions(rows)] == [1, 1, 1, None]
    assert saved(folder) is None
    store.write(folder / "best" / "model.safetensors", store.pack({"run": {"seed": 5}}, {}))
    assert saved(folder) == 5


@pytest.mark.parametrize(("names", "rarer"), [(("Adelie", "Chinstrap"), 1), (("Chinstrap", "Gentoo"), 0)])
def test_of_two_classes_the_rarer_one_is_ranked(folder, names, rarer):
    rows = load(make(folder, species(400, names)), folder)
    assert {p.found.positive for p in rows.known} == {rarer} == {p.scaled.positive for p in rows.known}


def test_recall_of_the_rivals_stands_beside(folder):
    rows = load(make(folder), folder)
    table = labels.per_class(rows)
    assert table["heads"][-3:] == [f"recall of {p.name}" for p in rows.shown[1:]]
    gentoo = dict(table["lines"])["Gentoo"]
    assert gentoo[-1][0] == hundredths(labels.of_class(rows.known[-1].found, 2).recall)


def test_every_score_is_shown_at_its_best_last_and_scaled(folder):
    study = make(folder)
    made = labels.metrics(study)
    cells = dict(zip(made["heads"], next(c for row, c in made["lines"] if row.name == "gce"), strict=True))
    mean = {name: pair[0] for name, pair in study.row("gce").metrics.items()}
    assert cells["log-loss ↓"].text == f"{mean['log-loss']:.3f} → {mean['log-loss, scaled']:.3f}"
    assert cells["accuracy ↑"].under == "last 81.2\u00a0%"  # the made-up last epoch
    assert cells["of a calibrated model"].text == f"{mean['calibration error if calibrated']:.3f}"
    assert cells["temperature"].text == "0.80" and cells["temperature"].sort == pytest.approx(0.8)
    failed = next(c for row, c in made["lines"] if row.name == "squared")
    assert {c.text for c in failed} == {NONE}


def test_every_chart_is_valid_vega_lite(folder):
    rows: Predictions = load(make(folder), folder)
    figures = [*diagrams.calibrations(rows), *diagrams.rankings(rows, "roc"), *diagrams.rankings(rows, "pr")]
    assert len(figures) == 12 and len({f.name for f in figures}) == 12
    for figure in figures:
        alt.Chart.from_dict(dict(figure.spec))
