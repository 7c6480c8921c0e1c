"""A loss or watched number stops being finite, or the run failed."""

import math
from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    bad = {
        name: next(i for i, v in enumerate(curve) if v is None or not math.isfinite(v)) / len(curve)
        for name, curve in record.curves.items()
        if any(v is None or not math.isfinite(v) for v in curve)
    }
    out = record.outcome
    if bad:
        name, when = min(bad.items(), key=lambda item: item[1])
        says = f"'{name}' stopped being a finite number {when:.0%} of the way through the run."
    elif out.failed and "diverged" in out.why_failed:
        when, says = 1.0, f"The run {out.why_failed}."
    else:
        return
    yield record.say.fault(
        "non-finite",
        says,
        "Steps too long for this loss on this data, or a logarithm or quotient near 0.",
        "Lower lr (to a third), or strengthen the penalty that bounds the network's slope.",
        {"share of the run": when},
        "Zhang et al., 2021 (AutoTrainer)",
    )
