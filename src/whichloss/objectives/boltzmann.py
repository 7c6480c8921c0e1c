"""What energies share however they are trained: the law exp(-E) / Z, one network, exact draws by annealing."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..rng import Rng
from ..samplers.annealed import annealed_rows
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class Boltzmann(Generative):
    """p(x) = exp(-E(x)) / Z, E(x) = net(gain x) + |x|^2 / (2 base^2)."""

    lr: float = 2e-3
    base: float = 2.0  # the network is added to the energy of N(0, base^2 I), so that Z is finite
    gain: float = 6.0  # a net of smooth units is too smooth for rows of unit variance as they are
    temperatures: int = 32
    pictures = {"temperatures": 16}
    rough = {"temperatures": 4}
    average = 0.999
    scores = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"E": build("E", task.dim, 1, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("E",), self.loss, Adam(self.lr))]

    @abstractmethod
    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        """Of a batch: a scalar."""

    def energy(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) (n,)."""
        return nets.E(self.gain * x).squeeze(-1) + x.square().sum(dim=1) / (2 * self.base**2)

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        energy, count = lambda x: self.energy(nets, x), self.temperatures
        return annealed_rows(energy, shape, rng, sd=self.base, temperatures=count, given=nets.given)[0]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) = -log p(x) + a constant (n,)."""
        return self.energy(nets, x)
