"""What can be wrong with pairs and with rows to be embedded, from the command: one message with the thing, the value
found and a fix, the documented exit code and no traceback; or it works, and says what was done."""

import json
import os

import numpy as np
import pytest
from command import Command, check
from PIL import Image

REQUEST, UNFIT, TIE = 2, 5, 3
N = 24
NAMES = [f"{i}.png" for i in range(N)]
WORDS = [f"thing number {i}" for i in range(N)]


@pytest.fixture
def command(capsys):
    return Command(capsys)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two dozen pictures of noise."""
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(columns, path="pairs.csv"):
    """Write columns as CSV."""
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(f'"{value}"' for value in row) for row in rows)]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def numbers(n=N, odd=None):
    """Two blocks of columns."""
    values = np.random.default_rng(1).normal(size=(n, 4)).round(3).astype(object)
    if odd is not None:
        values[7, 1] = odd
    return dict(zip(("a_1", "a_2", "b_1", "b_2"), values.T, strict=True))


# what: the table, exit code, what the message must name: thing, value found, fix
PAIRS = {
    "missing pictures": (
        {"file": [*NAMES[:-2], "gone.png", "lost.png"], "caption": WORDS},
        REQUEST,
        ("'pairs.csv'", "2 of 24 picture files are missing: 'gone.png', 'lost.png'", "row 23", "correct the paths"),
    ),
    "no captions": (
        {"file": NAMES, "caption": [""] * N},
        UNFIT,
        ("column 'caption' is empty in all 24 rows", "Give both sides"),
    ),
    "no pictures": (
        {"file": [""] * N, "caption": WORDS},
        UNFIT,
        ("column 'file' is empty in all 24 rows", "Give both sides"),
    ),
    "one pair": ({"file": NAMES[:1], "caption": WORDS[:1]}, UNFIT, ("has 1 pair;", "at least 20", "Add pairs")),
    "nothing": ({"file": [], "caption": []}, UNFIT, ("'pairs.csv' has no pairs", "at least 20", "Add pairs")),
    "equal captions": (
        {"file": NAMES, "caption": ["a thing"] * N},
        UNFIT,
        ("nothing to learn: all 24 captions are equal", "Give others"),
    ),
    "one picture": (
        {"file": NAMES[:1] * N, "caption": WORDS},
        UNFIT,
        ("'pairs.csv' has 1 picture;", "at least 20", "Add pictures"),
    ),
    "no numbers": (
        numbers(odd="nan"),
        UNFIT,
        ("column 'a_2': 1 of 24 vectors hold numbers that are none (row 8: nan)", "leave these rows out"),
    ),
    "infinity": (numbers(odd="inf"), UNFIT, ("column 'a_2'", "(row 8: inf)", "Correct them")),
    "a word": (
        numbers(odd="ten"),
        UNFIT,
        ("'pairs.csv', column 'a_2': 'ten' (row 8) is no number (1 such row)", "Correct it"),
    ),
}


@pytest.mark.parametrize("what", PAIRS)
@pytest.mark.parametrize("verb", ["compare", "describe"])
def test_pairs_that_cannot_be_used(command, folder, what, verb):
    columns, code, says = PAIRS[what]
    path = table(columns)
    before = set(os.listdir())
    check(command(verb, path, "--goal", "align", code=code), says)
    assert set(os.listdir()) == before


def test_options_that_belong_elsewhere(command, folder):
    path = table({"file": NAMES, "caption": WORDS})
    check(
        command("describe", path, "--first", "file", code=REQUEST), ("--first names columns of pairs", "--goal align")
    )
    check(command("describe", path, "--goal", "align", "--time", "x", code=REQUEST), ("--time does not belong",))
    check(command("describe", path, "--goal", "algin", code=REQUEST), ("no goal 'algin'", "did you mean 'align'"))
    check(command("describe", path, "--goal", "align", "--second", "text", code=REQUEST), ("--second 'text'", "known"))
    check(command("describe", ".", "--goal", "align", "--drop", "x", code=REQUEST), ("--drop does not belong",))


def test_sides_that_cannot_be_paired(command, folder):
    path = table({"file": NAMES, "caption": WORDS, "other": WORDS[::-1]})
    for first, second, says in (
        ("caption", "file", "swap --first and --second"),
        ("caption", "other", "one side must be pictures or vectors"),
        ("file", "file", "cannot be both sides"),
    ):
        found = command("compare", path, "--goal", "align", "--first", first, "--second", second, code=REQUEST)
        check(found, ("'pairs.csv'", says))
    check(
        command("compare", path, "--goal", "align", "--group", "colour", code=REQUEST), ("--group 'colour'", "known:")
    )
    found = command("describe", table({"caption": WORDS}), "--goal", "align", code=REQUEST)
    check(found, ("no column of picture files", "form no two blocks either ('caption')", "--first and --second"))


def test_a_label_of_pictures_that_have_none_is_refused(command, folder):
    check(command("compare", ".", "--goal", "embed", "--target", "label", code=UNFIT), ("has no labels", "sub-folder"))
    found = command("compare", ".", "--goal", "embed", "--objectives", "supcon", code=REQUEST)
    check(found, ("supcon: rows have no classes", "simclr"))


@pytest.mark.parametrize("verb", ["compare", "describe"])
def test_a_table_of_captions_is_told_to_be_pairs(command, folder, verb):
    captions = [f"a rather long sentence about the thing that has the number {i}" for i in range(N)]
    found = command(verb, table({"file": NAMES, "caption": captions}), code=UNFIT)
    check(found, ("Column 'caption' is free text", "add --goal align"))
    many = [f"{i}.png" for i in range(150)]
    check(command(verb, table({"file": many, "caption": ["x"] * 150}), code=UNFIT), ("'file' has 150", "--goal align"))
    if verb == "compare":
        found = command(verb, table({"file": NAMES, "caption": WORDS}), code=UNFIT)
        check(found, ("24 rows but 48 encoded dimensions", "add --goal align"))


LONG = [*WORDS[:-1], "word " * 10_000]
SCRIPTS = [
    *WORDS[:-6], "빨간 사각형", "красный квадрат", "مربع أحمر", "赤い四角", "🟥 🙂👩‍👩‍👧", "naïve ﬁancée",
]  # fmt: skip


@pytest.mark.parametrize("captions", [LONG, SCRIPTS], ids=["10,000 words", "scripts"])
def test_captions_of_any_length_and_script_are_described_and_learned(command, folder, captions):
    pytest.importorskip("tokenizers", reason="captions need the extra 'captions'")
    path = table({"file": NAMES, "caption": captions})
    out, _ = command("describe", path, "--goal", "align")
    assert f"{N} pairs of colour pictures of 8 x 8 with captions" in out
    assert ("10,000 words" in out) == (captions is LONG)
    given = ("--goal", "align", "--objectives", "clip", "--budget", "1e6", "--seeds", "2", "--anyway")
    out, _ = command("compare", path, *given, "--out", "run", code=TIE)
    study = json.loads((folder / "run" / "study.json").read_text())
    assert study["preflight"]["free"][0]["objective"] == "clip"
    found, _ = command("retrieve", "run", captions[-3], "--top", "3")
    assert len(found.strip().splitlines()) == 3
    if captions is LONG:
        assert study["preflight"]["cut"] == pytest.approx(1 / N)
        assert "of the texts are longer than" in study["answer"]["caution"]


def test_rows_of_a_class_with_one_member_are_not_embedded(command, folder):
    rows = numbers(60)
    path = table({**rows, "kind": ["a"] * 30 + ["b"] * 29 + ["lone"]}, "rows.csv")
    found = command("compare", path, "--goal", "embed", "--target", "kind", code=UNFIT)
    check(found, ("--target 'kind'", "the class 'lone' has 1 row", "at least 10", "leave their rows out"))
    os.remove(path)
    for name in ("many", "lone"):
        os.mkdir(name)
    for i, file in enumerate(NAMES):
        os.rename(file, f"many/{file}" if i else f"lone/{file}")
    found = command("compare", ".", "--goal", "embed", "--metric", "knn-accuracy", code=UNFIT)
    check(found, ("the class 'lone' has 1 picture", "at least 10", "Join rare classes"))


def test_views_with_labels_and_labels_without(command, folder):
    path = table({**numbers(120), "kind": list("abc") * 40}, "rows.csv")
    given = ("--goal", "embed", "--budget", "1e6", "--seeds", "2", "--anyway", "--drop", "b_2", "--out")
    found = command("compare", path, "--objectives", "supcon", "--goal", "embed", "--drop", "kind", code=REQUEST)
    check(found, ("No objective can run", "supcon: rows have no classes", "simclr"))
    command("compare", path, "--target", "kind", "--objectives", "simclr,supcon", *given, "labelled", code=TIE)
    study = json.loads((folder / "labelled" / "study.json").read_text())
    assert any("use no labels see two views" in said for said in study["method"])
    tried = {one["objective"]: one for one in study["preflight"]["free"]}
    assert "views" in tried["simclr"]["left_out"] and tried["supcon"]["reached"] > 0.9
    page = (folder / "labelled" / "report.html").read_text()
    assert "Can each loss succeed at all?" in page and "not tried: it learns from views" in page


def test_a_batch_of_one_is_refused_by_losses_that_need_others():
    import torch

    from whichloss.errors import UserError
    from whichloss.losses.contrastive import siglip_bias
    from whichloss.objectives import find
    from whichloss.study.free import reach

    with pytest.raises(UserError, match="batches of 2 pairs or more"):
        siglip_bias(1)
    for name in ("clip", "siglip", "triplet-align", "regress"):
        assert reach(find(name)(), torch.zeros(1, dtype=torch.int64)).left_out
