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
    every = [("terms" if law.turned else _holds(form, law), law) for law in found]
    return [Judgement(holds, law, options) for holds, law in every if holds]


def _variants(form: Form, records: Sequence[Record], known: Mapping[str, float], until: float) -> Iterator[Judgement]:
    """Every known variant under every law; what it lowers the function must lower."""
    for variant in all_variants(form):
        own = replace(form, options=(*form.options, *variant.options))
        options = solve(variant.formula, records, own, known, refine=time.monotonic() < until)
        for law in laws(records, [image(variant.formula, records, own, options)]):
            if law.weights[0] > NONE:
                yield Judgement("variant", law, options, variant)


def _holds(form: Form, law: Law) -> str:
    """equal, constant, scale, or "" for a law that is none of these."""
    free = [w for w, name in zip(law.weights, form.terms, strict=True) if name in form.weights]
    fixed = [w for w, name in zip(law.weights, form.terms, strict=True) if name not in form.weights]
    if min(law.weights) <= 0 or (fixed and max(fixed) - min(fixed) > ONE * max(fixed)):
        return ""
    if free and fixed and abs(fixed[0] - 1) > ONE:
        return ""  # a weight is the person's to choose only beside terms that weigh 1
    one = fixed or [1.0 if max(free) - min(free) > ONE or len(free) == 1 else free[0]]  # all free and alike: a factor
    if abs(one[0] - 1) > ONE or law.factor.columns or law.factor.rows < 0:
        return "scale"
    return "constant" if abs(law.constant) > NONE else "equal"
