"""The learnt factor of cosines stands at its bound."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record

MOST_SCALE = 100.0  # of cosines


def rule(record: Record) -> Iterator[Finding]:
    for value in record.late("scale of cosines", 0.2).values():
        if value > 0.99 * MOST_SCALE:
            yield record.say.note(
                "temperature at its bound",
                f"The factor of cosines ended at {value:.0f}, its bound: the temperature would be lower still.",
                "Pairs are told apart by small differences of cosines, or training pairs are known by heart.",
                "Compare recall on new pairs; stop earlier, or use more pairs or larger batches.",
                {"factor of cosines": value},
                "Radford et al., 2021",
            )
