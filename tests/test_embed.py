"""Studies of embeddings from the command: judged by classes or by views, kept, shown, and used on new rows."""

import json

import numpy as np
import pytest
from command import Command
from test_classify import write

from whichloss import load
from whichloss.errors import UserError

SMALL = ("--budget", "3e8", "--seeds", "2", "--objectives", "supcon,simclr")


@pytest.fixture
def command(capsys):
    return Command(capsys)


def rows(n=240, signal=True, seed=0):
    """Four columns, two of which tell the class."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    kind = np.where(x[:, 0] > 0, np.where(x[:, 1] > 0, "a", "b"), "c")
    return [
        [*(f"{v:.3f}" for v in row), k] for row, k in zip(x, kind if signal else rng.permutation(kind), strict=True)
    ]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write(tmp_path_factory.mktemp("rows") / "rows.csv", rows(), ("u", "v", "s", "t", "kind"))


def study_of(table, folder, **asked):
    from unittest.mock import patch

    from small_study import Here

    from whichloss.comparison import compare

    with patch("whichloss.study.request.Local", lambda workers: Here()):
        return compare(str(table), goal="embed", budget=3e8, seeds=2, out=folder, **asked)


@pytest.fixture(scope="module")
def labelled(table, tmp_path_factory):
    return study_of(
        table, tmp_path_factory.mktemp("labelled") / "run", target="kind", objectives=["supcon", "triplet", "simclr"]
    )


@pytest.fixture(scope="module")
def viewed(table, tmp_path_factory):
    names = ["pair-contrastive", "cosine-bce", "triplet", "simclr", "vicreg", "barlow-twins"]
    return study_of(table, tmp_path_factory.mktemp("viewed") / "run", objectives=names)


def test_what_a_study_with_labels_holds(labelled):
    study = json.loads((labelled.folder / "study.json").read_text())
    assert (study["goal"], study["score_name"]) == ("embed", "1 - knn-accuracy")
    found = {row["name"]: row for row in study["rows"]}
    assert set(found) == {
        "supcon", "triplet", "simclr", "chance", "rows as they are", "rows, by distance", "principal components",
        "untrained network",
    }  # fmt: skip
    assert found["chance"]["mean"] > 0.4 > found["supcon"]["mean"]
    for row in found.values():
        assert {"knn-accuracy", "probe-accuracy", "alignment", "uniformity", "effective rank"} <= set(row["metrics"])
        assert row["mean"] == pytest.approx(1 - row["metrics"]["knn-accuracy"][0])
    assert study["preflight"]["p"] < 0.01
    assert study["audit"]["objective"] in ("supcon", "triplet", "simclr")


def test_what_a_study_without_labels_holds(viewed):
    study = json.loads((viewed.folder / "study.json").read_text())
    assert study["score_name"] == "1 - recall@1 of views"
    found = {row["name"]: row for row in study["rows"]}
    assert found["chance"]["metrics"]["recall@1"][0] == pytest.approx(1 / 48, abs=0.03)
    assert found["simclr"]["mean"] < found["untrained network"]["mean"] < found["chance"]["mean"]
    assert all(row["metrics"]["recall@10"][0] >= row["metrics"]["recall@1"][0] for row in found.values())


def test_the_model_embeds_new_rows_by_name_and_refuses_what_it_cannot_do(labelled, table, tmp_path, command):
    model = load(labelled.folder)
    found = model.embed({"t": [0.0, 1.0], "s": [0.0, 1.0], "v": [0.0, -1.0], "u": [0.0, 2.0]})
    z = found.values[:, -64:]
    assert len(found) == 2 and np.linalg.norm(z, axis=1) == pytest.approx([1, 1])
    for use, verb in ((model.predict, "predicts no labels"), (lambda x: model.sample(3), "draws no rows")):
        with pytest.raises(UserError, match=f"embeds rows and {verb}; use embed"):
            use(str(table))
    out, _ = command("embed", labelled.folder, table, "-o", tmp_path / "z.csv")
    assert "240 embeddings written" in out
    assert (tmp_path / "z.csv").read_text().splitlines()[0].endswith("z63,z64")


def test_rows_of_a_class_lie_together_in_what_the_model_says(labelled, table):
    z = load(labelled.folder).embed(str(table)).values[:, -64:]
    kind = np.array([row[-1] for row in rows()])
    cosine = z @ z.T
    same = kind[:, None] == kind
    assert cosine[same].mean() > cosine[~same].mean() + 0.02


def test_pages_are_written_and_say_what_was_judged(labelled, viewed):
    page = (labelled.folder / "report.html").read_text()
    assert 'id="embeddings"' in page and 'id="signal"' in page and "kNN accuracy" in page
    page = (viewed.folder / "report.html").read_text()
    assert 'id="embeddings"' in page and 'id="signal"' not in page and "recall@1" in page
    assert "MMD" not in page and "predicts" not in page.split('class="theory"')[0]


def test_pictures_are_embedded_by_their_labels_or_by_views(tmp_path):
    from sklearn.datasets import load_digits

    from whichloss.data import Pictures

    digits = load_digits()
    bytes_ = (digits.images[:400] / 16 * 255).round().astype(np.uint8).reshape(400, -1)
    pictures = Pictures(bytes_, (1, 8, 8), "digits", digits.target[:400], tuple("0123456789"))
    for name, given in (("labels", {}), ("views", {"metric": "view-recall"})):
        run = study_of_pictures(pictures, tmp_path / name, **given)
        study = json.loads((run.folder / "study.json").read_text())
        best = {row["name"]: row["mean"] for row in study["rows"]}
        assert best["simclr"] < best["chance"]
        assert load(run.folder).embed(bytes_[:3].reshape(3, 8, 8)).values[:, -64:].shape == (3, 64)


def study_of_pictures(pictures, folder, **given):
    from unittest.mock import patch

    from small_study import Here

    from whichloss.comparison import compare

    with patch("whichloss.study.request.Local", lambda workers: Here()):
        return compare(
            pictures, goal="embed", budget=1e9, seeds=2, out=folder, objectives=["simclr", "triplet"], **given
        )


@pytest.mark.parametrize(
    ("given", "says", "code"),
    [
        (("--target", "nothing"), "no such column", 2),
        (("--target", "kind,u"), "one column of classes", 2),
        (("--metric", "probe-accuracy"), "needs --target", 2),
        (("--target", "kind", "--metric", "view-recall"), "leave --target out", 2),
        (("--target", "kind", "--metric", "accuracy"), "knn-accuracy", 2),
        (("--objectives", "supcon"), "it is simclr", 2),
        (("--target", "kind", "--objectives", "gan"), "serves the goal 'generate'", 2),
        (("--given", "kind"), "belongs to the goal 'generate'", 2),
    ],
)
def test_what_cannot_be_asked(command, table, tmp_path, given, says, code):
    _, said = command("compare", table, "--goal", "embed", *given, "--out", tmp_path / "run", code=code)
    assert says in said


def test_labels_without_signal_are_refused_before_training(command, tmp_path):
    table = write(tmp_path / "rows.csv", rows(signal=False), ("u", "v", "s", "t", "kind"))
    _, said = command("compare", table, "--goal", "embed", "--target", "kind", *SMALL, "--out", tmp_path / "r", code=5)
    assert "no signal" in said


def test_rows_that_repeat_are_said_and_too_few_are_refused(command, tmp_path):
    from whichloss.data import read
    from whichloss.study.embed.views import ViewJudge

    kept = [[float(v) for v in row[:4]] for row in rows(60)]
    found = ViewJudge(read(np.array(kept + kept))).preflight()
    assert found.cautions() == ("50% of the rows equal an earlier one: they count as equally right.",)
    few = write(tmp_path / "few.csv", [["a", "b"], ["b", "a"], ["a", "a"]] * 40, ("u", "v"))
    given = ("--goal", "embed", *SMALL[:4], "--objectives", "simclr", "--out", tmp_path / "few")
    _, said = command("compare", few, *given, code=5)
    assert "only 3 of 120 rows differ" in said


def test_two_rings_are_told_by_distance_not_by_direction():
    from whichloss.data import read
    from whichloss.study.embed.judge import EmbedJudge

    g = np.random.default_rng(0)
    angle, ring = g.uniform(0, 6.28, 400), np.arange(400) % 2
    names = np.array(["inner", "outer"])[ring]
    table = read({"x": (1 + ring) * np.cos(angle), "y": (1 + ring) * np.sin(angle), "ring": names})
    judge = EmbedJudge(table, target=("ring",))
    score = {a.name: judge.score(a.answer, 1, "test").value for a in judge.anchors(1, "test")}
    assert score["rows, by distance"] < 0.02 < 0.3 < score["rows as they are"]


def test_many_rows_without_labels_have_an_alignment():
    from whichloss.data import read
    from whichloss.study.embed.views import Viewed, ViewJudge

    judge = ViewJudge(read(np.random.default_rng(0).normal(size=(12_000, 3))))
    assert len(judge.numbers(1, "test")) == 2000
    z = np.random.default_rng(1).normal(size=(2000, 8))
    found = judge.describe(Viewed(z, z), 1, "test")
    assert found["alignment"] == pytest.approx(0) and found["recall@1"] == 1
