"""Folders and files of a study that cannot be used: a full disk, no right to write, another data set, damage.
No finished run is ever lost."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command import Command, check, numbers, text

from whichloss.study.store import unpack

SMALL = ("--budget", "1e8", "--seeds", "2")


@pytest.fixture
def command(capsys):
    return Command(capsys)


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """A finished study, which no test may change."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    small(folder)
    return folder


def state(folder: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (folder / "runs").glob("*.safetensors")}


@pytest.fixture
def again(command, table_csv, mine):
    """again(folder, code=3) types the command of `whole`, or another data set's."""
    return lambda folder, code=3, data=table_csv: command(
        "compare", data, "--objectives", mine, *SMALL, "--out", folder, code=code
    )


def error(printed: tuple[str, str]) -> str:
    """The message of a study that had already shown its plan."""
    _, err = printed
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_a_folder_of_another_data_set_is_refused_untouched(again, whole, tmp_path):
    (tmp_path / "other.csv").write_bytes(text("x,y", numbers(50, 2)))
    before = state(whole)
    said = error(again(whole, 2, tmp_path / "other.csv"))
    assert f"'{whole}' holds a study of another data set" in said and "--out" in said
    assert "Its command was: whichloss compare things.csv" in said
    assert state(whole) == before


def test_a_folder_of_something_else_is_left_alone(again, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    said = error(again(tmp_path, 2))
    assert "holds no study (found 'thesis.tex')" in said and "--out" in said
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_places_that_cannot_be_written(again, tmp_path, command, whole):
    file = tmp_path / "file"
    file.write_text("mine")
    check(again(file, 2), (f"'{file}' is a file; --out needs a folder",))
    for place in (file / "run", Path("/proc/whichloss/run")):
        said = error(again(place, 2))
        assert f"'{place}' could not be written" in said and "--out" in said
    for place in ("/proc/a.csv", tmp_path / "nowhere" / "a.csv"):
        check(command("sample", whole, "-o", place, code=2), (f"'{place}' cannot be written", "Choose a folder"))
    place = tmp_path / "nowhere" / "train.py"
    check(command("export", whole, "--script", place, code=2), ("nowhere", "cannot be written", "Choose a folder"))
    assert file.read_text() == "mine"


@pytest.fixture
def small_disk(tmp_path):
    """A file system that is full before the study ends, and a way to make it larger."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip("only an administrator can mount a small disk")
    yield place, lambda: subprocess.run(["mount", "-o", "remount,size=20m", str(place)], check=True)
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_a_really_full_disk_costs_no_finished_run(again, small_disk):
    place, enlarge = small_disk
    said = error(again(place / "run", 2))
    kept = state(place / "run")
    assert "The disk is full: " in said and "Finished runs are safe" in said and "same command again" in said
    assert kept
    enlarge()
    again(place / "run")
    after = state(place / "run")
    assert {name: after[name] for name in kept} == kept and len(after) > len(kept)


@pytest.mark.parametrize("good", [12, *(pytest.param(good, marks=pytest.mark.slow) for good in (0, 4, 8))])
def test_a_disk_that_fills_up_at_any_moment_costs_no_finished_run(again, tmp_path, monkeypatch, good):
    sync, written = os.fsync, []

    def full(file: int) -> None:
        if len(written) >= good:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(file)
        sync(file)

    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert "The disk is full" in error(again(folder, 2))
    kept, old = state(folder), shutil.copytree(folder, tmp_path / "old")
    again(folder)
    for name in kept:
        record, arrays = unpack(old / "runs" / name)
        whole_group = all(f"{lane}.safetensors" in kept for lane in record.get("lanes", ()))
        assert not whole_group or state(folder)[name] == kept[name]
        made = unpack(folder / "runs" / name)
        assert made[0] | {"clock": 0} == record | {"clock": 0}
        assert made[1].keys() == arrays.keys()
        assert all(np.array_equal(made[1][key], arrays[key], equal_nan=True) for key in arrays)
    assert len(state(folder)) > len(kept)
    assert not [p for p in folder.rglob(".*") if p.name != ".lock"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("study.json", ("is damaged", "Run the same comparison again")),
        ("best/model.safetensors", ("is damaged", "Run the same comparison again; finished runs are kept")),
        ("data.safetensors", ("data.safetensors",)),
    ],
)
def test_damaged_files_of_a_finished_study_are_made_again(again, whole, command, tmp_path, name, says):
    folder = shutil.copytree(whole, tmp_path / "run")
    before, content = state(folder), (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 3])
    typed = ("sample", folder, "-o", tmp_path / "s.csv") if "best" in name else ("report", folder)
    check(command(*typed, code=2), (str(folder / name), *says))
    again(folder)
    assert state(folder) == before
    command(*typed)


def test_folders_that_hold_no_study_say_what_to_give_instead(command, whole, tmp_path):
    check(command("report", tmp_path / "run", code=2), ("no study.json", "Run `whichloss compare` first"))
    check(command("report", whole / "best", code=2), ("no study.json", f"Give the folder above it, '{whole}'"))
    check(command("sample", tmp_path, code=2), ("holds no trained model", "folder of a finished comparison"))
    check(command("export", tmp_path, code=2), ("holds no trained model",))
    (tmp_path / "plan.json").write_text("{}")
    check(command("report", tmp_path, code=2), ("interrupted", "`whichloss compare` command again"))
    check(command("sample", whole, "-n", 0, code=2), ("at least 1", "got 0"))
    check(command("sample", whole, "-o", "a.txt", code=2), ("'a.txt'", ".csv or .parquet"))


def test_too_few_rows_to_judge_are_refused_and_leave_nothing_in_the_way(again, tmp_path):
    few = tmp_path / "few.csv"
    few.write_bytes(text("x", numbers(60, 1)))
    said = error(again(tmp_path / "run", 5, few))
    assert "few.csv: with 10 rows on each side" in said and "moved by half" in said and "more rows" in said.lower()
    assert not list((tmp_path / "run").iterdir())  # more rows under the same name find no study of another data set
    again(tmp_path / "run", 5, few)
