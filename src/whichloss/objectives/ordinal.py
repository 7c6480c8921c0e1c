"""Ordered classes by conditional probabilities, CORN (Shi, Cao & Raschka, 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.ordinal import corn, corn_probabilities
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Classifier, Nets, Update


@dataclass(frozen=True)
class Ordinal(Classifier):
    """min_F E of the binary cross-entropies of [y > k] given y > k - 1, k = 0 .. K - 2."""

    lr: float = 1e-3
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def unfit(self, task: Task) -> str | None:
        return None if task.labels == "ordered" else "the classes have no order; whole-number labels have one"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, task.classes - 1)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return corn(nets.F(batch.x), batch.labels).mean()

    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        return corn_probabilities(nets.F(x)).clamp(min=1e-30).log()
