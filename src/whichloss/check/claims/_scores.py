"""Losses of scores, written on the networks that give the scores: loss(D, real, fake), loss(D, G, z)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..arguments import generator, noise
from ..claim import Argument, Form, Formula
from ..variants import all_variants
from .penalties import FAKE_ROWS, REAL_ROWS, D

Made = dict[str, Callable[[dict[str, Any]], Tensor]]
P_D = replace(D, says="a network with a sigmoid at its end (B, d) -> (B, 1)", layouts=("sigmoid",))
G, Z = generator(), noise()


def on_networks(form: Form, arguments: tuple[Argument, ...], made: Made) -> Form:
    """The form with each score made of other arguments."""
    roles = {argument.role for argument in arguments}

    def lifted(formula: Formula) -> Formula:
        def of(**x: Any) -> Tensor:
            scores = {role: make(x).reshape(-1) for role, make in made.items()}
            return formula(**scores, **{name: value for name, value in x.items() if name not in roles})

        return of

    return Form(
        arguments,
        {text: lifted(term) for text, term in form.terms.items()},
        form.options,
        tuple(replace(variant, formula=lifted(variant.formula)) for variant in all_variants(form)),
    )


def of_critic(form: Form, critic: Argument = D) -> tuple[Form, Form]:
    """A critic's loss as loss(D, real, fake) and as loss(D, G, real, z), where G may be cut off or not."""
    real: Made = {"real": lambda x: x["D"](x["real"])}
    return (
        on_networks(form, (critic, REAL_ROWS, FAKE_ROWS), real | {"fake": lambda x: x["D"](x["fake"])}),
        on_networks(
            form, (critic, replace(G, learns=False), REAL_ROWS, Z), real | {"fake": lambda x: x["D"](x["G"](x["z"]))}
        ),
    )


def of_generator(form: Form, critic: Argument = D) -> tuple[Form, Form]:
    """A generator's loss as loss(D, fake) and as loss(D, G, z), with the real rows where the scores need them."""
    needs = {argument.role for argument in form.arguments}
    real: Made = {"real": lambda x: x["D"](x["real"])} if "real" in needs else {}
    rows = (REAL_ROWS,) if real else ()
    fakes = replace(FAKE_ROWS, learns=True)
    return (
        on_networks(form, (critic, *rows, fakes), real | {"fake": lambda x: x["D"](x["fake"])}),
        on_networks(form, (critic, G, *rows, Z), real | {"fake": lambda x: x["D"](x["G"](x["z"]))}),
    )
