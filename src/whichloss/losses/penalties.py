"""Penalties on a critic's slope, and the rows at which it is measured: per example, no network, no reduction.

A slope is |grad D(x_hat)| of one row, its gradient's norm over all but the first axis. `slope_penalty` (two-sided) and
`zero_slope_penalty` (R1, R2) stand beside the critics' losses in `adversarial`. UserError for wrong shapes.
"""

from torch import Tensor
from torch.nn.functional import relu

from ..errors import UserError


def one_sided_slope_penalty(slope: Tensor) -> Tensor:
    """([|grad D(x_hat)| - 1]^+)^2 of per-sample slopes (B,): slopes below 1 are free (Petzka et al., 2018)."""
    if slope.ndim != 1:
        raise UserError(
            f"one_sided_slope_penalty: 'slope' must hold one number per sample, (B,); got {tuple(slope.shape)}. "
            "Take the norm over all but the first axis: gradient.flatten(1).norm(dim=1)."
        )
    return relu(slope - 1) ** 2


def interpolate(real: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """x_hat = eps x + (1 - eps) G(z), rows (B, *), one eps ~ U[0, 1] per sample: on the line between the two rows.

    eps (B,) or (B, 1) (Gulrajani et al., 2017).
    """
    _alike("interpolate", real, fake=fake)
    eps = _per_sample("interpolate", "eps", eps, real)
    return eps * real + (1 - eps) * fake


def perturb(real: Tensor, noise: Tensor, u: Tensor, *, scale: float = 0.5) -> Tensor:
    """x_hat = x + u scale std(x) noise, rows (B, *), one u ~ U[0, 1] per sample: around the data only, for DRAGAN.

    u (B,) or (B, 1); std(x) is one number for the whole batch; noise (B, *) is centred, N(0, 1) or U[-1, 1], never
    U[0, 1] (Kodali et al., 2017).
    """
    _alike("perturb", real, noise=noise)
    return real + _per_sample("perturb", "u", u, real) * scale * real.std(correction=0) * noise


def _alike(name: str, real: Tensor, **other: Tensor) -> None:
    for argument, rows in other.items():
        if rows.shape != real.shape or real.ndim < 2:
            raise UserError(
                f"{name}: 'real' and '{argument}' must both be (B, *); got {tuple(real.shape)} and {tuple(rows.shape)}."
            )


def _per_sample(name: str, argument: str, values: Tensor, rows: Tensor) -> Tensor:
    """The values (B,) or (B, 1, ...), shaped to multiply the rows."""
    if values.ndim == 0 or len(values) != len(rows) or values.numel() != len(rows):
        raise UserError(
            f"{name}: '{argument}' must hold one number per sample, ({len(rows)},); got {tuple(values.shape)}. "
            "One for the whole batch leaves most of the space unseen; one per entry leaves the line between the rows."
        )
    return values.reshape(-1, *[1] * (rows.ndim - 1))
