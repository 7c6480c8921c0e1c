"""A study of labels from the command: the goal is inferred, told, judged, kept, and its model predicts new rows."""

import csv
import json

import numpy as np
import pytest
from command import Command, check

from whichloss import load
from whichloss.errors import UserError

SMALL = ("--budget", "5e8", "--seeds", "2", "--objectives", "cross-entropy,gce")


@pytest.fixture
def command(capsys):
    return Command(capsys)


def write(path, rows, names=("x", "colour", "label")):
    path.write_text("\n".join([",".join(names), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def rows(n=240, signal=True, seed=0):
    """x tells the label, nearly; colour does not; some x are missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    label = np.where((x if signal else rng.normal(size=n)) + 0.3 * rng.normal(size=n) > 0, "yes", "no")
    said = [f"{v:.3f}" if rng.random() > 0.05 else "" for v in x]
    return list(zip(said, rng.choice(["red", "blue"], n), label, strict=True))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write(tmp_path_factory.mktemp("labelled") / "labelled.csv", rows())


@pytest.fixture(scope="module")
def run(labelled, tmp_path_factory):
    from unittest.mock import patch

    from small_study import Here

    from whichloss.comparison import compare

    folder = tmp_path_factory.mktemp("run") / "run"
    with patch("whichloss.study.request.Local", lambda workers: Here()):
        return compare(
            str(labelled), target="label", budget=5e8, seeds=2, objectives=["cross-entropy", "gce"], out=folder
        )


def test_the_goal_is_inferred_and_said_and_the_answer_is_in_words_of_predictions(command, labelled, tmp_path):
    out, _ = command(
        "compare", labelled, "--target", "label", *SMALL, "--out", tmp_path / "run", "--workers", 1, code=3
    )
    assert "goal classify" in out and "log-loss" in out
    assert "logistic regression" in out and "majority class" in out
    assert "MMD" not in out and "fresh real rows" not in out
    assert (tmp_path / "run" / "report.html").exists()


def test_what_the_study_holds(run):
    study = json.loads((run.folder / "study.json").read_text())
    assert (study["goal"], study["score_name"]) == ("classify", "log-loss")
    rows = {row["name"]: row for row in study["rows"]}
    assert set(rows) == {
        "cross-entropy", "gce", "cross-entropy, adjusted after training", "majority class", "logistic regression",
        "boosted trees", "nearest neighbours",
    }  # fmt: skip
    for name in ("cross-entropy", "gce"):
        row = rows[name]
        assert row["metrics"]["accuracy"][0] > 0.7 and "accuracy" in row["last_metrics"]
        assert row["metrics"]["log-loss, scaled"][0] > 0 and row["metrics"]["temperature"][0] > 0
    assert rows["majority class"]["mean"] == pytest.approx(np.log(2), abs=0.02)
    assert study["preflight"]["p"] < 0.01 and study["preflight"]["counts"].keys() == {"no", "yes"}


def test_predictions_are_labels_and_probabilities_under_the_users_names(command, run, labelled, tmp_path):
    out, _ = command("predict", run.folder, labelled, "-o", tmp_path / "p.csv")
    assert (
        "note: label is what the model predicts: not used.\n" in out
        and "Left out" not in out
        and "240 predictions written to" in out
    )
    with open(tmp_path / "p.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["predicted label", "p(no)", "p(yes)"]
    p = np.array([[float(row["p(no)"]), float(row["p(yes)"])] for row in found])
    assert np.allclose(p.sum(1), 1)
    assert [row["predicted label"] for row in found] == list(np.array(["no", "yes"])[p.argmax(1)])
    truth = [row[2] for row in rows()]
    assert np.mean([row["predicted label"] == t for row, t in zip(found, truth, strict=True)]) > 0.7


def test_swapped_and_extra_columns_change_nothing(run, labelled, tmp_path):
    model, plain = load(run.folder), [row[:2] for row in rows()]
    straight = model.predict(str(write(tmp_path / "a.csv", plain, ("x", "colour"))))
    swapped = model.predict(str(write(tmp_path / "b.csv", [(c, x, 7) for x, c in plain], ("colour", "x", "extra"))))
    assert np.array_equal(straight.values, swapped.values)
    assert any("extra" in note for note in swapped.notes)


@pytest.mark.parametrize(
    "names, row, says",
    [
        (("x",), ("0.5",), "colour"),
        (("X", "colour"), ("0.5", "red"), "no column 'x', which the model needs; did you mean 'X'"),
        (("x", "colour"), ("0.5", "green"), "row 2: 'green' does not occur in the data .1 such row.*'blue', 'red'"),
        (("x", "colour"), ("much", "red"), "row 2: 'much' where the data has a number.*leave it empty, or leave the"),
        (("x", "colour"), ("inf", "red"), "row 2: inf is not finite"),
    ],
)
def test_rows_that_cannot_be_predicted_are_refused_with_the_place_and_a_fix(run, tmp_path, names, row, says):
    with pytest.raises(UserError, match=says) as found:
        load(run.folder).predict(str(write(tmp_path / "new.csv", [("0.5", "red")[: len(row)], row], names)))
    assert "--drop" not in str(found.value)


def test_rows_unlike_the_training_rows_are_predicted_with_a_note(run, tmp_path):
    path = write(tmp_path / "new.csv", [("0.5", "red", "yes"), ("99", "blue", "perhaps")], ("x", "colour", "label"))
    found = load(run.folder).predict(str(path))
    assert len(found) == 2 and len(found.notes) == 2
    assert "not used. 1 row with a label that training never saw ('perhaps')" in found.notes[0]
    assert "x: 1 row far outside what was learned from (99; the first is row 2;" in found.notes[1]


def test_files_without_rows_are_the_users_mistake(command, run, tmp_path):
    for content in ("", "x,colour\n"):
        (tmp_path / "new.csv").write_text(content)
        check(command("predict", run.folder, tmp_path / "new.csv", "-o", tmp_path / "p.csv", code=2), ("new.csv",))


def test_predictions_replace_no_file_that_was_given(command, run, labelled, tmp_path):
    new, link, old = write(tmp_path / "new.csv", rows()[:3], ("x", "colour", "label")), tmp_path / "a.csv", b"old"
    link.symlink_to(new)
    before = new.read_bytes(), labelled.read_bytes()
    for output, says in ((new, "the file that is read"), (link, "is read"), (labelled, "the model learned from")):
        check(command("predict", run.folder, new, "-o", output, code=2), (str(output), says, "another name"))
    assert (new.read_bytes(), labelled.read_bytes()) == before
    (tmp_path / "p.csv").write_bytes(old)
    command("predict", run.folder, new, "-o", tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_bytes() != old


def test_a_classifier_draws_no_rows(run):
    with pytest.raises(UserError, match="use predict"):
        load(run.folder).sample(3)


def test_the_energy_of_a_classifier_tells_rows_from_elsewhere(command, run, labelled, tmp_path):
    out, _ = command("score", run.folder, labelled, "-o", tmp_path / "s.csv", "--explain")
    assert "240 scores written" in out and "label is what the model predicts" in out
    with open(tmp_path / "s.csv", newline="") as file:
        found = list(csv.DictReader(file))
    words = ("excess x", "excess colour", "slope x", "slope colour")
    assert list(found[0]) == ["energy", "p_value", "unlikely", *words]
    assert np.mean([row["unlikely"] == "true" for row in found]) < 0.2


def test_export_says_that_it_is_for_generators(command, run):
    check(command("export", run.folder, code=2), ("predicts labels", "whichloss predict"))


def test_labels_without_signal_are_a_verdict_unless_training_is_asked_for(command, tmp_path):
    path = write(tmp_path / "noise.csv", rows(signal=False))
    asked = ("compare", path, "--target", "label", *SMALL, "--out", tmp_path / "run", "--workers", 1)
    _, err = command(*asked, code=5)
    assert all(word in err for word in ("no signal", "shuffled labels", "p =", "--anyway")), err
    out, _ = command(*asked, "--anyway", code=3)
    assert "no signal" in out


OPTIONS = [
    ("--goal classify", ("needs --target",)),
    ("--target label,label", ("names 'label' twice", "once")),
    ("--target x,colour,label", ("no other column to predict from",)),
    ("--target label --metric acuracy", ("acuracy", "accuracy")),
    ("--target label --metric F1", ("did you mean 'macro-f1'",)),
    ("--target label --metric AUROC", ("did you mean 'auroc'",)),
    ("--metric auroc", ("--metric belongs to the goal 'classify'",)),
    ("--target label --objectives gan", ("'gan' serves the goal 'generate'",)),
]


@pytest.mark.parametrize("options, says", OPTIONS)
def test_wrong_options(command, labelled, options, says):
    check(command("compare", labelled, *options.split(), code=2), says)


def test_more_columns_than_rows_are_no_obstacle_to_predicting(command, tmp_path):
    rng = np.random.default_rng(0)
    table = [(*v, "ab"[int(v[0] > 0)]) for v in rng.normal(size=(60, 80)).round(3).tolist()]
    path = write(tmp_path / "wide.csv", table, (*(f"v{j}" for j in range(80)), "label"))
    out, _ = command("compare", path, "--target", "label", *SMALL, "--dry-run", "--metric", "average-precision")
    assert "60 rows, 80 columns" in out and "the rarer class" in out
