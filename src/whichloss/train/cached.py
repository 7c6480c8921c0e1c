"""The gradient of a loss of a large batch through small ones: every row's negatives, at the memory of a chunk."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ..errors import UserError

Parameters = Mapping[str, Tensor]


def cached_gradient(
    encode: Callable[..., Tensor | tuple[Tensor, ...]],
    parameters: Parameters,
    inputs: Sequence[Tensor],
    loss: Callable[..., Tensor],
    chunk: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """loss(parameters, *encode(parameters, *inputs)) and its gradient by the parameters, `chunk` rows at a time.

        z = encode(x), without a graph;  dL/dz by one pass of the loss;  dL/dw = dL/dw|z + sum_k (dz_k/dw)' dL/dz_k

    Equal to the plain gradient, not an average over chunks: accumulating the gradients of small batches has the
    negatives of a small batch (Gao et al., 2021). Encoding costs a third more. `encode` maps rows to rows, one by
    one (no statistics of the batch), and gives the same numbers twice: random draws must be keyed by row. `loss` gives
    one number. One lane only. Raises UserError where lengths differ, or encode does not give a row for a row.
    """
    n = _rows(inputs, chunk)
    places = [slice(k, k + chunk) for k in range(0, n, chunk)]
    with torch.no_grad():
        pieces = [_tuple(encode(parameters, *(x[k] for x in inputs))) for k in places]
    z = [torch.cat(side).requires_grad_() for side in zip(*pieces, strict=True)]
    if any(len(side) != n for side in z):
        raise UserError(f"cached_gradient: 'encode' must give a row for a row; of {n} it made {[len(s) for s in z]}.")
    own = {name: w.detach().requires_grad_() for name, w in parameters.items()}
    leaves = list(own.values())
    value = loss(own, *z)
    slopes = torch.autograd.grad(value, [*z, *leaves], allow_unused=True, materialize_grads=True)
    at_z, total = slopes[: len(z)], slopes[len(z) :]
    for k in places:
        again = _tuple(encode(own, *(x[k] for x in inputs)))
        used = [(out, s[k]) for out, s in zip(again, at_z, strict=True) if out.requires_grad]
        if used:
            outs, into = zip(*used, strict=True)
            part = torch.autograd.grad(outs, leaves, into, allow_unused=True, materialize_grads=True)
            total = tuple(whole + piece for whole, piece in zip(total, part, strict=True))
    return value.detach(), dict(zip(own, total, strict=True))


def _rows(inputs: Sequence[Tensor], chunk: int) -> int:
    lengths = [len(x) for x in inputs]
    if not lengths or len(set(lengths)) != 1 or lengths[0] == 0 or chunk < 1:
        raise UserError(
            "cached_gradient: 'inputs' must be tensors of equal length and 'chunk' at least 1; "
            f"got {lengths} and {chunk}."
        )
    return lengths[0]


def _tuple(out: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return out if isinstance(out, tuple) else (out,)
