"""The verdict on one reading of a function: equal, up to what, a known variant, or different, with the numbers."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from .claim import Form, Variant
from .compare import EXACT, PLAIN, Law, direct, image, laws, solve
from .record import Record
from .variants import all_variants

RANKS = ("equal", "constant", "scale", "variant", "terms", "gradient", "different")
ONE, NONE = 1e-5, 1e-6  # how near a weight is to 1, or to 0


@dataclass(frozen=True)
class Judgement:
    """What holds, by which law, with which numbers for the options."""

    holds: str  # one of RANKS
    law: Law
    options: Mapping[str, float]
    variant: Variant | None = None

    @property
    def rank(self) -> int:
        """0 is equal; larger is farther off."""
        return RANKS.index(self.holds)

    @property
    def same(self) -> bool:
        """Equal, if need be up to a constant or a scale."""
        return self.rank < RANKS.index("variant")


def judge(form: Form, records: Sequence[Record], known: Mapping[str, float], until: float = inf) -> Judgement:
    """The first of RANKS that holds, exactly or, failing that, up to a small epsilon.

    From the time `until` on, the numbers of a variant are looked for on a grid only.
    """
    options = solve(form.formula, records, form, known)
    images = [image(term, records, form, options) for term in form.terms.values()]
    found = [law for law in laws(records, images) if max(map(abs, law.weights)) > NONE]
    exact, near = ([law for law in found if law.holds(tolerance)] for tolerance in (EXACT, form.close))
    if same := _same(form, exact, options):
        return same[0]
    alike = []
    for other in _variants(form, records, known, until):
        if other.law.holds(EXACT):
            return other
        if other.law.holds(form.close):
            alike.append(other)
    in_value = [law for law in found if law.value_error <= form.close]
    likeliest_first = (
        *(Judgement("terms", law, options) for law in exact),
        *_same(form, near, options),
        *alike,
        *(Judgement("terms", law, options) for law in near),
        *(Judgement("gradient", law, options) for law in in_value),
        Judgement("different", direct(records, images, PLAIN), options),
    )
    return likeliest_first[0]


def _same(form: Form, found: Sequence[Law], options: Mapping[str, float]) -> list[Judgement]:
    """Every law that makes it the formula, up to a constant, a factor, or its sign."""
    every = [("terms" if law.turned else _holds(form, law, options), law) for law in found]
    return [Judgement(holds, law, options) for holds, law in every if holds]


def _variants(form: Form, records: Sequence[Record], known: Mapping[str, float], until: float) -> Iterator[Judgement]:
    """Every known variant under every law; what it lowers the function must lower."""
    for variant in all_variants(form):
        own = replace(form, options=(*form.options, *variant.options))
        options = solve(variant.formula, records, own, known, refine=time.monotonic() < until)
        parts = [part for part in (variant.beside, variant.formula) if part is not None]
        for law in laws(records, [image(part, records, own, options) for part in parts]):
            if min(law.weights) > NONE:
                yield Judgement("variant", law, options, variant)


def _holds(form: Form, law: Law, options: Mapping[str, float]) -> str:
    """equal, constant, scale, or "" for a law that is none of these."""
    if not all(as_passed(form, term, w, options) for term, w in zip(form.terms, law.weights, strict=True)):
        return "scale" if len(law.weights) == 1 and law.weights[0] > NONE else ""
    free = [w for w, name in zip(law.weights, form.terms, strict=True) if name in form.weights]
    fixed = [w for w, name in zip(law.weights, form.terms, strict=True) if name not in form.weights]
    if min(law.weights) <= NONE or (fixed and max(fixed) - min(fixed) > ONE * max(fixed)):
        return ""
    if free and fixed and abs(fixed[0] - 1) > ONE:
        return ""  # a weight is the person's to choose only beside terms that weigh 1
    one = fixed or [1.0 if max(free) - min(free) > ONE or len(free) == 1 else free[0]]  # all free and alike: a factor
    if abs(one[0] - 1) > ONE or (law.factor.columns and not form.any_columns) or law.factor.rows < 0:
        return "scale"
    return "constant" if abs(law.constant) > NONE else "equal"


def passed(form: Form, term: str, options: Mapping[str, float]) -> float | None:
    """The weight of the term that the function was given, if it was."""
    name = form.weights.get(term, "")
    return options.get(name, options.get(f"{name}_"))


def as_passed(form: Form, term: str, weight: float, options: Mapping[str, float]) -> bool:
    """Whether the weight is the one that the function was given, in any unit; true where it was given none."""
    given = passed(form, term, options)
    units = (1.0, form.units.get(term, 1.0))
    return given is None or min(abs(weight - unit * given) for unit in units) <= ONE * abs(weight)


def as_meant(form: Form, term: str, weight: float, options: Mapping[str, float]) -> bool:
    """Whether the term has the weight of the formula: 1, or what was passed, or anything positive."""
    if term not in form.weights:
        return abs(weight - 1) <= ONE
    return weight > NONE and as_passed(form, term, weight, options)
