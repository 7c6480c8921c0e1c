"""One call of the person's function: its value, its gradients, and what else it did."""

import copy
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .claim import Form, Inputs
from .layout import Layout, lay_out
from .match import Plan
from .networks import Network
from .state import Before, generators, seed_all


class Broken(Exception):
    """The function cannot be compared, and the reason is its own."""

    def __init__(self, kind: str, says: str, fix: str = "") -> None:
        super().__init__(says)
        self.kind, self.says, self.fix = kind, says, fix


class Refused(Exception):
    """The function is not PyTorch."""


@dataclass
class Record:
    """A call: `value` is () or (B,), `grads` the gradient of (weights . value) with respect to each role."""

    inputs: Inputs  # what the call saw; leaves require grad, networks hold their notes
    value: Tensor
    weights: Tensor
    grads: dict[str, Tensor]
    notes: dict[str, str] = field(default_factory=dict)
    seed: int = 0  # of whatever the function draws
    drawn: dict[str, int] = field(default_factory=dict)  # marks of the states in which it left the generators

    @property
    def per_example(self) -> bool:
        """One value per row, rather than one for the batch."""
        return self.value.ndim == 1

    def tensors(self) -> list[Tensor]:
        """Every number of the inputs."""
        every = (list(x.parameters()) if isinstance(x, nn.Module) else [x] for x in self.inputs.values())
        return [v for group in every for v in group if isinstance(v, Tensor)]

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return rows_of(self.inputs)


def rows_of(inputs: Inputs) -> int:
    """B."""
    return next((len(v) for v in inputs.values() if isinstance(v, Tensor) and v.ndim), 1)


def columns_of(inputs: Inputs) -> int:
    """d, of the widest argument; 1 where there are only scores."""
    return max((v.shape[-1] for v in inputs.values() if isinstance(v, Tensor) and v.ndim > 1), default=1)


def leaves(inputs: Inputs, form: Form) -> Inputs:
    """A fresh copy of the inputs, to differentiate by and to note calls in."""
    return {role: _leaf(value, role in learning(form)) for role, value in inputs.items()}


def learning(form: Form) -> set[str]:
    """Roles whose gradient belongs to the loss."""
    return {a.role for a in form.arguments if a.learns}


def _leaf(value: Any, learns: bool) -> Any:
    if isinstance(value, nn.Module):
        own = copy.deepcopy(value)
        if isinstance(own, Network):
            own.seen, own.noting = [], True
        return own
    if isinstance(value, Tensor):
        value = value.detach().clone()
        return value.requires_grad_(learns and value.is_floating_point())
    return value


def value_of(fn: Callable[..., Any], plan: Plan, layout: Layout, own: Inputs, seed: int = 0) -> Tensor:
    """fn's value at leaves `own`, () or (B,), as float64 with its graph; raises Broken where it is no such thing."""
    return _call(fn, plan, layout, own, seed, {})


def record(fn: Callable[..., Any], plan: Plan, layout: Layout, inputs: Inputs, seed: int = 0) -> Record:
    """Call fn on a copy of `inputs`, with autograd on and float64 the default."""
    notes: dict[str, str] = {}
    own = leaves(inputs, plan.form)
    value = _call(fn, plan, layout, own, seed, notes)
    drawn = generators()
    weights = cotangent(value)
    grads = gradients(value, weights, own, plan.form, notes)
    for net in own.values():
        if isinstance(net, Network):
            net.settle()
    if plan.form.reveal:
        plan.form.reveal(lambda inputs: _call(fn, plan, layout, inputs, seed, {}), own)
    return Record(own, value.detach(), weights, grads, notes, seed, drawn)


def cotangent(value: Tensor) -> Tensor:
    """1 for one value; fixed unequal weights for one value per row, so that rows cannot be confused."""
    return torch.ones((), dtype=torch.float64) if value.ndim == 0 else 1 + torch.arange(len(value)).double().cos()


