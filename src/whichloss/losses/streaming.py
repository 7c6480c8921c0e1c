"""InfoNCE and SigLIP of large batches: the N x N cosines are made a tile at a time and never held.

A tile stays in the processor's cache, so that what is done to it beside the products is nearly free: softmaxes take
their largest term per row and per column, at any temperature. The backward pass makes each tile again.

Forward and backward are two operators each, opaque to tracing: a trace holds one node instead of thousands, and lanes
go one by one. Second derivatives are refused, in `torch.func` too, where `once_differentiable` would give silent zeros.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from torch.utils.flop_counter import register_flop_formula

from ..errors import UserError
from ._pairs import need_pairs

TILE = 512  # rows and columns of a tile: 1 MiB of float32


def streaming_info_nce(a: Tensor, b: Tensor, temperature: Tensor | float, tile: int = TILE) -> Tensor:
    """`info_nce` in memory N d instead of N^2: a, b (N, d) -> (N,). Raises UserError for one pair.

    With r_i the logsumexp of row i without its own pair: (log(1 + e^(r_i - s_ii)) + log(1 + e^(c_i - s_ii))) / 2.
    """
    _need("streaming_info_nce", a, b, tile)
    rows, columns, own = _apply(_Rivals, a, b, 1 / _number(temperature, a), tile)
    return -(logsigmoid(own - rows) + logsigmoid(own - columns)) / 2


def streaming_siglip(a: Tensor, b: Tensor, scale: Tensor | float, bias: Tensor | float, tile: int = TILE) -> Tensor:
    """`siglip` in memory N d instead of N^2: a, b (N, d) -> (N,). Raises UserError for one pair."""
    _need("streaming_siglip", a, b, tile)
    others, own = _apply(_Strangers, a, b, _number(scale, a), _number(bias, a), tile)
    return others - logsigmoid(own)


def _need(loss: str, a: Tensor, b: Tensor, tile: int) -> None:
    need_pairs(loss, a, b)
    if tile < 1:
        raise UserError(f"{loss}: 'tile' must be at least 1; got {tile}.")


def _apply(function: type[torch.autograd.Function], *given: Any) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = function.apply(*given)
    return found


def _number(value: Tensor | float, like: Tensor) -> Tensor:
    number = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if number.numel() != 1:
        raise UserError(f"A temperature, scale or bias is one number; got a tensor of shape {tuple(number.shape)}.")
    return number.reshape(())


# tiles ---------------------------------------------------------------------------------------------------------------


def _inverse_lengths(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return length.clamp(min=1e-12).reciprocal()


def _tiles(a: Tensor, b: Tensor, scale: Tensor, tile: int) -> Iterator[tuple[slice, slice, Tensor, Tensor, Tensor]]:
    """Rows i, columns j, the unit rows of a and of b there, and s_ij = scale u_i . v_j, row by row of tiles."""
    of_a, of_b = _inverse_lengths(a), _inverse_lengths(b)
    for top in range(0, len(a), tile):
        i = slice(top, top + tile)
        u = a[i] * of_a[i]
        left = u * scale
        for start in range(0, len(b), tile):
            j = slice(start, start + tile)
            v = b[j] * of_b[j]
            yield i, j, u, v, left @ v.T


def _pull(
    a: Tensor, b: Tensor, scale: Tensor, tile: int, slope: Callable[[slice, slice, Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """dL/da, dL/db and dL/dscale from dL/ds_ij, which `slope` gives tile by tile."""
    da, db = torch.zeros_like(a), torch.zeros_like(b)
    for i, j, u, v, s in _tiles(a, b, scale, tile):
        g = slope(i, j, s)
        da[i].addmm_(g, v)
        db[j].addmm_(g.T, u)
    dscale = scale.new_zeros(())
    for x, dx in ((a, da), (b, db)):
        inverse = _inverse_lengths(x)
        for top in range(0, len(x), tile):  # back through the unit rows: scale (I - u u') dx / |x|
            i = slice(top, top + tile)
            u = x[i] * inverse[i]
            along = (u * dx[i]).sum(dim=1, keepdim=True)
            dscale += along.sum() / 2  # sum_ij G_ij u_i . v_j, seen from either side
            dx[i].addcmul_(u, along, value=-1).mul_(inverse[i] * scale)
    return da, db, dscale


def _diagonal(i: slice, j: slice, tile: Tensor) -> Tensor:
    """The part of the whole matrix's diagonal that lies in a tile, as a view; empty in most."""
    return tile.diagonal() if i == j else tile[:0, 0]


# InfoNCE: the logsumexp of rows and of columns without their own pair ----------------------------------------------


def _rivals(a: Tensor, b: Tensor, scale: Tensor, tile: int) -> tuple[Tensor, Tensor, Tensor]:
    """log sum_{j != i} e^s_ij, log sum_{i != j} e^s_ij and s_ii, each (N,)."""
    n, least = len(a), torch.finfo(a.dtype).min
    own = a.new_empty(n)
    highest, total = a.new_full((2, n), least), a.new_zeros(2, n)  # of rows and columns so far
    for i, j, _, _, s in _tiles(a, b, scale, tile):
        if i == j:
            own[i] = s.diagonal()
            s.diagonal().fill_(-torch.inf)
        for side, k, dim in ((0, i, 1), (1, j, 0)):
            top = torch.maximum(highest[side, k], s.amax(dim))
            here = (s - top.unsqueeze(dim)).exp_().sum(dim)
            total[side, k] = total[side, k] * (highest[side, k] - top).exp() + here
            highest[side, k] = top
    rows, columns = highest + total.log()
    return rows.clone(), columns.clone(), own


