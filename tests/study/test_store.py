"""One file per run, whole or not at all; whatever is damaged is noticed."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from whichloss.errors import StudyError
from whichloss.study import store as module
from whichloss.study.store import Store, unpack, write

ARRAYS = {"weights/G": np.arange(300, dtype=np.float32), "samples": np.array([[1.0, np.nan], [3.0, 4.0]])}
RECORD = {"score": 0.1, "failed": "", "run": {"seed": 1}}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "run")
    store.write("gan-1", RECORD, ARRAYS)
    return store


def test_what_is_read_is_what_was_written(store):
    record, arrays = store.read("gan-1")
    assert record == RECORD
    assert all(np.array_equal(arrays[k], v, equal_nan=True) and arrays[k].dtype == v.dtype for k, v in ARRAYS.items())


def test_nothing_is_left_beside_a_file(store):
    assert [p.name for p in (store.folder / "runs").iterdir()] == ["gan-1.safetensors"]


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_a_flipped_byte_anywhere_is_noticed(store, place):
    path = store.path("gan-1")
    content = bytearray(path.read_bytes())
    content[place * len(content) // 40] ^= 1
    path.write_bytes(content)
    with pytest.raises(StudyError, match="damaged"):
        unpack(path)


@pytest.mark.parametrize("keep", [0, 1, 7, 100, -1])
def test_a_damaged_file_is_set_aside_and_counts_as_missing(store, keep):
    path = store.path("gan-1")
    content = path.read_bytes()[:keep]
    path.write_bytes(content)
    assert not store.has("gan-1")
    assert not path.exists()
    assert path.with_suffix(".damaged").read_bytes() == content
    assert "gan-1" in store.damaged[0] and "computed again" in store.damaged[0]
    store.write("gan-1", RECORD, ARRAYS)
    assert store.has("gan-1")


def test_a_file_of_another_maker_is_damaged_not_a_crash(store):
    from safetensors.numpy import save

    store.path("gan-1").write_bytes(save({"weights": np.zeros(3)}))
    assert not store.has("gan-1")


def test_a_failed_write_keeps_the_old_file(store, monkeypatch):
    old = store.path("gan-1").read_bytes()

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(StudyError, match="disk is full.*Finished runs are safe.*same command again"):
        store.write("gan-1", {"score": 2}, {})
    assert store.path("gan-1").read_bytes() == old
    assert len(list((store.folder / "runs").iterdir())) == 1


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip("only an administrator can mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_really_full_disk(tiny_disk):
    store = Store(tiny_disk / "run")
    store.write("gan-1", RECORD, {})
    with pytest.raises(StudyError, match="disk is full"):
        store.write("gan-2", RECORD, {"samples": np.zeros(100_000)})
    assert store.has("gan-1") and not store.has("gan-2")
    assert len(list((store.folder / "runs").iterdir())) == 1
    store.write("gan-2", RECORD, {})  # there is room again


def test_places_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for path in ("/proc/whichloss/run", file / "run"):
        with pytest.raises(StudyError, match="could not be written.*--out"):
            write(module.Path(path), b"")
        with pytest.raises(StudyError, match="could not be written.*--out"), Store(path).lock():
            pass
    assert file.read_text() == "mine"


ABOUT = {"data set": "abc", "goal": "generate"}
PLAN = b'{"about": {"data set": "abc", "goal": "generate"}}'


def test_a_folder_belongs_to_one_data_set(tmp_path):
    store = Store(tmp_path / "run")
    store.claim(PLAN, ABOUT)
    store.claim(PLAN, ABOUT)
    with pytest.raises(StudyError, match=r"another data set \(abc; this one is xyz\).*--out"):
        store.claim(b"{}", ABOUT | {"data set": "xyz"})
    with pytest.raises(StudyError, match=r"another given \(none; this one is label\)"):
        store.claim(b"{}", ABOUT | {"given": "label"})
    with pytest.raises(StudyError, match=r"another data set \(abc; this one is none\)"):
        store.claim(b"{}", {what: value for what, value in ABOUT.items() if what != "data set"})
    assert (store.folder / "plan.json").read_bytes() == PLAN


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    store = Store(tmp_path)
    with pytest.raises(StudyError, match="holds no study.*thesis.tex"), store.lock():
        store.claim(PLAN, ABOUT)
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == ["thesis.tex"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"about": 3}'])
def test_a_damaged_plan_is_refused(tmp_path, content):
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(StudyError, match=r"plan.json.*--out"):
        Store(tmp_path).claim(PLAN, ABOUT)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(StudyError, match="--out"), Store(tmp_path / "run").lock():
        pass


HOLD = """
import sys, time
from whichloss.study.store import Store
with Store(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_commands_at_once_are_refused_and_a_kill_frees_the_folder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(StudyError, match="Another whichloss command"), Store(tmp_path).lock():
            pass
        other.kill()
        other.wait()
    with Store(tmp_path).lock():
        pass
    assert os.path.exists(tmp_path)
