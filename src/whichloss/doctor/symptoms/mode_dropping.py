"""Parts of the data get no samples."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    out = record.outcome
    if out.coverage is None or not out.real_coverage or (out.spread_ratio or 1.0) < 0.1:
        return
    if out.coverage < 0.5 * out.real_coverage:
        yield record.say.fault(
            "mode dropping",
            f"Samples cover {out.coverage:.0%} of the real rows; fresh real rows cover {out.real_coverage:.0%}.",
            "Whole groups of rows get no samples, or samples lie off the data.",
            "Train longer, or prefer an objective that fits every row (flow-matching, ddpm, r3gan).",
            {"coverage": out.coverage, "coverage of real rows": out.real_coverage},
            "Naeem et al., 2020",
        )
