"""An objective set up to be looked at before training: tiny, in float64, leaving no trace behind."""

import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..objectives.base import Build, Nets, Objective, Update
from ..rng import Rng
from ..task import Batch, Finding, Task
from ..train import Lanes
from .say import Say

ROWS, PICTURES = 256, 64  # about as in training: an objective may rely on the batch
_NAMES = (
    "__bool__",
    "__float__",
    "__int__",
    "__index__",
    "item",
    "tolist",
    "numpy",
    "nonzero",
    "masked_select",
    "unique",
)
LOSSES = "whichloss.losses"
READS = {getattr(Tensor, name) for name in _NAMES} | {torch.nonzero, torch.masked_select, torch.unique}
Weights = Mapping[str, Tensor]


@contextmanager
def float64_and_untouched() -> Iterator[None]:
    dtype, python, numpy = torch.get_default_dtype(), random.getstate(), np.random.get_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)
        random.setstate(python)
        np.random.set_state(numpy)


@dataclass(frozen=True)
class Bench:
    """An objective with weights and data, one lane of it, ready to be looked at."""

    objective: Objective
    lanes: Lanes
    weights: Weights
    memory: Weights
    say: Say
    rng: Rng = field(default_factory=lambda: Rng.of(0)["doctor"])

    @staticmethod
    def of(objective: Objective, task: Task, build: Build, say: Say) -> "Bench":
        draws = Rng.of(0, 1)["doctor"]
        n = many(task)
        data = torch.cat([draws.normal("data", (n, task.dim)), labels(task, draws)], dim=-1)
        hyper = {name: torch.full((2,), float(getattr(objective, name))) for name in objective.search}
        sizes, jitter = torch.full((2,), n), torch.zeros(2, task.dim)
        lanes = Lanes(objective, task, build, Rng.of(0, 1), data, sizes, jitter, hyper, batch=n)
        state = lanes.start()
        first = {role: w[0] for role, w in state.weights.items()}
        return Bench(objective, lanes, first, {name: m[0] for name, m in state.memory.items()}, say)

    def x(self, name: str = "x") -> Tensor:
        """Rows as training sees them: mean 0, variance 1."""
        return self.rng.normal(name, (self.rows, self.lanes.task.dim))

    def batch(self, update: Update, x: Tensor, nets: Nets | None = None) -> Batch:
        """What the update would see, its memory refreshed."""
        rows = torch.cat([x, labels(self.lanes.task, self.rng)], dim=-1)
        batch = self.lanes.labelled(rows, self.memory, torch.tensor(update.active[0]))
        nets = nets or self.nets()
        fresh = self.objective.refresh(nets, batch, self.rng["refresh"])
        return replace(batch, memory={**self.memory, **fresh})

    @property
    def rows(self) -> int:
        """How many rows it is looked at with."""
        return many(self.lanes.task)

    @property
    def y(self) -> Tensor:
        """The labels of the rows (n, K)."""
        return self.lanes.labelled(torch.cat([self.x(), labels(self.lanes.task, self.rng)], dim=-1)).y

    def nets(self, weights: Weights | None = None) -> Nets:
        """The networks, told the rows' classes where these are given."""
        return self.lanes.nets(weights or self.weights, self.y)


def many(task: Task) -> int:
    """How many rows an objective is looked at with."""
    return PICTURES if task.shape else ROWS


def labels(task: Task, rng: Rng) -> Tensor:
    """Labels as columns (..., n, m), every class at least once, or the second things of pairs, alike or not."""
    n = many(task)
    if task.labels == "several":
        return rng.integers("y", (n, task.classes), 2).to(torch.get_default_dtype())
    if task.words:  # texts: a start, some ids, the end, which is the highest
        ids = rng.integers("y", (n, task.second), task.words - 2)
        return torch.where(torch.arange(task.second) == task.second - 1, task.words - 1, ids).double()
    if task.second and task.goal == "embed":
        other, alike = rng.normal("y", (n, task.second)), torch.arange(n)[:, None] % 2
        return torch.cat([other, alike.to(other).expand(*rng.key.shape, -1, -1)], dim=-1)
    if task.second:
        return rng.normal("y", (n, task.second))
    if not task.labels:
        return torch.zeros(*rng.key.shape, n, 0)
    return ((rng.integers("y", (n, 1), task.classes) + torch.arange(n)[:, None]) % task.classes).double()


class Reads(TorchFunctionMode):
    """Notes which functions turn a tensor into a Python value; losses check their arguments where they have values."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS and not sys._getframe(1).f_globals.get("__name__", "").startswith(LOSSES):
            self.seen.add(func.__name__.strip("_"))
        if func is Tensor.__getitem__ and _masked(args[1]):
            self.seen.add("x[mask]")
        return func(*args, **(kwargs or {}))


def _masked(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, Tensor) and part.dtype == torch.bool for part in parts)


def generators() -> tuple[Any, ...]:
    """The state of every global generator."""
    numpy: Any = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), numpy[1].tobytes(), numpy[2]


def global_draws(say: Say, where: str) -> Finding:
    return say.fault(
        "contract: global draws",
        f"{where} draws from a global generator (torch, Python or numpy).",
        "Such draws depend on everything drawn before, so no run could be repeated or resumed.",
        'Draw from the rng that is passed in: rng.normal("name", shape), rng.uniform, rng.integers.',
    )
