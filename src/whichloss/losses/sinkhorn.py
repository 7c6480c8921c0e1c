"""The Sinkhorn divergence of two samples: entropic optimal transport without its bias, never holding n x m numbers.

    OT_eps(P, Q) = min over plans pi of E_pi |x - y|^p + eps KL(pi || P x Q),    eps = p blur^p
                 = max over f, g of E_P f + E_Q g,    f(x) = -eps log E_{y ~ Q} exp((g(y) - |x - y|^p) / eps)
    S(P, Q)      = OT_eps(P, Q) - OT_eps(P, P) / 2 - OT_eps(Q, Q) / 2

The maximum is found by letting f reply to g and g to f by turns (Sinkhorn's algorithm, in logarithms), first at a large
blur that shrinks, then at the wanted one, where the last sweeps are extrapolated (Anderson, 1965).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ..errors import UserError
from ._sets import mass, need_power, need_sets

BLOCK = 1 << 17  # pairs held at once: 1 MB, it stays in the cache
CLOSE = 3e-3  # of the divergence: what it may miss is about the misplaced mass times OT_eps; 1 % is promised
SETTLED = 1e-5  # misplaced mass with which any answer is good, at equal laws too, where the divergence is 0
MOST_SWEEPS = 2000
MEMORY = 20  # sweeps that an extrapolation looks back on


@dataclass(frozen=True, eq=False)
class _Law:
    """Points (n, d) with masses (n,)."""

    points: Tensor
    mass: Tensor


@dataclass(frozen=True)
class _Cost:
    """|x - y|^p, and the price of entropy that goes with a blur."""

    p: float
    blur: float

    @property
    def eps(self) -> float:
        return float(self.p * self.blur**self.p)

    def blocks(self, x: Tensor, law: _Law, g: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """By blocks of x: (r, m) |x - y|^p, and log mass + (g - |x - y|^p) / eps; both may be overwritten."""
        y, height = law.points, law.mass.log() + g / self.eps
        y_squares, rows = y.square().sum(1), max(1, BLOCK // len(y))
        for i in range(0, len(x), rows):
            part = x[i : i + rows]
            if self.p == 2:
                power = torch.addmm(y_squares, part, y.T, alpha=-2).add_(part.square().sum(1, keepdim=True))
            else:  # a root would make 1e-8 of the rounding of that sum, where a point meets itself
                power = torch.cdist(part, y, compute_mode="donot_use_mm_for_euclid_dist").pow_(self.p)
            yield slice(i, i + rows), power, torch.add(height, power.clamp_(min=0), alpha=-1 / self.eps)

    def reply(self, x: Tensor, law: _Law, g: Tensor) -> Tensor:
        """f(x) = -eps log E_y exp((g(y) - |x - y|^p) / eps), the best price of every x against prices g of y."""
        f = torch.empty_like(x[:, 0])
        for rows, _, exponent in self.blocks(x, law, g):
            top = exponent.amax(1, keepdim=True)
            f[rows] = exponent.sub_(top).exp_().sum(1).log_().add_(top[:, 0]).mul_(-self.eps)
        return f

    def pull(self, x: Tensor, law: _Law, g: Tensor) -> Tensor:
        """The gradient of f(x), (n, d): the mean of p |x - y|^(p-2) (x - y) over the plan's row of x."""
        pulled = torch.empty_like(x)
        for rows, power, exponent in self.blocks(x, law, g):
            row = exponent.softmax(1)
            if self.p != 2:
                row.mul_(torch.where(power > 0, power.pow_(1 - 2 / self.p), 0))
            pulled[rows] = self.p * (x[rows] * row.sum(1, keepdim=True) - row @ law.points)
        return pulled


def _alone(law: _Law, cost: _Cost) -> Tensor:
    """f of a law against itself, where f = g: the mean of f and its reply at least halves the error."""
    f = torch.zeros_like(law.mass)
    for _ in range(MOST_SWEEPS):
        reply = cost.reply(law.points, law, f)
        far = float((reply - f).abs().max())
        f = (f + reply) / 2
        if not far > 1e-6 * cost.eps:
            break
    return f


def _extrapolated(reached: list[Tensor], moved: list[Tensor]) -> Tensor:
    """Where sweeps that moved so far and reached there would end if each were linear in the last (Anderson, 1965)."""
    if len(moved) < 2:
        return reached[-1]
    moves, ends = torch.stack(moved).diff(dim=0), torch.stack(reached).diff(dim=0)
    gram = moves @ moves.T
    gram.diagonal().add_(1e-10 * gram.trace() + 1e-300)
    back: Tensor = torch.linalg.solve(gram, moves @ moved[-1]) @ ends
    return reached[-1] - back


