"""Cross-entropy against smoothed labels (Szegedy et al., 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.classification import cross_entropy
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Classifier, Nets, Update


@dataclass(frozen=True)
class LabelSmoothing(Classifier):
    """min_F E -sum_c t_c log softmax(F(x))_c, t = (1 - s) [c = y] + s / K."""

    lr: float = 1e-3
    smoothing: float = 0.1
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def unfit(self, task: Task) -> str | None:
        return "rows have several labels; bce and asymmetric serve those" if task.labels == "several" else None

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, task.classes)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return cross_entropy(nets.F(batch.x), batch.labels, smoothing=self.smoothing).mean()

    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        return nets.F(x)
