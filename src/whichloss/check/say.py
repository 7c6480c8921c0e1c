"""What the judgement says to a person: what holds, why it matters, and the fix."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from .answer import Counterexample, Gradient, numbers
from .claim import Form, Inputs, Value
from .judge import NONE, ONE, Judgement, as_meant, passed
from .record import Record, first_line
from .search import Gap

Words = tuple[str, str, str]  # what holds, why it matters, the fix
OTHER_SIZE = "It has the same optimum; the learning rate and the weight beside other terms mean something else."
BY_COLUMNS = "It has the same optimum, but its weight grows or shrinks with the number of columns (pixels)."
BY_ROWS = "It has the same optimum, but its weight shrinks as the batch grows."


def words(judged: Judgement, form: Form, first: Gap | None, checks: Mapping[str, str]) -> Words:
    """The text of a judgement."""
    law, how = judged.law, f" ({judged.law.factor.says})" if judged.law.factor.says else ""
    if form.means is not None and judged.same:
        return f"a known variant: {form.means.name}{how}", form.means.why, form.means.fix
    if judged.holds == "equal":
        return f"equal in value and gradient{how}{_with(judged, form)}", "", ""
    if judged.holds == "constant":
        says = f"equal up to a constant: the formula {law.constant:+.6g}{how}{_with(judged, form)}"
        return says, "The gradient, and so the training, is the same.", ""
    if judged.holds == "scale":
        why = BY_COLUMNS if law.factor.columns else BY_ROWS if law.factor.rows < 0 else OTHER_SIZE
        return f"equal up to a factor: {_times(judged, form)}{how}{_with(judged, form)}", why, ""
    if judged.variant is not None:
        kind = "a known variant" if judged.variant.fault else "a known variant, right in its own way"
        times = f", times {law.weights[0]:.4g}" if abs(law.weights[0] - 1) > ONE and not form.weights else ""
        own = _listed({o.role: judged.options[o.role] for o in judged.variant.options if o.role in judged.options})
        own += f", of weight {law.weights[1] / law.weights[0]:.4g}" if judged.variant.beside else ""
        return f"{kind}: {judged.variant.name}{own}{times}{_plus(judged)}{how}", judged.variant.why, judged.variant.fix
    if judged.holds == "terms":
        return _terms(judged, form)
    if judged.holds == "gradient":
        return _gradient(judged, first, checks, how)
    says = "different from the formula and from every variant known here"
    return (
        says,
        _why_different(checks),
        "Work both out by hand at the input below: it is the smallest found." if first else "",
    )


def _with(judged: Judgement, form: Form) -> str:
    """The numbers of the formula that were given or found."""
    free = _weights(judged, form)
    alike = len(free) > 1 and max(free.values()) - min(free.values()) < ONE  # a factor, said elsewhere
    usual = {o.role: o.default for o in form.options}
    every = {name: v for name, v in judged.options.items() if v != usual.get(name) and name.rstrip("_") not in free}
    every |= {} if alike else free
    none = {o.role: o.none for o in form.options}
    left_out = "".join(f", without {name}" for name, v in every.items() if v == none.get(name))
    return _listed({name: v for name, v in every.items() if v != none.get(name)}) + left_out


def _weights(judged: Judgement, form: Form) -> dict[str, float]:
    """The free weights of terms, as found."""
    found = zip(form.terms, judged.law.weights, strict=False)
    return {form.weights[name]: w for name, w in found if name in form.weights}


def numbers_of(judged: Judgement, form: Form) -> dict[str, float]:
    """Every number of the formula: options, and weights as found."""
    return {**judged.options, **_weights(judged, form)}


def _listed(numbers_: Mapping[str, float]) -> str:
    return f", with {', '.join(f'{name} = {v:.4g}' for name, v in numbers_.items())}" if numbers_ else ""


def factor(judged: Judgement) -> float | None:
    """How many times the formula."""
    return judged.law.weights[0] if judged.holds in ("scale", "variant") else None


def _times(judged: Judgement, form: Form) -> str:
    weight, (term, *more) = judged.law.weights[0], form.terms
    if term in form.weights and not more:  # its weight is lambda, said elsewhere
        weight /= passed(form, term, judged.options) or weight
    return f"{'' if abs(weight - 1) < ONE else f'{weight:.6g} times '}the formula{_plus(judged)}"


def _plus(judged: Judgement) -> str:
    return f" {judged.law.constant:+.4g}" if abs(judged.law.constant) > NONE else ""


TURNED = "It pushes the wrong way there.", "Turn that sign."
MISSING = "Nothing holds back what that term is there for.", "Add the term."
ODD = "The terms pull against each other with other strengths.", "Give every term the weight of the formula."


def _terms(judged: Judgement, form: Form) -> Words:
    weights = dict(zip(form.terms, judged.law.weights, strict=True))
    if judged.law.turned:
        times = "" if abs(judged.law.weights[0] + 1) < ONE else f", times {-judged.law.weights[0]:.4g}"
        says = f"the formula with its sign turned round{times}"
        return says, "Minimising it does the opposite of what is meant.", "Minimise minus this function."
    missing = [f"the term {name} is missing" for name, w in weights.items() if abs(w) < NONE]
    turned = [f"{name} has its sign turned round" for name, w in weights.items() if w <= -NONE]
    odd = [
        f"{name} weighs {w:.4g}{'' if given is None else f', not the {given:g} that it was given'}"
        for name, w in weights.items()
        if w >= NONE and not as_meant(form, name, w, judged.options)
        for given in [passed(form, name, judged.options)]
    ]
    return (
        f"the formula with other weights: {'; '.join(missing + turned + odd)}",
        *(TURNED if turned else MISSING if missing else ODD),
    )


def _gradient(judged: Judgement, first: Gap | None, checks: Mapping[str, str], how: str) -> Words:
    role = judged.law.worst_role or (first.roles[0] if first and first.roles else "its arguments")
    own = checks.get("gradient = finite differences", "holds") != "holds"
    cut = (
        "a detach(), .data or no_grad cuts it, or a backward of its own is wrong" if own else "only the value is alike"
    )
    return (
        f"different: the value is the formula's{how}, the gradient through {role} is not",
        f"No loss curve shows this; {cut}.",
        f"Let the gradient flow through {role}: no .detach(), .data, no_grad; and no backward of its own.",
    )


COUPLED = "A row's loss depends on the other rows: a mean, norm, std or softmax over the batch is inside."
UNLIKE = {
    "each row by itself": COUPLED,
    "the order of the rows": "Rows are told apart by their place in the batch.",
    "the size of the batch": "The same rows twice give another mean: something is divided by a wrong number of rows.",
    "gradient = finite differences": "Its gradient is not the slope of its value: a detach, no_grad or wrong backward.",
}


def _why_different(checks: Mapping[str, str]) -> str:
    return next((why for name, why in UNLIKE.items() if checks.get(name, "holds") != "holds"), "")


def example(first: Gap) -> Counterexample:
    """The smallest input, the two values, the two gradients."""
    grads = [Gradient(role, numbers(first.record.grads[role]), numbers(first.grads[role])) for role in first.roles[:2]]
    return Counterexample(shown(first.record.inputs), numbers(first.record.value), numbers(first.value), grads)


def shown(inputs: Inputs) -> dict[str, str]:
    """Role -> its value in few characters."""
    return {role: _shown(value) for role, value in inputs.items()}


def _shown(value: Value) -> str:
    if not isinstance(value, nn.Module):
        return numbers(value)
    parts = [f"{name} {numbers(p)}" for name, p in value.named_parameters() if bool(p.abs().max() > 0)]
    return f"{type(value).__name__.lower()} of {', '.join(parts) or 'zeros'}"


def at(inputs: Inputs) -> str:
    """The inputs on one line."""
    return ", ".join(f"{role} = {value}" for role, value in shown(inputs).items())


def inexact(worst: float) -> str:
    """Of a small difference."""
    return f"they differ by up to {worst:.1g}, relative: a small epsilon inside, or float32"


def infinite(record: Record) -> str:
    """Of an input at which only the formula is finite."""
    bad = [role for role, grad in record.grads.items() if not bool(torch.isfinite(grad).all())]
    finite = bool(torch.isfinite(record.value).all())
    gives = f"its gradient through {bad[0]} is not finite" if bad and finite else f"it gives {numbers(record.value)}"
    return f"at {at(record.inputs)} {gives}, where the formula is finite: look for a root, log or division at 0"


def unstable(size: float, got: float, expected: float, off: Sequence[str], dead: Sequence[str]) -> str:
    """Of large logits: the value, and the roles through which the gradient is off, or dead: 0 where it must not be."""
    said = []
    if not abs(got - expected) <= 1e-3 * max(1.0, abs(expected)):
        loses = " (it loses digits)" if math.isfinite(got) else ""
        said.append(f"it gives {got:.4g} where the formula gives {expected:.4g}{loses}")
    if dead:
        said.append(f"its gradient through {dead[0]} is dead: 0 where the network is wrong and sure")
    elif off:
        said.append(f"its gradient through {off[0]} is off")
    return (
        f"at logits of {size:g} {', and '.join(said)}. Use the form on logits: softplus, logsumexp, log_softmax, or a "
        "function whose name ends in _with_logits"
    )


def fails(size: float, error: Exception) -> str:
    """Of large scores at which it raises."""
    return f"at logits of {size:g} it raises {first_line(error)}"
