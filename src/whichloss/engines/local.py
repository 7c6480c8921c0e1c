"""A pool of worker processes on this machine, one torch thread each.

A worker is a fresh interpreter (`python -m whichloss.engines.worker`), so nothing of the user's script is run twice and
notebooks work. A worker that dies is replaced and its piece of work done once more; if it dies again, the piece is a
failure with the reason. Workers end when their parent does, however it ends.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

import cloudpickle

Item = TypeVar("Item")
TRIES = 2
# The blocks of a step stay in the process instead of going back to the system after every operation.
MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 26),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def trim() -> None:
    """Give what is free back to the system, where the allocator can (glibc)."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class Failure:
    """Work that raised an exception of this kind, or whose worker died twice (kind "death")."""

    reason: str
    kind: str = "death"


@dataclass(frozen=True)
class Outcome(Generic[Item]):
    """One piece of work with its result."""

    item: Item
    result: Any | Failure


class _Worker:
    def __init__(self) -> None:
        parent, child = _pipe()
        environment = os.environ | MEMORY | dict.fromkeys(THREADS, "1")
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, sys.path))
        self.process = subprocess.Popen(
            # -P: a file of the user's folder (random.py, say) must not hide a module
            [sys.executable, "-P", "-m", "whichloss.engines.worker", str(child.fileno())],
            pass_fds=[child.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the parent only, which ends its workers
        )
        child.close()
        self.link = parent

    def give(self, work: Callable[..., Any], item: object) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # dead already; its silence is noticed by the reader
            self.link.send_bytes(cloudpickle.dumps((work, item)))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.link.close()

    def cause(self) -> str:
        code = self.process.wait()
        if code >= 0:
            return f"its worker ended with exit code {code}"
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its worker was killed by {name}{hint}"


def _pipe() -> tuple[Connection, Connection]:
    from multiprocessing import Pipe

    return Pipe(duplex=True)


class Local:
    """`workers` processes, kept for as long as the context lasts."""

    def __init__(self, workers: int | None = None) -> None:
        self.size = workers or len(os.sched_getaffinity(0))
        self.workers: list[_Worker] = []

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self.workers:
            worker.end()
        self.workers.clear()

    @property
    def pids(self) -> list[int]:
        """The process numbers of the workers."""
        return [worker.process.pid for worker in self.workers]

    def map(
        self,
        work: Callable[[Item, Callable[[Any], None]], Any],
        items: Sequence[Item],
        tell: Callable[[Item, Any], None] = lambda item, message: None,
    ) -> Iterator[Outcome[Item]]:
        """work(item, tell) for every item, in the order they finish; `tell` hears of progress."""
        waiting = deque((item, 1) for item in items)
        busy: dict[_Worker, tuple[Item, int]] = {}
        while waiting or busy:
            while waiting and len(busy) < self.size:
                worker = self._idle(busy)
                busy[worker] = waiting.popleft()
                worker.give(work, busy[worker][0])
            for link in wait([worker.link for worker in busy]):
                worker = next(w for w in busy if w.link is link)
                item, tried = busy[worker]
                try:
                    kind, content = cloudpickle.loads(worker.link.recv_bytes())
                except (EOFError, OSError):  # OSError: killed in the middle of a message
                    self.workers.remove(worker)
                    del busy[worker]
                    reason = worker.cause()
                    worker.end()
                    if tried < TRIES:
                        waiting.appendleft((item, tried + 1))
                    else:
                        yield Outcome(item, Failure(f"{reason}, {tried} times"))
                    continue
                if kind == "progress":
                    tell(item, content)
                    continue
                del busy[worker]
                yield Outcome(item, content if kind == "result" else Failure(*content))

    def _idle(self, busy: dict[_Worker, tuple[Item, int]]) -> _Worker:
        for worker in self.workers:
            if worker not in busy:
                return worker
        self.workers.append(_Worker())
        return self.workers[-1]
