"""Parameters that a loss reaches and no optimiser holds."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Network, Trace


def _left_out(trace: Trace, network: Network) -> bool:
    """A maker whose judge has a loss of its own beside the one that is meant for the maker."""
    judges = {judge for maker, judge in trace.games if maker == network.name}
    losses = [loss for loss in trace.losses.values() if judges & loss.reaches]
    return {network.name in loss.reaches for loss in losses} == {True, False}


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        reached = any(network.name in loss.reaches for loss in trace.losses.values())
        some = len(network.unowned)
        moved = network.curves.get("update") or not any(one.curves.get("update") for one in trace.networks.values())
        if not reached or not some or not (moved or _left_out(trace, network)):
            continue  # a whole network that only passes gradients on may be meant
        yield say.fault(
            "contract: parameters of nobody",
            f"No optimiser holds {some} parameter{'s' * (some > 1)} of {network.name}: {', '.join(network.unowned[:3])}"
            f"{' and others' * (some > 3)}. They stay as they started.",
            "The optimiser was given some layers only, or before these were made.",
            f"Give it all: torch.optim.Adam({network.name}.parameters()), after the network is complete.",
            {"parameters": float(some)},
        )
