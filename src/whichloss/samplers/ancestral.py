"""DDPM's ancestral sampling and DDIM in one formula, on any falling sequence of times."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor

from ..errors import UserError
from ..losses.diffusion import eps_from_x0, learned_variance, posterior_weights, root
from ..rng import Rng
from .langevin import Info

Variance = Literal["small", "large", "learned"]
Denoise = Callable[[Tensor, int], tuple[Tensor, Tensor | None]]


def ancestral(
    denoise: Denoise,
    x: Tensor,
    rng: Rng,
    *,
    abar: Sequence[float],
    times: Sequence[int],
    eta: float = 1.0,
    variance: Variance = "small",
) -> tuple[Tensor, Info]:
    """x_s = sqrt(abar_s) x0 + sqrt(1 - abar_s - tau^2) eps + noise z, tau^2 = eta^2 btilde, through falling `times`.

    denoise(x, t) gives x0 (n, d) and, for variance "learned", the share of `learned_variance` (n, d). eta = 0 is DDIM;
    eta = 1 is DDPM, its noise variance btilde ("small"), beta ("large") or learned. Steps are exact for any times,
    since beta = 1 - abar_t / abar_s; `times` ends at 0, abar[0] = 1, and the last step draws no noise.
    """
    if len(times) < 2 or times[-1] != 0 or any(s >= t for t, s in pairwise(times)):
        raise UserError(f"ancestral: times must fall and end at 0; got {list(times)[:8]}.")
    for k, (t, s) in enumerate(pairwise(times)):
        a, a_s = float(abar[t]), float(abar[s])
        x0, share = denoise(x, t)
        small = posterior_weights(a, a_s)[2]
        tau2 = eta**2 * small
        mean = root(a_s) * x0 + root(1 - a_s - tau2) * eps_from_x0(x0, x, a)
        if s == 0:
            return mean, {"calls": float(len(times) - 1)}
        noise = _noise(variance, eta, tau2, share, a, a_s)
        x = mean + noise**0.5 * rng.normal(k, x.shape)
    raise AssertionError("unreachable: the last time is 0")


def _noise(variance: Variance, eta: float, tau2: float, share: Tensor | None, a: float, a_s: float) -> Tensor | float:
    if eta == 0 or variance == "small":
        return tau2
    if variance == "large":
        return 1 - a / a_s
    if share is None:
        raise UserError("ancestral: variance 'learned' needs denoise(x, t) to return (x0, share); got None.")
    return learned_variance(share, a, a_s)
