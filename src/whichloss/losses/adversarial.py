"""Adversarial losses on scores D(x), D(G(z)): per example, no network, no reduction.

Notation: `real` and `fake` are scores (B,) or (B, 1); every function returns one value per score. Equilibrium values
(p = q, D optimal) stand in each docstring.
"""

from torch import Tensor
from torch.nn.functional import relu, softplus


def bce_critic(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigma(D(x)) - log(1 - sigma(D(G(z)))); 2 log 2 at D = 1/2 (Goodfellow et al., 2014)."""
    return softplus(-real) + softplus(fake)


def bce_generator(fake: Tensor) -> Tensor:
    """Non-saturating: -log sigma(D(G(z))); log 2 at D = 1/2 (Goodfellow et al., 2014)."""
    return softplus(-fake)


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """D(G(z)) - D(x): minus the gap that estimates W1; 0 at equality (Arjovsky et al., 2017)."""
    return fake - real


def wasserstein_generator(fake: Tensor) -> Tensor:
    """-D(G(z)); its value means nothing (D + a shifts it), its gradient does (Arjovsky et al., 2017)."""
    return -fake


def slope_penalty(slope: Tensor) -> Tensor:
    """(|grad D(x_hat)| - 1)^2 of per-sample slopes (B,): two-sided (Gulrajani et al., 2017)."""
    return (slope - 1) ** 2
