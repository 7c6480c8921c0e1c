"""Adversarial losses on scores D(x), D(G(z)): per example, no network, no reduction.

Notation: `real` and `fake` are scores of one shape, (B,) or (B, 1); every function returns one value per score, or per
pair (real_i, fake_i). Equilibrium values (p = q, D optimal) stand in each docstring. UserError where shapes differ.
"""

from torch import Tensor
from torch.nn.functional import relu, softplus

from ..errors import UserError


def _paired(loss: str, real: Tensor, fake: Tensor) -> None:
    if real.shape != fake.shape:
        raise UserError(
            f"{loss}: 'real' and 'fake' must have one shape; got {tuple(real.shape)} and {tuple(fake.shape)}, "
            "which would broadcast to all pairs. Score as many fakes as real rows and squeeze both or neither."
        )


def bce_critic(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigma(D(x)) - log(1 - sigma(D(G(z)))); 2 log 2 at D = 1/2 (Goodfellow et al., 2014)."""
    _paired("bce_critic", real, fake)
    return softplus(-real) + softplus(fake)


def bce_generator(fake: Tensor) -> Tensor:
    """Non-saturating: -log sigma(D(G(z))); log 2 at D = 1/2 (Goodfellow et al., 2014)."""
    return softplus(-fake)


def minimax_generator(fake: Tensor) -> Tensor:
    """Saturating: log(1 - sigma(D(G(z)))), slope -sigma(D) ~ 0 where D wins; -log 2 at D = 1/2 (Goodfellow et al.)."""
    return -softplus(fake)


def least_squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    """(D(x) - 1)^2 / 2 + D(G(z))^2 / 2; 1/4 at D = 1/2 (Mao et al., 2017)."""
    _paired("least_squares_critic", real, fake)
    return 0.5 * ((real - 1) ** 2 + fake**2)


def least_squares_generator(fake: Tensor) -> Tensor:
    """(D(G(z)) - 1)^2 / 2; 1/8 at D = 1/2 (Mao et al., 2017)."""
    return 0.5 * (fake - 1) ** 2


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """[1 - D(x)]^+ + [1 + D(G(z))]^+; 2 at equality, 2 (1 - TV) at the optimum (Lim & Ye, 2017)."""
    _paired("hinge_critic", real, fake)
    return relu(1 - real) + relu(1 + fake)


def hinge_generator(fake: Tensor) -> Tensor:
    """-D(G(z)), of slope -1 everywhere (Lim & Ye, 2017)."""
    return -fake


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """D(G(z)) - D(x): minus the gap that estimates W1; 0 at equality (Arjovsky et al., 2017)."""
    _paired("wasserstein_critic", real, fake)
    return fake - real


def wasserstein_generator(fake: Tensor) -> Tensor:
    """-D(G(z)); its value means nothing (D + a shifts it), its gradient does (Arjovsky et al., 2017)."""
    return -fake


def relativistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigma(D(x) - D(G(z))) of pairs; log 2 at equality (Jolicoeur-Martineau, 2019; Huang et al., 2024)."""
    _paired("relativistic_critic", real, fake)
    return softplus(fake - real)


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigma(D(G(z)) - D(x)) of pairs; log 2 at equality (Jolicoeur-Martineau, 2019; Huang et al., 2024)."""
    _paired("relativistic_generator", real, fake)
    return softplus(real - fake)


def slope_penalty(slope: Tensor) -> Tensor:
    """(|grad D(x_hat)| - 1)^2 of per-sample slopes (B,): two-sided (Gulrajani et al., 2017)."""
    if slope.ndim != 1:
        raise UserError(
            f"slope_penalty: 'slope' must hold one number per sample, (B,); got {tuple(slope.shape)}. "
            "Take the norm over all but the first axis: gradient.flatten(1).norm(dim=1)."
        )
    return (slope - 1) ** 2


def zero_slope_penalty(gradient: Tensor) -> Tensor:
    """|grad D(x)|^2 / 2 of per-sample gradients (B, *): R1 at real rows, R2 at fakes (Mescheder et al., 2018)."""
    if gradient.ndim < 2:
        raise UserError(
            f"zero_slope_penalty: 'gradient' must be (B, d), one gradient per sample; got {tuple(gradient.shape)}."
        )
    return 0.5 * (gradient**2).flatten(1).sum(dim=1)
