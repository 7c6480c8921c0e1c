"""One loss moves both players of a game."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for maker, judge in trace.games:
        if maker not in trace.networks:
            continue
        both = [loss for loss in trace.losses.values() if {maker, judge} <= loss.moves]
        for loss in both:
            yield say.fault(
                "contract: wrong player moved",
                f"The gradient of the loss at {loss.site} ('{loss.text}') moves {maker} and {judge} alike.",
                f"{judge} is shown samples that are not detached, and {maker}'s gradient is not cleared before its own "
                "step; or one optimiser holds both.",
                f"Detach the samples in {judge}'s loss: {judge}(fake.detach()); clear each player's gradient before "
                "its own "
                "backward(); one optimiser for each.",
                {"losses": float(len(both))},
                "Goodfellow et al., 2014",
            )
