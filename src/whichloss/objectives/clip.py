"""CLIP: each picture finds its text among those of the batch, and each text its picture (Radford et al., 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses.contrastive import LOG_SCALE, clip_log_scale, info_nce
from ..losses.levels import collapse_of_info_nce, floor_of_info_nce
from ..rng import Rng
from ..task import Batch, Task
from .base import Build, Nets, Update
from .dual import DualEncoder


class LogScale(nn.Module):
    """l, of the factor e^l of cosines, learnt from log(1 / .07): () -> ()."""

    def __init__(self) -> None:
        super().__init__()
        self.l = nn.Parameter(torch.tensor(LOG_SCALE))

    def forward(self) -> Tensor:
        return self.l


@dataclass(frozen=True)
class CLIP(DualEncoder):
    """min_{I,T,l} E -log softmax of e^l cos(z_i, z'_j), among texts and among pictures, averaged; e^l <= 100."""

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return super().networks(task, build) | {"l": LogScale()}

    def updates(self) -> Sequence[Update]:
        return [Update(("I", "T", "l"), self.loss, self.adam, project={"l": clip_log_scale})]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return info_nce(*self.embedded(nets, batch, rng), torch.exp(-nets.l())).mean()

    def collapsed(self, rows: int) -> float:
        return collapse_of_info_nce(rows)

    def least(self, counts: Sequence[int]) -> float:
        return floor_of_info_nce(counts)  # equal texts; the factor may grow

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        return {"scale of cosines": nets.l().exp()}
