"""Layers that a network uses and does not list among its parameters."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        if not network.unlisted:
            continue
        some, holder = len(network.unlisted), network.unlisted[0].partition("[")[0]
        yield say.fault(
            "contract: layers not listed",
            f"{network.name} uses {some} parameter{'s' * (some > 1)} that {network.name}.parameters() does not give: "
            f"{', '.join(network.unlisted[:3])}{' and others' * (some > 3)}. No optimiser holds them, so they stay as "
            "they started; .to(), .eval() and state_dict() pass them over too.",
            f"{holder} is a plain list, tuple or dict: PyTorch sees layers only where it can register them.",
            f"Make {holder} an nn.ModuleList or nn.ModuleDict (nn.ParameterList for bare parameters). "
            "If they are meant to stay, requires_grad_(False) says so.",
            {"parameters": float(some)},
        )
