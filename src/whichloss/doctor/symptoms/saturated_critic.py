"""The discriminator is certain, so the generator learns nothing."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    share = max(record.late("saturated").values(), default=0.0)
    right = max(record.late("critic accuracy").values(), default=0.0)
    if share > 0.5 or (right > 0.98 and record.outcome.bad):
        yield record.say.fault(
            "saturated discriminator",
            f"In the second half of the run the critic is right on {right:.0%} of the rows, and certain "
            f"(|score| > 10) on {share:.0%} of the samples.",
            "The critic wins, and the slope it passes to the generator vanishes.",
            "Lower the critic's lr, or use a loss whose slope does not vanish: wgan-gp, r3gan.",
            {"critic accuracy": right, "saturated share": share},
            "Arjovsky & Bottou, 2017",
        )
