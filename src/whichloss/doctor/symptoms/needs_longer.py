"""The score was still falling at the end."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    quarters, noise = record.outcome.quarter_scores, record.outcome.noise
    before, last = quarters[-2:] if len(quarters) >= 2 else (None, None)
    if before is not None and last is not None and before - last > max(0.1 * abs(before), noise):
        yield record.say.note(
            "needs longer",
            f"The score fell from {before:.3g} to {last:.3g} in the last quarter of the run.",
            "Training had not ended.",
            "Compare again with a larger budget; its rank may rise.",
            {"score at 75 %": before, "score at 100 %": last},
        )
