"""A first loss far above guessing, that training does not make up for."""

import math
from collections.abc import Iterator

from ...task import Finding
from ..outcome import informed, unlearnt
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        curve, classes = loss.curves.get("cross-entropy", []), loss.facts.get("classes", 0.0)
        if not curve or classes < 2 or loss.facts.get("pairs") or not unlearnt(loss) or informed(loss):
            continue
        if curve[0] > 10 * math.log(classes):
            yield say.fault(
                "weights too large at the start",
                f"The first cross-entropy at {loss.site} is {curve[0]:.3g}; guessing costs log {classes:.0f} = "
                f"{math.log(classes):.3g}.",
                "The network starts certain of wrong answers: its weights, or its inputs, are too large.",
                "Leave PyTorch's own first weights, or scale yours by 1 / sqrt(inputs); standardise the inputs.",
                {"first loss": curve[0], "guessing": math.log(classes)},
                "He et al., 2015",
            )
