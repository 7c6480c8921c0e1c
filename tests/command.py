"""The command line, called in this process: starting Python and torch takes longer than most commands."""

import random
import sys
from contextlib import ExitStack
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from small_study import Here

from whichloss.cli import main


def untold(x: object, y: object, seed: int) -> SimpleNamespace:
    """Stands for a classifier that cannot tell samples from real rows."""
    return SimpleNamespace(accuracy=0.5)


class Command:
    """command("describe", path, code=0) runs `whichloss describe path` and gives its stdout and stderr."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object, code: int = 0, engine: Here | None = None) -> tuple[str, str]:
        from whichloss.study import goals
        from whichloss.study.generate import anchors

        goals.judge_of.cache_clear()  # a worker serves one study; this process serves many in one folder
        here = engine or Here()
        with ExitStack() as stack:
            stack.enter_context(patch.object(sys, "argv", ["whichloss", *map(str, arguments)]))
            stack.enter_context(patch("whichloss.study.request.Local", lambda workers: here))
            stack.enter_context(patch.object(anchors, "COMPONENTS", (1, 2)))
            stack.enter_context(patch("whichloss.metrics.c2st_accuracy", untold))  # half the time of a small study
            with pytest.raises(SystemExit) as end:
                main()
        out, err = self.capsys.readouterr()
        assert end.value.code == code, (out, err)
        return out, err


def check(printed: tuple[str, str], says: tuple[str, ...]) -> None:
    """One line on stderr that holds all of this, and nothing on stdout."""
    out, err = printed
    assert not out and err.startswith("error: ") and err.count("\n") == 1, printed
    for part in says:
        assert part in err, (part, err)


def numbers(rows: int, columns: int) -> list[list[str]]:
    draw = random.Random(0)
    return [[f"{draw.gauss(0, 1):.3f}" for _ in range(columns)] for _ in range(rows)]


def text(names: str, rows: list[list[str]]) -> bytes:
    return "\n".join([names, *(",".join(row) for row in rows), ""]).encode()
