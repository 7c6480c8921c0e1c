"""Contrastive pairs: alike ones together, others at least a margin apart (Hadsell et al., 2006)."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from ..losses.levels import collapse_of_pair_contrastive
from ..losses.metric_learning import pair_contrastive
from ..rng import Rng
from ..task import Batch
from .base import Nets
from .siamese import Siamese, even


@dataclass(frozen=True)
class PairContrastive(Siamese):
    """min_F E [t |z - z'|^2 + (1 - t) ([margin - |z - z'|]^+)^2] / 2 on the sphere, alike pairs as heavy as others."""

    margin: float = 1.0
    apart = ""
    search = {"lr": (3e-4, 1e-3, 3e-3), "margin": (0.5, 1.0, 1.4)}

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        a, b, alike = self.pairs(nets, batch, rng)
        return even(pair_contrastive(normalize(a, dim=1), normalize(b, dim=1), alike, self.margin), alike)

    def collapsed(self, rows: int) -> float:
        return collapse_of_pair_contrastive(0.5, self.margin)
