"""What the tests of studies share: a small table, a quick objective of the user's own, an engine without processes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MINE = '''"""Mine: match means and variances."""

from dataclasses import dataclass

from whichloss.objectives.base import Adam, Generative, Update


@dataclass(frozen=True)
class Mine(Generative):
    """min_G |mean x - mean G(z)|^2 + |var x - var G(z)|^2"""

    lr: float = 1e-2

    def networks(self, task, build):
        return {"G": build("G", 2, task.dim)}

    def updates(self):
        return [Update(("G",), self.loss, Adam(self.lr))]

    def loss(self, nets, batch, rng):
        x, y = batch.x, self.sample(nets, batch.x.shape, rng)
        return ((x.mean(0) - y.mean(0)) ** 2 + (x.var(0) - y.var(0)) ** 2).sum()

    def sample(self, nets, shape, rng):
        return nets.G(rng.normal("z", (shape[0], 2)))
'''


def pytest_configure(config: pytest.Config) -> None:
    import torch

    torch.set_num_threads(1)


@dataclass
class Here:
    """The engine's contract in this process: quick, and easy to interrupt. `broken` may raise before an item."""

    broken: Callable[[Any], None] = lambda item: None
    done: list[Any] = field(default_factory=list)

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *error: object) -> None: ...

    def map(
        self, work: Callable[..., Any], items: Sequence[Any], tell: Callable[..., None] = lambda item, message: None
    ) -> Iterator[Any]:
        from whichloss.engines import Failure, Outcome

        for item in items:
            try:
                self.broken(item)
                result = work(item, lambda message, item=item: tell(item, message))
            except Exception as error:
                kind = type(error).__name__
                result = Failure(str(error), kind)
            self.done.append(item)
            yield Outcome(item, result)


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

    from whichloss.study import anchors
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
