"""One against the rest: a binary cross-entropy for each class (Rifkin & Klautau, 2004)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ..losses.classification import binary_cross_entropy_with_logits
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Classifier, Nets, Update


@dataclass(frozen=True)
class BCE(Classifier):
    """min_F E sum_c -[t_c log sigma(z_c) + (1 - t_c) log(1 - sigma(z_c))], z = F(x)."""

    lr: float = 1e-3
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, task.classes)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return binary_cross_entropy_with_logits(nets.F(batch.x), batch.y).sum(dim=1).mean()

    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        z = nets.F(x)
        return z if task.labels == "several" else logsigmoid(z)  # one label: the sigmoids, made to sum to 1
