"""Sliced score matching: an energy by its slope, and its curvature along random directions (Song et al., 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import grad, vjp

from ..losses import energy
from ..rng import Rng
from ..samplers.annealed import annealed_rows
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class SlicedScoreMatching(Generative):
    """min E |s(x)|^2 / 2 + v' (grad s(x)) v, s = -grad E, v random signs: the variance-reduced form."""

    lr: float = 2e-3
    slices: int = 1
    blur: float = 0.0
    base: float = 2.0
    gain: float = 6.0
    temperatures: int = 32
    search = {"lr": (1e-3, 2e-3, 4e-3)}
    average = 0.999
    scores = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"E": build("E", task.dim, 1, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("E",), self.loss, Adam(self.lr))]

    def energy(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) (n,): the network and the energy of N(0, base^2 I), so that Z is finite."""
        return nets.E(self.gain * x).squeeze(-1) + x.square().sum(dim=1) / (2 * self.base**2)

    def errors(self, nets: Nets, x: Tensor, rng: Rng) -> Tensor:
        """The loss of each row (n,), the mean over its slices."""
        s, pull = vjp(grad(lambda x: -self.energy(nets, x).sum()), x)  # type: ignore[misc]  # its stub counts an aux
        slope = torch.zeros_like(s[:, 0])
        for k in range(self.slices):
            v = torch.where(rng.uniform(k, x.shape) < 0.5, -1.0, 1.0).to(x.dtype)
            slope = slope + (pull(v)[0] * v).sum(dim=1) / self.slices
        return energy.sliced_score_matching(s, slope)

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x = batch.x + self.blur * rng.normal("blur", batch.x.shape)
        return self.errors(nets, x, rng["v"]).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return annealed_rows(lambda x: self.energy(nets, x), shape, rng, sd=self.base, temperatures=self.temperatures)[
            0
        ]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) = -log p(x) + a constant (n,)."""
        return self.energy(nets, x)

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        e = self.energy(nets, self.base * rng.normal("far", batch.x.shape))
        one, two = (self.errors(nets, batch.x, rng[name]) for name in ("one", "two"))
        return {
            "energy gap": e.mean() - self.energy(nets, batch.x).mean(),
            "loss noise": one.std() / len(one) ** 0.5,
            "slice noise": (one - two).std() / (2 * len(one)) ** 0.5,
        }
