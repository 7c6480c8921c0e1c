"""Sliced score matching: an energy by its slope, and its curvature along random directions (Song et al., 2019)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, vjp

from ..losses import energy
from ..rng import Rng
from ..task import Batch
from .base import Nets
from .boltzmann import Boltzmann


@dataclass(frozen=True)
class SlicedScoreMatching(Boltzmann):
    """min E |s(x)|^2 / 2 + v' (grad s(x)) v, s = -grad E, v random signs: the variance-reduced form."""

    slices: int = 1
    blur: float = 0.1  # without it few rows become spikes: the loss has no least value on a finite set
    search = {"lr": (1e-3, 2e-3, 4e-3), "blur": (0.05, 0.1, 0.2)}

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

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        e = self.energy(nets, self.base * rng.normal("far", batch.x.shape))
        one, two = (self.errors(nets, batch.x, rng[name]) for name in ("one", "two"))
        return {
            "energy gap": e.mean() - self.energy(nets, batch.x).mean(),
            "loss noise": one.std() / len(one) ** 0.5,
            "slice noise": (one - two).std() / (2 * len(one)) ** 0.5,
        }
