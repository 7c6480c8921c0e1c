"""One folder per study. Every finished run is on disk at once, whole or not at all; nothing is unpickled.

RUN/plan.json            what the study is; another data set's folder is refused
RUN/data.safetensors     the table, as read
RUN/runs/ID.safetensors  one finished run: its record and arrays, with a checksum
RUN/partial/...          checkpoints of groups under way, and what workers share; gone when all is done
RUN/study.json           the result; RUN/report.html, RUN/best/ the model
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..errors import StudyError

Arrays = Mapping[str, np.ndarray]


def write(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with _aside(path) as file:
        file.write(content)


def mapped(path: Path, blocks: Iterable[np.ndarray]) -> np.ndarray:
    """The numbers of the blocks, float32, one after the other, in a file that every process maps; the first writes."""
    if not path.exists():
        with _aside(path) as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block, np.float32).data)
    return np.memmap(path, np.float32, "r")


@contextmanager
def _aside(path: Path) -> Iterator[IO[bytes]]:
    """Write aside, sync, rename: a reader sees the old file or the new one, never a half."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StudyError(_why(path, error)) from error


def _why(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full: '{path}' could not be written. Finished runs are safe; free some space "
            "and run the same command again."
        )
    return f"'{path}' could not be written: {error.strerror}. Choose a folder you may write to with --out."


def pack(record: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Arrays and a JSON record as safetensors bytes with a checksum."""
    arrays = {k: np.ascontiguousarray(v) for k, v in sorted(arrays.items())}
    text = json.dumps(record, sort_keys=True)
    return save(arrays, {"record": text, "checksum": _checksum(text, arrays)})


def unpack(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record and arrays of a packed file. Raises StudyError when it is damaged."""
    try:
        with safe_open(path, "numpy") as file:
            meta = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, ValueError, OSError) as error:
        raise StudyError(f"'{path}' is damaged: {error}.") from error
    text = meta.get("record", "")
    if meta.get("checksum") != _checksum(text, arrays):
        raise StudyError(f"'{path}' is damaged: its checksum does not match its content.")
    return json.loads(text), arrays


def _checksum(text: str, arrays: Arrays) -> str:
    digest = sha256(text.encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


class Store:
    """The folder of one study."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.damaged: list[str] = []

    def path(self, run_id: str) -> Path:
        """Where a run lies."""
        return self.folder / "runs" / f"{run_id}.safetensors"

    def has(self, run_id: str) -> bool:
        """Is the run finished and undamaged? A damaged file is set aside, to be computed again."""
        path = self.path(run_id)
        if not path.exists():
            return False
        try:
            unpack(path)
        except StudyError as error:
            os.replace(path, path.with_suffix(".damaged"))
            self.damaged.append(f"{error} It was set aside and is computed again.")
            return False
        return True

    def read(self, run_id: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The record and arrays of a finished run."""
        return unpack(self.path(run_id))

    def write(self, run_id: str, record: Mapping[str, Any], arrays: Arrays) -> None:
        """Put a finished run on disk."""
        write(self.path(run_id), pack(record, arrays))

    def claim(self, plan: bytes, about: Mapping[str, str]) -> None:
        """Make the folder this study's, or raise StudyError if it is another's. `about` must match exactly."""
        path = self.folder / "plan.json"
        if self.folder.exists() and not self.folder.is_dir():
            raise StudyError(f"'{self.folder}' is a file; --out needs a folder.")
        if path.exists():
            try:
                known = json.loads(path.read_bytes())
                old, command = dict(known["about"]), known.get("command") or "not known"
            except (ValueError, KeyError, TypeError) as error:
                raise StudyError(f"'{path}' is damaged ({error}). Choose another --out.") from error
            for what in {**about, **old}:
                if old.get(what) != about.get(what):
                    changed = ", or the data has changed since" * (what == "data set")
                    was, is_ = (known.get(what, "none") for known in (old, about))
                    raise StudyError(
                        f"'{self.folder}' holds a study of another {what} ({was}; this one is {is_})"
                        f"{changed}. Choose another --out, or remove the folder. Its command was: {command}"
                    )
        elif self.folder.exists() and any(self.folder.iterdir()):
            names = [p.name for p in self.folder.iterdir() if p.name != ".lock"]
            if names:
                raise StudyError(
                    f"'{self.folder}' is not empty and holds no study (found '{sorted(names)[0]}'). "
                    "Choose another --out."
                )
        write(path, plan)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Only one command works in a folder at a time."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open(self.folder / ".lock", "w")  # noqa: SIM115
        except OSError as error:
            raise StudyError(_why(self.folder, error)) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StudyError(
                    f"Another whichloss command is working in '{self.folder}'. Wait for it, or choose another --out."
                ) from error
            try:
                yield
            finally:
                if not (self.folder / "plan.json").exists():  # refused: a folder of others stays as it was
                    (self.folder / ".lock").unlink(missing_ok=True)
