"""A Wasserstein critic whose slope vanished or exploded."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    slopes = record.late("critic slope") if "critic gap / slope" in record.curves else {}
    for value in slopes.values():
        if not 0.01 <= value <= 20:
            low = value < 0.01
            yield record.say.fault(
                "critic slope off",
                f"The critic's slope at the samples is {value:.3g} in the second half of the run "
                f"({'it vanished' if low else 'nothing bounds it'}).",
                "Weights are clipped too hard." if low else "The penalty is too weak, or clipping too loose.",
                "Raise the clipping bound." if low else "Raise the penalty (to 1 or 10), or clip harder.",
                {"critic slope": value},
                "Gulrajani et al., 2017",
            )
