"""The critic guesses although samples and data differ."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    right = record.late("critic accuracy")
    if right and record.outcome.bad and all(0.45 < v < 0.55 for v in right.values()):
        yield record.say.fault(
            "critic guesses",
            "The critic cannot tell samples from data, yet the score can.",
            "The critic does not learn: its lr is too low or its gradient is cut.",
            "Raise the critic's lr, or give it more units.",
            {"critic accuracy": max(right.values())},
        )
