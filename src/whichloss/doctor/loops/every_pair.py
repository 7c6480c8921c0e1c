"""A column of predictions compared with a row of targets."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        if loss.facts.get("every pair"):
            yield say.fault(
                "contract: every pair",
                f"The squared error at {loss.site} compares every prediction with every target of the batch: shapes "
                "(n, 1) and (n,) are stretched to (n, n).",
                "The best answer to that is the mean of the targets, for every row.",
                "Give both the same shape: prediction.squeeze(1), or target[:, None].",
            )
