"""All samples are nearly the same row."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    spread = record.outcome.spread_ratio
    if spread is not None and spread < 0.1:
        yield record.say.fault(
            "mode collapse",
            f"Samples spread over {spread:.0%} of the real rows' spread: nearly one row again and again.",
            "The generator found a row that the critic likes and stayed there, or its noise is ignored.",
            "Lower the critic's lr, or try r3gan or wgan-gp, which do not collapse like this.",
            {"spread": spread},
            "Goodfellow et al., 2014; Arjovsky et al., 2017",
        )
