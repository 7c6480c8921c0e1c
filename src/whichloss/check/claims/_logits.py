"""What the claims on classifiers share: log-probabilities in float64, as the formulas are written."""

import math

from torch import Tensor
from torch.nn.functional import log_softmax, softplus

from ..arguments import index, logits, one_hot
from ..claim import Argument, Claim, Form, Formula, Option, Variant
from ..invariance import shifted

Y, Z = index(), logits()
SHIFT = (shifted("z"),)


def log_p(z: Tensor) -> Tensor:
    return log_softmax(z, dim=1)


def picked(values: Tensor, target: Tensor) -> Tensor:
    """The value of the true class, (B, K) -> (B,)."""
    return values.gather(1, target.long().unsqueeze(1)).squeeze(1)


def own(z: Tensor, target: Tensor) -> Tensor:
    """log p_y."""
    return picked(log_p(z), target)


def others(z: Tensor, target: Tensor) -> Tensor:
    """1 - p_y, summed over the others so that nothing cancels."""
    return (log_p(z).exp() * (1 - one_hot(target, z.shape[1]))).sum(dim=1)


def bce_z(z: Tensor, target: Tensor | float) -> Tensor:
    return softplus(z) - target * z


def within(value: float, least: float = 0.0, most: float = math.inf) -> float:
    """The number, or NaN outside (least, most]: there the search for a number hidden in the code must not go."""
    return value if least < value <= most else math.nan


LOGITS_FIX = "Give the raw logits: cross_entropy and the _with_logits functions apply softmax or sigmoid themselves."
TWICE = Variant(
    "a softmax too many",
    lambda z, target, **_: -own(log_p(z).exp(), target),
    "Cross-entropy takes logits; on probabilities the largest gap is 1, so with K classes it cannot fall below "
    "log(1 + (K - 1)/e) and learns slowly.",
    LOGITS_FIX,
)


def softmax_twice(formula: Formula) -> Variant:
    """The formula on probabilities in place of logits."""
    return Variant(
        TWICE.name,
        lambda z, **rest: formula(z=log_p(z).exp(), **rest),
        "The formula takes logits and applies softmax itself; probabilities in their place differ by at most 1, so the "
        "network cannot be sure of anything.",
        LOGITS_FIX,
    )


def pair(
    text: str,
    formula: Formula,
    *variants: Variant,
    options: tuple[Option, ...] = (),
    more: tuple[Argument, ...] = (),
    shift: bool = True,
) -> Form:
    """A form on logits and class numbers."""
    return Form((Z, Y, *more), {text: formula}, options, variants, SHIFT if shift else ())


def named(
    name: str, says: str, form: Form, card: str, covers: str, *aliases: str, more: tuple[Form, ...] = ()
) -> Claim:
    """A claim of one form, or of one with others beside it."""
    return Claim(name, says, (form, *more), aliases, card, (covers,))
