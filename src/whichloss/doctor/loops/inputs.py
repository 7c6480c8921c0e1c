"""Inputs of a scale that no network is made for, or without any content."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import poor
from ..say import Say
from ..trace import Trace

LEAST, MOST = 0.02, 8.0  # of the standard deviation
ROUNDING = 1e-6  # of a number, in single precision


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        sd, mean = network.late("input sd", 1.0), network.late("input mean", 1.0)
        if sd is None or mean is None:
            continue
        if sd <= ROUNDING * abs(mean):
            yield say.fault(
                "contract: input without content",
                f"Every number that {network.name} is given is {mean:.3g}.",
                "The input was multiplied by 0, or a wrong slice was taken.",
                "Print one batch just before the network is called.",
                {"input sd": sd},
            )
        elif (not LEAST < sd < MOST or abs(mean) > MOST * max(sd, 0.5)) and poor(trace, network.name):
            yield say.fault(
                "scale of the data",
                f"{network.name} is given numbers around {mean:.3g}, with a standard deviation of {sd:.3g}.",
                "The data were not standardised, or divided by 255 twice.",
                "Subtract the mean and divide by the standard deviation of the training rows.",
                {"input sd": sd, "input mean": mean},
                "LeCun et al., 1998",
            )
