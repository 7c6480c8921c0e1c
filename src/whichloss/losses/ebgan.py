"""Losses of the energy-based GAN, whose critic is an energy E(x) >= 0: low on data, at least a margin m on fakes.

Energies are (B,) or (B, 1); codes S = Enc(x) are (B, s). Per example, no network, no reduction (Zhao et al., 2017).
"""

from torch import Tensor
from torch.nn.functional import normalize, relu

from ..errors import UserError


def reconstruction_energy(x: Tensor, x_hat: Tensor) -> Tensor:
    """E(x) = |x_hat - x|^2 / d per sample (B,), x_hat = Dec(Enc(x)). Both arguments carry gradients:

    dE/dx = 2 (J - I)' (x_hat - x) / d, J the autoencoder's Jacobian; without the -I half G does not descend.
    """
    if x.shape != x_hat.shape or x.ndim < 2:
        raise UserError(
            f"reconstruction_energy: 'x' and 'x_hat' must both be (B, d); got {tuple(x.shape)} and "
            f"{tuple(x_hat.shape)}. The decoder must return rows of the encoder's input."
        )
    return ((x_hat - x) ** 2).flatten(1).mean(dim=1)


def energy_critic(real: Tensor, fake: Tensor, margin: Tensor | float) -> Tensor:
    """E(x) + [m - E(G(z))]^+ per sample, never [m - mean E]^+; m at equality, m (1 - TV) at the optimum."""
    if real.shape != fake.shape:
        raise UserError(
            f"energy_critic: 'real' and 'fake' must have one shape; got {tuple(real.shape)} and "
            f"{tuple(fake.shape)}, which would broadcast to all pairs."
        )
    return real + relu(margin - fake)


def energy_generator(fake: Tensor) -> Tensor:
    """E(G(z)); between 0 and m at the equilibrium, the same for all z."""
    return fake


def pull_away(codes: Tensor) -> Tensor:
    """mean over j != i of cos^2(S_i, S_j), for every row i (B,): 1 where all codes are parallel, 0 where orthogonal.

    Its mean is f_PT = 1 / (N (N - 1)) sum_{i != j} (S_i . S_j / (|S_i| |S_j|))^2 >= (N - s) / (s (N - 1)). By
    sum_j (u_i . u_j)^2 = u_i' (U'U) u_i it costs N s^2 instead of N^2 s operations. It cannot tell S from -S.
    """
    if codes.ndim != 2 or len(codes) < 2:
        raise UserError(f"pull_away: 'codes' must be (B, s) with B >= 2 rows; got {tuple(codes.shape)}.")
    u = normalize(codes, dim=1)
    own = (u * u).sum(dim=1) ** 2
    return (((u @ (u.T @ u)) * u).sum(dim=1) - own) / (len(codes) - 1)
