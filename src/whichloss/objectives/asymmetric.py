"""Asymmetric loss: absent labels count less than present ones (Ridnik et al., 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ..losses.multi_label import asymmetric
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Classifier, Nets, Update


@dataclass(frozen=True)
class Asymmetric(Classifier):
    """min_F E sum_c of focal terms, sharper and clipped where the label is absent."""

    lr: float = 1e-3
    gamma_pos: float = 0.0
    gamma_neg: float = 4.0
    clip: float = 0.05
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, task.classes)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        loss = asymmetric(nets.F(batch.x), batch.y, gamma_pos=self.gamma_pos, gamma_neg=self.gamma_neg, clip=self.clip)
        return loss.sum(dim=1).mean()

    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        z = nets.F(x)
        return z if task.labels == "several" else logsigmoid(z)  # one label: the sigmoids, made to sum to 1
