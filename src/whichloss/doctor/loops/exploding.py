"""Steps that change the weights out of all proportion, or a loss far above where guessing stands."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import poor
from ..say import Say
from ..trace import Trace

MOST, GROWN = 0.05, 20.0  # of the size of the weights, in one step; in all


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        size, weights = network.late("update"), network.curves.get("weights", [])
        first = max(network.curves.get("update", [])[:5], default=0.0) if weights and weights[0] > 0.1 else 0.0
        grown = max(weights) / weights[0] if weights and weights[0] > 0.1 else 1.0
        if size is not None and (size > MOST or grown > GROWN) and (first > 1 or poor(trace, network.name)):
            yield say.fault(
                "learning rate too high",
                f"Each step changes the weights of {network.name} by {size:.1%} of their size (a thousandth is "
                "usual); they grew "
                f"to {grown:.3g} times what they were.",
                "The learning rate is too high for this network and loss.",
                "Divide the learning rate by 10 until the loss falls.",
                {"update / weights": size, "growth of the weights": grown},
                "Smith, 2017",
            )
