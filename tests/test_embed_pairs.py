"""Studies of pairs that a label calls alike or not: handwritten digits, from the command to the model and the page."""

import json
from unittest.mock import patch

import numpy as np
import pytest
from command import Command
from PIL import Image
from small_study import Here

from whichloss import load
from whichloss.comparison import compare
from whichloss.errors import DataUnfit, UserError

SIDES = ("--first", "a_*", "--second", "b_*")
ASKED = ("--goal", "embed", *SIDES, "--target", "same")
TRAINED = {"pair-contrastive", "cosine-bce"}


@pytest.fixture
def command(capsys):
    return Command(capsys)


def digits():
    """Every digit in one pair at most: (a, b, same), 64 pixels each, half of the pairs of equal digits."""
    from sklearn.datasets import load_digits

    data, g = load_digits(), np.random.default_rng(0)
    order = g.permutation(len(data.data))
    equal, rest = order[:898], order[898:]
    pairs = []
    for kind in range(10):
        own = equal[data.target[equal] == kind]
        pairs += [(i, j, 1) for i, j in zip(own[::2], own[1::2], strict=False)]
    others = zip(rest[: len(rest) // 2], rest[len(rest) // 2 :], strict=False)
    pairs += [(i, j, 0) for i, j in others if data.target[i] != data.target[j]]
    first, second, same = np.array(pairs)[g.permutation(len(pairs))].T
    return data.data[first].astype(np.float32), data.data[second].astype(np.float32), same


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    a, b, same = digits()
    path = tmp_path_factory.mktemp("digits") / "pairs.csv"
    names = [f"a_{k}" for k in range(64)] + [f"b_{k}" for k in range(64)] + ["same"]
    lines = [",".join(map(str, row)) for row in np.column_stack([a, b, same]).astype(int)]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path


def study(data, out, **asked):
    with patch("whichloss.study.request.Local", lambda workers: Here()):
        return compare(data, goal="embed", seeds=2, out=out, **asked)


@pytest.fixture(scope="module")
def judged(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    return study(str(table), out, budget=1e9, first="a_*", second="b_*", target="same")


def test_what_is_trained_beats_what_is_not(judged):
    found = json.loads((judged.folder / "study.json").read_text())
    assert (found["goal"], found["score_name"]) == ("embed", "1 - auroc of pairs")
    rows = {row["name"]: row for row in found["rows"]}
    simple = {"chance", "rows as they are", "rows, by distance", "principal components", "untrained network"}
    assert set(rows) == TRAINED | simple | {"relevant components"}
    assert all(rows[name]["mean"] < rows["rows as they are"]["mean"] for name in TRAINED)
    assert rows["chance"]["mean"] == pytest.approx(0.5, abs=0.1)
    for row in rows.values():
        mean = {name: pair[0] for name, pair in row["metrics"].items()}
        assert row["mean"] == pytest.approx(1 - mean["auroc"])
        assert {"average precision", "alignment", "apart", "uniformity", "effective rank"} <= set(mean)
    assert rows["pair-contrastive"]["metrics"]["pair accuracy"][0] > 0.75
    assert found["preflight"]["p"] < 0.01 and found["preflight"]["shared"] == 0
    assert set(found["skipped"]) == {"triplet", "simclr", "supcon", "vicreg", "barlow-twins"}
    assert found["audit"]["objective"] == found["answer"]["leader"]
    assert {one["objective"]: one["reached"] > 0.9 for one in found["preflight"]["free"]} == dict.fromkeys(
        TRAINED, True
    )
    assert all(one["given"] and one["things"] == 256 for one in found["preflight"]["free"])


def test_the_page_and_the_card_say_what_was_judged(judged):
    page = (judged.folder / "report.html").read_text()
    for said in ('id="pairs"', 'id="embeddings"', "How well cosines tell", "cosines-0", "447 of 854 pairs are alike"):
        assert said in page
    assert 'id="signal"' not in page and "its other view" not in page and "kNN" not in page.split('class="theory"')[0]
    card = (judged.folder / "best" / "README.md").read_text()
    assert "of 854 pairs of vectors" in card and "two things are called alike | where their cosine is above" in card


def test_the_model_embeds_things_of_either_side(judged, table, tmp_path, command):
    a, b, same = digits()
    model = load(judged.folder)
    told = [model.embed({f"{side}_{k}": x[:, k] for k in range(64)}).values for side, x in (("a", a), ("b", b))]
    np.testing.assert_array_equal(model.embed({f"a_{k}": b[:, k] for k in range(64)}).values, told[1])
    cosine = (told[0] * told[1]).sum(axis=1)
    assert ((cosine > model.record["threshold"]) == same).mean() > 0.75
    out, _ = command("embed", judged.folder, table, "-o", tmp_path / "z.csv")
    assert "854 embeddings written" in out and "Left out, as the model does not know them: b_0" in out
    with pytest.raises(UserError, match="no columns"):
        model.embed({"u": [1.0], "v": [2.0]})
    with pytest.raises(UserError, match="embeds rows and finds no pairs; use embed"):
        model.retrieve([1.0])


def test_a_study_goes_on_where_it_stopped(judged, table, command):
    from whichloss.study import goals

    goals.judge_of.cache_clear()
    before = {path.name: path.stat().st_mtime_ns for path in (judged.folder / "runs").glob("*")}
    study(str(table), judged.folder, budget=1e9, first="a_*", second="b_*", target="same")
    assert {path.name: path.stat().st_mtime_ns for path in (judged.folder / "runs").glob("*")} == before
    _, said = command("export", judged.folder, "--script", judged.folder / "train.py", code=2)
    assert "embeds rows; only generative objectives" in said


def test_the_plan_and_the_description_know_pairs(table, tmp_path, command):
    out, _ = command("compare", table, *ASKED, "--dry-run", "--out", tmp_path / "run")
    assert "854 pairs of vectors of 64 numbers, alike or not" in out and "447 of 854 pairs are alike" in out
    assert "854 units that a split keeps whole" in out and "a triplet needs" in out and not (tmp_path / "run").exists()
    out, _ = command("describe", table, *SIDES, "--target", "same")
    assert "alike: 447 (52%); not alike: 407." in out


def test_pairs_of_picture_files(tmp_path):
    a, b, same = digits()
    (tmp_path / "drawn").mkdir()
    lines = ["left,right,same"]
    for i, (one, two, y) in enumerate(zip(a[:200], b[:200], same[:200], strict=True)):
        for side, x in (("l", one), ("r", two)):
            Image.fromarray((x.reshape(8, 8) * 15.9).astype(np.uint8)).save(tmp_path / "drawn" / f"{side}{i}.png")
        lines.append(f"drawn/l{i}.png,drawn/r{i}.png,{'true' if y else 'false'}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    run = study(str(tmp_path / "pairs.csv"), tmp_path / "run", budget=1e9, target="same")  # the sides are found
    rows = {row.name: row for row in run.study.rows}
    assert set(rows) > TRAINED and min(rows[name].mean for name in TRAINED) < rows["chance"].mean
    assert all(not rows[name].failures for name in TRAINED)
    assert run.best.embed(str(tmp_path / "drawn")).values[:, -64:].shape == (400, 64)
    page = run.report.read_text()
    assert ", grey" in page and "200 pairs of" in page


def test_three_arrays(tmp_path):
    a, b, same = digits()
    run = study((a, b, same), tmp_path / "run", budget=1e8, objectives=["cosine-bce"])
    assert run.recommended == "cosine-bce" and run.best.embed(a[:3]).values.shape == (3, 64)
    with pytest.raises(DataUnfit, match="no signal in these pairs"):
        study((a, b, np.random.default_rng(0).permutation(same)), tmp_path / "none", budget=1e8)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((*ASKED, "--metric", "knn-accuracy"), "judged by pair-auroc"),
        ((*ASKED, "--time", "same"), "--time does not belong to pairs"),
        (("--goal", "embed", *SIDES), "--target is not given"),
        (("--goal", "embed", *SIDES, "--target", "same,a_1"), "names 2 columns"),
        (("--goal", "embed", *SIDES, "--target", "sam"), "--target 'sam'"),
        (("--goal", "classify", *SIDES, "--target", "same"), "--goal embed if --target says which pairs are alike"),
        ((*ASKED, "--objectives", "triplet"), "a triplet needs a thing alike and one not alike"),
        ((*ASKED, "--objectives", "clip"), "serves the goal 'align'"),
    ],
)
def test_what_cannot_be_asked(command, table, tmp_path, given, says):
    _, said = command("compare", table, *given, "--out", tmp_path / "run", code=2)
    assert says in said


def test_blocks_that_may_be_pairs_are_noted(table, tmp_path, command):
    out, _ = command("compare", table, "--goal", "embed", "--target", "same", "--dry-run", "--out", tmp_path / "run")
    assert "add --first 'a_*' --second 'b_*'" in " ".join(out.split())


def test_pairs_go_where_they_belong(tmp_path):
    from whichloss.data import read_pairs

    a, b, same = digits()
    with pytest.raises(UserError, match="have no labels, and --goal embed learns from pairs"):
        compare(read_pairs((a, b)), goal="embed", out=tmp_path / "run")
    with pytest.raises(UserError, match="are for --goal embed"):
        compare(read_pairs((a, b, same)), goal="align", out=tmp_path / "run")
