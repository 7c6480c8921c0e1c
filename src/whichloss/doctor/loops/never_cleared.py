"""Gradients of earlier steps are still there when new ones come."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        stale = sorted(loss.stale & loss.moves)
        if stale:
            yield say.fault(
                "contract: gradient never cleared",
                f"When backward() runs at {loss.site}, {' and '.join(stale)} still holds the gradient of earlier "
                "steps; "
                "the new one is added to it.",
                "optimizer.zero_grad() is missing.",
                "Call optimizer.zero_grad() before backward(), for every optimiser.",
                {"networks": float(len(stale))},
            )
