"""Energy-based losses on energies E(x), with p(x) = exp(-E(x)) / Z: per example, no network, no reduction.

Energies are (B,) or (B, 1); scores s = grad log p = -grad E and noises are (B, d).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from .diffusion import squared_error


def contrastive_divergence(e_data: Tensor, e_model: Tensor) -> Tensor:
    """E(x) - E(x~), x~ from the model: its gradient is the likelihood's (Hinton, 2002; Tieleman, 2008)."""
    return e_data - e_model


def energy_penalty(e: Tensor) -> Tensor:
    """E(x)^2, on data and model alike: energies stay near 0, at the price of a flatter law (Du & Mordatch, 2019)."""
    return e**2


def score_matching(score: Tensor, divergence: Tensor) -> Tensor:
    """|s|^2 / 2 + div s per row; least mean -d / (2 s2) for N(0, s2 I) data (Hyvarinen, 2005)."""
    return 0.5 * (score**2).sum(dim=-1) + divergence.reshape(len(score))


def sliced_score_matching(score: Tensor, slope: Tensor) -> Tensor:
    """|s|^2 / 2 + v' (grad s) v per row, `slope` = v' (grad s) v (B,), E[v v'] = I (Song et al., 2019)."""
    return 0.5 * (score**2).sum(dim=-1) + slope.reshape(len(score))


def denoising_score_matching(score: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
    """sigma^2 |s(x + sigma n) + n / sigma|^2 / d per row, n standard normal (Vincent, 2011; Song & Ermon, 2019).

    Data N(0, s2): least at s = -x / (s2 + sigma^2), where its mean is s2 / (s2 + sigma^2) per dimension.
    """
    return squared_error(sigma * score, -noise)


def noise_contrastive(log_ratio_data: Tensor, log_ratio_noise: Tensor, nu: float = 1.0) -> Tensor:
    """softplus(log nu - f(x)) + nu softplus(f(y) - log nu), f = log p - log q (Gutmann & Hyvarinen, 2010).

    nu noise rows y for every row x: the mean of the first term over rows and of the second over noise. At p = q the
    least mean is (1 + nu) log(1 + nu) - nu log nu, 2 log 2 for nu = 1. The shapes broadcast.
    """
    shift = math.log(nu)
    return softplus(shift - log_ratio_data) + nu * softplus(log_ratio_noise - shift)


def log_partition(e: Tensor, log_q: Tensor) -> Tensor:
    """log Z by importance: log mean_j exp(-E(y_j) - log q(y_j)), y_j from q; energies and log q (n,) -> ().

    A grid is the same formula with q = 1 / volume. On average it is too low, by about (1 / ess - 1) / (2 n), where
    ess is the effective share of the weights.
    """
    return torch.logsumexp(-e - log_q, dim=0) - math.log(len(e))


def importance_likelihood(e_data: Tensor, e_proposal: Tensor, log_q: Tensor) -> Tensor:
    """E(x) + log Z per row, in nats: -log p(x), with log Z by importance from n rows of a proposal q.

    e_data (B,); e_proposal and log_q (n,). Its gradient E[grad E(x)] - sum_j w_j grad E(y_j), w the normalised
    weights, is the likelihood's (Bengio & Senecal, 2003).
    """
    return e_data + log_partition(e_proposal, log_q)


def energy_discrepancy(e_data: Tensor, e_noised: Tensor, w: float = 1.0) -> Tensor:
    """log(w / M + mean_j exp(E(x) - E(x_j))), x_j = x + sqrt(t) n + sqrt(t) n_j (Schroeder et al., 2023).

    e_data (B,), e_noised (B, M); n is one standard normal per row, shared by its M, and n_j one for each, so that t is
    the variance of each of the two noises. w > 0 bounds it from below, by log(w / M).
    """
    gaps = e_data.reshape(-1, 1) - e_noised
    floor = torch.full_like(gaps[:, :1], math.log(w))
    return torch.logsumexp(torch.cat([floor, gaps], dim=1), dim=1) - math.log(gaps.shape[1])
