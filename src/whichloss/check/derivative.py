"""The function's own gradient against finite differences of its own values: finds detach, .data, no_grad and signs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .claim import Inputs
from .layout import Layout
from .match import Plan
from .record import Record, leaves, value_of

MOST = 12  # coordinates per role
FINE, COARSE = (1e-5, 1e-4), (1e-2, 1e-2)  # (step, tolerance) in float64; where the function computes in less


def wrong_slopes(fn: Callable[..., Any], plan: Plan, layout: Layout, record: Record) -> dict[str, float]:
    """Role -> relative error of autograd, for the roles where it is not rounding."""
    found, (step, tolerance) = {}, COARSE if "precision" in record.notes else FINE
    free = {a.role for a in plan.form.arguments if a.free}
    for role, grad in record.grads.items():
        if role not in free:
            continue
        few = torch.arange(len(grad))[:: max(1, len(grad) // MOST)][:MOST]
        differences = [_difference(fn, plan, layout, record, role, int(k), step) for k in few]
        size = max(float(grad.abs().max()), max(map(abs, differences)), 1e-8)
        error = max(abs(d - float(grad[k])) for d, k in zip(differences, few, strict=True)) / size
        if error > tolerance:
            found[role] = error
    return found


def _difference(
    fn: Callable[..., Any], plan: Plan, layout: Layout, record: Record, role: str, k: int, step: float
) -> float:
    ends = []
    for h in (step, -step):
        moved = leaves(record.inputs, plan.form)
        _move(moved, role, k, h)
        ends.append(float((record.weights * value_of(fn, plan, layout, moved, record.seed).detach()).sum()))
    return (ends[0] - ends[1]) / (2 * step)


def _move(inputs: Inputs, role: str, k: int, step: float) -> None:
    value = inputs[role]
    tensors: list[Tensor] = list(value.parameters()) if isinstance(value, nn.Module) else [value]  # type: ignore[list-item]
    for tensor in tensors:
        if k < tensor.numel():
            with torch.no_grad():
                tensor.view(-1)[k] += step
            return
        k -= tensor.numel()
