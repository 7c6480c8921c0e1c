"""Cosine with cross-entropy: is this pair alike? The cosine above a threshold, scaled, is the logit."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses.contrastive import cosine_bce
from ..losses.levels import collapse_of_cosine_bce
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Nets, Update
from .siamese import Siamese, even


class Line(nn.Module):
    """A factor e^s and a threshold c, learnt from 1 and 1/2: () -> (2,)."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Parameter(torch.tensor([0.0, 0.5]))

    def forward(self) -> Tensor:
        return torch.stack([self.both[0].exp(), self.both[1]])


@dataclass(frozen=True)
class CosineBCE(Siamese):
    """min_{F,s,c} E log(1 + e^l) - t l, l = scale e^s (cos(z, z') - c), alike pairs as heavy as all others."""

    scale: float = 10.0  # at the start; a raw cosine (scale 1, no bias) cannot be sure
    apart = ""
    search = {"lr": (3e-4, 1e-3, 3e-3), "scale": (5.0, 10.0)}

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return super().networks(task, build) | {"s": Line()}

    def updates(self) -> Sequence[Update]:
        return [Update(("F", "s"), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        a, b, alike = self.pairs(nets, batch, rng)
        factor, threshold = nets.s()
        scale = self.scale * factor
        return even(cosine_bce(a, b, alike, scale, -scale * threshold), alike)

    def collapsed(self, rows: int) -> float:
        return collapse_of_cosine_bce(scale=0.0)  # the threshold learns to say one half
