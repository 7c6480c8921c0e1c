"""The score stands where it stood after a quarter of the run."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record, numbers

FALL = 0.05  # of the score after the first quarter; less is no progress


def rule(record: Record) -> Iterator[Finding]:
    out = record.outcome
    if len(out.quarter_scores) < 4 or len(numbers(out.quarter_scores)) < len(out.quarter_scores):
        return
    first, *later = numbers(out.quarter_scores)
    if out.bad and first - min(later) < FALL * abs(first) and max(later) - first < FALL * abs(first):
        yield record.say.fault(
            "stagnation",
            f"The score stood at {first:.3g} after a quarter of the run, and stands at {later[-1]:.3g} at its end.",
            "The training goes on and does not help: it has come to rest at a bad place, or its loss asks for "
            "something else than the score.",
            "Another rate or setting rather than a larger budget; look at what else is said of this objective.",
            {"score at 25 %": first, "score at 100 %": later[-1]},
        )
