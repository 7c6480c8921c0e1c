"""Symmetric cross-entropy: cross-entropy plus its reverse (Wang et al., 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.noisy_labels import symmetric_cross_entropy
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Classifier, Nets, Update


@dataclass(frozen=True)
class SymmetricCE(Classifier):
    """min_F E -alpha log p_y - beta floor (1 - p_y), p = softmax(F(x))."""

    lr: float = 1e-3
    alpha: float = 0.01
    beta: float = 1.0
    floor: float = -4.0
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def unfit(self, task: Task) -> str | None:
        return "rows have several labels; bce and asymmetric serve those" if task.labels == "several" else None

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, task.classes)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        loss = symmetric_cross_entropy(
            nets.F(batch.x), batch.labels, alpha=self.alpha, beta=self.beta, floor=self.floor
        )
        return loss.mean()

    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        return nets.F(x)
