"""The worker's side of `engines.local`: read (work, item), answer with progress and a result, until the pipe closes."""

import os
import signal
import sys
import threading
import traceback
import warnings
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from .local import trim


def serve(link: Connection) -> None:
    """Work until the parent is gone. An exception is an answer, not an end."""
    import torch

    torch.set_num_threads(1)
    answer = threading.Lock()

    def send(kind: str, content: Any) -> None:
        with answer:
            link.send_bytes(cloudpickle.dumps((kind, content)))

    while True:
        try:
            message = link.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            work, item = cloudpickle.loads(message)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = work(item, lambda content: send("progress", content))
        except Exception as error:  # the parent counts it as a failure, with this text
            if os.environ.get("WHICHLOSS_TRACEBACK"):
                traceback.print_exc()
            kind = type(error).__name__
            own = type(error).__module__.startswith("whichloss.")
            send("failure", (str(error) if own else f"{kind}: {error}", kind))
        else:
            send("result", result)
            del result
        trim()


def end_with(parent: int) -> None:
    """Leave when the parent process is gone, even if it was killed and could not say so."""

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(os.getppid())
    serve(Connection(int(sys.argv[1])))
