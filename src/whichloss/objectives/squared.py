"""Squared error against one-hot labels (Hui & Belkin, 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.classification import squared_one_hot
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Classifier, Nets, Update


@dataclass(frozen=True)
class Squared(Classifier):
    """min_F E (1/K) sum_c (F(x)_c - [c = y])^2; the best scores are the probabilities."""

    lr: float = 1e-3
    least: float = 1e-3
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def unfit(self, task: Task) -> str | None:
        return "rows have several labels; bce and asymmetric serve those" if task.labels == "several" else None

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, task.classes)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return squared_one_hot(nets.F(batch.x), batch.labels).mean()

    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        return nets.F(x).clamp(min=self.least).log()  # the scores are probabilities already; some fall below 0
