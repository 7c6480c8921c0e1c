"""Wrong forms of any loss: an input detached, two swapped, a sign turned, a hinge of the mean, a sigmoid too many."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .claim import Form, Variant


def all_variants(form: Form) -> Iterator[Variant]:
    """The form's own variants, then those that every loss of its kind shares."""
    yield from form.variants
    tensors = [a for a in form.arguments if not a.network]
    for argument in tensors:
        if argument.learns:
            yield _detached(form, argument.role)
    if any(a.logit for a in tensors):
        yield _sigmoid_first(form, [a.role for a in tensors if a.logit])
    scores = [a.role for a in tensors if "column" in a.layouts and a.learns]
    if scores and form.per_sample:
        yield _of_the_mean(form, scores)
    if len(scores) == 2:
        yield _swapped(form, *scores)
    for argument in tensors:
        if argument.logit:
            yield _negated(form, argument.role)


def _detached(form: Form, role: str) -> Variant:
    def formula(**given: Any) -> Tensor:
        value = given[role]
        return form.formula(**given | {role: value.detach()} if isinstance(value, Tensor) else given)

    return Variant(
        f"{role} is detached",
        formula,
        f"The value is right, so no loss curve shows it, but no gradient flows through {role}: whatever made it "
        f"does not learn from it.",
        f"Take the .detach(), .data or no_grad off {role}.",
    )


def _sigmoid_first(form: Form, roles: list[str]) -> Variant:
    return Variant(
        "a sigmoid too many",
        lambda **given: form.formula(**given | {role: torch.sigmoid(given[role]) for role in roles}),
        "The formula takes raw scores and applies the sigmoid itself; scores squeezed into (0, 1) first can never "
        "say a clear no, and their gradient vanishes where the network is wrong and sure.",
        "Give the raw scores (no sigmoid at the end of the network), or use the form of the loss for probabilities.",
    )


def _of_the_mean(form: Form, roles: list[str]) -> Variant:
    def formula(**given: Any) -> Tensor:
        means = {role: given[role].mean().expand_as(given[role]) for role in roles}
        return form.formula(**given | means)

    return Variant(
        "the loss of the batch mean",
        formula,
        "The scores are averaged first and the formula is applied to their mean, so one far sample switches off "
        "the gradient of all others.",
        "Apply the formula to every sample, then average: relu(margin - fake).mean(), not relu(margin - fake.mean()).",
    )


def _swapped(form: Form, first: str, second: str) -> Variant:
    return Variant(
        f"{first} and {second} swapped",
        lambda **given: form.formula(**given | {first: given[second], second: given[first]}),
        f"It treats {first} as the formula treats {second}: the critic is trained the wrong way round.",
        f"Swap the two arguments, or say which is which with --args {first}=NAME,{second}=NAME.",
    )


def _negated(form: Form, role: str) -> Variant:
    return Variant(
        f"the sign of {role} is turned round",
        lambda **given: form.formula(**given | {role: -given[role]}),
        f"It pushes {role} down where the formula pushes it up, and up where the formula pushes it down.",
        f"Use -{role} where the function has {role}, or swap its targets (1 for 0).",
    )
