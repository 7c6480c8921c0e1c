"""Steps so short that nothing changes."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import poor
from ..say import Say
from ..trace import Trace

LEAST, REACH = 2e-4, 0.02  # in one step; in all, if all went one way


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        size = network.late("update")
        if size is None or not 0 < size < LEAST or not poor(trace, network.name):
            continue
        if size * trace.steps < REACH:
            yield say.fault(
                "learning rate too low",
                f"Each step changes the weights of {network.name} by {size:.1g} of their size: "
                f"{size * trace.steps:.1g} in "
                f"all {trace.steps} steps at most.",
                "The learning rate is too low, or the gradient nearly vanishes.",
                "Multiply the learning rate by 10 until the loss falls faster; 1e-3 is usual for Adam.",
                {"update / weights": size},
            )
