"""A prior shift in a robust loss, for rare classes and wrong labels (Menon et al., 2021; Zhang & Sabuncu, 2018)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.long_tail import prior_shift
from ..losses.noisy_labels import generalised_cross_entropy
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Classifier, Nets, Update


@dataclass(frozen=True)
class LogitAdjustedGCE(Classifier):
    """min_F E (1 - p_y^q) / q, p = softmax(F(x) + tau log prior)."""

    lr: float = 1e-3
    tau: float = 1.0
    q: float = 0.7
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def unfit(self, task: Task) -> str | None:
        return "rows have several labels; bce and asymmetric serve those" if task.labels == "several" else None

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, task.classes)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    def memory(self, data: Batch, rng: Rng) -> dict[str, Tensor]:
        counts = data.y.sum(dim=0).clamp(min=1)  # a class that this seed's rows lack counts as one row
        return {"prior": counts / counts.sum()}

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        z = prior_shift(nets.F(batch.x), batch.memory["prior"], tau=self.tau)
        return generalised_cross_entropy(z, batch.labels, q=self.q).mean()

    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        return nets.F(x)
