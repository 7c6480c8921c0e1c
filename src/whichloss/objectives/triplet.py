"""Triplet loss: a row lies nearer to one of its kind than to any other, by a margin (Schroff et al., 2015)."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from ..losses.levels import collapse_of_triplet
from ..losses.metric_learning import batch_hard_triplet
from ..rng import Rng
from ..task import Batch
from .base import Nets
from .siamese import Siamese, matched


@dataclass(frozen=True)
class Triplet(Siamese):
    """min_F E [|z - z_p| - |z - z_n| + margin]^+ on the sphere, the farthest z_p and the nearest z_n of the batch."""

    margin: float = 0.2
    apart = "a triplet needs a thing alike and one not alike to the same row, and a given pair has only one of the two"
    search = {"lr": (3e-4, 1e-3, 3e-3), "margin": (0.1, 0.2, 0.5)}

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x, kinds = self.grouped(batch, rng)
        return matched(batch_hard_triplet(normalize(nets.F(x), dim=1), kinds, self.margin), kinds, others=True)

    def collapsed(self, rows: int) -> float:
        return collapse_of_triplet(self.margin)
