"""What is measured once per study before anything is trained, in a worker, and kept."""

from collections.abc import Callable
from typing import Any

import msgspec

from .goals import judge_of
from .store import Store


def work(job: tuple[str, str], tell: Callable[[Any], None]) -> None:
    """Measure and keep; job: the study's folder, the name on disk."""
    folder, name = job
    Store(folder).write(name, msgspec.to_builtins(judge_of(folder).preflight()), {})
