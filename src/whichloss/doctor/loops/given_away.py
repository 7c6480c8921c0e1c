"""A network is shown what it has to predict."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        if loss.facts.get("given away"):
            yield say.fault(
                "contract: target in the input",
                f"The input of the network at {loss.site} contains what it has to predict, number by number.",
                "The noise (or the label) is among the inputs, or a tensor was changed in place.",
                "Give the network the noised row and its noise level only.",
                {"columns equal": 1.0},
            )
