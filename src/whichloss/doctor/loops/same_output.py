"""One answer for every row."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace, late

PREDICTS = {"SmoothL1Loss", "HuberLoss", "Abs", "Gather", "NllLoss2D"}  # outputs are no embeddings there
NARROW = 0.45  # of the outputs' size; healthy embeddings come to .9 and more


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        curve = network.curves.get("spread of outputs", [])
        end = late(curve, 0.25)
        players = any(network.name in pair for pair in trace.games)
        guided = any(
            "explained" in loss.curves
            or loss.facts.get("pairs") == 0
            or loss.facts.get("own output")
            or loss.operations & PREDICTS
            for loss in trace.losses.values()
            if network.name in loss.reaches
        )
        start = late(curve[:3], 1.0)
        if end is not None and start is not None and end < min(NARROW, start / 1.2) and not players and not guided:
            yield say.fault(
                "embedding collapse",
                f"{network.name} says nearly the same of every row at the end: its outputs differ by {end:.1%} of "
                "their size.",
                "Nothing in the loss keeps different rows apart, the input does not reach the output, or steps were "
                "too long.",
                "Use negatives, or a variance term (vicreg, barlow-twins); a lower learning rate.",
                {"spread / size": end},
                "Wang & Isola, 2020; Bardes et al., 2022",
            )
