"""Denoising diffusion: undo small steps of noise, one by one (Ho et al., 2020; Nichol & Dhariwal, 2021)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..losses import diffusion as q
from ..losses.denoisers import KernelDenoiser, reference_denoisers
from ..nets import time_features
from ..rng import Rng
from ..samplers.ancestral import Variance, ancestral
from ..samplers.ode import ode_log_density, signs, standard_normal
from ..task import Batch, Task
from .base import Adam, Build, Denoised, Generative, Nets, Update

FEATURES = 16
FADED = 1e-3  # x0 is read off x_t by a division by sqrt(abar): no use where nothing of x0 is left
Model = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@lru_cache(maxsize=16)
def tables(schedule: str, steps: int) -> tuple[list[float], list[float]]:
    """(abar, clock), T + 1 numbers each; the clock is the log-SNR on a scale from 0 (t = 1) to 1 (t = T)."""
    abar = (q.linear_schedule if schedule == "linear" else q.cosine_schedule)(steps)
    log_snr = [math.log(a / (1 - a)) for a in abar[1:]]
    return abar, [0.0, *((log_snr[0] - value) / (log_snr[0] - log_snr[-1]) for value in log_snr)]


@dataclass(frozen=True)
class DDPM(Generative):
    """min E |eps - eps_hat(x_t, t)|^2, x_t = sqrt(abar) x0 + sqrt(1 - abar) eps; sampling reverses t = T .. 1."""

    lr: float = 2e-3
    predict: q.Predict = "eps"
    weight: q.Predict = "eps"
    variance: Variance = "learned"
    hybrid: float = 1e-3
    schedule: Literal["linear", "cosine"] = "linear"
    steps: int = 1000
    sampler: Literal["ancestral", "ddim"] = "ancestral"
    sampling_steps: int = 50
    probes: int = 0  # random signs that estimate the divergence in `score`; 0: exactly, at the cost of d of them
    search = {"lr": (1e-3, 2e-3, 4e-3), "hybrid": (1e-4, 1e-3, 1e-2)}
    pictures = {"sampling_steps": 25, "probes": 4}
    rough = {"sampling_steps": 10}
    average = 0.999
    stops_gradient = True  # the bound moves the variance only
    scores = "log density"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        outputs = task.dim * (2 if self.variance == "learned" else 1)
        return {"eps": build("eps", task.dim + FEATURES, outputs, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("eps",), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return self.errors(batch.x, rng, lambda x_t, t, *_: self.read(nets, x_t, t)).mean()

    def read(self, nets: Nets, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(what `predict` names, share of the learned variance), both (n, d), at times t (n, 1)."""
        clock = _at(tables(self.schedule, self.steps)[1], t, x_t)
        out = nets.eps(torch.cat([x_t, time_features(clock, FEATURES)], dim=1))
        d = x_t.shape[1]
        return out[:, :d], softplus(out[:, d:])

    def errors(self, x0: Tensor, rng: Rng, model: Model) -> Tensor:
        """The loss of each row (n,) of a model(x_t, t, abar_t, abar_s)."""
        abar = tables(self.schedule, self.steps)[0]
        u, eps = q.spread_times(rng.uniform("t", ()), len(x0)), rng.normal("eps", x0.shape)
        t = 1 + (u * self.steps).long()
        a, a_s = _at(abar, t, x0), _at(abar, t - 1, x0)
        x_t = q.noised(x0, eps, a)
        out, share = model(x_t, t, a, a_s)
        weight = q.error_weight(self.weight, a, a_s) / q.error_weight(self.predict, a, a_s)
        error = weight.squeeze(-1) * q.squared_error(out, q.target(self.predict, x0, eps, a, a_s))
        if self.variance == "learned":  # the mean learns from the error alone, the variance from the bound
            x0_hat = q.to_x0(self.predict, out, x_t, a, a_s).detach()
            bound = q.bound_term(x0, x_t, x0_hat, share, a, a_s) / x0.shape[1]
            error = error + self.hybrid * self.steps * bound
        return error

    def times(self) -> list[int]:
        """The falling times of sampling: quadratic, so closest near the data, from the last with abar >= FADED."""
        first = sum(a >= FADED for a in tables(self.schedule, self.steps)[0]) - 1
        n = self.sampling_steps
        return sorted({round((k / n) ** 2 * first) for k in range(n + 1)}, reverse=True)

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        abar = tables(self.schedule, self.steps)[0]

        def denoise(x_t: Tensor, t: int) -> tuple[Tensor, Tensor]:
            out, share = self.read(nets, x_t, torch.full((len(x_t), 1), t))
            return q.to_x0(self.predict, out, x_t, abar[t], abar[t - 1]), share

        eta = 1.0 if self.sampler == "ancestral" else 0.0
        x, times = rng.normal("x_T", shape), self.times()
        return ancestral(denoise, x, rng["steps"], abar=abar, times=times, eta=eta, variance=self.variance)[0]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """log p(x) along the probability flow dx/dtheta = v_hat(x, t), cos^2 theta = abar_t, x ~ x_1."""
        return self.estimates(nets, x).mean(dim=1)

    def estimates(self, nets: Nets, x: Tensor) -> Tensor:
        """log p(x), estimated by each of the probes (n, probes); (n, 1) where there are none."""
        abar, times = tables(self.schedule, self.steps)[0], self.times()[-2::-1]
        angle = {t: math.acos(math.sqrt(abar[t])) for t in times}
        at = {theta: t for t, theta in angle.items()}

        def flow(x_t: Tensor, theta: float) -> Tensor:
            t = at[theta]
            out, _ = self.read(nets, x_t, torch.full((len(x_t), 1), t))
            x0 = q.to_x0(self.predict, out, x_t, abar[t], abar[t - 1])
            return q.velocity(x0, q.eps_from_x0(x0, x_t, abar[t]), abar[t])

        probes = signs(self.probes, x.shape[1])
        return ode_log_density(flow, x, times=list(at), log_prior=standard_normal, probes=probes).reshape(len(x), -1)

    def denoised(self, nets: Nets, x: Tensor, x_new: Tensor, rng: Rng) -> Denoised:
        noise = q.spread_times(rng.uniform("t", ()), len(x_new))
        models = (lambda x_t, t, *_: self.read(nets, x_t, t), *map(self.by, reference_denoisers(x)))
        return Denoised(noise, *(self.errors(x_new, rng, model) for model in models))

    def by(self, denoiser: KernelDenoiser) -> Model:
        """The model that a denoiser stands for."""

        def model(x_t: Tensor, t: Tensor, a: Tensor, a_s: Tensor) -> tuple[Tensor, Tensor]:
            x0 = denoiser(x_t, a.sqrt(), (1 - a).sqrt())
            out = q.target(self.predict, x0, q.eps_from_x0(x0, x_t, a), a, a_s)
            return out, denoiser.share(a.sqrt(), (1 - a).sqrt()).to(out.dtype)

        return model

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        return {"KL(q(x_T) || prior)": self.prior_distance(batch.x)}

    def prior_distance(self, x: Tensor) -> Tensor:
        """Mean KL(q(x_T | x0) || N(0, I)) over the rows, nats: what sampling from the prior ignores."""
        return q.prior_kl(x, tables(self.schedule, self.steps)[0][-1]).mean()

    def forward_marginals(self, mean: float, var: float) -> list[tuple[float, float, float]]:
        """(t / T, mean, sd) of q(x_t) at 11 times, for data of this mean and variance."""
        abar = tables(self.schedule, self.steps)[0]
        at = [round(k * self.steps / 10) for k in range(11)]
        moments = [(t, *q.marginal(mean, var, abar[t])) for t in at]
        return [(t / self.steps, float(m), math.sqrt(v)) for t, m, v in moments]


def _at(table: list[float], t: Tensor, like: Tensor) -> Tensor:
    return torch.tensor(table, dtype=like.dtype)[t]
