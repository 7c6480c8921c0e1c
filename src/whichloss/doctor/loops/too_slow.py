"""Steps so short that nothing changes."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import poor
from ..say import Say
from ..trace import Trace, late

LEAST, REACH = 2e-4, 0.02  # in one step; in all, if all went one way
GONE = 0.01  # of the first gradients: what is left of them, not the rate, is too small


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        size = network.late("update")
        first, last = late(network.curves.get("gradient", [])[:3], 1.0), network.late("gradient")
        vanished = first is not None and last is not None and last < GONE * first
        if size is None or not 0 < size < LEAST or vanished or not poor(trace, network.name):
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
