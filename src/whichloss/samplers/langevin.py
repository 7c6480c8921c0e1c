"""Langevin sampling: unadjusted, and annealed over a ladder of noise levels."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
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
    limit: float | None = None,
) -> tuple[Tensor, Info]:
    """x <- x + step s(x) + noise xi, `steps` times; it samples exp(-E / T), s = -grad E, T = noise^2 / (2 step).

    `noise` defaults to sqrt(2 step): T = 1. On N(0, 1/lam) the variance settles at 1 / (lam (1 - step lam / 2)), stable
    for step lam < 2; `averaged` halves the sum of two successive xi, which makes it 1 / lam (Leimkuhler & Matthews,
    2013). `limit` shortens a drift step |s| to at most `limit` times the noise's length, noise sqrt(d), so that far
    from the modes no step flies off (the truncated drift of Roberts & Tweedie, 1996). x (B, ...), d numbers a row.
    Info: the temperature, the mean |s| at the last step and the share of rows whose drift was shortened there.
    """
    if not isinstance(step, Tensor) and not step > 0:  # lanes search over a tensor of them
        raise UserError(f"langevin needs step > 0; got step = {step}.")
    if steps < 1:
        raise UserError(f"langevin needs steps >= 1; got steps = {steps}.")
    scale = (2 * step) ** 0.5 if noise is None else noise
    longest = torch.inf if limit is None else limit * scale * x.shape[1:].numel() ** 0.5 / step
    size, before = x, rng.normal(0, x.shape).to(x) if averaged else x
    for k in range(steps):
        s, xi = score(x), rng.normal(k + 1, x.shape).to(x)
        if limit is not None or k == steps - 1:  # a norm costs as much as a small step
            size = s.reshape(len(s), -1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))
        if limit is not None:
            s = s * (longest / size.clamp(min=longest))
        if averaged:
            before, xi = xi, (before + xi) / 2
        x = plus(plus(x, s, step), xi, scale)
    return x, {
        "temperature": scale**2 / (2 * step),
        "score": size.mean(),
        "shortened": (size > longest).float().mean(),
    }


def plus(x: Tensor, y: Tensor, a: Tensor | float) -> Tensor:
    """x + a y in one pass over memory, which is half the time of a cheap step."""
    return torch.addcmul(x, y, a) if isinstance(a, Tensor) else torch.add(x, y, alpha=a)


def annealed_langevin(
    score: Callable[[Tensor, int], Tensor],
    x: Tensor,
    rng: Rng,
    *,
    sigmas: Sequence[float],
    steps: int,
    step: float = 0.8,
    averaged: bool = True,
) -> tuple[Tensor, Info]:
    """`steps` Langevin steps of length step sigma_i^2 at each level, then x + sigma^2 s(x) at the last.

    score(x, i) is the score at sigmas[i], falling (Song & Ermon, 2019, 2020). Where sigma_i exceeds the data's width
    the law has variance sigma_i^2, so `averaged` noise settles at it exactly for step < 2; without it, at
    sigma_i^2 / (1 - step / 2). Raises UserError where the levels do not fall.
    """
    if any(b >= a for a, b in pairwise(sigmas)):
        raise UserError(f"annealed_langevin: sigmas must fall; got {list(sigmas)[:8]}.")
    for i, sigma in enumerate(sigmas):
        length = step * sigma**2
        x, _ = langevin(partial(_at_level, score, i), x, rng[i], steps=steps, step=length, averaged=averaged)
    x = x + sigmas[-1] ** 2 * score(x, len(sigmas) - 1)
    return x, {"temperature": 1.0, "calls": float(steps * len(sigmas) + 1)}


def _at_level(score: Callable[[Tensor, int], Tensor], i: int, x: Tensor) -> Tensor:
    return score(x, i)
