"""Where the function and the formula part, searched with hypothesis and shrunk to the smallest input."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import HypothesisException
from torch import Tensor

from .claim import Form, Inputs
from .compare import CLOSE, Law, image
from .draw import strategy
from .layout import Layout
from .match import Plan
from .record import Record, learning, record

TOLERANCE = 1e-5
TRIES = 120


@dataclass(frozen=True)
class Gap:
    """One input at which the two differ."""

    record: Record
    value: Tensor  # the formula's
    grads: dict[str, Tensor]
    in_value: bool
    roles: tuple[str, ...]  # whose gradients differ

    @property
    def finite(self) -> bool:
        """Both are finite wherever they differ."""
        seen = [self.record.value, self.value, *(g for r in self.roles for g in (self.record.grads[r], self.grads[r]))]
        return all(bool(torch.isfinite(x).all()) for x in seen)


def gap(
    fn: Callable[..., Any], plan: Plan, layout: Layout, law: Law, options: Mapping[str, float], inputs: Inputs
) -> Gap | None:
    """How the two differ at `inputs`, or None. The law says how the function reduces and scales."""
    yours = record(fn, plan, layout, inputs)
    value, grads = predicted(plan.form, law, options, yours)
    loose = plan.form.close > CLOSE  # the formula itself is no more exact
    near = plan.form.close if loose else TOLERANCE
    in_value = _apart(yours.value, value, near)
    near = 10 * near if loose else near
    roles = tuple(role for role in yours.grads if _apart(yours.grads[role], grads[role], near))
    if roles and not in_value:  # at a kink both may be right: ask again a little beside it
        beside = record(fn, plan, layout, {k: _nudged(v) if k in learning(plan.form) else v for k, v in inputs.items()})
        slopes = predicted(plan.form, law, options, beside)[1]
        roles = tuple(role for role in roles if _apart(beside.grads[role], slopes[role], near))
    return Gap(yours, value, grads, in_value, roles) if in_value or roles else None


def predicted(form: Form, law: Law, options: Mapping[str, float], yours: Record) -> tuple[Tensor, dict[str, Tensor]]:
    """What the formula gives for this call, under the law."""
    images = [image(term, [yours], form, options) for term in form.terms.values()]
    scale = law.factor.at(yours)
    pairs = list(zip(law.weights, images, strict=True))
    value = scale * sum(w * i.values[0] for w, i in pairs) + law.constant
    grads = {role: scale * sum(w * i.grads[0][role] for w, i in pairs) for role in yours.grads}
    return torch.as_tensor(value), {role: torch.as_tensor(g) for role, g in grads.items()}


def _apart(a: Tensor, b: Tensor, near: float) -> bool:
    if a.shape != b.shape:
        return True
    both = torch.isfinite(a) & torch.isfinite(b)
    if not bool(both.all()):
        return bool((torch.isfinite(a) != torch.isfinite(b)).any())
    size = max(float(b.abs().max()), float(a.abs().max()), 1.0) if a.numel() else 1.0
    return bool((a - b).abs().max() > near * size) if a.numel() else False


def _nudged(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value + 1e-4 * (1 + torch.arange(value.numel(), dtype=value.dtype).reshape(value.shape)).sin()


@dataclass
class Found:
    """What a search found: the smallest input at which the two differ, and one at which only the formula is finite."""

    gap: Gap | None = None
    infinite: Record | None = None


def search(
    fn: Callable[..., Any], plan: Plan, layout: Layout, law: Law, options: Mapping[str, float], *, seconds: float
) -> Found:
    """Draw inputs, and shrink what differs; an example found before the time is up is kept."""
    until, found = time.monotonic() + seconds, Found()

    def differs(inputs: Inputs) -> bool:
        if time.monotonic() > until:
            return False
        try:
            seen = gap(fn, plan, layout, law, options, inputs)
        except Exception:  # outside the domain of one of the two: no example of a difference
            return False
        if seen is not None and not seen.finite:
            found.infinite = found.infinite or seen.record
            return False
        if seen is not None and (found.gap is None or _size(seen) < _size(found.gap)):
            found.gap = seen
        return seen is not None

    rules = settings(
        max_examples=TRIES,
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    with suppress(HypothesisException):  # NoSuchExample among them
        find(strategy(plan.form), differs, settings=rules)
    return found


def _size(seen: Gap) -> tuple[float, ...]:
    """Fewer numbers first, then fewer that are not 0, then smaller ones."""
    every = torch.cat([v.detach().double().reshape(-1) for v in seen.record.tensors()])
    return every.numel(), int((every != 0).sum()), float(every.abs().sum())