def gradients(
    value: Tensor, weights: Tensor, own: Inputs, form: Form, notes: dict[str, str] | None = None
) -> dict[str, Tensor]:
    """d (weights . value) / d role for every role that learns, zeros where there is no path."""
    wanted = {role: _variables(own[role]) for role in sorted(learning(form))}
    flat = [v for group in wanted.values() for v in group]
    nothing = [torch.zeros_like(v) for v in flat]
    found: Any = nothing
    if flat and value.requires_grad:
        try:
            found = torch.autograd.grad((weights * value).sum(), flat, allow_unused=True)
        except RuntimeError as error:
            if notes is None:
                raise
            raise Broken("gradient", f"its gradient cannot be taken: {first_line(error)}") from error
    elif notes is not None and flat:
        notes["no graph"] = "the result does not depend on its inputs for autograd (no_grad, .data, .item() or detach)"
    grads = iter(z if g is None else g.double() for g, z in zip(found, nothing, strict=True))
    return {role: torch.cat([next(grads).reshape(-1) for _ in group]) for role, group in wanted.items() if group}


def _variables(value: Any) -> list[Tensor]:
    if isinstance(value, nn.Module):
        return list(value.parameters())
    return [value] if isinstance(value, Tensor) and value.requires_grad else []


def _call(fn: Callable[..., Any], plan: Plan, layout: Layout, own: Inputs, seed: int, notes: dict[str, str]) -> Tensor:
    classes = columns_of(own)
    seen = {role: lay_out(value, layout.get(role, ""), classes) for role, value in own.items()}
    seen |= {a.role: a.of(seen) for a in plan.form.arguments if a.of is not None}
    seed_all(seed)
    was = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        before = Before(fn, seen, seed)
        with torch.enable_grad():  # puts the mode back, too
            out = plan.call(fn, seen, rows_of(own))
            notes.update(before.changed())
        if any(isinstance(v, Tensor) and v.is_leaf and v.grad is not None for v in own.values()):
            notes["backward"] = "it calls backward() itself"
        return _read(out, rows_of(own), notes, plan.total)
    finally:
        torch.set_default_dtype(was)


def _read(out: Any, rows: int, notes: dict[str, str], total: bool) -> Tensor:
    if isinstance(out, dict):
        out = tuple(out.values())
    if isinstance(out, tuple | list) and out and isinstance(out[0], Tensor):
        notes["several results"] = f"it returns {len(out)} things; {'their sum' if total else 'the first'} was compared"
        out = sum(out) if total else out[0]
    if isinstance(out, np.ndarray | np.generic):
        raise Refused(f"it returns {type(out).__module__}.{type(out).__name__}")
    if not isinstance(out, Tensor):
        module = type(out).__module__.split(".")[0]
        if module in FOREIGN:
            raise Refused(f"it returns a {type(out).__module__}.{type(out).__name__}")
        raise Broken(
            "not a tensor",
            f"it returns {_short(out)} of type {type(out).__name__}, through which no gradient flows",
            "Return the tensor itself: no float(), .item() or .tolist()."
            if out is not None
            else "End the function with `return loss`.",
        )
    if not out.is_floating_point():
        raise Broken("not a number", f"it returns a tensor of {out.dtype}, through which no gradient flows", SMOOTH)
    if out.dtype != torch.float64:
        notes["precision"] = f"it computes in {str(out.dtype).removeprefix('torch.')} inside"
    return _one_per_row(out.double(), rows, notes)


def _one_per_row(out: Tensor, rows: int, notes: dict[str, str]) -> Tensor:
    if out.numel() == 1:
        return out.reshape(()) if out.ndim == 0 or rows != 1 else out.reshape(-1)
    if out.shape[0] != rows:
        raise Broken(
            "wrong shape",
            f"it returns the shape {tuple(out.shape)} for a batch of {rows} rows; one number, or one per row, is "
            f"a loss",
            "Check the axis of the last mean() or sum().",
        )
    if out.numel() == rows:
        return out.reshape(-1)
    notes["per element"] = "it returns one value per element; their mean over a row was compared"
    return out.flatten(1).mean(dim=1)


SMOOTH = "Counts, comparisons and argmax have no slope; write the loss with scores or probabilities."
FOREIGN = {
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "jax": "JAX",
    "jaxlib": "JAX",
    "flax": "JAX",
    "paddle": "Paddle",
    "mxnet": "MXNet",
}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 30 else text[:27] + "..."


def first_line(error: BaseException) -> str:
    """What was raised, without its tail."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


def where(error: BaseException, file: str | None) -> str:
    """The person's line that raised."""
    own = [f for f in traceback.extract_tb(error.__traceback__) if file is not None and f.filename == file]
    at = f" (line {own[-1].lineno}: {(own[-1].line or '')[:70]})" if own else ""
    return first_line(error) + at
