"""Samples much narrower or wider than the data."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    ratio = record.outcome.spread_ratio
    if ratio is not None and 0.1 <= ratio < 0.7:
        yield record.say.fault(
            "spread too narrow",
            f"Samples have {ratio:.2f} times the spread of the real rows.",
            "The generator keeps to the middle or to some of the modes.",
            "Train longer, or tune lr and the penalty.",
            {"spread": ratio},
        )
    if ratio is not None and not ratio <= 1.4:
        yield record.say.fault(
            "spread too wide",
            f"Samples have {ratio:.2f} times the spread of the real rows.",
            "Noise is left in the samples, or some of them run away from the data.",
            "More sampling steps, a smaller last noise level, or a lower lr.",
            {"spread": ratio},
        )
