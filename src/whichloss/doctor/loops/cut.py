"""Parameters that an optimiser holds and no loss reaches."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    if not trace.losses or len(trace.looks) < 2:
        return
    for network in trace.networks.values():
        if network.without:
            many = len(network.without)
            yield say.fault(
                "contract: graph cut",
                f"No gradient ever comes with a step to {many} parameter{'s' * (many > 1)} of {network.name} that the "
                f"optimiser holds: {', '.join(network.without[:3])}{' ...' * (many > 3)}.",
                "A detach(), .data, .item(), .numpy() or no_grad cuts the graph to the loss; or the layer is never "
                "used, or its gradient is cleared before the step.",
                "Take the detach() out between these layers and the loss; or do not give them to the optimiser.",
                {"parameters": float(many)},
            )
