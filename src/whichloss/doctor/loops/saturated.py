"""Sigmoids and tanhs that stand at their bounds."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import poor
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        share = loss.late("saturated units", 1.0)
        if share is not None and share > 0.6 and any(poor(trace, name) for name in loss.moves):
            yield say.fault(
                "saturated units",
                f"{share:.0%} of the outputs of a sigmoid or tanh stand at a bound ({loss.site}).",
                "Inputs or weights are too large for these units: their slope is 0.",
                "Standardise the inputs, start with smaller weights, or use ReLU or SiLU.",
                {"saturated": share},
                "Glorot & Bengio, 2010",
            )
