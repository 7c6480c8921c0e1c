"""Barlow Twins: the correlations between two views' embeddings are the identity (Zbontar et al., 2021)."""

from dataclasses import dataclass

from torch import Tensor

from ..losses.levels import collapse_of_barlow_twins
from ..losses.redundancy import barlow_twins
from ..rng import Rng
from ..task import Batch
from .base import Nets
from .siamese import Projected


@dataclass(frozen=True)
class BarlowTwins(Projected):
    """min_{F,H} sum_k (1 - C_kk)^2 + lambda sum_{k != l} C_kl^2, C_kl = corr(z_k, z'_l) over the batch."""

    redundancy: float = 0.02
    search = {"lr": (3e-4, 1e-3, 3e-3), "redundancy": (0.005, 0.02)}

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return barlow_twins(*self.projected(nets, batch, rng), self.redundancy)

    def collapsed(self, rows: int) -> float:
        return collapse_of_barlow_twins(self.size)
