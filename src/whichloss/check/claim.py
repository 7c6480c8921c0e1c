"""What a loss is, as data: its formula in terms, its arguments and how to draw them, what it must not change under,
and the wrong or differing forms people meet.

A `Claim` is one loss. A `Form` is one way to write it as a function: which arguments it takes, and the formula in
these.
Terms, variants and transformations are functions of the form's roles and options, called by keyword.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

Value = Tensor | nn.Module | float
Inputs = dict[str, Value]
Formula = Callable[..., Tensor]


@dataclass(frozen=True)
class Size:
    """How large one drawn input is: rows, columns, classes."""

    batch: int
    width: int
    classes: int


class Source(Protocol):
    """Where drawn numbers come from: keyed random numbers, or hypothesis."""

    def real(self, shape: Sequence[int]) -> Tensor:
        """Numbers of either sign, of the order of 1."""

    def unit(self, shape: Sequence[int]) -> Tensor:
        """Numbers inside (0, 1)."""

    def integers(self, shape: Sequence[int], top: int) -> Tensor:
        """Whole numbers 0 .. top - 1."""


@dataclass(frozen=True)
class Argument:
    """One argument by its role in the formula: the words that name it in people's code, and how to draw one."""

    role: str
    words: frozenset[str]
    draw: Callable[[Size, Source], Value]
    says: str
    learns: bool = True  # its gradient belongs to the loss
    layouts: tuple[str, ...] = ("",)  # how people shape it: see layout.py
    network: bool = False
    per_row: bool = True  # its first axis is the batch
    free: bool = True  # its entries can move one by one
    logit: bool = False  # a raw score: people put it through a sigmoid once too often
    passed: bool = True  # False: drawn for the formula, but no argument of the function
    of: Callable[[Inputs], Tensor] | None = None  # made from the others (with its graph) instead of drawn


@dataclass(frozen=True)
class Option:
    """A number of the formula that a person may pass, leave at a default, or write into the code."""

    role: str
    words: frozenset[str]
    default: float
    tried: tuple[float, ...]  # where a number hidden in the code is looked for
    none: float | None = None  # the value that stands for leaving it out


@dataclass(frozen=True)
class Variant:
    """Another formula that goes by the same name."""

    name: str
    formula: Formula
    why: str
    fix: str
    fault: bool = True  # False: another convention, right in its own way
    options: tuple[Option, ...] = ()  # numbers of its own
    beside: Formula | None = None  # another term of it, beside which the formula's weight is free


@dataclass(frozen=True)
class Invariance:
    """A change of the inputs that must leave the loss as it is."""

    name: str
    change: Callable[[Inputs], Inputs]


@dataclass(frozen=True)
class Known:
    """A change of the inputs after which the loss has a known value."""

    name: str
    change: Callable[[Inputs], Inputs]
    value: float


@dataclass(frozen=True)
class Form:
    """One way to write the loss as a function. `terms` add up to it, each (B,), or () where `whole`."""

    arguments: tuple[Argument, ...]
    terms: Mapping[str, Formula]
    options: tuple[Option, ...] = ()
    variants: tuple[Variant, ...] = ()
    invariances: tuple[Invariance, ...] = ()
    least: int = 1  # rows needed
    per_sample: bool = True  # a row's value depends on that row alone
    whole: bool = False  # one value for the whole set
    means: Variant | None = None  # set where this way to write it is itself a known variant
    weights: Mapping[str, str] = field(default_factory=dict)  # terms whose weight is free: lambda of a penalty
    units: Mapping[str, float] = field(default_factory=dict)  # what else a weight that is passed may count in
    any_columns: bool = False  # a sum over columns is as usual as their mean
    places: Callable[[Sequence[Inputs]], Variant | None] | None = None  # where networks were called, if that is wrong
    reveal: Callable[[Callable[[Inputs], Tensor], Inputs], None] | None = None  # reads what it drew off further calls
    known: tuple[Known, ...] = ()
    random: bool = False  # it draws inside
    exchangeable: bool = True  # the order of the rows means nothing
    close: float = 2e-4  # relative difference up to which it counts as equal: epsilons inside, float32

    def formula(self, **given: Any) -> Tensor:
        """The sum of the terms."""
        total: Tensor = sum(term(**given) for term in self.terms.values())  # type: ignore[assignment]
        return total


@dataclass(frozen=True)
class Claim:
    """One loss by name."""

    name: str
    says: str  # the formula, in one line of plain text
    forms: tuple[Form, ...]
    aliases: tuple[str, ...] = ()
    card: str = ""
    covers: tuple[str, ...] = ()  # public functions of whichloss.losses, as module.function
    remark: Callable[[Mapping[str, float]], str] = lambda numbers: ""  # of its options and weights, where it is right
    fragile: bool = True  # logits may be large: say so where the function breaks at +-1e4
