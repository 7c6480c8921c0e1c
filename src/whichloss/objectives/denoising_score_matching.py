"""Denoising score matching over a ladder of noise, sampled by annealed Langevin (Song & Ermon, 2019, 2020)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses import energy
from ..losses.denoisers import KernelDenoiser, reference_denoisers
from ..losses.diffusion import spread_times
from ..nets import time_features
from ..rng import Rng
from ..samplers.langevin import annealed_langevin
from ..samplers.ode import ode_log_density, signs, standard_normal
from ..task import Batch, Task
from .base import Adam, Build, Denoised, Generative, Nets, Update

FEATURES = 16
Score = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class DenoisingScoreMatching(Generative):
    """min E sigma^2 |s(x + sigma n, sigma) + n / sigma|^2, sigma on a geometric ladder from the data's size down."""

    lr: float = 2e-3
    sigma_max: float = 4.0
    sigma_min: float = 0.02
    levels: int = 20
    langevin_steps: int = 4
    step: float = 0.8
    probes: int = 0  # random signs that estimate the divergence in `score`; 0: exactly, at the cost of d of them
    search = {"lr": (1e-3, 2e-3, 4e-3), "step": (0.5, 0.8, 1.2)}
    rough = {"langevin_steps": 1}
    pictures = {"probes": 4, "langevin_steps": 2}
    average = 0.999
    scores = "log density"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"s": build("s", task.dim + FEATURES, task.dim, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("s",), self.loss, Adam(self.lr))]

    def sigma(self, clock: Tensor, dim: int) -> Tensor:
        """The ladder: sigma_max sqrt(d) at clock 0, sigma_min at 1. Encoded rows are about sqrt(d) long."""
        top: float = self.sigma_max * dim**0.5
        ladder: Tensor = top * (self.sigma_min / top) ** clock
        return ladder

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return self.errors(batch.x, rng, lambda *x: self.s(nets, *x)).mean()

    def errors(self, x: Tensor, rng: Rng, s: Score) -> Tensor:
        """The loss of each row (n,) of a score s(x, sigma, clock)."""
        level = (spread_times(rng.uniform("level", ()), len(x)) * self.levels).floor()
        clock, n = level / (self.levels - 1), rng.normal("n", x.shape)
        sigma = self.sigma(clock, x.shape[1])
        return energy.denoising_score_matching(s(x + sigma * n, sigma, clock), n, sigma)

    def s(self, nets: Nets, x: Tensor, sigma: Tensor, clock: Tensor) -> Tensor:
        """The score: a network of x / sqrt(1 + sigma^2), so that its inputs have size 1, over sigma."""
        inputs = [x / (1 + sigma**2) ** 0.5, time_features(clock, FEATURES)]
        return nets.s(torch.cat(inputs, dim=1)) / sigma

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        clocks = torch.arange(self.levels) / (self.levels - 1)
        sigmas = [self.sigma(c, shape[1]) for c in clocks]
        one = torch.ones(shape[0], 1)

        def score(x: Tensor, i: int) -> Tensor:
            return self.s(nets, x, sigmas[i] * one, clocks[i] * one)

        x = (1 + sigmas[0] ** 2) ** 0.5 * rng.normal("x", shape)
        ladder = [float(s) for s in sigmas]
        steps, length = self.langevin_steps, self.step
        return annealed_langevin(score, x, rng, sigmas=ladder, steps=steps, step=length)[0]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """log p(x) along the probability flow dx/dlog sigma = -sigma^2 s(x, sigma), from the rows to the most noise."""
        return self.estimates(nets, x).mean(dim=1)

    def estimates(self, nets: Nets, x: Tensor) -> Tensor:
        """log p(x), estimated by each of the probes (n, probes); (n, 1) where there are none."""
        d, one = x.shape[1], torch.ones_like(x[:, :1])
        clocks = [torch.tensor(k / (self.levels - 1)) for k in reversed(range(self.levels))]
        at = {float(self.sigma(clock, d).log()): clock for clock in clocks}
        wide = (1 + self.sigma_max**2 * d) ** 0.5

        def flow(x: Tensor, u: float) -> Tensor:
            sigma = math.exp(u) * one
            return -(sigma**2) * self.s(nets, x, sigma, at[u] * one)

        def log_prior(x: Tensor) -> Tensor:
            return standard_normal(x / wide) - d * math.log(wide)

        probes = signs(self.probes, d)
        found = ode_log_density(flow, x, times=list(at), log_prior=log_prior, method="rk4", probes=probes)
        return found.reshape(len(x), -1)

    def denoised(self, nets: Nets, x: Tensor, x_new: Tensor, rng: Rng) -> Denoised:
        noise = -spread_times(rng.uniform("level", ()), len(x_new))
        models = (lambda *at: self.s(nets, *at), *map(_by, reference_denoisers(x)))
        return Denoised(noise, *(self.errors(x_new, rng, model) for model in models))


def _by(denoiser: KernelDenoiser) -> Score:
    """The score that a denoiser stands for (Tweedie)."""
    return lambda z, sigma, clock: (denoiser(z, torch.ones_like(sigma), sigma) - z) / sigma**2
