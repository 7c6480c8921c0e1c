"""Optimal transport of samples and of Gaussians: losses of whole sets, (n, d) against (m, d), as 0-d tensors.

    W_p^p(P, Q) = min over plans pi with marginals P and Q of E_pi |x - y|^p

Every function returns W_p^p, without the p-th root: at equal laws the root's slope is infinite, W_p^p's is 0. Weights
are non-negative, one per point, and are divided by their sum; without them all points weigh the same.
"""

import importlib
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, cast

import numpy as np
import torch
from scipy import sparse
from scipy.optimize import linear_sum_assignment, linprog
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ..errors import UserError
from ._sets import mass, need_power, need_real, need_sets, uniform_levels

BLOCK = 800_000  # projected numbers held at once: 16 directions of 50,000 points
TILE = 100_000  # of these, how many are sorted at once
LARGE = 256  # points from which POT, where it is installed, solves instead of scipy
MOST_PAIRS = 1 << 18  # of a linear programme; without POT more take minutes and gigabytes


def _order(values: Tensor) -> Tensor:
    """The places that sort the last axis; numpy's vectorised sort is several times quicker than torch's."""
    if values.is_cpu and values.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.argsort(values.detach().numpy(), axis=-1))
    return values.argsort(dim=-1)


def _ascending(values: Tensor) -> Tensor:
    """The sorted values of the last axis, without a gradient."""
    if values.is_cpu and values.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.sort(values.detach().numpy(), axis=-1))
    return values.sort(dim=-1).values.contiguous()


# As operators they can be traced and mapped: the last axis stays last whatever axis is mapped over.
_library = torch.library.Library("whichloss", "FRAGMENT")
for _name, _sort, _dtype in (("order", _order, torch.int64), ("ascending", _ascending, None)):
    _library.define(f"{_name}(Tensor values) -> Tensor")
    _library.impl(_name, _sort, "CompositeExplicitAutograd")
    _library.impl(_name, torch.library.fallthrough_kernel, "Autograd")
    _library._register_fake(
        _name, lambda values, dtype=_dtype: torch.empty(values.shape, dtype=dtype or values.dtype, device=values.device)
    )
    torch.library.register_vmap(
        f"whichloss::{_name}",
        lambda info, dims, values, name=_name: (getattr(torch.ops.whichloss, name)(values.movedim(dims[0], 0)), 0),
        lib=_library,
    )


