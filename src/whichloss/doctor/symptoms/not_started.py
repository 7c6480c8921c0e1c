"""The loss is no better than a trivial predictor's."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    skill = record.outcome.loss_skill
    if skill is not None and not skill >= 0.05:
        yield record.say.fault(
            "not started",
            f"The loss skill is {skill:.2f}: hardly better than a predictor that ignores its input's details.",
            "The budget, or lr, is too small for training to have begun, or the target cannot be predicted.",
            "Give a larger budget or a higher lr before comparing this objective with others.",
            {"loss skill": skill},
        )
