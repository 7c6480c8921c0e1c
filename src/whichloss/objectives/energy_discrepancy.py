"""Energy discrepancy: an energy by comparing every row with noised copies of it (Schroeder et al., 2023)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses import energy
from ..rng import Rng
from ..samplers.tilt import effective_share
from ..task import Batch
from .base import Nets
from .boltzmann import Boltzmann

FEW = 8  # beyond these a copy stays as far from its row: noise's length grows as sqrt(d), detail's does not


@dataclass(frozen=True)
class EnergyDiscrepancy(Boltzmann):
    """min E log(w / M + mean_j exp(E(x) - E(x + sqrt(t) n + sqrt(t) n_j))): no chains, no scores, no noise law."""

    lr: float = 5e-3
    t: float = 0.25
    M: int = 4
    w: float = 1.0
    share: float = 1.0
    search = {"lr": (2e-3, 5e-3, 1e-2), "t": (0.1, 0.25, 0.5)}
    pictures = {**Boltzmann.pictures, "share": 0.04}  # these hardly fill their columns, noise does: told at a glance

    def energies(self, nets: Nets, x: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """E of the rows (B,) and of their M noised copies (B, M)."""
        n, d = x.shape
        noise = rng.normal("n", (n, 1, d)) + rng.normal("n_j", (n, self.M, d))
        copies = x[:, None] + (self.share * self.t * min(1.0, FEW / d)) ** 0.5 * noise
        if nets.given is not None:  # a copy is of its row's class
            nets = nets.told(torch.cat([nets.given, nets.given.repeat_interleave(self.M, dim=0)]))
        e = self.energy(nets, torch.cat([x, copies.reshape(-1, d)]))
        return e[:n], e[n:].view(n, self.M)

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return energy.energy_discrepancy(*self.energies(nets, batch.x, rng), self.w).mean()

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        e_data, e_noised = self.energies(nets, batch.x, rng)
        return {
            "energy gap": e_noised.mean() - e_data.mean(),
            "copies ess": effective_share(-e_noised.T).mean(),
        }
