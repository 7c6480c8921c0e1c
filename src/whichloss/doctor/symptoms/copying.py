"""Samples lie nearer to training rows than held-out rows do."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    p = record.outcome.copies_p
    if p is not None and p < 0.01:
        yield record.say.fault(
            "copying",
            f"Samples lie closer to the training rows than held-out rows do (p = {p:.2g}).",
            "The network is large for this number of rows, or trained too long: it remembers rows.",
            "Fewer units or a smaller budget; more rows.",
            {"copy test p": p},
            "Meehan et al., 2020",
        )
