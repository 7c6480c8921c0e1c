"""Persistent contrastive divergence: an energy fitted against chains that live on (Tieleman, 2008)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import grad

from ..losses import energy
from ..rng import Rng
from ..samplers.langevin import langevin
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class PCD(Generative):
    """min E[E(x)] - E[E(x~)], x~ chains of Langevin steps x - step grad E(x) + sqrt(2 step) xi: temperature 1."""

    lr: float = 5e-4
    step: float = 0.002
    penalty: float = 1e-3
    blur: float = 0.0
    limit: float = 2.0
    chains: int = 256
    langevin_steps: int = 10
    restart: float = 0.1
    sampling_steps: int = 100
    search = {"lr": (2e-4, 5e-4, 1e-3)}
    pictures = {"chains": 64, "sampling_steps": 50}
    rough = {"sampling_steps": 20}
    average = 0.999
    scores = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"E": build("E", task.dim, 1, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("E",), self.loss, Adam(self.lr))]

    def memory(self, data: Batch, rng: Rng) -> dict[str, Tensor]:
        chains = {"chains": rng.normal("chains", (self.chains, data.x.shape[1]))}
        if not data.y.shape[1]:
            return chains
        return chains | {"given": data.y[rng.integers("given", (self.chains,), len(data.x))]}

    def refresh(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        """A share of the chains starts again from noise, given a row's class; all walk on, each in its class."""
        chains, fresh = batch.memory["chains"], {}
        anew = rng.uniform("restart", (len(chains), 1)) < self.restart
        chains = torch.where(anew, rng.normal("noise", chains.shape), chains)
        if nets.given is not None:
            y = nets.given[torch.arange(len(chains), device=chains.device) % len(nets.given)]
            fresh["given"] = torch.where(anew, y, batch.memory["given"])
        nets = self.of_chains(nets, fresh)
        return fresh | {"chains": self.walk(nets, chains, rng["walk"], self.langevin_steps)}

    def of_chains(self, nets: Nets, memory: Mapping[str, Tensor]) -> Nets:
        """The networks for the chains, which are of classes of their own."""
        return nets if nets.given is None else nets.told(memory["given"])

    def walk(self, nets: Nets, x: Tensor, rng: Rng, steps: int) -> Tensor:
        """`steps` Langevin steps at temperature noise^2 / (2 step) = 1."""
        score = grad(lambda x: -nets.E(x).sum())
        return langevin(score, x, rng, steps=steps, step=self.step, limit=self.limit)[0]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x = batch.x + self.blur * rng.normal("blur", batch.x.shape)
        e_data, e_model = nets.E(x), self.of_chains(nets, batch.memory).E(batch.memory["chains"])
        gap = energy.contrastive_divergence(e_data.mean(), e_model.mean())  # rows and chains may differ in number
        size = energy.energy_penalty(e_data).mean() + energy.energy_penalty(e_model).mean()
        return gap + self.penalty * size

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return self.walk(nets, rng.normal("x", shape), rng["walk"], self.sampling_steps)

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) = -log p(x) + a constant (n,)."""
        return nets.E(x).squeeze(-1)

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        chains, walking = batch.memory["chains"], self.of_chains(nets, batch.memory)
        moved = (self.walk(walking, chains, rng["walk"], self.langevin_steps) - chains).square().mean().sqrt()
        life = 1 / max(self.restart, 0.01)  # updates; more than 100 are not counted
        return {
            "energy gap": walking.E(chains).mean() - nets.E(batch.x).mean(),
            "chain reach": moved * life**0.5 / batch.x.std(),  # of a chain's whole life
            "chain sd": chains.std(),
        }
