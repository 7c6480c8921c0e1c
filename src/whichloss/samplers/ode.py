"""Ordinary differential equations: Euler, Heun, and the log-density of what they transport."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.func import vjp

from ..errors import UserError
from ..rng import Rng
from .langevin import Info

Field = Callable[[Tensor, float], Tensor]


def ode(
    velocity: Field, x: Tensor, *, times: Sequence[float], method: Literal["euler", "heun"] = "heun"
) -> tuple[Tensor, Info]:
    """dx/dt = u(x, t) from times[0] to times[-1]; x (n, d). Nothing is drawn, so there is no rng.

    Euler: x + h u(x, t), order 1. Heun: x + h/2 (u(x, t) + u(x + h u(x, t), t + h)), order 2, two calls a step.
    """
    if method not in ("euler", "heun"):
        raise UserError(f"ode: method must be 'euler' or 'heun'; got '{method}'.")
    for t, after in pairwise(times):
        h, u = after - t, velocity(x, t)
        x = x + h * (u if method == "euler" else (u + velocity(x + h * u, after)) / 2)
    return x, {"calls": float((len(times) - 1) * (1 + (method == "heun")))}


def with_divergence(field: Field, x: Tensor, t: float, probes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """u(x, t) (n, d) and its exact divergence sum_j du_j/dx_j (n,): d vector-Jacobian products; rows must not mix.

    probes (k, d): k unbiased estimates v' (du/dx) v instead (n, k), if E v v' = I (Hutchinson, 1989): k products.
    """
    u, pull = vjp(lambda x: field(x, t), x)  # type: ignore[misc]  # its stub counts an aux output
    if probes is not None:
        return u, torch.stack([(pull(v.expand_as(u))[0] * v).sum(1) for v in probes.to(u)], dim=1)
    divergence = torch.zeros_like(u[:, 0])
    for j in range(x.shape[1]):
        e = torch.zeros_like(u)
        e[:, j] = 1
        divergence = divergence + pull(e)[0][:, j]
    return u, divergence


def ode_log_density(
    velocity: Field,
    x: Tensor,
    *,
    times: Sequence[float],
    log_prior: Callable[[Tensor], Tensor],
    method: Literal["heun", "rk4"] = "heun",
    probes: Tensor | None = None,
) -> Tensor:
    """log p(x) = log p_prior(x(end)) + int div u dt along the path from the rows x (n, d) at times[0]: (n,), nats.

    For x and the integral alike (Chen et al., 2018). `times` runs from the data to the prior. rk4, of order 4 and no
    dearer, goes two equal intervals at once by way of the time between them; an odd last one is left to Heun.
    probes (k, d) of random signs: k unbiased estimates (n, k), each with the same signs all along (Grathwohl et al.,
    2019); their spread is what the mean is uncertain by.
    """

    def field(x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        return with_divergence(velocity, x, t, probes)

    log = x.new_zeros(len(x)) if probes is None else x.new_zeros(len(x), len(probes))
    if method == "rk4":
        for k in range(0, len(times) - 2, 2):
            t, between, after = times[k : k + 3]
            h = after - t
            u, div = field(x, t)
            parts = [(u / 6, div / 6)]
            for reach, weight, at in ((h / 2, 1 / 3, between), (h / 2, 1 / 3, between), (h, 1 / 6, after)):
                u, div = field(x + reach * u, at)
                parts.append((weight * u, weight * div))
            x, log = x + h * sum(p[0] for p in parts), log + h * sum(p[1] for p in parts)
        times = times[(len(times) - 1) // 2 * 2 :]
    for t, after in pairwise(times):
        h = after - t
        u, div = field(x, t)
        u_after, div_after = field(x + h * u, after)
        x, log = x + h / 2 * (u + u_after), log + h / 2 * (div + div_after)
    prior = log_prior(x)
    return prior + log if probes is None else prior[:, None] + log


def signs(probes: int, dim: int) -> Tensor | None:
    """(probes, dim) of -1 and 1, always the same ones, so that rows are compared alike; None for 0 probes."""
    if not probes:
        return None
    return 2.0 * (Rng.of(0)["probes"].uniform("signs", (probes, dim)) < 0.5) - 1.0


def standard_normal(x: Tensor) -> Tensor:
    """log N(x; 0, I) per row (n,)."""
    return -0.5 * (x**2 + math.log(2 * math.pi)).sum(dim=1)
