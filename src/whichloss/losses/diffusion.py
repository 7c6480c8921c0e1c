"""Diffusion and flow matching: schedules, conversions and losses, per example, no network, no reduction.

Notation: x0 data, eps standard normal, abar the signal's share of variance, x_t = sqrt(abar) x0 + sqrt(1 - abar) eps.
`abar` broadcasts against rows (B, d), as a float, (B, 1) or (B, d). Tables are float64 with abar[0] = 1 (the data) and
abar[T] the noisiest time. Squared errors are means over the d dimensions, so their optima do not depend on d; bounds
are nats per row. Flow matching calls the noise x0 and the data x1, as its paper does.
"""

import math
from itertools import accumulate, pairwise
from operator import mul
from typing import Literal, TypeVar

import torch
from torch import Tensor

from ..errors import UserError

Predict = Literal["eps", "x0", "mean", "v"]
Number = Tensor | float
N = TypeVar("N", float, Tensor)


def linear_schedule(steps: int) -> list[float]:
    """abar, T + 1 numbers, of betas from .1 / T to 20 / T: 1e-4 to .02 at T = 1000 (Ho et al., 2020), scaled to reach
    the prior at every T. Raises UserError for T <= 20, where a beta would reach 1."""
    if steps <= 20:
        raise UserError(
            f"the linear schedule needs steps > 20; got steps = {steps}, where the last beta would be "
            f"{20 / max(steps, 1):.2f} (it must stay below 1). Use more steps or schedule = 'cosine'."
        )
    first, last = 0.1 / steps, 20 / steps
    kept = [1 - first - (last - first) * k / (steps - 1) for k in range(steps)]
    return list(accumulate(kept, mul, initial=1.0))


def cosine_schedule(steps: int) -> list[float]:
    """abar, T + 1 numbers, cos^2(pi/2 (t/T + .008) / 1.008) over its value at 0, betas cut at .999 (Nichol & Dhariwal,
    2021). Raises UserError for T < 1."""
    if steps < 1:
        raise UserError(f"the cosine schedule needs steps >= 1; got steps = {steps}.")
    f = [math.cos(0.5 * math.pi * (t / steps + 0.008) / 1.008) ** 2 for t in range(steps + 1)]
    kept = [max(b / a, 0.001) for a, b in pairwise(f)]
    return list(accumulate(kept, mul, initial=1.0))


def root(value: N) -> N:
    """Square root of a float or a tensor."""
    return value**0.5  # type: ignore[no-any-return]


def noised(x0: Tensor, eps: Tensor, abar: N) -> Tensor:
    """x_t = sqrt(abar) x0 + sqrt(1 - abar) eps: a draw of q(x_t | x0)."""
    return root(abar) * x0 + root(1 - abar) * eps


def velocity(x0: Tensor, eps: Tensor, abar: N) -> Tensor:
    """v = sqrt(abar) eps - sqrt(1 - abar) x0 (Salimans & Ho, 2022)."""
    return root(abar) * eps - root(1 - abar) * x0


def x0_from_eps(eps: Tensor, x_t: Tensor, abar: N) -> Tensor:
    """x0 = (x_t - sqrt(1 - abar) eps) / sqrt(abar)."""
    return (x_t - root(1 - abar) * eps) / root(abar)


def x0_from_v(v: Tensor, x_t: Tensor, abar: N) -> Tensor:
    """x0 = sqrt(abar) x_t - sqrt(1 - abar) v."""
    return root(abar) * x_t - root(1 - abar) * v


def x0_from_mean(mean: Tensor, x_t: Tensor, abar: N, abar_s: N) -> Tensor:
    """x0 whose posterior mean at the earlier time s is `mean`."""
    c0, ct, _ = posterior_weights(abar, abar_s)
    return (mean - ct * x_t) / c0


def eps_from_x0(x0: Tensor, x_t: Tensor, abar: N) -> Tensor:
    """eps = (x_t - sqrt(abar) x0) / sqrt(1 - abar); abar < 1."""
    return (x_t - root(abar) * x0) / root(1 - abar)


def score_from_eps(eps: Tensor, abar: N) -> Tensor:
    """grad log q(x_t) = -eps / sqrt(1 - abar), with eps the best prediction."""
    return -eps / root(1 - abar)


def snr(abar: N) -> N:
    """Signal to noise: abar / (1 - abar)."""
    return abar / (1 - abar)


def posterior_weights(abar: N, abar_s: N) -> tuple[N, N, N]:
    """(c0, ct, var) of q(x_s | x_t, x0) = N(c0 x0 + ct x_t, var), s < t any two times (Ho et al., 2020, eq. 6-7).

    With the effective beta = 1 - abar_t / abar_s, so skipping times is exact: c0 = sqrt(abar_s) beta / (1 - abar_t),
    ct = sqrt(1 - beta) (1 - abar_s) / (1 - abar_t), var = beta (1 - abar_s) / (1 - abar_t).
    """
    beta = 1 - abar / abar_s
    c0 = root(abar_s) * beta / (1 - abar)
    ct = root(1 - beta) * (1 - abar_s) / (1 - abar)
    return c0, ct, beta * (1 - abar_s) / (1 - abar)


def posterior(x0: Tensor, x_t: Tensor, abar: N, abar_s: N) -> tuple[Tensor, N]:
    """Mean (B, d) and variance of q(x_s | x_t, x0)."""
    c0, ct, var = posterior_weights(abar, abar_s)
    return c0 * x0 + ct * x_t, var


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """|a - b|^2 / d per row: (B, d), (B, d) -> (B,)."""
    return ((a - b) ** 2).mean(dim=-1)


