"""Cross-entropy with class-balanced weights (Cui et al., 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.classification import cross_entropy, example_weights
from ..losses.long_tail import class_balanced_weights
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Classifier, Nets, Update


@dataclass(frozen=True)
class WeightedCrossEntropy(Classifier):
    """min_F E -w_y log softmax(F(x))_y / E w_y, w_c = (1 - beta) / (1 - beta^n_c)."""

    lr: float = 1e-3
    beta: float = 0.999
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def unfit(self, task: Task) -> str | None:
        return "rows have several labels; bce and asymmetric serve those" if task.labels == "several" else None

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, task.classes)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    def memory(self, data: Batch, rng: Rng) -> dict[str, Tensor]:
        return {"counts": data.y.sum(dim=0).clamp(min=1)}  # a class that this seed's rows lack counts as one row

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        weight = class_balanced_weights(batch.memory["counts"], beta=self.beta)
        loss = cross_entropy(nets.F(batch.x), batch.labels, weight=weight).sum()
        return loss / example_weights(batch.labels, weight=weight).sum()

    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        return nets.F(x)
