"""Few of the rows drawn to measure the model's density carry it."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    for name, value in (record.late(" ess", 0.1) | record.late("effective share", 0.1)).items():
        if not value >= 0.02:
            yield record.say.fault(
                "proposal too thin",
                f"'{name}' is {value:.2g} at the end of the run: that share of the rows drawn carries it.",
                "The drawn rows seldom fall where the model's density is, so a few of them measure its integral.",
                "Draw more rows or nearer to the data (a narrower bandwidth, noise or t), or use fewer columns.",
                {name: value},
                "Kong, 1992; Gutmann & Hirayama, 2012",
            )
