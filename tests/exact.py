"""A loss against its definition in 60 digits, its slope against that definition's numerical derivative.

A definition takes one example: a list of numbers `z` and its target, in mpmath's numbers or plain ones.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from mpmath import mp, mpf
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def softmax(z: Sequence[mpf]) -> list[mpf]:
    e = [mp.exp(v) for v in z]
    return [v / sum(e) for v in e]


def sigma(z: mpf) -> mpf:
    return 1 / (1 + mp.exp(-z))


def exact(definition: Callable, z: Tensor, target: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Values (B,) and slopes (B, K) of the definition, row by row."""
    with mp.workdps(60):
        rows = [[mpf(float(v)) for v in row] for row in z]
        targets = [t.tolist() for t in target]
        values, slopes = [], []
        for row, t in zip(rows, targets, strict=True):
            values.append(float(definition(row, t)))
            slopes.append(
                [
                    float(mp.diff(lambda v, j=j: definition([*row[:j], v, *row[j + 1 :]], t), row[j]))
                    for j in range(len(row))
                ]
            )
    return np.array(values), np.array(slopes)


def assert_exact(
    loss: Loss, definition: Callable, z: Tensor, target: Tensor, rtol: float = 1e-6, atol: float = 1e-30
) -> None:
    """The loss of float32 logits z (B, K), value and slope, is its definition's; a loss per entry is summed by row."""
    assert z.dtype == torch.float32
    z = z.clone().requires_grad_()
    value = loss(z, target)
    value = value if value.ndim == 1 else value.sum(dim=1)
    (slope,) = torch.autograd.grad(value.sum(), z)
    assert value.isfinite().all() and slope.isfinite().all()
    values, slopes = exact(definition, z.detach(), target)
    np.testing.assert_allclose(value.detach().double(), values, rtol=rtol, atol=atol)
    np.testing.assert_allclose(slope.double(), slopes, rtol=rtol, atol=atol)


def assert_smooth(loss: Loss, z: Tensor, target: Tensor, twice: bool = True) -> None:
    """Gradients in float64 against finite differences, of the first and the second order."""
    z = z.double().clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, target), z)
    assert not twice or torch.autograd.gradgradcheck(lambda z: loss(z, target), z)


def assert_per_example(loss: Loss, z: Tensor, target: Tensor) -> None:
    """Row i of the loss depends on row i alone, for every size of the batch, none included; in vmap nothing changes."""
    whole = loss(z, target)
    rows = torch.cat([loss(z[i : i + 1], target[i : i + 1]) for i in range(len(z))])
    torch.testing.assert_close(rows, whole)
    jacobian = torch.func.jacrev(lambda z: loss(z, target).reshape(len(z), -1).sum(1))(z)
    assert jacobian[~torch.eye(len(z), dtype=torch.bool)].eq(0).all()
    lanes = torch.func.vmap(loss)(torch.stack([z, 2 * z]), torch.stack([target, target]))
    torch.testing.assert_close(lanes, torch.stack([whole, loss(2 * z, target)]))
    assert loss(z[:0], target[:0]).shape == whole[:0].shape


def assert_half(loss: Loss, z: Tensor, target: Tensor) -> None:
    """bfloat16 logits of +-1e4 give finite values and slopes of their own type."""
    z = z.bfloat16().requires_grad_()
    value = loss(z, target)
    (slope,) = torch.autograd.grad(value.sum(), z)
    assert value.dtype == slope.dtype == torch.bfloat16
    assert value.isfinite().all() and slope.isfinite().all()
