"""Contrastive divergence: an energy fitted against short Langevin chains from the data (Hinton, 2002)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses import energy
from ..rng import Rng
from ..samplers.annealed import adjusted
from ..task import Batch
from .base import Nets
from .boltzmann import Boltzmann


@dataclass(frozen=True)
class CD(Boltzmann):
    """min E[E(x)] - E[E(x~)], x~ the rows themselves after `langevin_steps` adjusted Langevin steps, temperature 1."""

    lr: float = 4e-3
    step: float = 0.1
    langevin_steps: int = 5
    penalty: float = 0.0
    search = {"lr": (2e-3, 4e-3, 8e-3), "step": (0.03, 0.1, 0.3)}
    stops_gradient = True  # the chains are held still

    def walk(self, nets: Nets, x: Tensor, rng: Rng) -> Tensor:
        """The chains, held still: no gradient runs through their steps, nor is memory kept for one."""
        with torch.no_grad():
            walked = adjusted(lambda x: self.energy(nets, x), x, rng, steps=self.langevin_steps, step=self.step)
        return walked[0].detach()

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        e_data = self.energy(nets, batch.x)
        e_model = self.energy(nets, self.walk(nets, batch.x, rng["walk"]))
        size = energy.energy_penalty(e_data) + energy.energy_penalty(e_model)
        return (energy.contrastive_divergence(e_data, e_model) + self.penalty * size).mean()

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        chains, info = adjusted(
            lambda x: self.energy(nets, x), batch.x, rng["walk"], steps=self.langevin_steps, step=self.step
        )
        gap = self.energy(nets, chains).mean() - self.energy(nets, batch.x).mean()
        reach = (chains - batch.x).square().mean().sqrt() / batch.x.std()
        return {"energy gap": gap, "chain reach": reach, "acceptance": torch.as_tensor(info["acceptance"])}
