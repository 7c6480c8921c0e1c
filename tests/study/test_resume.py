"""A study that was stopped, killed or damaged ends like one that was not: equal bytes but for the clock."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import msgspec
import pytest
from small_study import Here

from whichloss.study import work
from whichloss.study.records import without_clock
from whichloss.study.run import Silent
from whichloss.study.store import Store, unpack


def result(folder):
    """What a study came to: study.json without its clock, and the model."""
    study = msgspec.json.encode(without_clock(json.loads((folder / "study.json").read_bytes())))
    record, arrays = unpack(folder / "best" / "model.safetensors")
    return study, record, {name: array.tobytes() for name, array in arrays.items()}


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """An uninterrupted study, which no test may change, and how many pieces of work it took."""
    folder, engine = tmp_path_factory.mktemp("whole") / "run", Here()
    small(folder, engine=engine)
    return folder, len(engine.done)


class Stops(Here):
    """Ctrl-C before a piece of work."""

    def __init__(self, before):
        def broken(item):
            if len(self.done) == before:
                raise KeyboardInterrupt

        super().__init__(broken)


@pytest.mark.parametrize("share", [pytest.param(share, marks=pytest.mark.slow) for share in (0.0, 0.7)])
def test_a_study_stopped_between_pieces_of_work_ends_alike(small, whole, tmp_path, share):
    before = int(share * whole[1])
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / "run", engine=Stops(before))
    assert not (tmp_path / "run" / "study.json").exists()
    engine = Here()
    small(tmp_path / "run", engine=engine)
    assert len(engine.done) == whole[1] - before
    assert result(tmp_path / "run") == result(whole[0])


def test_a_study_stopped_again_and_again_ends_alike(small, whole, tmp_path):
    for _ in range(whole[1] - 1):
        with pytest.raises(KeyboardInterrupt):
            small(tmp_path / "run", engine=Stops(1))
    small(tmp_path / "run")
    assert result(tmp_path / "run") == result(whole[0])


@pytest.mark.parametrize("damaged", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_group_stopped_in_the_middle_goes_on_from_its_checkpoint(small, whole, tmp_path, monkeypatch, damaged):
    saved, begun = [], []
    save, start = work.Trainer.save, work.Trainer.resume

    def stopping(self, state):
        save(self, state)
        saved.append(state.step)
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(work.Trainer, "save", stopping)
        with pytest.raises(KeyboardInterrupt):
            small(tmp_path / "run")
    (checkpoint,) = (tmp_path / "run" / "partial").glob("*.safetensors")
    assert saved[1] > saved[0] > 0
    if damaged:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-100])

    def resumed(self):
        state = start(self)
        begun.append(0 if state is None else state.step)
        return state

    monkeypatch.setattr(work.Trainer, "resume", resumed)
    small(tmp_path / "run")
    assert begun[0] == (0 if damaged else saved[-1]) and not any(begun[1:])
    assert result(tmp_path / "run") == result(whole[0])
    assert not (tmp_path / "run" / "partial").exists()


def test_only_the_damaged_trial_is_done_again_and_it_is_named(small, whole, tmp_path):
    folder = shutil.copytree(whole[0], tmp_path / "run")  # keeps the times of the files
    screen = [p for p in folder.glob("runs/mine*") if Store(folder).read(p.stem)[0]["run"]["judge"] != "test"]
    path, said, engine = screen[0], [], Here()
    lanes = Store(folder).read(path.stem)[0]["lanes"]
    before = {p.stem: p.stat().st_mtime_ns for p in (folder / "runs").iterdir()}
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)

    class Listening(Silent):
        def note(self, text):
            said.append(text)

    small(folder, engine=engine, watcher=Listening())
    assert [[run.id for run in job.group.runs] for job in engine.done] == [lanes]
    assert len(said) == 1 and str(path) in said[0] and "computed again" in said[0]
    assert path.with_suffix(".damaged").read_bytes() == content
    kept = {name: at for name, at in before.items() if name not in lanes}
    assert kept and {name: (folder / "runs" / f"{name}.safetensors").stat().st_mtime_ns for name in kept} == kept
    assert result(folder) == result(whole[0])


def start(table_csv, mine, folder):
    typed = ["compare", table_csv, "--objectives", mine, "--budget", "6e8", "--seeds", "2"]
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # jobs in the background ignore it
    script = f"{heed}; from whichloss.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, typed), "--out", "run", "--workers", "1"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def finished(folder):
    return len(list((folder / "run" / "runs").glob("*.safetensors")))


def wait_for(process, folder, count):
    """Until so many files are finished."""
    end = time.monotonic() + 120
    while finished(folder) < count and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()[0]


@pytest.mark.slow
def test_a_command_that_is_killed_or_stopped_is_resumed_by_typing_it_again(table_csv, mine, tmp_path):
    folders = [tmp_path / "whole", tmp_path / "hurt"]
    for folder in folders:
        folder.mkdir()
    calm = start(table_csv, mine, folders[0])
    said = calm.communicate()[0]
    assert calm.returncode in (0, 3), said
    hurt = folders[1]
    for count, how in ((3, signal.SIGKILL), (7, signal.SIGINT)):
        process = start(table_csv, mine, hurt)
        wait_for(process, hurt, count)
        before = finished(hurt)
        os.kill(process.pid, how)
        said = process.communicate()[0]
        assert process.returncode == (-how if how == signal.SIGKILL else 130), said
        assert how == signal.SIGKILL or ("Finished runs are kept" in said and "Traceback" not in said)
        assert finished(hurt) >= before
    process = start(table_csv, mine, hurt)
    said = process.communicate()[0]
    assert process.returncode == calm.returncode and "finished run" in said
    assert result(hurt / "run") == result(folders[0] / "run")
