"""Pairs: every way in gives the same, nothing is left out without a note, what is wrong is said by name and row."""

import json
import math
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

from whichloss.data import Captions, Pairs, Pictures, Vectors, describe, pair_read, read_pairs, split
from whichloss.errors import DataUnfit, UserError

N = 24
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 10, 12, 3), dtype=np.uint8)
WORDS = [f"a thing, number {i}" for i in range(N)]
A = np.random.default_rng(1).normal(size=(N, 5)).astype(np.float32)
B = np.random.default_rng(2).normal(size=(N, 3)).astype(np.float32)
NAMES = [f"pictures/{i:02d}.png" for i in range(N)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with N pictures in a sub-folder."""
    (tmp_path / "pictures").mkdir()
    for name, picture in zip(NAMES, PIXELS, strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    return tmp_path


def csv(path: Path, columns: dict, delimiter: str = ",") -> Path:
    """A table of texts, all quoted."""
    rows = [columns.keys(), *zip(*columns.values(), strict=True)]
    path.write_text("\n".join(delimiter.join('"{}"'.format(str(v).replace('"', '""')) for v in row) for row in rows))
    return path


def said(error: type[Exception], source, **options) -> str:
    with pytest.raises(error) as caught:
        read_pairs(source, **options)
    return str(caught.value)


def test_every_table_gives_the_same_pairs(folder):
    import duckdb

    columns = {"file": NAMES, "caption": WORDS}
    plain = csv(folder / "pairs.csv", columns)
    lines = [json.dumps({"caption": text, "file": name}, ensure_ascii=False) for name, text in zip(NAMES, WORDS)]
    (folder / "a.jsonl").write_text("\n".join([*lines, ""]))
    duckdb.sql(f"COPY (SELECT * FROM read_csv('{plain}')) TO '{folder / 'a.parquet'}'")
    absolute = {"file": [str(folder / name) for name in NAMES], "caption": WORDS}
    sources = [
        plain, str(plain), folder, csv(folder / "a.tsv", columns, "\t"), folder / "a.jsonl", folder / "a.parquet",
        absolute, csv(folder / "turned.csv", {"words": WORDS, "number": range(N), "where": NAMES}),
    ]  # fmt: skip
    for source in sources:
        pairs = read_pairs(source)
        assert isinstance(pairs.first, Pictures) and pairs.first.shape == (3, 10, 12)
        np.testing.assert_array_equal(pairs.first.to_numpy(), np.moveaxis(PIXELS, -1, 1))
        assert isinstance(pairs.second, Captions) and pairs.second.texts == tuple(WORDS)
        assert len(pairs) == N and len(np.unique(pairs.groups)) == N and pairs.times is None
        assert pairs.fingerprint == read_pairs(folder).fingerprint
    assert read_pairs(pairs) is pairs


def test_columns_are_said_where_several_would_do(folder):
    columns = {"file": NAMES, "preview": NAMES[::-1], "caption": WORDS, "other": [f"no. {w}" for w in WORDS]}
    path = csv(folder / "a.csv", columns)
    assert read_pairs(path).second.texts == tuple(WORDS)
    pairs = read_pairs(path, first="preview", second="other")
    assert pairs.first.files == tuple(NAMES[::-1]) and pairs.second.texts[0] == "no. a thing, number 0"
    twice = csv(folder / "b.csv", {"left": NAMES, "right": NAMES, "caption": WORDS})
    assert "2 columns of picture files ('left', 'right'): say which with --first" in said(UserError, twice)
    both = csv(folder / "c.csv", {"file": NAMES, "one": WORDS, "two": WORDS})
    assert "2 columns of texts ('one', 'two'): say which with --second" in said(UserError, both)
    none = csv(folder / "d.csv", {"file": NAMES, "size": range(N)})
    assert "no column of captions (others: 'size')" in said(UserError, none)
    assert "did you mean 'caption'?" in said(UserError, path, second="captoin")
    assert "cannot be both sides" in said(UserError, path, first="file", second="file")


def test_two_blocks_of_numbers_and_two_arrays_are_vectors(tmp_path):
    columns = {f"image_{j}": A[:, j] for j in range(5)} | {f"text_{j}": B[:, j] for j in range(3)}
    np.save(tmp_path / "a.npy", A)
    np.save(tmp_path / "b.npy", B)
    sources = [
        csv(tmp_path / "a.csv", columns), columns, (A, B), (torch.from_numpy(A), B.astype(np.float64)),
        (tmp_path / "a.npy", str(tmp_path / "b.npy")),
    ]  # fmt: skip
    for source in sources:
        pairs = read_pairs(source)
        assert isinstance(pairs.first, Vectors) and isinstance(pairs.second, Vectors)
        np.testing.assert_array_equal(pairs.first.values, A)
        np.testing.assert_array_equal(pairs.second.values, B)
    more = columns | {"n1": A[:, 0]}
    assert "form 3 blocks, not two" in said(UserError, more)
    np.testing.assert_array_equal(read_pairs(more, first="image_*", second="text_*").second.values, B)
    assert isinstance(read_pairs((PIXELS, WORDS)).first, Pictures)
    assert read_pairs((A, WORDS)).second.texts == tuple(WORDS)


def test_rows_saved_and_loaded(folder, tmp_path):
    csv(folder / "pairs.csv", {"file": NAMES, "caption": [*WORDS[:-1], '고양이 🙂 "x"']})
    for pairs in (read_pairs(folder), read_pairs((A, B)), read_pairs((PIXELS, A))):
        pairs.save(tmp_path / "pairs.safetensors")
        again = Pairs.load(tmp_path / "pairs.safetensors")
        assert again.fingerprint == pairs.fingerprint and again.source == pairs.source and again.notes == pairs.notes
        assert type(again.first) is type(pairs.first) and type(again.second) is type(pairs.second)
        values = again.first.values
        assert isinstance(values, np.memmap) and values.mode == "r" and not values.flags.writeable
        some = again.rows([3, 1])
        assert len(some) == 2 and some.fingerprint == pairs.rows(np.array([3, 1])).fingerprint
        assert some.fingerprint != pairs.rows([1, 3]).fingerprint
        np.testing.assert_array_equal(some.first.values, np.array(pairs.first.values)[[3, 1]])
    (tmp_path / "cut").write_bytes((tmp_path / "pairs.safetensors").read_bytes()[:-9])
    with pytest.raises(UserError, match="damaged or holds no saved pairs"):
        Pairs.load(tmp_path / "cut")


def test_the_fingerprint_sees_every_side(folder):
    pairs = read_pairs((A, WORDS))
    changed = A.copy()
    changed[3, 2] += 1
    others = [(changed, WORDS), (A, [*WORDS[:-1], "else"]), (A[::-1], WORDS)]
    assert len({pairs.fingerprint, *(read_pairs(other).fingerprint for other in others)}) == 4


# --- units


def test_equal_captions_and_equal_pictures_are_one_unit(folder):
    words = list(WORDS)
    words[1] = "A THING number 0!"  # the words of caption 0
    Image.fromarray(PIXELS[1]).save(folder / NAMES[2])  # the picture of pair 1
    words[5:8] = "🙂", "🙂", "🙃"
    pairs = read_pairs(csv(folder / "a.csv", {"file": NAMES, "caption": words}))
    g = pairs.groups
    assert g[0] == g[1] == g[2] and g[5] == g[6] != g[7] and len(np.unique(g)) == N - 3
    notes = " ".join(pairs.notes)
    assert "1 of 24 pictures equal an earlier one" in notes and "2 of 24 captions equal an earlier one" in notes
    assert "21 units, the largest of 3 pairs" in notes


def test_concepts_are_the_units_where_they_are_known(folder):
    concept = [f"c{i // 2}" for i in range(N)]
    words = ["the same words"] * 8 + WORDS[8:]
    Image.fromarray(PIXELS[20]).save(folder / NAMES[23])
    path = csv(folder / "a.csv", {"file": NAMES, "caption": words, "concept": concept})
    g = read_pairs(path).groups
    assert len(np.unique(g)) == 11 and g[20] == g[21] == g[22] == g[23] and g[0] == g[1] != g[2]
    named = csv(folder / "b.csv", {"file": NAMES, "caption": WORDS, "what": concept})
    assert len(np.unique(read_pairs(named, concept="what").groups)) == 11
    assert len(np.unique(read_pairs(named).groups)) == N - 1
    concept[4] = ""
    path = csv(folder / "c.csv", {"file": NAMES, "caption": WORDS, "concept": concept})
    assert "column 'concept', row 5: the concept is missing (1 such rows)" in said(DataUnfit, path)


def test_no_unit_is_on_both_sides_of_a_split(folder):
    words = [f"word {i % 8}" for i in range(N)]
    pairs = read_pairs(csv(folder / "a.csv", {"file": NAMES, "caption": words}))
    for seed in range(6):
        parts = split(pairs, seed=seed)
        sets = [set(pairs.groups[rows].tolist()) for rows in (parts.train, parts.validation, parts.test)]
        assert all(sets) and not sets[0] & sets[1] and not (sets[0] | sets[1]) & sets[2]


def test_a_picture_with_several_captions_is_decoded_once(folder):
    names = [name for name in NAMES[::-1] for _ in range(3)]
    with patch.object(pair_read, "read_files", wraps=pair_read.read_files) as reader:
        pairs = read_pairs(csv(folder / "a.csv", {"file": names, "caption": [f"words {i}" for i in range(3 * N)]}))
    assert reader.call_args.args[2] == NAMES
    np.testing.assert_array_equal(pairs.first.to_numpy(), np.moveaxis(PIXELS[::-1].repeat(3, axis=0), -1, 1))
    assert len(np.unique(pairs.groups)) == N


# --- bad input


def test_missing_files_are_counted_and_listed(folder):
    names = [*NAMES[:-2], "none/a.png", "none/b.png"]
    message = said(UserError, csv(folder / "a.csv", {"file": names, "caption": WORDS}))
    assert "2 of 24 picture files are missing: 'none/a.png', 'none/b.png' (first in row 23)" in message
    assert f"looked for in '{folder}'" in message
    every = said(UserError, csv(folder / "b.csv", {"file": [f"x{i}.png" for i in range(N)], "caption": WORDS}))
    assert "24 of 24 picture files are missing" in every and ", ..." in every


def test_rows_that_lack_a_side_are_left_out_and_counted(folder):
    more = np.random.default_rng(5).integers(0, 256, (3, 10, 12, 3), dtype=np.uint8)
    for i, picture in enumerate(more):
        Image.fromarray(picture).save(folder / f"pictures/more{i}.png")
    names = [*NAMES, *(f"pictures/more{i}.png" for i in range(3))]
    pairs = read_pairs(csv(folder / "a.csv", {"file": names, "caption": [*WORDS, "", "  ", "more words"]}))
    assert len(pairs) == N + 1 and pairs.second.texts[-1] == "more words"
    assert "2 of 27 rows have nothing in column 'caption' and were left out (row 25, 26)." in pairs.notes
    pairs = read_pairs(csv(folder / "b.csv", {"file": ["", *names[1:]], "caption": [*WORDS, *"abc"]}))
    assert len(pairs) == N + 2 and "1 of 27 rows have nothing in column 'file'" in " ".join(pairs.notes)


def test_what_cannot_be_learned_from_is_refused(folder):
    for files, captions, message in [
        (NAMES, [""] * N, "column 'caption' is empty in all 24 rows"),
        ([" "] * N, WORDS, "column 'file' is empty in all 24 rows"),
        (NAMES, ["the same"] * N, "all 24 captions are equal"),
        (NAMES, ["The same"] * 12 + ["the same!"] * 12, "all 24 captions are equal"),
        (NAMES[:1] * N, WORDS, "has 1 picture; at least 20"),
        (NAMES[:1], WORDS[:1], "1 pair; at least 20 are needed"),
        (NAMES, ["one", "other"] * 12, "into 2 units; at least 3"),
    ]:
        assert message in said(DataUnfit, csv(folder / "a.csv", {"file": files, "caption": captions}))
    for name in NAMES:
        Image.fromarray(PIXELS[0]).save(folder / name)
    assert "all 24 pictures are equal" in said(DataUnfit, csv(folder / "b.csv", {"file": NAMES, "caption": WORDS}))
    assert "1 pair; at least 20" in said(DataUnfit, (A[:1], B[:1]))
    assert "all 24 vectors are equal" in said(DataUnfit, (A, np.ones((N, 2))))


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_vectors_that_are_no_numbers_are_refused(odd):
    bad = A.copy()
    bad[7, 2] = odd
    assert f"1 of 24 vectors hold numbers that are none (row 8: {odd})" in said(DataUnfit, (bad, B))
    columns = {f"a{j}": bad[:, j] for j in range(5)} | {f"b{j}": B[:, j] for j in range(3)}
    assert "column 'a2': 1 of 24 vectors" in said(DataUnfit, columns)
    columns["a2"] = ["x"] * N
    assert "column 'a2': 'x' (row 1) is no number" in said(DataUnfit, columns)


def test_sizes_that_differ_are_refused_unless_one_is_asked_for(folder):
    Image.fromarray(PIXELS[0][:9]).save(folder / NAMES[0])
    path = csv(folder / "a.csv", {"file": NAMES, "caption": WORDS})
    assert "pictures of 2 sizes" in said(DataUnfit, path) and "--size 9x12" in said(DataUnfit, path)
    assert read_pairs(path, size=8).first.shape == (3, 8, 8)
    assert "give one whole number" in said(UserError, path, size="big")


def test_other_bad_requests_are_said(folder, tmp_path):
    assert "24 and 20 rows do not pair up" in said(UserError, (A, B[:20]))
    assert "vectors are numbers (n, d)" in said(UserError, (A, np.zeros(N)))
    assert "the second of two sides, is no NPY file" in said(UserError, (A, "none.npy"))
    assert "these are two arrays" in said(UserError, (A, B), first="a")
    assert "is a folder without pairs.csv" in said(UserError, folder)
    assert "already" in said(UserError, read_pairs((A, B)), size=8)
    (tmp_path / "a.jsonl").write_text('{"file": "a"}\n{"file": ')
    assert "line 2" in said(UserError, tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text('{"file": "a"}\n[3]')
    assert "line 2: no JSON object" in said(UserError, tmp_path / "a.jsonl")
    assert "There is no file" in said(UserError, tmp_path / "none.tsv")


def test_long_captions_and_other_scripts_are_kept_as_they_are(folder):
    words = [*WORDS[:-3], "word " * 10_000, "고양이 🙂\nzwei Zeilen", "NA"]
    pairs = read_pairs(csv(folder / "a.csv", {"file": NAMES, "caption": words}))
    assert pairs.second.texts == tuple(words)


def test_what_was_understood_is_described(folder):
    words = ["thing 0"] * 4 + WORDS[4:]
    pairs = read_pairs(csv(folder / "a.csv", {"file": NAMES, "caption": words}))
    found = describe(pairs)
    assert (found.pairs, found.distinct, found.units, found.largest) == (N, (N, N - 3), N - 3, 4)
    assert found.floor == pytest.approx(4 * math.log(4) / N) and found.words == (2, 4, 4)
    lines = "\n".join(found.lines())
    assert "24 pairs of colour pictures of 10 x 12 with captions" in lines and "log n = 3.178" in lines
    few = read_pairs((np.random.default_rng(3).normal(size=(3 * N, 5)), [f"class {i % 3}" for i in range(3 * N)]))
    assert "only 3 of 72 captions differ: a loss near 3.18" in " ".join(describe(few).concerns)
