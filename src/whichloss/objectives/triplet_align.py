"""Triplets of two kinds of things: a text lies nearer to its picture than to others (Faghri et al., 2018)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..losses.levels import collapse_of_triplet
from ..losses.metric_learning import triplet
from ..rng import Rng
from ..task import Batch
from .base import Nets
from .dual import DualEncoder


@dataclass(frozen=True)
class TripletAlign(DualEncoder):
    """min_{I,T} E [|z - z'| - |z - z'_n| + margin]^+ both ways, on the sphere, z'_n the nearest other of the batch."""

    margin: float = 0.2
    search = {**DualEncoder.search, "margin": (0.1, 0.2, 0.5)}

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        a, b = (normalize(z, dim=1) for z in self.embedded(nets, batch, rng))
        cosine = (a @ b.T).detach() - 2 * torch.eye(len(a), dtype=a.dtype, device=a.device)
        there = triplet(a, b, b[cosine.argmax(dim=1)], self.margin)
        back = triplet(b, a, a[cosine.argmax(dim=0)], self.margin)
        return (there + back).mean() / 2

    def collapsed(self, rows: int) -> float:
        return collapse_of_triplet(self.margin)

    def least(self, counts: Sequence[int]) -> float:
        return self.margin * sum(k for k in counts if k > 1) / sum(counts)  # equally far from two equal texts
