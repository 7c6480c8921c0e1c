"""Changes of the inputs that leave a loss as it is: reordered rows, shifted scores, scaled codes, swapped sides."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .answer import numbers
from .claim import Form, Inputs, Invariance
from .layout import Layout
from .match import Plan
from .record import Record, first_line, leaves, value_of


def _per_row(form: Form, inputs: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    """`change` in every argument whose first axis is the batch."""
    rows = {a.role for a in form.arguments if a.per_row}
    return {k: change(v) if k in rows and isinstance(v, Tensor) else v for k, v in inputs.items()}


def shifted(*roles: str) -> Invariance:
    """The same number added to all of these."""
    return Invariance(f"adding a constant to {' and '.join(roles)}", lambda x: x | {r: x[r] + 1.5 for r in roles})  # type: ignore[operator]


def scaled(*roles: str) -> Invariance:
    """Every row of these made longer, each by its own factor."""

    def change(x: Inputs) -> Inputs:
        longer = {}
        for role in roles:
            value = x[role]
            assert isinstance(value, Tensor)
            longer[role] = value * (1.5 + torch.arange(len(value), dtype=value.dtype)).unsqueeze(1)
        return {**x, **longer}

    return Invariance(f"the length of the rows of {' and '.join(roles)}", change)


def symmetric(one: str, other: str) -> Invariance:
    """These two swapped."""
    return Invariance(f"swapping {one} and {other}", lambda x: x | {one: x[other], other: x[one]})


def broken(fn: Callable[..., Any], plan: Plan, layout: Layout, record: Record) -> dict[str, str]:
    """Name of a property the loss must have -> "holds", or how far off the function is."""
    form, inputs = plan.form, record.inputs
    tests: dict[str, Callable[[], str]] = {}

    def at(changed: Inputs) -> Tensor:
        return value_of(fn, plan, layout, leaves(changed, form)).detach()

    value = at(inputs)
    if not form.random and form.exchangeable:
        back = value.flip(0) if value.ndim else value
        tests["the order of the rows"] = lambda: _says(at(_per_row(form, inputs, lambda v: v.flip(0))), back)
    for law in form.invariances:
        tests[law.name] = partial(lambda change: _says(at(change(inputs)), value), law.change)
    for known in form.known:
        tests[known.name] = partial(lambda change, cost: _costs(at(change(inputs)), cost), known.change, known.value)
    if form.per_sample and not form.whole and not form.random:
        tests["each row by itself"] = lambda: _independent(form, at, inputs)
        tests["the size of the batch"] = lambda: _twice(form, at, inputs, value)
    return {name: _tried(test) for name, test in tests.items()}


def _tried(test: Callable[[], str]) -> str:
    try:
        return test()
    except Exception as error:  # whatever the person's function raises
        return f"it raises {first_line(error)}"


def _costs(value: Tensor, expected: float) -> str:
    return "holds" if _says(value, torch.full_like(value, expected)) == "holds" else f"it gives {numbers(value)}"


def _says(value: Tensor, expected: Tensor) -> str:
    gap = float((value - expected).abs().max()) if value.shape == expected.shape else float("nan")
    size = max(1.0, float(expected.abs().max()))
    return "holds" if gap <= 1e-6 * size else f"off by {gap:.3g}"


def _twice(form: Form, at: Callable[[Inputs], Tensor], inputs: Inputs, value: Tensor) -> str:
    """The batch stacked on itself: the same mean, or twice the sum."""
    double = at(_per_row(form, inputs, lambda v: torch.cat([v, v])))
    if value.ndim:
        return _says(double, torch.cat([value, value]))
    return min((_says(double, value), _says(double, 2 * value)), key=lambda says: says != "holds")


def _independent(form: Form, at: Callable[[Inputs], Tensor], inputs: Inputs) -> str:
    """f(a, b) + f(c, d) = f(a, d) + f(c, b) for the first row in {a, c} and the others in {b, d}."""
    other = _per_row(form, inputs, lambda v: v.roll(1, 0))
    mixed = [_mix(form, inputs, other), _mix(form, other, inputs)]
    total = [at(x).sum() for x in (inputs, other, *mixed)]
    return _says(total[0] + total[1], total[2] + total[3])


def _mix(form: Form, first: Inputs, rest: Inputs) -> Inputs:
    """The first row of one, the others of the other."""
    rows = {a.role for a in form.arguments if a.per_row}
    return {
        k: torch.cat([v[:1], other[1:]])
        if k in rows and isinstance(v, Tensor) and isinstance(other := rest[k], Tensor)
        else v
        for k, v in first.items()
    }
