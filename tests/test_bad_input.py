"""Everything that can be wrong with what a person gives: one message that names the thing, the value found and a
fix, the documented exit code (2 the request, 5 the data), no traceback, and no finished run lost."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import Command, check, numbers, text
from small_study import MINE

REQUEST, UNFIT = 2, 5


@pytest.fixture
def command(capsys):
    return Command(capsys)


def with_last(names: str, last: Callable[[int], str], rows: int = 100) -> bytes:
    return text(names, [[*row, last(i)] for i, row in enumerate(numbers(rows, 1))])


SENTENCE = "the quick brown fox jumps over lazy dog number"
# what: content of data.csv, exit code, what the message must name: thing, value found, fix
FILES: dict[str, tuple[bytes, int, tuple[str, ...]]] = {
    "empty file": (b"", UNFIT, ("data.csv' is empty", "0 bytes", "give a file with a header")),
    "header only": (b"x,y\n", UNFIT, ("data.csv", "no rows", "at least 20")),
    "one row": (b"x,y\n1,2\n", UNFIT, ("data.csv", "1 row;", "at least 20", "Add rows")),
    "constant columns": (b"x,y\n" + b"1,a\n" * 50, UNFIT, ("x is constant", "y is constant", "one column that varies")),
    "missing columns": (b"x,y\n" + b",NA\n" * 50, UNFIT, ("x is all missing", "y is all", "one column that varies")),
    "infinity": (
        with_last("x,y", lambda i: "inf" if i == 41 else f"{i / 7:.3f}"),
        UNFIT,
        ("Column 'y', row 42: inf is not finite (1 such row)", "Correct the value", "--drop 'y'"),
    ),
    "an odd word": (
        with_last("x,y", lambda i: "ten" if i == 9 else f"{i / 7:.3f}"),
        UNFIT,
        ("Column 'y', row 10: 'ten' among numbers", "Write a missing value as an empty field", "--drop 'y'"),
    ),
    "10,000 categories": (
        with_last("x,c", lambda i: f"c{i}", rows=10_000),
        UNFIT,
        ("Column 'c' has 10,000 distinct texts", "row 1: 'c0'", "at most 100", "--drop 'c'"),
    ),
    "free text": (
        with_last("x,story", lambda i: f"{SENTENCE} {i}"),
        UNFIT,
        ("Column 'story' is free text", f"row 1: '{SENTENCE[:30]}", "Supported: numbers", "--drop 'story'"),
    ),
    "duplicate names": (b"x,y,x\n1,2,3\n", REQUEST, ("columns 1 and 3", "both named 'x'", "give every column its own")),
    "a nameless column": (b",y\n1,2\n", REQUEST, ("column 1 has no name", "index=False")),
    "no text": (b"x,y\n1,\xff\xfe\n", REQUEST, ("byte 0xFF at offset 6", "save it as UTF-8")),
    "a zero byte": (b"x,y\n1,\0\n", REQUEST, ("zero byte at offset 6", "UTF-8")),
    "a ragged row": (b"x,y\n1,2\n1,2,3\n", REQUEST, ("Line: 3", "Found: 3", "Correct the file")),
}


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("verb", ["compare", "describe"])
def test_files_that_cannot_be_used(command, tmp_path, monkeypatch, what, verb):
    content, code, says = FILES[what]
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_bytes(content)
    check(command(verb, "data.csv", code=code), says)
    assert os.listdir() == ["data.csv"]


def test_more_columns_than_rows_are_refused_where_a_whole_table_is_to_be_learned(command, tmp_path):
    path = tmp_path / "wide.csv"
    path.write_bytes(text(",".join(f"v{i}" for i in range(60)), numbers(30, 60)))
    found = command("compare", path, code=UNFIT)
    check(found, ("30 rows but 60 encoded dimensions", "at least as many rows", "--drop"))
    assert os.listdir(tmp_path) == ["wide.csv"]


def no_pickle(path: Path) -> None:
    np.save(path, np.array([{}] * 30), allow_pickle=True)


def frames(path: Path) -> None:
    path.mkdir()
    for i in range(3):
        (path / f"frame_{i}.png").write_bytes(b"")


# name: how it is made, exit code, what the message must name
PATHS: dict[str, tuple[Callable[[Path], object], int, tuple[str, ...]]] = {
    "mssing.csv": (lambda path: None, REQUEST, ("There is no file", "mssing.csv", "did you mean 'missing.csv'?")),
    "nowhere/a.csv": (lambda path: None, REQUEST, ("There is no file", "The folder", "does not exist either")),
    "sheet.xlsx": (lambda path: path.write_bytes(b"PK"), REQUEST, ("'.xlsx' is not known", ".parquet", "as CSV")),
    "damaged.parquet": (lambda path: path.write_bytes(b"PAR1" + b"?" * 99), REQUEST, ("cannot be read as Parquet",)),
    "damaged.npy": (lambda path: path.write_bytes(b"\x93NUMPY"), REQUEST, ("damaged", "save it again")),
    "objects.npy": (no_pickle, REQUEST, ("pickle", "never loaded", "as Parquet")),
    "video.npy": (lambda path: np.save(path, np.zeros((30, 4, 8, 8))), UNFIT, ("all 30 pictures are equal",)),
    "complex.npy": (lambda path: np.save(path, np.zeros((30, 2), complex)), UNFIT, ("complex128", "two columns")),
    "frames": (frames, UNFIT, ("has 3 pictures", "at least 20")),
    "folder": (lambda path: path.mkdir(), REQUEST, ("is an empty folder; give one file (.csv", ".npz)")),
}


@pytest.mark.parametrize("name", PATHS)
def test_paths_that_cannot_be_used(command, tmp_path, name):
    make, code, says = PATHS[name]
    (tmp_path / "missing.csv").write_text("x\n")
    make(tmp_path / name)
    check(command("compare", tmp_path / name, "--out", tmp_path / "run", code=code), (*says, str(tmp_path / name)))
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def dated(tmp_path_factory):
    path = tmp_path_factory.mktemp("dated") / "dated.csv"
    rows = [[x, f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}", x, f"{i}"] for i, (x,) in enumerate(numbers(200, 1))]
    path.write_bytes(text("x,day,y,count", rows))
    return path


def test_dates_are_modelled_and_a_split_that_ignores_them_is_noted(command, dated):
    assert "note Column 'day' holds dates, and the split ignores time" in command("compare", dated, "--dry-run")[0]
    for option in ("--time", "--drop"):
        assert "note" not in command("compare", dated, "--dry-run", option, "day", "--drop", "count", "--drop", "y")[0]


def test_suspicious_columns_are_noted_before_training_and_labels_are_not(command, tmp_path):
    rows = [[i, x, x, i % 50 > 0] for i, (x,) in enumerate(numbers(100, 1))]
    path = tmp_path / "odd.csv"
    path.write_bytes(text("id,x,y,label", [[str(cell) for cell in row] for row in rows]))
    out, _ = command("compare", path, "--dry-run")
    assert all(f"note Column '{says}" in out for says in ("id' counts the rows", "y' says the same as column 'x'"))
    path.write_bytes(text("id,x,y,label", [[str(cell) for cell in [*row[:3], row[0] % 2]] for row in rows]))
    out, _ = command("compare", path, "--dry-run", "--target", "label")
    assert "note Column 'id' counts the rows" in out and "'label'" not in out


# the options, exit code, what the message must name; DATED has x and y (numbers), day (dates), count (whole numbers)
OPTIONS: list[tuple[str, int, tuple[str, ...]]] = [
    ("--target colour", REQUEST, ("--target 'colour'", "no such column", "known: count, day, x, y")),
    ("--target x --drop x", REQUEST, ("'x' is both --target and --drop", "choose one")),
    ("--target day --time day", REQUEST, ("'day' is both --target and --time", "choose one")),
    ("--target=", REQUEST, ("--target is empty", "leave --target out")),
    ("--target ,", REQUEST, ("--target is empty",)),
    ("--target coutn", REQUEST, ("--target 'coutn'", "did you mean 'count'?")),
    ("--target x", UNFIT, ("'x' is a column of fractions", "regression is no goal")),
    ("--target count", UNFIT, ("'count' is a column of whole numbers", "regression")),
    ("--target day", UNFIT, ("'day' is a column of dates", "regression")),
    ("--target x --goal generate", REQUEST, ("--target 'x' belongs to the goal 'classify'", "Leave --target out")),
    (
        "--goal regress",
        UNFIT,
        ("'regress' is no goal", "Supported: generate, classify", "Regression, video and free text"),
    ),
    ("--goal video", UNFIT, ("'video' is no goal", "Supported: generate, classify")),
    ("--goal generat", REQUEST, ("no goal 'generat'", "did you mean 'generate'?")),
    ("--goal embed --target x", UNFIT, ("'x' is a column of fractions", "regression is no goal")),
    ("--objectives wgan-pg", REQUEST, ("no objective 'wgan-pg'", "did you mean 'wgan-gp'?")),
    ("--objectives kmeans", REQUEST, ("no objective 'kmeans'", "known: ", "wgan-gp")),
    ("--objectives nowhere.py", REQUEST, ("'nowhere.py' does not exist",)),
    ("--objectives ,", REQUEST, ("--objectives is empty", "'all'")),
    ("--objectives gan,gan", REQUEST, ("--objectives names one twice", "gan, gan")),
    ("--budget qick", REQUEST, ("--budget must be one of quick, standard, thorough", "got 'qick'")),
    ("--budget 10", REQUEST, ("at least 1e+06", "got '10'")),
    ("--seeds 1", REQUEST, ("--seeds must be at least 2", "got 1")),
    ("--settings 0", REQUEST, ("--settings must be at least 1", "got 0")),
    ("--workers 0", REQUEST, ("--workers must be at least 1", "got 0")),
    ("--engine ray", REQUEST, ("--engine ray", "not available", "leave it out")),
    ("--nets nowhere.py", REQUEST, ("--nets", "'nowhere.py' does not exist")),
    ("--time colour", REQUEST, ("--time 'colour'", "no such column")),
    ("--group coutn", REQUEST, ("--group 'coutn'", "did you mean 'count'?")),
    ("--drop colour", REQUEST, ("--drop 'colour'", "no such column")),
    ("--time day --drop day", REQUEST, ("'day' is both --time and --drop", "choose one")),
    ("--drop x --drop y --drop day --drop count", UNFIT, ("no column is left",)),
]


@pytest.mark.parametrize(("typed", "code", "says"), OPTIONS, ids=[typed for typed, _, _ in OPTIONS])
def test_options_that_cannot_be_meant(command, dated, tmp_path, typed, code, says):
    check(command("compare", dated, *typed.split(), "--out", tmp_path / "run", code=code), says)
    assert not (tmp_path / "run").exists()


CHANGES = {
    "another goal": ("    lr: float", '    goal = "classify"\n    lr: float', ("'classify', not 'generate'",)),
    "unfit": (
        "    def net",
        '    def unfit(self, task):\n        return "odd"\n\n    def net',
        ("No objective", "odd"),
    ),
    "does not load": ("from dataclasses", "from nowhere", ("cannot be imported", "ModuleNotFoundError", "nowhere")),
    "no objective": ("Generative)", "object)", ("must define exactly one objective", "none")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_objective_of_the_users_own_that_does_not_fit(command, dated, tmp_path, what):
    old, new, says = CHANGES[what]
    own = tmp_path / "own.py"
    own.write_text(MINE.replace(old, new))
    check(command("compare", dated, "--objectives", own, "--out", tmp_path / "run", code=2), ("own.py", *says))