def _levels(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same for sorted weights a (n,) and b (m,); differentiable in them."""
    up, across = a.double().cumsum(0), b.double().cumsum(0)
    up, across = up / up[-1], across / across[-1]  # both end at exactly 1
    edges = torch.cat([up, across]).sort().values
    places = [torch.searchsorted(c.detach(), edges.detach()).clamp(max=len(c) - 1) for c in (up, across)]
    return edges.diff(prepend=edges.new_zeros(1)), places[0], places[1]


def wasserstein_1d(
    x: Tensor, y: Tensor, *, p: float = 1, x_weights: Tensor | None = None, y_weights: Tensor | None = None
) -> Tensor:
    """W_p^p on the line, exactly: int_0^1 |F^-1(u) - G^-1(u)|^p du, quantiles against quantiles.

    x (n,), y (m,), weights (n,) and (m,). Its gradient moves sorted points towards their partners, and passes to the
    weights; where points coincide it is 0. UserError for other shapes, bad weights or p < 1.
    Source: Vallender (1974), for p = 1; Villani (2003), theorem 2.18.
    """
    loss = "wasserstein_1d"
    need_power(loss, p)
    need_real(loss, x, y)
    if x.ndim != 1 or y.ndim != 1 or not len(x) or not len(y):
        raise UserError(
            f"{loss}: 'x' must be (n,) and 'y' (m,), at least one number each; got {tuple(x.shape)} and "
            f"{tuple(y.shape)}. Use earth_movers or sliced_wasserstein for points of more than one column."
        )
    i, j = torch.ops.whichloss.order(x), torch.ops.whichloss.order(y)
    x, y = x[i], y[j].to(x.dtype)
    if x_weights is None and y_weights is None:
        if len(x) == len(y):
            return _raised(x - y, p).mean()
        weights, at_x, at_y = (torch.from_numpy(one).to(x.device) for one in uniform_levels(len(x), len(y)))
    else:
        a, b = mass(loss, "x_weights", x_weights, x)[i], mass(loss, "y_weights", y_weights, y)[j]
        weights, at_x, at_y = _levels(a, b)
    value: Tensor = weights.to(x.dtype) @ _raised(x[at_x] - y[at_y], p)
    return value


def _raised(gap: Tensor, p: float) -> Tensor:
    """|gap|^p, as a square where it is one: twice differentiable at 0 too."""
    return gap.square() if p == 2 else gap.abs().pow(p)


def _distances(x: Tensor, y: Tensor, p: float) -> Tensor:
    """|x_i - y_i|^p of rows; slope 0 where they coincide."""
    gap = x - y
    return gap.square().sum(-1) if p == 2 else torch.linalg.vector_norm(gap, dim=-1).pow(p)


def _costs(x: Tensor, y: Tensor, p: float) -> np.ndarray:
    """|x_i - y_j|^p of all pairs (n, m), in float64; UserError where one is not finite."""
    distance = torch.cdist(x.detach().double(), y.detach().double(), compute_mode="donot_use_mm_for_euclid_dist")
    cost = distance.pow_(p).cpu().numpy()
    if not np.isfinite(cost).all():
        raise UserError("earth_movers: a distance is not finite; leave out points that are nan, infinite or too far.")
    return cost


def _pot(n: int, m: int) -> Any:
    """The module of POT where it is installed and the problem is worth its import, else None."""
    return importlib.import_module("ot") if max(n, m) >= LARGE and find_spec("ot") else None


def _solve(cost: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best plan (n, m) between masses a and b, and its prices: f_i + g_j <= cost_ij, equal where the plan is not 0.

    UserError where it is too large for the linear programme and POT is not installed.
    """
    n, m = cost.shape
    scale = max(float(cost.max()), 1e-300)  # the solvers' tolerances are absolute
    if pot := _pot(n, m):
        plan, log = pot.lp.emd(a, b, cost / scale, numItermax=10_000_000, log=True)
        return plan, *_tight(cost, scale * log["v"], b)
    if n * m > MOST_PAIRS:
        raise UserError(
            f"earth_movers: {n} x {m} pairs are too many for a linear programme (at most {MOST_PAIRS}). Install the "
            "optional POT (pip install 'whichloss[ot]'), or take equal sizes without weights, or sliced_wasserstein."
        )
    rows = sparse.kron(sparse.eye_array(n), np.ones((1, m)))
    columns = sparse.kron(np.ones((1, n)), sparse.eye_array(m))
    found = linprog(cost.ravel() / scale, A_eq=sparse.vstack([rows, columns]), b_eq=np.concatenate([a, b]))
    if not found.success:
        raise UserError(f"earth_movers: the linear programme found no plan ({found.message}).")
    return found.x.reshape(n, m), *_tight(cost, scale * found.eqlin.marginals[n:], b)


def _tight(cost: np.ndarray, g: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prices from those of the columns with mass: allowed and as high as they can be at every point (c-transforms)."""
    held = b > 0  # a column without mass has a price that means nothing
    f = (cost[:, held] - g[held]).min(axis=1)
    return f, (cost - f[:, None]).min(axis=0)


def earth_movers(
    x: Tensor, y: Tensor, *, x_weights: Tensor | None = None, y_weights: Tensor | None = None, p: float = 1
) -> tuple[Tensor, Tensor]:
    """W_p^p in any dimension, exactly, and a best plan: min over pi of sum_ij pi_ij |x_i - y_j|^p.

    x (n, d), y (m, d), weights (n,) and (m,); the value is 0-d, the plan (n, m) sums to 1 and has no gradient. The
    value's gradient is the plan's own (envelope theorem: the plan is best, so moving it changes nothing to first
    order); to the weights it is the dual's prices. Cost grows as n^3, memory as n m: for some thousand points.
    UserError for other shapes, bad weights, p < 1 or too many points. Source: Kantorovich (1942).
    """
    loss = "earth_movers"
    need_power(loss, p)
    need_sets(loss, x, y)
    y = y.to(x.dtype)
    cost = _costs(x, y, p)
    if x_weights is None and y_weights is None and len(x) == len(y) and _pot(len(x), len(y)) is None:
        i, j = linear_sum_assignment(cost)  # a best plan of equal uniform weights is a matching (Birkhoff)
        matched, partners = torch.from_numpy(i).to(x.device), torch.from_numpy(j).to(x.device)
        plan = x.new_zeros(len(x), len(y)).index_put((matched, partners), x.new_tensor(1 / len(x)))
        return _distances(x[matched], y[partners], p).mean(), plan
    a, b = mass(loss, "x_weights", x_weights, x), mass(loss, "y_weights", y_weights, y)
    solved = _solve(cost, _numbers(a), _numbers(b))
    full, f, g = (torch.from_numpy(one).to(x) for one in solved)
    i, j = full.nonzero(as_tuple=True)
    value = full[i, j] @ _distances(x[i], y[j], p)
    return value + f @ (a - a.detach()) + g @ (b - b.detach()), full


def _numbers(mass: Tensor) -> np.ndarray:
    """Mass as float64 that sums to 1 as exactly as float64 can."""
    exact = mass.detach().double().cpu().numpy()
    return cast(np.ndarray, exact / exact.sum())


def dual(
    x: Tensor, y: Tensor, *, x_weights: Tensor | None = None, y_weights: Tensor | None = None, p: float = 1
) -> tuple[Tensor, Tensor]:
    """Kantorovich's prices f (n,), g (m,): max of sum a f + sum b g where f_i + g_j <= |x_i - y_j|^p; no gradient.

    Shapes and errors as in earth_movers, whose value the maximum is. Only f + c, g - c are determined; here both sides
    earn the same, sum a f = sum b g. At p = 1, f on x and -g on y are one function of slope at most 1: the critic that
    a Wasserstein GAN looks for. Source: Kantorovich & Rubinstein (1958).
    """
    need_power("dual", p)
    need_sets("dual", x, y)
    a = _numbers(mass("dual", "x_weights", x_weights, x))
    b = _numbers(mass("dual", "y_weights", y_weights, y))
    _, f, g = _solve(_costs(x, y, p), a, b)
    shift = (b @ g - a @ f) / 2
    return torch.from_numpy(f + shift).to(x), torch.from_numpy(g - shift).to(y)


class _Sliced(torch.autograd.Function):
    """Mean over directions of W_p^p of projections, some directions at a time; the backward sorts again.

    Sorting values alone is so much quicker than finding their order that a second sort costs less than keeping the
    first one's order, (n, directions), would in memory. Nothing but the inputs is kept. The backward is made of
    differentiable operations, so second derivatives are exact too, with the memory they need.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, y: Tensor, directions: Tensor, p: float) -> Tensor:
        weights, i, j = _sliced_levels(x, y)
        total, most = x.new_zeros(()), max(len(x), len(y))
        for along in _chunks(directions, x, y):
            for a, b in zip(*(_tiles(along @ z.T, most) for z in (x, y)), strict=True):
                a, b = torch.ops.whichloss.ascending(a), torch.ops.whichloss.ascending(b)
                a, b = (a, b) if i is None else (a[:, i], b[:, j])
                total = total + (_raised(a - b, p) @ weights).sum()
        return total / len(directions)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, cast(Any, ctx).p = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, y, directions = ctx.saved_tensors
        weights, i, j = _sliced_levels(x, y)
        levels = weights * (slopes[0] * ctx.p / len(directions)), i, j
        to_x, to_y, to_directions = None, None, []
        for along in _chunks(directions, x, y):
            pairs = zip(*(_tiles(along @ z.T, max(len(x), len(y))) for z in (x, y)), strict=True)
            parts = [list(one) for one in zip(*[_slopes(a, b, *levels, ctx.p) for a, b in pairs], strict=True)]
            del pairs  # and with them the projections, before there is one more copy of as many numbers
            on_y, on_x = torch.cat(parts.pop()), torch.cat(parts.pop())
            if ctx.needs_input_grad[0]:
                to_x = on_x.T @ along if to_x is None else to_x.addmm_(on_x.T, along)
            if ctx.needs_input_grad[1]:
                to_y = on_y.T @ along if to_y is None else to_y.addmm_(on_y.T, along)
            if ctx.needs_input_grad[2]:
                to_directions.append(on_x @ x + on_y @ y)
            del on_x, on_y
        return to_x, to_y, torch.cat(to_directions) if to_directions else None, None


def _slopes(
    a: Tensor, b: Tensor, weights: Tensor, i: Tensor | None, j: Tensor | None, p: float
) -> tuple[Tensor, Tensor]:
    """The gradients of W_p^p / p of rows a (r, n) and b (r, m), by operations that can be differentiated again."""
    at_a, at_b = torch.ops.whichloss.order(a.detach()), torch.ops.whichloss.order(b.detach())
    at_a, at_b = (at_a, at_b) if i is None else (at_a[:, i], at_b[:, j])
    gap = a.gather(1, at_a) - b.gather(1, at_b)
    slope = weights * (gap if p == 2 else gap.sign() * gap.abs().pow(p - 1))
    return torch.zeros_like(a).scatter_add(1, at_a, slope), torch.zeros_like(b).scatter_add(1, at_b, -slope)


def _sliced_levels(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Weights of the levels, and the places in sorted x and y; None for equal sizes, where they count up."""
    weights, i, j = (torch.from_numpy(one).to(x.device) for one in uniform_levels(len(x), len(y)))
    return (weights.to(x.dtype), None, None) if len(x) == len(y) else (weights.to(x.dtype), i, j)


def _chunks(directions: Tensor, x: Tensor, y: Tensor) -> Sequence[Tensor]:
    """Some directions at a time: each product reads all points, so few of them are slow and many are large."""
    return cast(Sequence[Tensor], directions.split(max(1, BLOCK // max(len(x), len(y)))))


def _tiles(projected: Tensor, most: int) -> Sequence[Tensor]:
    """Some rows at a time, small enough to be sorted, paired and summed in the cache."""
    return cast(Sequence[Tensor], projected.split(max(1, TILE // most)))


def sliced_wasserstein(x: Tensor, y: Tensor, directions: Tensor, *, p: float = 2) -> Tensor:
    """SW_p^p: the mean over directions u of W_p^p(u'x, u'y), each exact by sorting.

    x (n, d), y (m, d), directions (L, d) of length 1 (metrics.directions draws orthogonal blocks). Gradients pass to
    x, y and directions, any number of times; time n L (d + log n), memory that of the inputs and their gradients.
    UserError for other shapes or p < 1. Source: Rabin, Peyre, Delon & Bernot (2012); Bonneel et al. (2015).
    """
    loss = "sliced_wasserstein"
    need_power(loss, p)
    need_sets(loss, x, y)
    if directions.ndim != 2 or directions.shape[1] != x.shape[1] or not len(directions):
        raise UserError(f"{loss}: 'directions' must be (L, {x.shape[1]}), L at least 1; got {tuple(directions.shape)}.")
    return cast(Tensor, _Sliced.apply(x, y.to(x.dtype), directions.to(x.dtype), p))  # type: ignore[no-untyped-call]


class _Lyapunov(torch.autograd.Function):
    """X with S X + X S = g for symmetric S >= 0 (..., d, d); 0 between directions in which S vanishes."""

    generate_vmap_rule = True

    @staticmethod
    def forward(s: Tensor, g: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(s)
        sums = values.unsqueeze(-1) + values.unsqueeze(-2)
        small = sums.abs() <= 1e-12 * values.abs().amax(-1)[..., None, None]
        inside = vectors.mT @ g @ vectors
        solved: Tensor = vectors @ torch.where(small, 0, inside / torch.where(small, 1, sums)) @ vectors.mT
        return solved

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor]:
        s, solved = ctx.saved_tensors
        back = _lyapunov(s, slopes[0])
        both = back @ solved.mT + solved.mT @ back
        return -(both + both.mT) / 2, back


class _Root(torch.autograd.Function):
    """The symmetric square root R of a matrix >= 0; dR solves R dR + dR R = dA, sound at repeated eigenvalues too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, rounding: float) -> Tensor:
        values, vectors = torch.linalg.eigh(a)
        most = values.abs().amax(-1, keepdim=True)
        roots = torch.where(values <= 1e-12 * most, 0, values.sqrt())
        roots = torch.where(values < -rounding * most, torch.nan, roots)  # a is not >= 0
        root: Tensor = (vectors * roots.unsqueeze(-2)) @ vectors.mT
        return root

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        (root,) = ctx.saved_tensors
        return _lyapunov(root, (slopes[0] + slopes[0].mT) / 2), None


def _lyapunov(s: Tensor, g: Tensor) -> Tensor:
    made: Tensor = _Lyapunov.apply(s, g)  # type: ignore[no-untyped-call]
    return made


def _root(a: Tensor, rounding: float) -> Tensor:
    made: Tensor = _Root.apply((a + a.mT) / 2, rounding)  # type: ignore[no-untyped-call]
    return made


def gaussian_w2(mean: Tensor, cov: Tensor, mean_q: Tensor, cov_q: Tensor) -> Tensor:
    """W_2^2(N(m, A), N(q, B)) = |m - q|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), computed in float64.

    mean (..., d), cov (..., d, d) symmetric and >= 0; one value per leading index. The gradient is 0 at equal laws of
    full rank; in directions in which cov vanishes and cov_q does not, the true slope is -infinity and 1, the trace's,
    is given. nan where a covariance is not >= 0, beyond its dtype's rounding. UserError for other shapes.
    Source: Dowson & Landau (1982); Olkin & Pukelsheim (1982).
    """
    loss = "gaussian_w2"
    need_real(loss, mean, cov, mean_q, cov_q)
    d = mean.shape[-1] if mean.ndim else 0
    if not d or mean_q.shape != mean.shape or {cov.shape, cov_q.shape} != {(*mean.shape, d)}:
        shapes = ", ".join(str(tuple(one.shape)) for one in (mean, cov, mean_q, cov_q))
        raise UserError(
            f"{loss}: means must be (..., d) and covariances (..., d, d), leading axes alike; got {shapes}."
        )
    a, b = cov.double(), cov_q.double()
    rounding = max(1e-12, *(d * torch.finfo(one.dtype).eps for one in (cov, cov_q)))
    half = _root(a, rounding)
    fidelity = _root(half @ b @ half, rounding).diagonal(dim1=-2, dim2=-1).sum(-1)
    spread = a.diagonal(dim1=-2, dim2=-1).sum(-1) + b.diagonal(dim1=-2, dim2=-1).sum(-1) - 2 * fidelity
    # at equal covariances rounding may leave -1e-16; the least value is 0, and so is its slope
    return ((mean.double() - mean_q.double()).square().sum(-1) + spread.clamp(min=0)).to(mean.dtype)
