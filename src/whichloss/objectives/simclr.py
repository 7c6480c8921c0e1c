"""SimCLR: two views of a row find each other among those of all others (Chen et al., 2020)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses.contrastive import sup_con
from ..losses.levels import collapse_of_nt_xent, least_of_sup_con
from ..rng import Rng
from ..task import Batch
from .base import Nets
from .siamese import Projected, firsts


@dataclass(frozen=True)
class SimCLR(Projected):
    """min_{F,H} E -log softmax of cos(z_i, z_i') / T among the 2B - 1 other views."""

    temperature: float = 0.2
    search = {"lr": (3e-4, 1e-3, 3e-3), "temperature": (0.1, 0.2, 0.5)}

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        z, rows = torch.cat(self.projected(nets, batch, rng)), firsts(batch.x)
        return sup_con(z, torch.cat([rows, rows]), self.temperature).mean()  # NT-Xent, but for equal rows

    def collapsed(self, rows: int) -> float:
        return collapse_of_nt_xent(rows)

    def least(self, counts: Sequence[int]) -> float:
        return least_of_sup_con([2 * k for k in counts], self.temperature)
