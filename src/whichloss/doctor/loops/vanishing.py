"""The first layers get hardly any gradient, and little is learnt."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import poor
from ..say import Say
from ..trace import Trace

LEAST = 1e-3


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for network in trace.networks.values():
        first, last = network.late("first gradient", 1.0), network.late("last gradient", 1.0)
        if first is None or last is None or not last > 0 or first / last > LEAST or not poor(trace, network.name):
            continue
        yield say.fault(
            "vanishing gradient",
            f"The first layer of {network.name} gets {first / last:.1g} of the gradient of its last one, weight by "
            "weight.",
            "Many saturating layers, or weights that are too small, one after the other.",
            "ReLU or SiLU instead of sigmoid and tanh, normalisation, residual connections, fewer layers.",
            {"first / last": first / last},
            "Glorot & Bengio, 2010",
        )
