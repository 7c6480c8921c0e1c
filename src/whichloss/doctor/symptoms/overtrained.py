"""The best quarter came before the last and was much better."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    known = [q for q in record.outcome.quarter_scores if q is not None]
    if len(known) >= 2 and known[-1] > max(1.5 * min(known), min(known) + 2 * record.outcome.noise):
        yield record.say.note(
            "overtrained",
            f"The score was {min(known):.3g} at best and {known[-1]:.3g} at the end of the run.",
            "Training rows were learnt by heart, or, of two networks, their game wandered off.",
            "The best snapshot is kept; a lower lr or a smaller budget would end nearer to it.",
            {"best score": min(known), "last score": known[-1]},
        )