def _pull_rivals(
    a: Tensor, b: Tensor, scale: Tensor, rows: Tensor, columns: Tensor, drows: Tensor, dcolumns: Tensor, down: Tensor,
    tile: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    def slope(i: slice, j: slice, s: Tensor) -> Tensor:
        by_row = (s - rows[i, None]).exp_().mul_(drows[i, None])
        g = s.sub_(columns[j]).exp_().mul_(dcolumns[j]).add_(by_row)
        _diagonal(i, j, g).copy_(down[i] if i == j else down[:0])
        return g

    return _pull(a, b, scale, tile, slope)


class _Rivals(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, scale: Tensor, tile: int) -> tuple[Tensor, Tensor, Tensor]:
        found: tuple[Tensor, Tensor, Tensor] = torch.ops.whichloss.rivals(a, b, scale, tile)
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        a, b, scale, ctx.tile = inputs
        ctx.save_for_backward(a, b, scale, *output[:2])

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        return *_apply(_Once, torch.ops.whichloss.pull_rivals, *ctx.saved_tensors, *slopes, ctx.tile), None


# SigLIP: the sum over strangers ---------------------------------------------------------------------------------------


def _strangers(a: Tensor, b: Tensor, scale: Tensor, bias: Tensor, tile: int) -> tuple[Tensor, Tensor]:
    """sum_{j != i} log(1 + e^l_ij) and l_ii, each (N,), l = s + bias."""
    own, total = a.new_empty(len(a)), a.new_zeros(len(a))
    for i, j, _, _, s in _tiles(a, b, scale, tile):
        l = s.add_(bias)
        if i == j:
            own[i] = l.diagonal()
            l.diagonal().fill_(-torch.inf)
        total[i] -= logsigmoid(l.neg_()).sum(dim=1)
    return total, own


def _pull_strangers(
    a: Tensor, b: Tensor, scale: Tensor, bias: Tensor, dothers: Tensor, down: Tensor, tile: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dbias = bias.new_zeros(())

    def slope(i: slice, j: slice, s: Tensor) -> Tensor:
        g = s.add_(bias).sigmoid_().mul_(dothers[i, None])
        if i == j:
            g.diagonal().copy_(down[i])
        dbias.add_(g.sum())
        return g

    return *_pull(a, b, scale, tile, slope), dbias


class _Strangers(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, scale: Tensor, bias: Tensor, tile: int) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = torch.ops.whichloss.strangers(a, b, scale, bias, tile)
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        *tensors, ctx.tile = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        return *_apply(_Once, torch.ops.whichloss.pull_strangers, *ctx.saved_tensors, *slopes, ctx.tile), None


class _Once(torch.autograd.Function):
    """A backward pass that cannot be differentiated again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(operator: Callable[..., tuple[Tensor, ...]], *given: Any) -> tuple[Tensor, ...]:
        return operator(*given)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        raise UserError(
            "The streaming losses have no second derivatives; use info_nce or siglip, which hold all N x N cosines."
        )


# the operators -------------------------------------------------------------------------------------------------------


_library = torch.library.Library("whichloss", "FRAGMENT")
Work = Callable[..., tuple[Tensor, ...]]


def _operator(name: str, tensors: str, returns: int, work: Work, like: Work, products: int) -> None:
    """An operator that a trace keeps whole, lane by lane under vmap, counted as its products."""
    arguments = ", ".join(f"Tensor {t}" for t in tensors.split())
    _library.define(f"{name}({arguments}, int tile) -> ({', '.join(['Tensor'] * returns)})")
    _library.impl(name, work, "CompositeExplicitAutograd")
    _library.impl(name, torch.library.fallthrough_kernel, "Autograd")
    _library._register_fake(name, like)
    operator = getattr(torch.ops.whichloss, name)

    def lanes(info: Any, dims: Any, *given: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        *tensors, tile = given
        split = [x if d is None else x.movedim(d, 0) for x, d in zip(tensors, dims, strict=False)]
        each = [
            operator(*(x if d is None else x[k] for x, d in zip(split, dims, strict=False)), tile)
            for k in range(info.batch_size)
        ]
        return tuple(torch.stack(out) for out in zip(*each, strict=True)), (0,) * returns

    torch.library.register_vmap(f"whichloss::{name}", lanes, lib=_library)
    flops = lambda a, b, *_, **__: products * 2 * a[0] * b[0] * a[1]
    register_flop_formula(operator)(flops)


_operator("rivals", "a b scale", 3, _rivals, lambda a, *_: tuple(a.new_empty(len(a)) for _ in range(3)), 1)
_operator(
    "pull_rivals", "a b scale rows columns drows dcolumns down", 3, _pull_rivals,
    lambda a, b, scale, *_: tuple(map(torch.empty_like, (a, b, scale))), 3,
)  # fmt: skip
_operator("strangers", "a b scale bias", 2, _strangers, lambda a, *_: tuple(a.new_empty(len(a)) for _ in range(2)), 1)
_operator(
    "pull_strangers", "a b scale bias dothers down", 4, _pull_strangers,
    lambda a, b, scale, bias, *_: tuple(map(torch.empty_like, (a, b, scale, bias))), 3,
)  # fmt: skip
