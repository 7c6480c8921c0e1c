"""Shared by the benchmarks: the workers' environment, interleaved timing in CPU seconds, tables and JSON."""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from whichloss.engines.local import MEMORY, THREADS


def settle() -> None:
    """Run this script again under the allocator and thread settings of the package's own workers, if it does not."""
    wanted = MEMORY | dict.fromkeys(THREADS, "1")
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        sys.stdout.flush()
        os.execve(sys.executable, sys.orig_argv, os.environ | wanted)
    import torch

    torch.set_num_threads(1)


def parser(about: str) -> argparse.ArgumentParser:
    """Options that every benchmark has."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--out", type=Path, help="write the numbers here as JSON")
    return made


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def interleaved(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each work in each round; every round runs all, so that a slow minute slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for k in range(rounds):
        names = list(works)
        for name in names[k % len(names) :] + names[: k % len(names)]:
            seconds[name].append(cpu(works[name]))
    return seconds


def summary(values: Sequence[float]) -> dict[str, float]:
    """Least, median and most."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with equal keys, as a table."""
    names = list(rows[0])
    cells = [names] + [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(line[j]) for line in cells) for j in range(len(names))]
    for line in cells:
        padded = [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join([line[0].ljust(widths[0]), *padded]))


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def keep(out: Path | None, name: str, content: Mapping[str, Any]) -> None:
    """Write the numbers, with what they were measured on."""
    if out is None:
        return
    import torch

    about = {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()}
    about |= {"cores": len(os.sched_getaffinity(0)), "processor": _processor()}
    out.write_text(json.dumps({"benchmark": name, "measured with": about, **content}, indent=1) + "\n")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
