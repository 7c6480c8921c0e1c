"""Multi-class hinge (Crammer & Singer, 2001, summed over classes as in Weston & Watkins, 1999)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.classification import multi_margin
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Classifier, Nets, Update


@dataclass(frozen=True)
class MultiMargin(Classifier):
    """min_F E (1/K) sum_{c != y} [margin - z_y + z_c]^+, z = F(x)."""

    lr: float = 1e-3
    margin: float = 1.0
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def unfit(self, task: Task) -> str | None:
        return "rows have several labels; bce and asymmetric serve those" if task.labels == "several" else None

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, task.classes)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return multi_margin(nets.F(batch.x), batch.labels, margin=self.margin).mean()

    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        return nets.F(x)
