"""The function's own gradient against finite differences of its own values: finds detach, .data, no_grad and signs."""

import time
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


def wrong_slopes(fn: Callable[..., Any], plan: Plan, layout: Layout, record: Record, until: float) -> dict[str, float]:
    """Role -> relative error of autograd, where it is not rounding; from the time `until` on, of one coordinate."""
    found, (step, tolerance) = {}, COARSE if "precision" in record.notes else FINE
    free = {a.role for a in plan.form.arguments if a.free}
    for role, grad in record.grads.items():
        if role not in free:
            continue
        differences: dict[int, float] = {}
        for k in range(0, len(grad), max(1, len(grad) // MOST))[:MOST]:
            if not differences or time.monotonic() < until:
                differences[k] = _difference(fn, plan, layout, record, role, k, step)
        rounding = 1e-6 * max(1.0, float(record.value.abs().max()))
        size = max(float(grad.abs().max()), max(map(abs, differences.values())), rounding)
        error = max(abs(d - float(grad[k])) for k, d in differences.items()) / size
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
