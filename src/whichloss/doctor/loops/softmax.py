"""A softmax of a softmax, over the wrong axis, or with the wrong sign."""

import math
from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        facts = loss.facts
        if facts.get("twice"):
            k = facts["classes"]
            least = math.log(1 + (k - 1) / math.e)
            yield say.fault(
                "contract: softmax twice",
                f"The cross-entropy at {loss.site} is given what a softmax or sigmoid returned already: it cannot "
                "fall below "
                f"{least:.3f} for {k:.0f} classes.",
                "F.cross_entropy and nn.CrossEntropyLoss take the softmax themselves.",
                "Give them the network's last numbers as they are (logits).",
                {"least loss": least},
            )
        if facts.get("axis", -1) != -1 and facts.get("classes") != facts.get("rows"):
            yield say.fault(
                "contract: softmax axis",
                f"The softmax at {loss.site} runs over the rows of the batch, not over the {facts['classes']:.0f} "
                "classes.",
                "dim=0 where dim=1 is meant.",
                "Use dim=1 (or -1), or F.cross_entropy.",
                {"axis": 0.0},
            )
        if facts.get("weight", 1.0) < 0 and not facts.get("uneven"):
            yield say.fault(
                "contract: sign",
                f"The cross-entropy at {loss.site} enters the loss with the factor {facts['weight']:.3g}: it is made "
                "larger.",
                "A minus too many.",
                "Minimise the cross-entropy itself.",
                {"factor": facts["weight"]},
            )
