"""Flow matching: learn the velocity of straight lines from noise to data (Lipman et al., 2023; Liu et al., 2023)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses.denoisers import KernelDenoiser, reference_denoisers
from ..losses.diffusion import flow_matching, path, spread_times
from ..nets import time_features
from ..rng import Rng
from ..samplers.ode import ode, ode_log_density, signs, standard_normal
from ..task import Batch, Task
from .base import Adam, Build, Denoised, Generative, Nets, Update

FEATURES = 16


@dataclass(frozen=True)
class FlowMatching(Generative):
    """min E |u(x_t, t) - (x1 - x0)|^2, x_t = (1 - t) x0 + t x1, x0 noise, x1 data; sampling follows dx/dt = u."""

    lr: float = 2e-3
    sampling_steps: int = 25
    probes: int = 0  # random signs that estimate the divergence in `score`; 0: exactly, at the cost of d of them
    search = {"lr": (1e-3, 2e-3, 4e-3)}
    rough = {"sampling_steps": 10}
    pictures = {"probes": 4}
    average = 0.999
    scores = "log density"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"u": build("u", task.dim + FEATURES, task.dim, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("u",), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return self.errors(batch.x, rng, lambda x_t, t: self.velocity(nets, x_t, t)).mean()

    def errors(self, x1: Tensor, rng: Rng, u: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The loss of each row (n,) of a velocity u(x_t, t)."""
        x0, t = rng.normal("x0", x1.shape), spread_times(rng.uniform("t", ()), len(x1))
        return flow_matching(u(path(x0, x1, t), t), x0, x1)

    def velocity(self, nets: Nets, x: Tensor, t: Tensor) -> Tensor:
        """u(x, t): x (n, d), t (n, 1) -> (n, d)."""
        return nets.u(torch.cat([x, time_features(t, FEATURES)], dim=1))

    def field(self, nets: Nets) -> Callable[[Tensor, float], Tensor]:
        """u(x, t) at one time for all rows."""
        return lambda x, t: self.velocity(nets, x, x.new_full((len(x), 1), t))

    def times(self) -> list[float]:
        """From 0 (noise) to 1 (data), evenly."""
        return [k / self.sampling_steps for k in range(self.sampling_steps + 1)]

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return ode(self.field(nets), rng.normal("x0", shape), times=self.times())[0]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """log p(x), exact but for the steps of Heun's method and, where there are `probes`, the divergence."""
        return self.estimates(nets, x).mean(dim=1)

    def estimates(self, nets: Nets, x: Tensor) -> Tensor:
        """log p(x), estimated by each of the probes (n, probes); (n, 1) where there are none."""
        times, probes = self.times()[::-1], signs(self.probes, x.shape[1])
        found = ode_log_density(self.field(nets), x, times=times, log_prior=standard_normal, probes=probes)
        return found.reshape(len(x), -1)

    def denoised(self, nets: Nets, x: Tensor, x_new: Tensor, rng: Rng) -> Denoised:
        noise = 1 - spread_times(rng.uniform("t", ()), len(x_new))
        models = (lambda x_t, t: self.velocity(nets, x_t, t), *map(_by, reference_denoisers(x)))
        return Denoised(noise, *(self.errors(x_new, rng, model) for model in models))


def _by(denoiser: KernelDenoiser) -> Callable[[Tensor, Tensor], Tensor]:
    """The velocity that a denoiser stands for."""
    return lambda x_t, t: (denoiser(x_t, t, 1 - t) - x_t) / (1 - t)
