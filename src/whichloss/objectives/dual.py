"""What aligning two kinds of things shares: a network for each, into one space."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..nets.views import cropped
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Aligner, Build, Nets, Update


@dataclass(frozen=True)
class DualEncoder(Aligner):
    """z = I(x), z' = T(y) (Radford et al., 2021); of pictures a random square crop is seen in training."""

    lr: float = 2e-3
    search = {"lr": (1e-3, 2e-3, 4e-3)}

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"I": build("I", task.dim, self.size), "T": build("T", task.second, self.size)}

    def updates(self) -> Sequence[Update]:
        return [Update(("I", "T"), self.loss, Adam(self.lr))]

    @abstractmethod
    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        """Of a batch: a scalar."""

    def embedded(self, nets: Nets, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor]:
        """(z, z') of a batch, (B, size) each."""
        x = cropped(batch.x, rng["crop"], batch.shape) if batch.shape else batch.x
        return nets.I(x), nets.T(batch.y)

    def first(self, nets: Nets, x: Tensor) -> Tensor:
        return nets.I(x)

    def second(self, nets: Nets, y: Tensor) -> Tensor:
        return nets.T(y)
