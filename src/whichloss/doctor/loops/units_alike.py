"""Units that start alike and so stay alike."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        if len(network.alike) > 1:
            yield say.fault(
                "contract: units alike",
                f"In {len(network.alike)} layers of {network.name} all units have the same first weights: "
                f"{', '.join(network.alike[:3])}. They get the same gradient and stay one unit.",
                "Weights were set to 0 or to a constant.",
                "Random first weights: leave PyTorch's own, or nn.init.kaiming_uniform_.",
                {"layers": float(len(network.alike))},
            )
