"""Energy discrepancy: an energy by comparing every row with noised copies of it (Schroeder et al., 2023)."""

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
class EnergyDiscrepancy(Generative):
    """min E log(w / M + mean_j exp(E(x) - E(x + sqrt(t) n + sqrt(t) n_j))): no chains, no scores, no noise law."""

    lr: float = 5e-3
    t: float = 0.25
    M: int = 4
    w: float = 1.0
    base: float = 2.0
    gain: float = 6.0
    temperatures: int = 32
    search = {"lr": (2e-3, 5e-3, 1e-2), "t": (0.1, 0.25, 0.5)}
    average = 0.999
    scores = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"E": build("E", task.dim, 1, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("E",), self.loss, Adam(self.lr))]

    def energy(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) (n,): the network and the energy of N(0, base^2 I), so that Z is finite."""
        return nets.E(self.gain * x).squeeze(-1) + x.square().sum(dim=1) / (2 * self.base**2)

    def energies(self, nets: Nets, x: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """E of the rows (B,) and of their M noised copies (B, M)."""
        n, d = x.shape
        noise = rng.normal("n", (n, 1, d)) + rng.normal("n_j", (n, self.M, d))
        copies = x[:, None] + self.t**0.5 * noise
        e = self.energy(nets, torch.cat([x, copies.reshape(-1, d)]))
        return e[:n], e[n:].view(n, self.M)

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return energy.energy_discrepancy(*self.energies(nets, batch.x, rng), self.w).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return annealed_rows(lambda x: self.energy(nets, x), shape, rng, sd=self.base, temperatures=self.temperatures)[
            0
        ]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) = -log p(x) + a constant (n,)."""
        return self.energy(nets, x)

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        e_data, e_noised = self.energies(nets, batch.x, rng)
        return {
            "energy gap": e_noised.mean() - e_data.mean(),
            "copies ess": effective_share(-e_noised.T).mean(),
        }
