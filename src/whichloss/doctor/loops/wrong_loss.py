"""A squared error on the numbers of classes."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        whole = loss.facts.get("whole targets")
        if whole and loss.facts.get("even targets"):
            yield say.fault(
                "contract: wrong loss",
                f"The squared error at {loss.site} is taken against the whole numbers from 0 to {whole - 1:.0f}: "
                "the ids of classes.",
                "Class 7 is not further from class 1 than class 2 is.",
                "F.cross_entropy with as many outputs as there are classes.",
                {"classes": whole},
            )
