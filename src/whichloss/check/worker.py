"""The process that runs the person's function: reads a request, answers with plain data, and prints nothing.

Started as `python -m whichloss.check.worker FD`; its end, however it comes about, is read by `sandbox`.
"""

import faulthandler
import os
import resource
import signal
import sys
import warnings
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import msgspec

MEMORY = 8 << 30  # bytes


class Counted:
    """Stands for stdout: keeps nothing but how much was written."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, text: str) -> int:
        """Count the characters."""
        self.written += len(text)
        return len(text)

    def flush(self) -> None:
        """Nothing to do."""

    def isatty(self) -> bool:
        """Never."""
        return False


def serve(link: Connection) -> None:
    """Answer one request: ("answer", json), ("user", text), ("exit", code) or ("internal", text)."""
    asked = cloudpickle.loads(link.recv_bytes())
    _limits(asked["seconds"])
    faulthandler.enable()  # a crash in C writes the person's line to stderr, a file
    faulthandler.dump_traceback_later(0.9 * asked["seconds"])  # the line of an endless loop
    out = Counted()
    real, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), out, out
    try:
        kind, content = _answer(asked)
    except Exception as error:
        import traceback

        kind, content = "internal", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    except SystemExit as error:
        kind, content = "exit", str(error.code)
    sys.stdout, sys.stderr = real
    link.send_bytes(msgspec.json.encode([kind, content, out.written]))
    link.close()


def _limits(seconds: float) -> None:
    """What holds even where the parent has died: an end in time, and memory that leaves the machine alive."""
    signal.alarm(int(seconds) + 5)
    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY if most < 0 else min(MEMORY, most), most))


def _answer(asked: dict[str, Any]) -> tuple[str, Any]:
    import torch

    from ..errors import UserError
    from .claims import find
    from .examine import examine
    from .load import from_file, ready
    from .record import Refused

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        claim = find(asked["loss"])
        fn = (
            from_file(*asked["source"])
            if asked["source"]
            else ready(cloudpickle.loads(asked["function"]), asked["name"])
        )
        answer = examine(fn, claim, asked["args"], function=asked["name"], file=asked["file"])
    except UserError as error:
        return "user", str(error)
    except Refused as error:
        return "user", f"Only PyTorch functions can be checked, and {error}. Write the formula with torch operations."
    return "answer", msgspec.to_builtins(answer)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
    os._exit(0)  # threads and exit handlers of the person's code must not hold the process up
