"""Langevin sampling: unadjusted, and annealed over a ladder of noise levels."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from ..errors import UserError
from ..rng import Rng

Info = dict[str, Tensor | float]


def langevin(
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    rng: Rng,
    *,
    steps: int,
    step: float,
    noise: float | None = None,
    averaged: bool = False,
) -> tuple[Tensor, Info]:
    """x <- x + step s(x) + noise xi, `steps` times; it samples exp(-E / T), s = -grad E, T = noise^2 / (2 step).

    `noise` defaults to sqrt(2 step): T = 1. On N(0, 1/lam) the variance settles at 1 / (lam (1 - step lam / 2)), stable
    for step lam < 2; `averaged` halves the sum of two successive xi, which makes it 1 / lam (Leimkuhler & Matthews,
    2013). x (n, d); info: the temperature and the mean |s| at the last step.
    """
    if steps < 1:
        raise UserError(f"langevin needs steps >= 1; got steps = {steps}.")
    scale = (2 * step) ** 0.5 if noise is None else noise
    s, xi = x, rng.normal(0, x.shape)
    for k in range(steps):
        s, after = score(x), rng.normal(k + 1, x.shape)
        x = x + step * s + scale * ((xi + after) / 2 if averaged else after)
        xi = after
    return x, {"temperature": scale**2 / (2 * step), "score": s.norm(dim=1).mean()}


def annealed_langevin(
    score: Callable[[Tensor, int], Tensor],
    x: Tensor,
    rng: Rng,
    *,
    sigmas: Sequence[float],
    steps: int,
    denoise: bool = True,
) -> tuple[Tensor, Info]:
    """Langevin at each noise level in turn, then x + sigma^2 s(x) at the last (Song & Ermon, 2019, 2020).

    score(x, i) is the score at sigmas[i] (falling); the step at level i is u sigma_i^2, with the u of `annealed_step`.
    """
    u = annealed_step(sigmas[0] / sigmas[1], steps)
    for i, sigma in enumerate(sigmas):
        x, _ = langevin(lambda x, i=i: score(x, i), x, rng[i], steps=steps, step=u * sigma**2)
    if denoise:
        x = x + sigmas[-1] ** 2 * score(x, len(sigmas) - 1)
    return x, {"step / sigma^2": u, "calls": float(steps * len(sigmas) + denoise)}


def annealed_step(ratio: float, steps: int) -> float:
    """u for which `steps` steps of x <- (1 - u) x + sqrt(2 u) xi take the variance from ratio^2 to 1.

    (1 - u)^(2 steps) (ratio^2 - v) + v = 1, v = 1 / (1 - u / 2) (Song & Ermon, 2020, technique 4). Raises UserError
    where the ratio is not above 1 or no u below 1 is enough.
    """

    def after(u: float) -> float:
        v = 1 / (1 - u / 2)
        return float((1 - u) ** (2 * steps) * (ratio**2 - v) + v)

    # the variance falls with u, then rises again towards v(1) = 2: take the first crossing
    grid = [k / 1000 for k in range(1, 1000)]
    high = next((u for u in grid if after(u) <= 1), None)
    if ratio <= 1 or high is None:
        raise UserError(
            f"a noise ratio of {ratio:.3g} per level cannot be bridged by {steps} Langevin steps: "
            "use more levels or more steps (the ratio must lie above 1)."
        )
    low = high - 1e-3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if after(middle) <= 1 else (middle, high)
    assert math.isclose(after(high), 1, abs_tol=1e-9)
    return high
