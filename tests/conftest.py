"""What the tests of studies share: a small table, whole small studies in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from small_study import MINE, Here

settings.register_profile("same", derandomize=True)  # for new examples: pytest --hypothesis-profile=default
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def table_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 rows of mixed columns with strong dependence: x, y = 2 x + noise (5 % missing), sign, size, flag."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    y = 2 * x + 0.1 * rng.normal(size=300)
    lines = ["x,y,sign,size,flag"]
    for a, b in zip(x, y, strict=True):
        cell = "" if rng.random() < 0.05 else f"{b:.3f}"
        sign, flag = "high" if a > 0 else "low", "true" if b > 0.5 else "false"
        lines.append(f"{a:.3f},{cell},{sign},{int(abs(a) * 5)},{flag}")
    path = tmp_path_factory.mktemp("data") / "things.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def mine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of an objective of the user's own that trains in no time."""
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(MINE)
    return str(path)


Small = Callable[..., Any]


@pytest.fixture(scope="session")
def small(table_csv: Path, mine: str) -> Small:
    """small(out, seeds=2, engine=Here(), ...) runs a whole small study in this process and returns it."""
    from unittest.mock import patch

    from whichloss.study.generate import anchors
    from whichloss.study.request import request
    from whichloss.study.run import Silent

    def run(out: Path, *, engine: Any = None, watcher: Any = None, **options: Any) -> Any:
        options = {"data": str(table_csv), "objectives": [mine], "seeds": 2, "size": 1e8} | options
        asked = request(out=out, command="whichloss compare things.csv", **options)
        here = engine or Here()
        with patch("whichloss.study.request.Local", lambda workers: here), patch.object(anchors, "COMPONENTS", (1, 2)):
            return asked.run(watcher or Silent())

    return run


@pytest.fixture(scope="session")
def finished(small: Small, mine: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study of two objectives; read it, never write to it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    small(folder, objectives=["flow-matching", mine], size=2e9)
    return folder
