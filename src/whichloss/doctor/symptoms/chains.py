"""Langevin chains that do not move, run away, or are too short for their energy to be a density."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    out = record.outcome
    lost = out.coverage is not None and out.real_coverage is not None and out.coverage < 0.5 * out.real_coverage
    for name, value in record.late("acceptance").items():
        if not value > 0.2:
            yield record.say.fault(
                "chains mostly refused",
                f"At the end {value:.0%} of the chains' proposals are accepted; .5 to .6 is best.",
                "The step is longer than the energy is narrow: chains stand still, and the energy learns from "
                "rows that did not move.",
                "Shorten `step`, and take more Langevin steps.",
                {name: value},
                "Roberts & Rosenthal, 1998",
            )
    for name, value in record.late("chain reach").items():
        width = max(record.late("chain sd").values(), default=1.0)
        if not width < 5:
            yield record.say.fault(
                "chains running away",
                f"The chains spread to {width:.3g} times the data.",
                "Steps too long for the energy's slope, or an energy that falls outwards.",
                "Shorten `step`, lower lr, or restart more chains.",
                {"chain sd": width},
                "Nijkamp et al., 2020",
            )
        elif not value > 0.1:
            yield record.say.fault(
                "chains not moving",
                f"In its life a chain comes {value:.3g} standard deviations of the data far; it needs some tenths.",
                "The chains stay where they began, whatever the energy: too few or too short steps.",
                "Lengthen `step`, take more Langevin steps, or restart fewer chains.",
                {name: value, "chain sd": width},
                "Nijkamp et al., 2020",
            )
        elif value < 0.5 and (out.misweighted or lost):
            yield record.say.fault(
                "a sampler, not a density",
                f"In its life a chain comes {value:.2f} standard deviations of the data far, and samples drawn from "
                "the energy by longer chains are not the data.",
                "Chains too short to mix fit the energy only where they pass: with them it is a sampler, but exp(-E) "
                "is not the data's density.",
                "Do not compare energies of rows far apart. More Langevin steps, or an objective without chains (ml, "
                "nce, energy-discrepancy).",
                {name: value},
                "Nijkamp et al., 2020",
            )
