"""Gradients are made and nobody steps, or steps change nothing."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    asked = [loss for loss in trace.losses.values() if loss.reaches]
    moved = any(network.facts.get("moved") for network in trace.networks.values())  # steps by hand
    if asked and not trace.steps and not moved and sum(len(loss.values) for loss in asked) >= 3:
        yield say.fault(
            "contract: no step",
            f"backward() was called at {asked[0].site}, and no optimiser ever stepped.",
            "optimizer.step() is missing, or stands outside the loop.",
            "Call optimizer.step() after backward().",
            {"steps": 0.0},
        )
    for network in trace.networks.values():
        still = [name for name in network.still if name not in network.without]
        whole = len(still) and not any(v > 0 for v in network.curves.get("update", []))
        if whole and trace.steps >= 2:
            yield say.fault(
                "contract: does not move",
                f"{trace.steps} steps left {network.name} as it was, although gradients reached it.",
                "The learning rate is 0, or so small that the steps vanish in rounding.",
                "Raise the learning rate (1e-3 for Adam); look at the scheduler.",
                {"steps": float(trace.steps)},
            )
