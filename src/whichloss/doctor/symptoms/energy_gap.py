"""Energies of data and samples drift apart instead of swinging round 0; noise or a proposal may stay apart."""

from collections.abc import Iterator
from statistics import fmean, pstdev

from ...task import Finding
from ..record import Record, numbers


def rule(record: Record) -> Iterator[Finding]:
    chained = any("chain" in name for name in record.curves)
    for name, curve in record.curves.items():
        gap = numbers(curve)
        if "energy gap" not in name or len(gap) < 10 or not (chained or "margin" in name):
            continue
        early, late = gap[len(gap) // 10 : len(gap) // 2], gap[-len(gap) // 5 :]
        usual = max(pstdev(early), abs(fmean(early)) / 10, 0.05)
        if abs(fmean(late)) > 10 * usual:
            yield record.say.fault(
                "energy gap diverging",
                f"The energy gap between samples and data ends at {fmean(late):.3g}; it swung by {usual:.2g} before.",
                "The chains no longer follow the energy: it grew steeper than their steps can follow.",
                "Lower lr, raise the energy penalty, or give the chains more or shorter steps.",
                {"energy gap at the end": fmean(late), "swing before": usual},
                "Nijkamp et al., 2020",
            )
