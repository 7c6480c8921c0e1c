"""Studies of pairs from the command: judged by retrieval, refused without a signal, kept, shown, and searched."""

import json
from itertools import pairwise

import numpy as np
import pytest
from command import Command
from PIL import Image

from whichloss import load
from whichloss.data import read_pairs
from whichloss.errors import UserError

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220), "yellow": (230, 210, 30)}
SHAPES = ("square", "bar", "dot", "frame")
pytest.importorskip("tokenizers", reason="captions need the extra 'captions'")


@pytest.fixture
def command(capsys):
    return Command(capsys)


def drawing(colour, shape, shift):
    """A coloured shape on white, 16 x 16."""
    picture = np.full((16, 16, 3), 255, np.uint8)
    y, x = 3 + shift[0], 3 + shift[1]
    height, width = {"square": (8, 8), "bar": (3, 9), "dot": (3, 3), "frame": (9, 9)}[shape]
    picture[y : y + height, x : x + width] = COLOURS[colour]
    if shape == "frame":
        picture[y + 2 : y + 7, x + 2 : x + 7] = 255
    return picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten shifted drawings of each of 16 concepts, and a table of their captions."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "drawn").mkdir()
    lines, rng = ["file,caption"], np.random.default_rng(0)
    for colour in COLOURS:
        for shape in SHAPES:
            for k in range(10):
                name = f"{colour}-{shape}-{k}.png"
                Image.fromarray(drawing(colour, shape, rng.integers(0, 4, 2))).save(folder / "drawn" / name)
                lines.append(f"drawn/{name},a {colour} {shape} number {k}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return folder


def study(data, out, **asked):
    from unittest.mock import patch

    from small_study import Here

    from whichloss.comparison import compare

    with patch("whichloss.study.request.Local", lambda workers: Here()):
        return compare(data, goal="align", seeds=2, out=out, **asked)


@pytest.fixture(scope="module")
def pictured(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    return study(str(folder / "pairs.csv"), out, budget=1e10, objectives=["clip", "regress"])


def vectors(n=300, signal=True):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(n, 4))
    a, b = (np.tanh(z @ rng.normal(size=(4, d))) + 0.05 * rng.normal(size=(n, d)) for d in (8, 6))
    return a.astype(np.float32), (b if signal else rng.permutation(b)).astype(np.float32)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    out = tmp_path_factory.mktemp("numbers") / "run"
    return study(vectors(), out, budget=3e8, objectives=["clip", "siglip", "triplet-align", "regress"])


def test_what_a_study_of_vectors_holds(numbers):
    found = json.loads((numbers.folder / "study.json").read_text())
    assert (found["goal"], found["score_name"]) == ("align", "1 - recall@1")
    rows = {row["name"]: row for row in found["rows"]}
    simple = {"chance", "canonical correlations", "nearest training thing", "untrained networks"}
    assert set(rows) == {"clip", "siglip", "triplet-align", "regress"} | simple
    assert rows["canonical correlations"]["mean"] < rows["nearest training thing"]["mean"] < rows["chance"]["mean"]
    assert rows["clip"]["mean"] < rows["untrained networks"]["mean"]
    for row in rows.values():
        mean = {name: pair[0] for name, pair in row["metrics"].items()}
        assert row["mean"] == pytest.approx(1 - mean["recall@1"])
        assert mean["recall@1"] == pytest.approx((mean["recall@1, there"] + mean["recall@1, back"]) / 2)
        assert mean["recall@1"] <= mean["recall@5"] <= mean["recall@10"]
    assert rows["chance"]["metrics"]["recall@1"][0] == pytest.approx(1 / 60, abs=0.03)
    assert found["preflight"]["p"] < 0.01 and found["preflight"]["told"] > 0.8


def test_a_text_finds_its_pictures_and_a_picture_its_texts(pictured, folder, command):
    model = load(pictured.folder)
    found = model.retrieve("a red square", top=20)
    assert len(found) == 20 and all(a.cosine >= b.cosine for a, b in pairwise(found))
    assert np.mean(["red" in f.name for f in found]) > 0.5  # a quarter by chance
    back = model.retrieve(str(folder / "drawn" / "blue-frame-0.png"), top=20)
    assert np.mean(["blue" in f.name for f in back]) > 0.5
    out, _ = command("retrieve", pictured.folder, "green bar", "--top", 3)
    assert len(out.strip().splitlines()) == 3 and "green" in out


def test_classes_are_told_by_their_names_alone(pictured, folder, tmp_path, command):
    command(
        "predict", pictured.folder, folder / "drawn", "--classes", "red,green,blue,yellow", "-o", tmp_path / "p.csv"
    )
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0].startswith("file,predicted,p(red)") and len(lines) == 161
    right = [line.split(",")[0].startswith(line.split(",")[1]) for line in lines[1:]]
    assert np.mean(right) > 0.6  # a quarter by chance


