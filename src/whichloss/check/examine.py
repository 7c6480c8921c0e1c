"""The whole examination of one function, inside the process that runs it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import invariance, say
from .answer import Answer, numbers
from .claim import Claim, Form
from .compare import CLOSE, EXACT, PLAIN, Law, image
from .derivative import wrong_slopes
from .draw import bank
from .judge import Judgement, as_meant, judge
from .layout import Layout, layouts, says
from .match import Plan, plans
from .record import Broken, Record, Refused, record, where
from .search import Found, Gap, predicted, search
from .state import SEEDED

CALLS, FEW = 20, 8  # recorded calls; of a slow function
SECONDS = 2.0  # for these calls; for the search


class Reading(NamedTuple):
    """One way to read the function as the loss, and what holds then."""

    plan: Plan
    layout: Layout
    records: list[Record]
    judged: Judgement


def examine(
    fn: Callable[..., Any], claim: Claim, given: Mapping[str, str], *, function: str, file: str | None
) -> Answer:
    """Is fn the claim's loss? Raises UserError where the question makes no sense, Refused where fn is not PyTorch."""
    found: list[Reading] = []
    failed: list[tuple[Plan, Exception]] = []
    until = time.monotonic() + 2 * SECONDS
    waiting = [(p, l) for p in plans(fn, claim, given) for l in layouts(p.form)]
    while waiting:
        plan, layout = waiting.pop(0)
        try:
            records = _records(fn, plan, layout)
        except Refused:
            raise
        except Exception as error:  # whatever the person's function raises
            failed.append((plan, error))
            continue
        found.append(Reading(plan, layout, records, judge(plan.form, records, plan.options, until)))
        if found[-1].judged.holds == "equal" or (_best(found).judged.variant and time.monotonic() > until):
            break
        if "several results" in records[0].notes and not plan.total and len(plan.form.terms) > 1:
            waiting.insert(0, (replace(plan, total=True), layout))  # (loss_real, loss_fake)
    if not found:
        return _fails(claim, function, failed, file)
    return _answer(fn, claim, function, _best(found))


def _best(found: Sequence[Reading]) -> Reading:
    return min(found, key=lambda reading: (reading.judged.rank, -reading.plan.named))


def _records(fn: Callable[..., Any], plan: Plan, layout: Layout) -> list[Record]:
    """fn at some inputs. Raises Broken where that shows that it is no loss."""
    records: list[Record] = []
    until = time.monotonic() + SECONDS
    for seed, inputs in enumerate(bank(plan.form, CALLS)):
        if len(records) < FEW or time.monotonic() < until:
            records.append(record(fn, plan, layout, inputs, seed))
            _sound(records[-1])
    if len({r.per_example for r in records}) > 1:
        raise Broken("wrong shape", "it returns one number for some batches and one per row for others")
    for whose in records[0].drawn:
        if len({r.drawn[whose] for r in records}) == 1:  # though every call began with another seed
            raise Broken("global state", f"it seeds the generator of {whose}{SEEDED}", FIXES["global state"])
    again = record(fn, plan, layout, records[0].inputs, records[0].seed)
    if not torch.allclose(again.value, records[0].value, rtol=1e-9, atol=1e-12):
        keeps = records[0].notes.get("keeps", "it draws from a generator of its own, or keeps state between calls")
        gives = (
            f"it gives {numbers(records[0].value)}, then {numbers(again.value)} for the same input and the same seeds"
        )
        raise Broken("not repeatable", f"{gives}: {keeps}", "Make the loss depend on its arguments alone.")
    return records


FIXES = {
    "changes its input": "Use an operation that returns a new tensor: x = x * 2, not x *= 2; x.relu(), not x.relu_().",
    "global state": "Leave such settings to the program; pass dtype or generator to the operations that need them.",
    "backward": "Return the loss and let the caller call backward().",
}


def _sound(r: Record) -> None:
    """Raise Broken for a call that did more than compute a finite number."""
    for kind, fix in FIXES.items():
        if kind in r.notes:
            raise Broken(kind, r.notes[kind], fix)
    if not bool(torch.isfinite(r.value).all()):
        raise Broken("not finite", f"it gives {numbers(r.value)} at {say.at(r.inputs)}", FINITE)
    bad = [role for role, grad in r.grads.items() if not bool(torch.isfinite(grad).all())]
    if bad:
        raise Broken("not finite", f"its gradient through {bad[0]} is not finite at {say.at(r.inputs)}", FINITE)


CPU = "The check runs on the CPU: write x.to(other.device), or take a device argument, instead of .cuda()."
FINITE = "Look for a log of 0, a division by 0, a root at 0 or an exp of a large number."


def _fails(claim: Claim, function: str, failed: Sequence[tuple[Plan, Exception]], file: str | None) -> Answer:
    plan, error = next(((p, e) for p, e in failed if isinstance(e, Broken)), failed[0])
    if ("numpy()" in str(error) and "requires grad" in str(error)) or "__array__" in str(error):
        raise Refused("it computes with numpy, through which no gradient flows") from error
    if isinstance(error, Broken):
        text, fix, kind = error.says, error.fix, error.kind
    else:
        inputs = ", ".join(f"{a.role} = {a.says}" for a in plan.form.arguments if a.passed)
        text, kind = f"it raises {where(error, file)}", "raises"
        fix = CPU if "CUDA" in str(error) else f"It was called with {inputs}, on the CPU."
    return Answer(
        claim.name, function, "broken", text, claim.says, fix=fix, variant=kind, arguments=plan.says(), card=claim.card
    )


