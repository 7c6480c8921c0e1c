"""Noise-contrastive estimation: an energy and its constant by telling rows from noise (Gutmann & Hyvarinen, 2010)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses import energy
from ..rng import Rng
from ..samplers.annealed import annealed_rows
from ..samplers.tilt import effective_share
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class NCE(Generative):
    """min E softplus(log nu - f(x)) + nu E softplus(f(y) - log nu), f = -E - log q, y from q = N(0, noise^2 I)."""

    lr: float = 5e-3
    nu: int = 2
    noise: float = 1.2
    gain: float = 6.0
    temperatures: int = 32
    search = {"lr": (2e-3, 5e-3, 1e-2), "noise": (1.0, 1.2, 1.5)}
    pictures = {"temperatures": 16}
    rough = {"temperatures": 4}
    average = 0.999
    scores = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"E": build("E", task.dim, 1, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("E",), self.loss, Adam(self.lr))]

    def noise_energy(self, x: Tensor) -> Tensor:
        """-log q(x) of N(0, noise^2 I) (n,)."""
        level = math.log(2 * math.pi) / 2 + torch.as_tensor(self.noise).log()
        return (x**2 / (2 * self.noise**2) + level).sum(dim=1)

    def energy(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) = -log q(x) - f(x) (n,), f the network: its level is learned too."""
        return self.noise_energy(x) - nets.E(self.gain * x).squeeze(-1)

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        y = self.noise * rng.normal("y", (self.nu * len(batch.x), batch.x.shape[1]))
        f = nets.E(self.gain * torch.cat([batch.x, y])).squeeze(-1)
        return energy.noise_contrastive(f[: len(batch.x), None], f[len(batch.x) :].view(-1, self.nu), self.nu).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        energy, count = lambda x: self.energy(nets, x), self.temperatures
        return annealed_rows(energy, shape, rng, sd=self.noise, temperatures=count, given=nets.given)[0]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) = -log p(x), its constant learned (n,)."""
        return self.energy(nets, x)

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        y = self.noise * rng.normal("y", (4096, batch.x.shape[1]))
        f = nets.E(self.gain * y).squeeze(-1)
        e = self.energy(nets, y)
        return {
            "energy gap": e.mean() - self.energy(nets, batch.x).mean(),
            "log Z": energy.log_partition(e, -self.noise_energy(y)),
            "noise ess": effective_share(f),
        }