def test_where_folders_are_named_as_classes_it_is_said_how_many_are_right(pictured, folder, tmp_path, command):
    for path in (folder / "drawn").glob("*.png"):
        place = tmp_path / "by class" / path.name.partition("-")[0].title()
        place.mkdir(parents=True, exist_ok=True)
        (place / path.name).write_bytes(path.read_bytes())
    told = tmp_path / "p.csv"
    typed = ("--classes", "red,green,blue,violet", "--template", "one {} thing", "-o", told)
    out, _ = command("predict", pictured.folder, tmp_path / "by class", *typed)
    lines = [line.split(",") for line in told.read_text().splitlines()[1:]]
    known = [(file.partition("/")[0].lower(), say) for file, say, *_ in lines if not file.startswith("Yellow")]
    share = np.mean([truth == say for truth, say in known])
    assert f"Zero-shot accuracy: {share:.1%} of {len(known)} pictures" in out and "a guess gets 25.0%" in out
    with pytest.raises(UserError, match="no place for the class"):
        load(pictured.folder).zero_shot(str(folder / "drawn"), ["red", "blue"], templates=["a thing"])


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda m: m.retrieve(""), "query is empty"),
        (lambda m: m.retrieve("gone.png"), "There is no file"),
        (lambda m: m.retrieve("red", top=0), "at least 1"),
        (lambda m: m.retrieve([1.0, 2.0]), "knows pictures of 16 x 16, colour and texts"),
        (lambda m: m.zero_shot("x", ["red"]), "two names or more"),
        (lambda m: m.embed("x"), "aligns pairs and embeds nothing; use retrieve"),
    ],
)
def test_what_a_model_of_pairs_cannot_be_asked(pictured, use, says, folder, monkeypatch):
    monkeypatch.chdir(folder)
    if "two names" in says:
        use = lambda m: m.zero_shot(str(folder / "drawn"), ["red"])
    with pytest.raises(UserError, match=says):
        use(load(pictured.folder))


def test_the_pages_show_what_is_found(pictured, numbers):
    page = (pictured.folder / "report.html").read_text()
    for said in ('id="pairs"', "What is found", "data:image/png", "recall@1"):
        assert said in page
    assert "MMD" not in page and "its other view" not in page
    assert "What is found" not in (numbers.folder / "report.html").read_text()


def test_shuffled_pairs_are_refused_before_training(tmp_path):
    from whichloss.errors import DataUnfit

    with pytest.raises(DataUnfit, match="no signal in these pairs"):
        study(vectors(signal=False), tmp_path / "run", budget=3e8)


def test_equal_captions_are_equally_right(folder):
    from whichloss.study.align.judge import Aligned, PairJudge

    pairs = read_pairs(str(folder / "pairs.csv"))
    texts = tuple(" ".join(text.split()[:3]) for text in pairs.second.texts)  # ten pictures share a caption
    from whichloss.data import Captions, Pairs

    judge = PairJudge(Pairs(pairs.first, Captions(texts), np.unique(texts, return_inverse=True)[1].astype(np.int64)))
    rows = judge.numbers(1, "test")
    units = judge.table.groups[rows]
    z = np.eye(16)[units]
    answer = Aligned(z, z)
    assert judge.score(answer, 1, "test").value == pytest.approx(0)
    assert judge.describe(answer, 1, "test")["gallery"] == len(set(units))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--target", "x"), "--target does not belong to the goal 'align'"),
        (("--objectives", "gan"), "serves the goal 'generate'"),
        (("--first", "nothing"), "nothing"),
    ],
)
def test_what_cannot_be_asked(command, folder, tmp_path, given, says):
    _, said = command("compare", folder / "pairs.csv", "--goal", "align", *given, "--out", tmp_path / "run", code=2)
    assert says in said
    if given[0] == "--first":
        _, said = command("compare", folder / "pairs.csv", *given, "--out", tmp_path / "run", code=2)
        assert "--goal align" in said
