"""Training labels are known by heart and new ones guessed (Zhang et al., 2017)."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    out = record.outcome
    if out.training_accuracy is None or out.accuracy is None or out.guessed is None:
        return
    if out.training_accuracy >= 0.9 and out.accuracy <= out.guessed:
        yield record.say.fault(
            "labels learnt by heart",
            f"With every class counted alike, {out.training_accuracy:.0%} of the training labels are predicted and "
            f"{out.accuracy:.0%} of new ones; guesses reach {out.guessed:.0%}.",
            "The labels do not depend on the columns: shuffled rows, a wrong join, or columns that do not tell.",
            "Compare a few rows and their labels by hand; no loss can help.",
            {"training accuracy": out.training_accuracy, "accuracy": out.accuracy, "guesses": out.guessed},
            "Zhang et al., 2017",
        )
