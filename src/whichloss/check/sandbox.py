"""The parent's side: start a fresh interpreter, hand it the function, wait no longer than asked, read how it ended."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any

import msgspec

from ..errors import UserError, WhichlossError
from .answer import Answer

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run(request: Mapping[str, Any]) -> Answer:
    """The answer to a request. Raises UserError where the question makes no sense."""
    import cloudpickle

    began = time.monotonic()
    parent, child = Pipe(duplex=True)
    environment = os.environ | dict.fromkeys(THREADS, "1")
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(p) for p in sys.path)
    with tempfile.TemporaryFile() as errors, parent:
        process = subprocess.Popen(
            # -P: a file of the user's folder (random.py, say) must not hide a module
            [sys.executable, "-P", "-m", "whichloss.check.worker", str(child.fileno())],
            pass_fds=[child.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # so that whatever it starts can be ended with it
        )
        child.close()
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                parent.send_bytes(cloudpickle.dumps(dict(request)))
            content = _read(parent, request["seconds"])
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        errors.seek(0)
        trace = errors.read(200_000).decode(errors="replace")
    return _understood(request, content, code, trace, round(time.monotonic() - began, 2))


def _read(parent: Any, seconds: float) -> bytes | str:
    """The reply, or "late" or "gone"."""
    if not parent.poll(seconds):
        return "late"
    try:
        return parent.recv_bytes()  # type: ignore[no-any-return]
    except (EOFError, OSError):
        return "gone"


def _understood(request: Mapping[str, Any], content: bytes | str, code: int, trace: str, seconds: float) -> Answer:
    if isinstance(content, str):
        return _ended(request, content, code, trace, seconds)
    kind, said, written = msgspec.json.decode(content)
    if kind == "user":
        raise UserError(said)
    if kind == "internal":
        raise WhichlossError(f"The check itself failed: {said}")
    if kind == "exit":
        return _broken(request, "ends the process", f"it calls sys.exit({said})", "Raise an error instead.", seconds)
    answer = msgspec.convert(said, Answer)
    printed = [f"it printed {written:,} characters, which were not shown"] if written > 2000 else []
    return msgspec.structs.replace(answer, notes=[*answer.notes, *printed], seconds=seconds)


def _ended(request: Mapping[str, Any], how: str, code: int, trace: str, seconds: float) -> Answer:
    at = _line(trace, request["file"])
    if how == "late":
        return _broken(
            request,
            "too slow",
            f"it did not come to an end within {request['seconds']:g} s{at}",
            "Look for an endless loop; a slow function gets more time with --seconds.",
            seconds,
        )
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return _broken(
            request,
            "crash",
            f"it crashed its process with {name}{hint}{at}",
            "Look at the C code or the memory that it uses.",
            seconds,
        )
    return _broken(
        request,
        "ends the process",
        f"it ended its process with exit code {code}{at}",
        "Raise an error instead of os._exit().",
        seconds,
    )


def _broken(request: Mapping[str, Any], kind: str, says: str, fix: str, seconds: float) -> Answer:
    return Answer(request["loss"], request["name"], "broken", says, "", fix=fix, variant=kind, seconds=seconds)


def _line(trace: str, file: str | None) -> str:
    """The person's line in a trace of faulthandler."""
    lines = re.findall(r'File "([^"]+)", line (\d+)', trace)
    own = [line for path, line in lines if file is not None and os.path.basename(path) == os.path.basename(file)]
    return f", in line {own[0]} of {os.path.basename(file)}" if own and file else ""
