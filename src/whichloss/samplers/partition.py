"""log Z of an energy, Z the integral of exp(-E): by a grid in up to 3 dimensions, or between two bounds.

    forward:  x ~ q, annealed to exp(-E):   E[log w] <= log Z,   E[w] = Z
    reverse:  x ~ exp(-E) / Z, back to q:   E[log w] >= log Z,   E[1 / w] = 1 / Z

w is the product over levels of (f_k / f_(k-1))(x), f_k = q^(1 - b_k) exp(-b_k E), x moved between levels by a kernel
that keeps f_k (Neal, 2001; Grosse, Ancha & Roy, 2016). Nothing is adapted while weights are collected.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from ..errors import UserError
from ..rng import Rng
from .langevin import Info
from .tilt import effective, log_mean_exp

Energy = Callable[[Tensor], Tensor]
TARGET = 0.574  # acceptance of the Langevin moves that a pilot run aims at (Roberts & Rosenthal, 1998)
BLOCK = 65_536  # rows of the grid evaluated at once


@dataclass(frozen=True)
class LogZ:
    """log Z in nats, a range for it, and how far to trust them: "exact", "bracketed by g nats", "not trustworthy".

    Bounds are None where there is none. Below them, `says` has the reason of the label and `info` the numbers.
    """

    value: float
    lower: float | None
    upper: float | None
    label: str
    says: str
    info: Info = field(default_factory=dict)


def grid_log_z(
    energy: Energy, low: Sequence[float], high: Sequence[float], *, points: int = 200, tolerance: float = 1e-3
) -> LogZ:
    """log Z by the midpoint rule on a box, d <= 3, points^d cells: exact to many digits where E is smooth.

    Trusted where a grid half as fine and a box wider by half on every side (at cells of the same size) both agree to
    `tolerance`: what is beyond that box is not seen. energy: (n, d) -> (n,) or (n, 1). Raises UserError for more than
    3 columns, a box without inside, and energies that are nan or -inf.
    """
    d = len(low)
    if not 1 <= d <= 3 or len(high) != d:
        raise UserError(f"grid_log_z takes 1 to 3 dimensions; got low {list(low)} and high {list(high)}. Use log_z.")
    if not all(a < b for a, b in zip(low, high, strict=True)) or points < 4:
        raise UserError(f"grid_log_z needs low < high and points >= 4; got {list(low)}, {list(high)}, {points}.")
    value = _midpoints(energy, low, high, points)
    coarse = _midpoints(energy, low, high, points // 2)
    wide = [(b - a) / 2 for a, b in zip(low, high, strict=True)]
    below, above = ([e + sign * w for e, w in zip(end, wide, strict=True)] for sign, end in ((-1, low), (1, high)))
    beyond = _midpoints(energy, below, above, 2 * points)
    fine, outside = abs(value - coarse), abs(beyond - value)
    info: Info = {"half as fine": fine, "wider box": outside, "cells": float(points**d)}
    ok = max(fine, outside) <= tolerance  # False for nan
    says = f"half the points change it by {fine:.2g}, a box twice as wide by {outside:.2g}"
    return LogZ(value, value if ok else None, value if ok else None, "exact" if ok else "not trustworthy", says, info)


@torch.no_grad()
def _midpoints(energy: Energy, low: Sequence[float], high: Sequence[float], points: int) -> float:
    steps = [(b - a) / points for a, b in zip(low, high, strict=True)]
    axes = [a + h * (torch.arange(points).double() + 0.5) for a, h in zip(low, steps, strict=True)]
    total = torch.tensor(-math.inf, dtype=torch.float64)
    cells = points ** len(axes)
    for start in range(0, cells, BLOCK):
        number = torch.arange(start, min(start + BLOCK, cells))
        columns = []
        for axis in reversed(axes):
            columns.append(axis[number % points])
            number = number // points
        e = energy(torch.stack(columns[::-1], dim=1).to(torch.get_default_dtype())).double().reshape(-1)
        if bool((e.isnan() | (e == -math.inf)).any()):
            raise UserError("grid_log_z: an energy on the grid is nan or -inf; energies must be numbers or +inf.")
        total = torch.logaddexp(total, torch.logsumexp(-e, dim=0))
    return float(total) + sum(math.log(h) for h in steps)


def annealed_importance(
    energy: Energy,
    x: Tensor,
    rng: Rng,
    *,
    mean: Tensor,
    sd: Tensor,
    betas: Sequence[float],
    steps: Sequence[float],
    moves: int = 1,
    direction: Literal["forward", "reverse"] = "forward",
) -> tuple[Tensor, Info]:
    """Rows x (n, d) along the levels between q = N(mean, sd^2) and exp(-E); info's log_w (n,) holds their weights.

    betas rise from 0 to 1. Forward starts with rows of q at 0; reverse with rows of exp(-E) / Z at 1. At each inner
    level: `moves` Metropolis-adjusted Langevin steps of length steps[k] in units of sd^2 (Besag, 1994). Proposals of
    an energy that is not finite are refused and counted in info's `refused`; `acceptance` is that of each level.
    Raises UserError where the levels do not rise from 0 to 1, steps do not match them, or a start is not finite.
    """
    if betas[0] != 0 or betas[-1] != 1 or any(a >= b for a, b in pairwise(betas)):
        raise UserError(f"annealed_importance: betas must rise from 0 to 1; got {list(betas)[:6]} ...")
    if len(steps) != len(betas) or not all(h > 0 for h in steps):
        raise UserError(f"annealed_importance needs a step > 0 for each of {len(betas)} betas; got {list(steps)[:6]}.")
    chain = _Chain.of(energy, x, mean, sd)
    log_w, rates, refused = chain.u.new_zeros(len(x)), [], 0.0
    order = list(range(1, len(betas))) if direction == "forward" else list(range(len(betas) - 1, 0, -1))
    for k in order:
        log_w = log_w + (betas[k] - betas[k - 1]) * (chain.prior() - chain.u)
        level = k if direction == "forward" else k - 1
        if 0 < level < len(betas) - 1:
            for j in range(moves):
                rate, bad = chain.move(betas[level], steps[level], rng[k][j])
                rates.append(rate)
                refused += bad
    acceptance = torch.tensor(rates).reshape(-1, max(moves, 1)).mean(dim=1)
    return chain.x(), {"log_w": log_w, "acceptance": acceptance, "refused": refused / max(1, len(rates))}


@dataclass
class _Chain:
    """Rows in the units of q, z = (x - mean) / sd, with their energy u = E(x) - log det(sd) and its gradient."""

    energy: Energy
    mean: Tensor
    sd: Tensor
    z: Tensor
    u: Tensor
    grad: Tensor

    @staticmethod
    def of(energy: Energy, x: Tensor, mean: Tensor, sd: Tensor) -> "_Chain":
        chain = _Chain(energy, mean, sd, (x - mean) / sd, x[:, 0], x)
        chain.u, chain.grad = chain.at(chain.z)
        bad = int((~torch.isfinite(chain.u)).sum())
        if bad:
            raise UserError(f"{bad} of {len(x)} rows start where the energy is not finite; start where it is.")
        return chain

    def at(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Energy and gradient in z."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            u = self.energy(self.mean + self.sd * z).reshape(len(z)) - self.sd.log().sum()
            (slope,) = torch.autograd.grad(u.sum(), z)
        return u.detach(), slope

    def prior(self) -> Tensor:
        """-log N(z; 0, I) (n,)."""
        return 0.5 * (self.z**2 + math.log(2 * math.pi)).sum(dim=1)

    def x(self) -> Tensor:
        return self.mean + self.sd * self.z

    def move(self, beta: float, h: float, rng: Rng) -> tuple[float, float]:
        """One Metropolis-adjusted Langevin step on (1 - b) |z|^2 / 2 + b u; (acceptance, share refused)."""
        drift = self.z - h * ((1 - beta) * self.z + beta * self.grad)
        z = drift + math.sqrt(2 * h) * rng.normal("xi", self.z.shape)
        u, grad = self.at(z)
        finite = torch.isfinite(u) & torch.isfinite(grad).all(dim=1)
        back = z - h * ((1 - beta) * z + beta * grad)
        gain = (1 - beta) * (self.z**2 - z**2).sum(dim=1) / 2 + beta * (self.u - u)
        paths = ((z - drift) ** 2 - (self.z - back) ** 2).sum(dim=1) / (4 * h)
        accept = finite & (rng.uniform("accept", u.shape).log() < gain + paths)
        keep = accept[:, None]
        self.z, self.grad = torch.where(keep, z, self.z), torch.where(keep, grad, self.grad)
        self.u = torch.where(accept, u, self.u)
        return float(accept.double().mean()), float((~finite).double().mean())


def pilot_steps(
    energy: Energy, x: Tensor, rng: Rng, *, mean: Tensor, sd: Tensor, betas: Sequence[float], tries: int = 4
) -> list[float]:
    """A step for every level from a run of its own: from level to level, pulled `tries` times to an acceptance of .574.

    To be used with other draws than these: a step that followed the chain it moves would spoil the weights.
    """
    chain, h, steps = _Chain.of(energy, x, mean, sd), 0.5, []
    for k, beta in enumerate(betas):
        for j in range(tries):
            rate, _ = chain.move(beta, h, rng[k][j])
            h = min(h * math.exp(rate - TARGET), 1.0)
        steps.append(h)
    return steps


def log_z(
    energy: Energy,
    rng: Rng,
    *,
    mean: Tensor,
    sd: Tensor,
    samples: Tensor | None = None,
    chains: int = 500,
    levels: int = 100,
    moves: int = 1,
    widest: float = 3.0,
    fewest: float = 20.0,
) -> LogZ:
    """log Z by annealed importance sampling from N(mean, sd^2), forward and, from `samples`, in reverse.

    With the estimates F = log mean w of forward chains and R = -log mean 1/w of reverse ones, E[F] <= log Z <= E[R],
    and by Markov's inequality F > log Z + t has a probability below exp(-t), R < log Z - t likewise. The bracket is
    [F - 2 se, R + 2 se], se^2 = 1 / ess - 1 / n; the value is Bennett's (1976) from both, or F alone. samples (m, d):
    independent rows of exp(-E) / Z, exact or from long converged chains: the upper end is as good as they are. Levels
    b_k = (k / levels)^2; steps come from a pilot run. "not trustworthy": no samples, fewer than `fewest` effective
    chains either way, a bracket wider than `widest` nats, or a lower end above the upper end, which shows that the
    samples follow another law. Raises UserError for numbers out of range and rows that start at an infinite energy.
    """
    if min(chains, levels) < 2 or moves < 1 or (samples is not None and len(samples) < 2):
        raise UserError(
            "log_z needs chains, levels >= 2, moves >= 1 and 2 samples or none; "
            f"got {chains}, {levels}, {moves}, {None if samples is None else len(samples)}."
        )
    if not isinstance(mean, Tensor) or not isinstance(sd, Tensor):
        raise UserError(f"log_z: mean and sd must be tensors (d,); got {type(mean).__name__} and {type(sd).__name__}.")
    betas = [(k / levels) ** 2 for k in range(levels + 1)]
    start = mean + sd * rng.normal("pilot", (min(chains, 100), len(mean)))
    steps = pilot_steps(energy, start, rng["pilot"], mean=mean, sd=sd, betas=betas)

    def run(x: Tensor, name: Literal["forward", "reverse"]) -> tuple[Tensor, Tensor]:
        _, info = annealed_importance(
            energy, x, rng[name], mean=mean, sd=sd, betas=betas, steps=steps, moves=moves, direction=name
        )
        return torch.as_tensor(info["log_w"]).double(), torch.as_tensor(info["acceptance"])

    there, rates = run(mean + sd * rng.normal("start", (chains, len(mean))), "forward")
    forward, lower, ess = _bound(there, 1)
    info: Info = {
        "forward": forward,
        "forward mean": float(there.mean()),  # E[log w] <= log Z, the looser bound
        "forward ess": ess,
        "acceptance": float(rates.min()),  # of the level with the fewest
        "steps": torch.tensor(steps),
    }
    if samples is None:
        says = "no samples of the law, so there is only a lower bound; a mode that no chain has found is missing"
        return LogZ(forward, lower, None, "not trustworthy", says, info)
    back, _ = run(samples, "reverse")
    reverse, upper, ess_back = _bound(back, -1)
    info |= {"reverse": reverse, "reverse mean": float(back.mean()), "reverse ess": ess_back}
    value, gap, says = bennett(there, back), upper - lower, ""
    if gap < 0:
        says = f"the lower end {lower:.3f} is above the upper end {upper:.3f}: the samples follow another law"
    elif min(ess, ess_back) < fewest:
        says = f"{ess:.0f} effective chains forward and {ess_back:.0f} in reverse; take more levels or chains"
    elif gap > widest:
        says = f"the bracket is {gap:.2g} nats wide; take more levels, or start nearer to the law"
    label = "not trustworthy" if says else f"bracketed by {gap:.2g} nats"
    return LogZ(value, lower, upper, label, says or "if the samples follow the law", info)


def _bound(log_w: Tensor, sign: int) -> tuple[float, float, float]:
    """sign log mean exp(sign log w), the same less or more 2 standard errors, and the effective number of weights."""
    middle, ess = sign * float(log_mean_exp(sign * log_w)), float(effective(sign * log_w))
    return middle, middle - sign * 2 * max(0.0, 1 / ess - 1 / len(log_w)) ** 0.5, ess


def bennett(there: Tensor, back: Tensor) -> float:
    """log Z from forward log-weights (n,) and reverse ones (m,): the root c of

        sum_i sigmoid(w_i - c - log n/m) = sum_j sigmoid(c - w_j + log n/m)

    the maximum-likelihood estimate (Bennett, 1976; Shirts et al., 2003), by bisection.
    """
    shift = math.log(len(there) / len(back))
    low = float(torch.minimum(there.min(), back.min())) - abs(shift) - 50
    high = float(torch.maximum(there.max(), back.max())) + abs(shift) + 50
    for _ in range(100):
        c = (low + high) / 2
        more = torch.sigmoid(there - c - shift).sum() > torch.sigmoid(c - back + shift).sum()
        low, high = (c, high) if more else (low, c)
    return (low + high) / 2
