"""The sentences say what was measured, and no more than four things."""

import made_up_labels
import pytest

from whichloss.objectives import available
from whichloss.report.why import NOISE, TAILS, sentences


def said(study, name: str) -> str:
    return " ".join(sentences(study, study.row(name)))


def test_two_to_four_sentences_for_every_objective(study):
    for row in study.rows:
        if row.role == "objective":
            assert 2 <= len(sentences(study, row)) <= 4, row.name


def test_failures_come_first_with_their_reason(study):
    assert said(study, "ebgan").startswith("1 of 4 runs failed (diverged: weights became infinite by step 210)")
    assert said(study, "pcd").startswith("All 4 of its runs failed: diverged")


def test_the_gap_to_the_baseline_is_the_skill(study):
    study.row("ddpm").skill = 0.42
    assert "closes 42\u00a0% of the gap" in said(study, "ddpm")
    study.row("ddpm").skill = -3.0
    assert "worse than the best simple baseline, Gaussian mixture" in said(study, "ddpm")
    study.row("ddpm").skill = None
    assert "no gap to close" in said(study, "ddpm")


def test_modes_replace_coverage_where_they_are_known(study):
    assert "come near" in said(study, "gan")
    study.row("gan").metrics = {"modes": (8.0, 0.0), "modes covered": (5.25, 0.4)}
    assert "It covers 5.2 of 8 modes." in said(study, "gan")


def test_copying_is_said(study):
    assert "copying" not in said(study, "ddpm")
    study.row("ddpm").metrics = {"copy test p": (0.001, 0.0), "copied share": (0.3, 0.0)}
    assert "30\u00a0% of them coincide with one: it may be copying" in said(study, "ddpm")


def test_a_row_that_knows_nothing_still_has_a_place(study):
    row = study.row("gan")
    row.metrics, row.tuning, row.quarters, row.last, row.loss_skill = {}, (), (), None, None
    assert said(study, "gan").startswith("It came 6 of 8")


@pytest.fixture
def predictions(tmp_path):
    """A study of labels."""
    return made_up_labels.make(tmp_path)


def test_every_objective_that_predicts_has_sentences(predictions):
    for row in predictions.rows:
        if row.role == "objective":
            assert 1 <= len(sentences(predictions, row)) <= 4, row.name


def test_predictions_are_held_against_the_best_simple_baseline(predictions):
    text = said(predictions, "cross-entropy")
    assert "It predicts 97.1\u00a0% of the rows (balanced over classes 96.4\u00a0%)." in text
    assert "Its mean score is 0.20, that of the best simple baseline, logistic regression, 0.29 (lower is" in text
    predictions.row("cross-entropy").mean = predictions.row("logistic regression").mean + 0.01
    assert "a difference within the noise" in said(predictions, "cross-entropy")


def test_what_a_loss_was_made_for_is_held_against_what_was_measured(predictions):
    assert "made for wrong labels; here 12\u00a0% contradict a cheap probe" in said(predictions, "gce")
    assert "made for uneven classes; here the most frequent class has 5 times" in said(
        predictions, "weighted-cross-entropy"
    )
    assert "made for" not in said(predictions, "cross-entropy")
    predictions.row("gce").name = "focal"  # no cure of uneven classes, as its card says
    assert "made for" not in said(predictions, "focal")


def test_where_there_is_no_signal_nothing_is_said_of_wrong_labels(predictions):
    predictions.preflight = {**predictions.preflight, "p": 0.01}
    assert "made for" not in said(predictions, "gce")


def test_of_several_labels_the_share_is_one_of_labels(predictions):
    predictions.preflight = {**predictions.preflight, "several": True}
    assert "It predicts 97.1\u00a0% of all labels of all rows" in said(predictions, "cross-entropy")
    text = said(predictions, "weighted-cross-entropy")
    assert "here the most uneven label has one of its values 5 times as often as the other." in text


def test_the_losses_made_for_something_exist():
    assert {*NOISE, *TAILS} <= set(available("classify"))


@pytest.mark.parametrize(
    ("heat", "after", "word"),
    [(2.0, 0.1, "too sure"), (0.5, 0.1, "not sure enough"), (2.0, 0.199, ""), (1.01, 0.1, "")],
)
def test_a_temperature_that_gains_is_said_with_its_direction(predictions, heat, after, word):
    row = predictions.row("cross-entropy")
    row.metrics = {"temperature": (heat, 0.0), "log-loss": (0.2, 0.0), "log-loss, scaled": (after, 0.0)}
    text = said(predictions, "cross-entropy")
    assert ("Its probabilities are" in text) == bool(word) and word in text
