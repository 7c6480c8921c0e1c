"""Steps that change the weights out of all proportion, or a loss far above where guessing stands."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace
from ..outcome import poor

MOST = 0.05  # of the size of the weights, in one step


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        size = network.late("update")
        if size is not None and size > MOST and poor(trace, network.name):
            yield say.fault(
                "learning rate too high",
                f"Each step changes the weights of {network.name} by {size:.0%} of their size; a thousandth is usual.",
                "The learning rate is too high for this network and loss.",
                "Divide the learning rate by 10 until the loss falls.",
                {"update / weights": size},
                "Smith, 2017",
            )
