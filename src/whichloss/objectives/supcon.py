"""Supervised contrastive learning: all rows of a class find each other among all others (Khosla et al., 2020)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..losses.contrastive import sup_con
from ..losses.levels import collapse_of_sup_con, least_of_sup_con
from ..rng import Rng
from ..task import Batch, Task
from .base import Nets
from .siamese import Projected, matched


@dataclass(frozen=True)
class SupCon(Projected):
    """min_{F,H} E mean over positives p of -log softmax of cos(z_i, z_p) / T among all other rows."""

    temperature: float = 0.1
    apart = "it compares every row of a batch with all of its class, and given pairs make no classes"
    search = {"lr": (3e-4, 1e-3, 3e-3), "temperature": (0.05, 0.1, 0.2)}

    def unfit(self, task: Task) -> str | None:
        return super().unfit(task) or (
            None if task.classes else "rows have no classes; with views of each row alone it is simclr"
        )

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        losses = sup_con(nets.H(nets.F(batch.x)), batch.labels, self.temperature)
        return matched(losses, batch.labels)

    def collapsed(self, rows: int) -> float:
        return collapse_of_sup_con(rows)

    def least(self, counts: Sequence[int]) -> float:
        return least_of_sup_con(counts, self.temperature)
