"""The loss stands where it cannot go lower: cosines are bounded, and equal things are not told apart."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    level, collapse = record.outcome.least, record.outcome.collapse
    if level is None or level < 0.05 * (collapse or level):
        return
    for name, value in record.late("loss", 0.1).items():
        if value < level + 0.05 * abs((collapse or 2 * level) - level):
            yield record.say.note(
                "loss at its least",
                f"'{name}' ended at {value:.4g}; no embeddings of such batches come below {level:.4g}.",
                "Cosines are bounded at this temperature, or a batch holds things that cannot be told apart.",
                "Judge by the score, not by the loss. More training will not lower it.",
                {"loss": value, "least": level},
                "Graf et al., 2021",
            )
