"""Rectifiers that no row moves."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import poor
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        share = loss.late("dead units", 1.0)
        if share is not None and share > 0.7 and any(poor(trace, name) for name in loss.moves):
            yield say.fault(
                "dead units",
                f"{share:.0%} of the units of a ReLU layer are 0 for every row ({loss.site}).",
                "Biases far below 0, or steps that were too long, pushed them where no gradient comes back from.",
                "Start biases at 0, lower the learning rate, or use LeakyReLU or SiLU.",
                {"dead": share},
                "Lu et al., 2019",
            )