def _answer(fn: Callable[..., Any], claim: Claim, function: str, best: Reading) -> Answer:
    plan, layout, records, judged = best
    form = plan.form
    until = time.monotonic() + SECONDS
    wrong = list(dict.fromkeys(role for r in records[:2] for role in wrong_slopes(fn, plan, layout, r, until)))
    slopes = f"its gradient through {', '.join(wrong)} is not the slope of its value" if wrong else "holds"
    checks = {"gradient = finite differences": slopes} | invariance.broken(fn, plan, layout, records[1])
    judged, found = _searched(fn, best)
    text, why, fix = say.words(judged, form, found.gap, checks)
    notes = _notes(records, judged, claim, form)
    if found.infinite is not None:
        notes.append(say.infinite(found.infinite))
    if claim.fragile and judged.same:
        notes.append(_extremes(fn, plan, layout, judged))
    variant = judged.variant or form.means
    return Answer(
        claim.name,
        function,
        judged.holds if form.means is None else "variant",
        text,
        claim.says,
        why,
        fix,
        variant.name if variant else "",
        term=_term(form, judged, found.gap),
        factor=say.factor(judged),
        constant=judged.law.constant or None,
        options=dict(judged.options),
        arguments=[*plan.says(), *says(layout)],
        checks=checks,
        counterexample=say.example(found.gap) if found.gap and not judged.same else None,
        notes=list(dict.fromkeys(filter(None, notes))),
        card=claim.card,
    )


def _searched(fn: Callable[..., Any], best: Reading) -> tuple[Judgement, Found]:
    """The judgement after a search: for a difference that the recorded calls missed, or for the smallest one."""
    plan, layout, records, judged = best
    form, law = plan.form, judged.law
    if form.places and judged.holds != "variant" and judged.rank < 4:
        place = form.places([r.inputs for r in records])
        if place is not None:  # the formula holds, but at other places than the paper's
            return Judgement("variant", law, judged.options, place), Found()
    if not judged.same:
        plain = Law(PLAIN, tuple(_weight(name, form, judged) for name in form.terms), 0.0, 0.0, 0.0)
        own = {o.role for o in form.options}
        options = {role: value for role, value in judged.options.items() if role in own}
        return judged, search(fn, plan, layout, plain, options, seconds=SECONDS)
    found = search(fn, plan, layout, law, judged.options, seconds=SECONDS)
    if found.gap is not None:
        judged = Judgement("different" if found.gap.in_value else "gradient", law, judged.options)
    return judged, found


def _weight(term: str, form: Form, judged: Judgement) -> float:
    """Of a term in the plain formula: 1, or where it is the person's own as given or found."""
    if term not in form.weights:
        return 1.0
    names = (form.weights[term], f"{form.weights[term]}_")
    return next((judged.options[name] for name in names if name in judged.options), judged.law.weights[-1])


def _term(form: Form, judged: Judgement, first: Gap | None) -> str:
    """The term at fault: the one whose weight is off, or alone in the argument whose gradient differs."""
    if len(form.terms) < 2 or judged.same or judged.variant:
        return ""
    if judged.holds == "terms":
        weights = dict(zip(form.terms, judged.law.weights, strict=True))
        return ", ".join(name for name, w in weights.items() if not as_meant(form, name, w, judged.options))
    if first is None:
        return ""
    parts = {}
    for name, term in form.terms.items():
        grads = image(term, [first.record], form, judged.options).grads[0]
        parts[name] = {role for role, grad in grads.items() if bool(grad.abs().max() > 0)}
    at_fault = [name for name, roles in parts.items() if roles & set(first.roles)]
    return ", ".join(at_fault) if len(at_fault) < len(parts) else ""


def _notes(records: Sequence[Record], judged: Judgement, claim: Claim, form: Form) -> list[str]:
    worst = max(judged.law.value_error, judged.law.gradient_error)
    close = [say.inexact(worst)] if judged.rank < 4 and EXACT < worst <= CLOSE * 10 else []
    remark = [claim.remark(say.numbers_of(judged, form))] if judged.same else []
    return [*remark, *sorted({text for r in records for text in r.notes.values()}), *close]


LARGE = (20.0, -20.0, 40.0, -40.0, 100.0, -100.0, 1e4, -1e4)


def _extremes(fn: Callable[..., Any], plan: Plan, layout: Layout, judged: Judgement) -> str:
    """Where logits are large the value and slope must stay those of the formula; with a naive log or a clamp not so."""
    roles = [a.role for a in plan.form.arguments if a.logit]
    for size, inputs in product(LARGE if roles else (), bank(plan.form, 4)):
        far = {k: _far(v, size) if k in roles and isinstance(v, Tensor) else v for k, v in inputs.items()}
        try:
            yours = record(fn, plan, layout, far)
        except Exception as error:
            return say.fails(size, error)
        right, slopes = predicted(plan.form, judged.law, judged.options, yours)
        if not bool(torch.isfinite(right).all()):
            return ""
        off = [role for role in slopes if not torch.allclose(yours.grads[role], slopes[role], atol=1e-3)]
        dead = [r for r in off if bool((yours.grads[r].abs() < 1e-3 * slopes[r].abs() - 1e-6).any())]
        if off or not torch.allclose(yours.value, right, rtol=1e-3, atol=1e-3):
            return say.unstable(size, float(yours.value.mean()), float(right.mean()), off, dead)
    return ""


def _far(value: Tensor, size: float) -> Tensor:
    """Scores that are all large; of several classes the first."""
    far = torch.zeros_like(value)
    far[(slice(None), 0) if value.ndim > 1 else ...] = size
    return far
