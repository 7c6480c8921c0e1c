"""Regression onto a fixed code: the picture's network predicts what an untrained network makes of its text."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from ..rng import Rng
from ..task import Batch
from .base import Nets, Update
from .dual import DualEncoder


@dataclass(frozen=True)
class Regress(DualEncoder):
    """min_I E |z / |z| - z' / |z'||^2, T at its start: nothing but the code keeps texts apart (Socher et al., 2013)."""

    def updates(self) -> Sequence[Update]:
        return [Update(("I",), self.loss, self.adam)]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        a, b = self.embedded(nets, batch, rng)
        return (normalize(a, dim=1) - normalize(b, dim=1)).square().sum(dim=1).mean()

    def collapsed(self, rows: int) -> None:
        return None
