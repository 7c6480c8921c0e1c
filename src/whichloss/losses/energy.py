"""Energy-based losses on energies E(x), with p(x) = exp(-E(x)) / Z: per example, no network, no reduction.

Energies are (B,) or (B, 1); scores s = grad log p = -grad E and noises are (B, d).
"""

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


def noise_contrastive(log_ratio_data: Tensor, log_ratio_noise: Tensor) -> Tensor:
    """softplus(-f(x)) + softplus(f(y)), f = log p - log q: 2 log 2 at p = q (Gutmann & Hyvarinen, 2010)."""
    return softplus(-log_ratio_data) + softplus(log_ratio_noise)
