"""Normalizing flows: an invertible map made of couplings, each a rational-quadratic spline of some of the columns.

    x = h_0 -> h_1 -> ... -> h_L = z,   log |det dz/dx| = sum over couplings and moved columns of log dh'/dh

A coupling leaves half of the columns as they are and moves the others by splines whose knots are a network's function
of the first half (Durkan, Bekasov, Murray & Papamakarios, 2019): both directions cost one pass through the networks.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad, softmax, softplus

Conditioner = Callable[[Tensor], Tensor]
MOST = 3072  # columns: 32 x 32 in colour
LEAST = 1e-3  # of a bin's width and height, as a share of the interval, and of a slope
UNIT = math.log(math.expm1(1 - LEAST))  # softplus(UNIT) + LEAST = 1: where the network says 0 a slope is 1


def halves(dim: int, layer: int) -> tuple[list[int], list[int]]:
    """The columns that a coupling keeps and those that it moves; one column is moved always.

    Layers 2 b and 2 b + 1 split by bit b of the column's number, so that with 2 log2(dim) layers any two columns meet.
    """
    if dim == 1:
        return [], [0]
    bits = (dim - 1).bit_length()
    side = [(j >> (layer // 2) % bits) & 1 for j in range(dim)]
    return [j for j in range(dim) if side[j] == layer % 2], [j for j in range(dim) if side[j] != layer % 2]


def conditioner_size(dim: int, layer: int, bins: int, whole: bool = False) -> tuple[int, int]:
    """Inputs and outputs of a coupling's network: the kept columns (or one zero); 3 bins - 1 numbers a moved column.

    whole: all columns, those moved being 0, and numbers for all, so that the network can be a convolution.
    """
    if whole:
        return dim, dim * (3 * bins - 1)
    kept, moved = halves(dim, layer)
    return max(1, len(kept)), len(moved) * (3 * bins - 1)


def too_wide(dim: int) -> str | None:
    """Why no flow is trained on rows of so many columns, if none is."""
    if dim <= MOST:
        return None
    return (
        f"the rows have {dim} columns, and the splines of a batch hold some hundred numbers for each of them in every "
        f"row, gigabytes beyond {MOST} columns; reduce pictures (--size 32)"
    )


def to_noise(
    conditioners: Sequence[Conditioner], x: Tensor, *, bins: int, bound: float, whole: bool = False
) -> tuple[Tensor, Tensor]:
    """z (n, d) and log |det dz/dx| (n,) of rows x (n, d)."""
    log_det = torch.zeros_like(x[:, 0])
    for layer, conditioner in enumerate(conditioners):
        x, log_slope = coupling(conditioner, x, layer, bins=bins, bound=bound, whole=whole)
        log_det = log_det + log_slope
    return x, log_det


def to_data(conditioners: Sequence[Conditioner], z: Tensor, *, bins: int, bound: float, whole: bool = False) -> Tensor:
    """x (n, d), the exact inverse of `to_noise`."""
    for layer in reversed(range(len(conditioners))):
        z, _ = coupling(conditioners[layer], z, layer, bins=bins, bound=bound, inverse=True, whole=whole)
    return z


def coupling(
    conditioner: Conditioner,
    x: Tensor,
    layer: int,
    *,
    bins: int,
    bound: float,
    inverse: bool = False,
    whole: bool = False,
) -> tuple[Tensor, Tensor]:
    """One coupling, or its inverse: the new rows (n, d) and log |det| of the step (n,)."""
    kept, moved = halves(x.shape[1], layer)
    if whole:  # the network's numbers of all columns lie below each other: channels of pictures
        stays = torch.ones_like(x[0]).index_fill(0, torch.tensor(moved, device=x.device), 0)
        raw = conditioner(x * stays).view(len(x), -1, x.shape[1])[:, :, moved].transpose(1, 2)
    else:
        raw = conditioner(x[:, kept] if kept else torch.zeros_like(x)).view(len(x), len(moved), -1)
    y, log_slope = rational_quadratic(x[:, moved], raw, bound=bound, inverse=inverse)
    place = sorted(range(x.shape[1]), key=[*kept, *moved].__getitem__)  # back into the columns' order
    return torch.cat([x[:, kept], y], dim=1)[:, place], log_slope.sum(dim=1)


def rational_quadratic(x: Tensor, raw: Tensor, *, bound: float, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """A rising spline of K bins on [-bound, bound], the identity outside; y and log dy/dx, both shaped as x (...).

    With t the place in the bin, s = h / w its mean slope, d0 and d1 the slopes at its ends:

        y = y0 + h (s t^2 + d0 t (1 - t)) / (s + (d0 + d1 - 2 s) t (1 - t))

    raw (..., 3 K - 1) holds K widths and K heights before a softmax and K - 1 inner slopes before a softplus; zeros
    are the identity. (Gregory & Delbourgo, 1982; Durkan et al., 2019.)
    """
    bins = (raw.shape[-1] + 1) // 3
    left, right = _knots(raw[..., :bins], bound)
    low, high = _knots(raw[..., bins : 2 * bins], bound)
    slopes = pad(softplus(raw[..., 2 * bins :] + UNIT) + LEAST, (1, 1), value=1.0)
    inside = x.abs() < bound
    at = torch.where(inside, x, torch.zeros_like(x))
    index = (at[..., None] >= (high if inverse else right)[..., :-1]).sum(dim=-1, keepdim=True)
    x0, x1, y0, y1, d0, d1 = (
        k.gather(-1, index).squeeze(-1) for k in (left, right, low, high, slopes[..., :-1], slopes[..., 1:])
    )
    w, h = x1 - x0, y1 - y0
    s = h / w
    bend = d0 + d1 - 2 * s
    if inverse:
        rise = at - y0
        a, b, c = h * (s - d0) + rise * bend, h * d0 - rise * bend, -s * rise
        t = 2 * c / (-b - (b * b - 4 * a * c).clamp(min=0).sqrt())  # rounding alone could make the root's inside < 0
        y = x0 + w * t
    else:
        t = (at - x0) / w
        y = y0 + h * (s * t * t + d0 * t * (1 - t)) / (s + bend * t * (1 - t))
    top = d1 * t * t + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2
    log_slope = 2 * s.log() + top.log() - 2 * (s + bend * t * (1 - t)).log()
    log_slope = torch.where(inside, -log_slope if inverse else log_slope, torch.zeros_like(x))
    return torch.where(inside, y, x), log_slope


def _knots(raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """The two ends of every bin (..., K), shared between neighbours to the last bit."""
    bins = raw.shape[-1]
    shares = LEAST + (1 - LEAST * bins) * softmax(raw, dim=-1)
    inner = bound * (2 * shares[..., :-1].cumsum(dim=-1) - 1)
    return pad(inner, (1, 0), value=-bound), pad(inner, (0, 1), value=bound)
