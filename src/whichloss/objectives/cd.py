"""Contrastive divergence: an energy fitted against short Langevin chains from the data (Hinton, 2002)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses import energy
from ..rng import Rng
from ..samplers.annealed import adjusted, annealed_rows
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class CD(Generative):
    """min E[E(x)] - E[E(x~)], x~ the rows themselves after `langevin_steps` adjusted Langevin steps, temperature 1."""

    lr: float = 4e-3
    step: float = 0.03
    langevin_steps: int = 5
    penalty: float = 0.0
    base: float = 2.0
    gain: float = 6.0
    temperatures: int = 32
    search = {"lr": (2e-3, 4e-3, 8e-3), "step": (0.01, 0.03, 0.1)}
    stops_gradient = True  # the chains are held still
    average = 0.999
    scores = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"E": build("E", task.dim, 1, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("E",), self.loss, Adam(self.lr))]

    def energy(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) (n,): the network and the energy of N(0, base^2 I), so that Z is finite."""
        return nets.E(self.gain * x).squeeze(-1) + x.square().sum(dim=1) / (2 * self.base**2)

    def walk(self, nets: Nets, x: Tensor, rng: Rng) -> Tensor:
        """The chains, held still: no gradient runs through their steps."""
        walked = adjusted(lambda x: self.energy(nets, x), x, rng, steps=self.langevin_steps, step=self.step)
        return walked[0].detach()

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        e_data = self.energy(nets, batch.x)
        e_model = self.energy(nets, self.walk(nets, batch.x, rng["walk"]))
        size = energy.energy_penalty(e_data) + energy.energy_penalty(e_model)
        return (energy.contrastive_divergence(e_data, e_model) + self.penalty * size).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return annealed_rows(lambda x: self.energy(nets, x), shape, rng, sd=self.base, temperatures=self.temperatures)[
            0
        ]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) = -log p(x) + a constant (n,)."""
        return self.energy(nets, x)

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        chains, info = adjusted(
            lambda x: self.energy(nets, x), batch.x, rng["walk"], steps=self.langevin_steps, step=self.step
        )
        gap = self.energy(nets, chains).mean() - self.energy(nets, batch.x).mean()
        reach = (chains - batch.x).square().mean().sqrt() / batch.x.std()
        return {"energy gap": gap, "chain reach": reach, "acceptance": torch.as_tensor(info["acceptance"])}
