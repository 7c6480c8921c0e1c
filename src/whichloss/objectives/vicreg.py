"""VICReg: views agree, every number of the embedding varies, no two tell the same (Bardes et al., 2022)."""

from dataclasses import dataclass

from torch import Tensor

from ..losses.levels import collapse_of_vicreg
from ..losses.redundancy import vicreg
from ..rng import Rng
from ..task import Batch
from .base import Nets
from .siamese import Projected


@dataclass(frozen=True)
class VICReg(Projected):
    """min_{F,H} lambda E |z - z'|^2 / e + mu hinge on standard deviations + nu off-diagonal covariances squared."""

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    search = {"lr": (3e-4, 1e-3, 3e-3), "covariance": (1.0, 5.0)}

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        a, b = self.projected(nets, batch, rng)
        return vicreg(a, b, self.invariance, self.variance, self.covariance).mean()

    def collapsed(self, rows: int) -> float:
        return collapse_of_vicreg(self.variance)
