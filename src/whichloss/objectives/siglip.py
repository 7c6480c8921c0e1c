"""SigLIP: does this picture belong to this text? Every pair of a batch is a question (Zhai et al., 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses.contrastive import siglip, siglip_bias
from ..losses.levels import floor_of_siglip
from ..rng import Rng
from ..task import Batch, Task
from .base import Build, Nets, Update
from .dual import DualEncoder


class Line(nn.Module):
    """A factor e^s and a shift, learnt from 1 and 0: () -> (2,)."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Parameter(torch.zeros(2))

    def forward(self) -> Tensor:
        return torch.stack([self.both[0].exp(), self.both[1]])


@dataclass(frozen=True)
class SigLIP(DualEncoder):
    """min_{I,T,s,b} E sum_j log(1 + e^(-y_ij l_ij)), l = scale e^s cos(z_i, z'_j) - log(B - 1) + b."""

    scale: float = 10.0
    search = {**DualEncoder.search, "scale": (5.0, 10.0)}

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return super().networks(task, build) | {"s": Line()}

    def updates(self) -> Sequence[Update]:
        return [Update(("I", "T", "s"), self.loss, self.adam)]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        factor, shift = nets.s()
        a, b = self.embedded(nets, batch, rng)
        return siglip(a, b, self.scale * factor, siglip_bias(len(a)) + shift).mean()

    def collapsed(self, rows: int) -> None:
        return None  # scale and bias move what equal embeddings give

    def least(self, counts: Sequence[int]) -> float:
        return floor_of_siglip(counts)

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        factor, shift = nets.s()
        return {"scale of cosines": self.scale * factor, "bias": siglip_bias(len(batch.x)) + shift}