def _together(x: _Law, y: _Law, cost: _Cost, scaling: float, own: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """f and g of the two laws; `own` are those of each law alone, the answer where the laws are equal."""

    def gain(f: Tensor, g: Tensor) -> float:
        return float(x.mass @ f + y.mass @ g)

    base, g = gain(*own), _annealed(x, y, cost, scaling)
    f = cost.reply(x.points, y, g)
    alike = cost.reply(x.points, y, own[1])
    if gain(alike, own[1]) > gain(f, g):
        f, g = alike, own[1]
    best, reached, moved = -torch.inf, list[Tensor](), list[Tensor]()
    for _ in range(MOST_SWEEPS):
        value = gain(f, g)
        if value < best - 1e-12 * abs(best) and reached:  # a sweep never loses: the extrapolation did
            g, reached, moved = reached[-1], [], []
            f, best = cost.reply(x.points, y, g), -torch.inf
            continue
        best, reply = value, cost.reply(y.points, x, f)
        reached, moved = [*reached[-MEMORY:], reply], [*moved[-MEMORY:], reply - g]
        ahead = _extrapolated(reached, moved)
        missing = float((y.mass * torch.expm1((g - reply) / cost.eps)).abs().sum())  # mass put at wrong places of y
        if missing <= SETTLED or missing * value <= CLOSE * (value - base):
            return f, reply
        g, f = ahead, cost.reply(x.points, y, ahead)
    raise UserError(
        f"sinkhorn_divergence: not within 1 % after {MOST_SWEEPS} sweeps at blur {cost.blur:g}. A blur of some "
        "hundredths of the points' spread converges; for less, use earth_movers on small sets or sliced_wasserstein."
    )


def _annealed(x: _Law, y: _Law, cost: _Cost, scaling: float) -> Tensor:
    """g after one sweep at every blur, from the distance of typical points down to the wanted one."""
    means = x.mass @ x.points, y.mass @ y.points
    spread = [law.mass @ (law.points - mean).square().sum(1) for law, mean in zip((x, y), means, strict=True)]
    blur = float((spread[0] + spread[1] + (means[0] - means[1]).square().sum()).sqrt())
    g = torch.zeros_like(y.mass)
    while blur > cost.blur:
        at = _Cost(cost.p, blur)
        g = at.reply(y.points, x, at.reply(x.points, y, g))
        blur *= scaling
    return g


class _Divergence(torch.autograd.Function):
    """The value, with gradients by the envelope theorem: f and g are best, so they stay as they are."""

    @staticmethod
    def forward(
        x: Tensor, y: Tensor, a: Tensor, b: Tensor, cost: _Cost, scaling: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        one, two = _Law(x, a), _Law(y, b)
        own = _alone(one, cost), _alone(two, cost)
        f, g = _together(one, two, cost, scaling, own)
        return a @ (f - own[0]) + b @ (g - own[1]), f, g, *own

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, ctx.cost, _ = inputs  # type: ignore[attr-defined]
        ctx.save_for_backward(*tensors, *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, slope: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        gradients = _Slopes.apply(ctx.cost, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return *(slope * one for one in gradients), None, None


class _Slopes(torch.autograd.Function):
    """The four gradients. They have none themselves: f and g would move, so a second derivative is refused."""

    @staticmethod
    def forward(
        cost: _Cost, x: Tensor, y: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, f_own: Tensor, g_own: Tensor
    ) -> tuple[Tensor, ...]:
        one, two = _Law(x, a), _Law(y, b)
        to_x = cost.pull(x, two, g).sub_(cost.pull(x, one, f_own)).mul_(a[:, None])
        to_y = cost.pull(y, one, f).sub_(cost.pull(y, two, g_own)).mul_(b[:, None])
        return to_x, to_y, f - f_own, g - g_own

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Nothing is needed."""

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> None:
        raise UserError(
            "sinkhorn_divergence has a gradient but no second derivative; use sliced_wasserstein where one is needed."
        )


def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    *,
    blur: float = 0.05,
    p: float = 2,
    scaling: float = 0.9,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
) -> Tensor:
    """S = OT_eps(P, Q) - OT_eps(P, P) / 2 - OT_eps(Q, Q) / 2 at eps = p blur^p, cost |x - y|^p, within 1 %.

    x (n, d), y (m, d), weights (n,) and (m,); `blur` is a length in the points' units, `scaling` the factor by which it
    shrinks. W_p^p as blur -> 0; |mean - mean'|^2 as blur -> infinity (p = 2); 1 / p of it in geomloss, whose cost is
    |x - y|^p / p. First derivatives to points and weights, also under torch.func.grad; not under vmap. Computed in
    float64. UserError for other shapes, bad numbers, or no convergence. Source: Feydy et al. (2019).
    """
    loss = "sinkhorn_divergence"
    need_power(loss, p)
    need_sets(loss, x, y)
    if not 0 < blur < math.inf or not 0 < scaling < 1:
        raise UserError(f"{loss}: blur must be positive and scaling between 0 and 1; got {blur} and {scaling}.")
    if not bool(x.isfinite().all()) or not bool(y.isfinite().all()):
        raise UserError(f"{loss}: a point is nan or infinite; leave it out.")
    middle = (x.detach().double().mean(0) + y.detach().double().mean(0)) / 2  # squares lose no digits near 0
    points = x.double() - middle, y.double() - middle
    masses = mass(loss, "x_weights", x_weights, points[0]), mass(loss, "y_weights", y_weights, points[1])
    found = _Divergence.apply(*points, *masses, _Cost(p, blur), scaling)  # type: ignore[no-untyped-call]
    value: Tensor = found[0]
    return value.to(x.dtype)