def target(predict: Predict, x0: Tensor, eps: Tensor, abar: N, abar_s: N) -> Tensor:
    """What a network that predicts eps, x0, v or the posterior's mean at s should say: (B, d)."""
    if predict == "eps":
        return eps
    if predict == "v":
        return velocity(x0, eps, abar)
    if predict == "mean":
        return posterior(x0, noised(x0, eps, abar), abar, abar_s)[0]
    return x0


def to_x0(predict: Predict, out: Tensor, x_t: Tensor, abar: N, abar_s: N) -> Tensor:
    """The x0 that a prediction of eps, x0, v or the mean stands for: (B, d)."""
    if predict == "eps":
        return x0_from_eps(out, x_t, abar)
    if predict == "v":
        return x0_from_v(out, x_t, abar)
    if predict == "mean":
        return x0_from_mean(out, x_t, abar, abar_s)
    return out


def error_weight(predict: Predict, abar: N, abar_s: N) -> N:
    """w with |error of `predict`|^2 = w |error of x0|^2: eps SNR, v 1 + SNR, mean c0^2, x0 1.

    So a loss that predicts p and weighs like q is error_weight(q) / error_weight(p) times the error of p.
    """
    if predict == "eps":
        return snr(abar)
    if predict == "v":
        return 1 / (1 - abar)
    if predict == "mean":
        return posterior_weights(abar, abar_s)[0] ** 2
    return abar / abar  # 1, in the shape of abar


def normal_kl(mean: Tensor, var: Number, mean_p: Tensor, var_p: Tensor) -> Tensor:
    """KL(N(mean, var) || N(mean_p, var_p)), diagonal, nats per row (B,)."""
    ratio = var / var_p
    return 0.5 * (ratio - 1 - ratio.log() + (mean - mean_p) ** 2 / var_p).sum(dim=-1)


def normal_nll(x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """-log N(x; mean, var), diagonal, nats per row (B,): the decoder for vectors."""
    return 0.5 * (math.log(2 * math.pi) + var.log() + (x - mean) ** 2 / var).sum(dim=-1)


def learned_variance(share: Tensor, abar: N, abar_s: N) -> Tensor:
    """btilde + share (beta - btilde): the best variance of a reverse step has share = Var(x0 | x_t) / (1 - abar_t),
    whatever the step's length; 1 gives "large", 0 "small". At s = 0 it is Var(x0 | x_1), the best decoder's."""
    beta, small = 1 - abar / abar_s, posterior_weights(abar, abar_s)[2]
    return small + share * (beta - small)


def bound_term(x0: Tensor, x_t: Tensor, x0_hat: Tensor, share: Tensor, abar: Tensor, abar_s: Tensor) -> Tensor:
    """One term of -ELBO, nats per row: KL(q(x_s | x_t, x0) || p(x_s | x_t)), or -log p(x0 | x_1) where abar_s = 1.

    p has the posterior mean of x0_hat and `learned_variance`; abar, abar_s (B, 1). With prior_kl these terms sum to the
    negative log-likelihood's bound: H(x0) + KL(q(x_T) || prior) at the best mean and variance (Gaussian data).
    """
    mean, var = posterior(x0, x_t, abar, abar_s)
    mean_p, _ = posterior(x0_hat, x_t, abar, abar_s)
    var_p, last = learned_variance(share, abar, abar_s), abar_s == 1
    kl = normal_kl(mean, torch.where(last, torch.ones_like(abar), var), mean_p, var_p)
    return torch.where(last.squeeze(-1), normal_nll(x0, mean_p, var_p), kl)


def prior_kl(x0: Tensor, abar: Number) -> Tensor:
    """KL(q(x_T | x0) || N(0, I)), nats per row: what the schedule leaves of the data at the last time."""
    rest = 1 - abar
    log = rest.log() if isinstance(rest, Tensor) else math.log(rest)
    return 0.5 * (abar * (x0**2 - 1) - log).sum(dim=-1)


def marginal(mean: N, var: N, abar: N) -> tuple[N, N]:
    """Mean and variance of q(x_t) for data of this mean and variance: sqrt(abar) m, abar s^2 + 1 - abar."""
    return root(abar) * mean, abar * var + 1 - abar


def path(x0: Tensor, x1: Tensor, t: Number) -> Tensor:
    """x_t = (1 - t) x0 + t x1, from noise x0 to data x1 (Lipman et al., 2023; Liu et al., 2023)."""
    return (1 - t) * x0 + t * x1


def flow_matching(u_hat: Tensor, x0: Tensor, x1: Tensor) -> Tensor:
    """|u_hat - (x1 - x0)|^2 / d per row; least value pi/2 for N(m, I) data and N(0, I) noise."""
    return squared_error(u_hat, x1 - x0)


def spread_times(u: Tensor, count: int) -> Tensor:
    """(u + k / golden ratio) mod 1, k = 0 .. count - 1: (count, 1). Each is uniform when u is, and together they cover
    [0, 1) evenly whatever the order of the rows, so a loss averaged over them varies less (Kingma et al., 2021)."""
    k = torch.arange(count, dtype=torch.float64)[:, None] * (math.sqrt(5) - 1) / 2 % 1
    return (u + k.to(u.dtype)) % 1
