"""A classifier that only guesses."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import informed, mixed, skill
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        told, entropy, largest = skill(loss), loss.late("cross-entropy", 0.25), loss.late("largest class", 1.0)
        if (
            loss.facts.get("pairs")
            or told is None
            or entropy is None
            or largest is None
            or not loss.moves
            or mixed(loss)
        ):
            continue
        classes = loss.facts["classes"]
        if told < 0.1 and not informed(loss):
            yield say.fault(
                "no better than guessing",
                f"At {loss.site} {loss.late('accuracy', 0.25):.1%} of {classes:.0f} classes are told right at the "
                "end; always "
                f"naming the most frequent one gives {largest:.1%}.",
                "Nothing was learnt: the labels may not belong to the rows, or the gradient does not arrive.",
                "Overfit 64 rows first. If that works, compare rows and labels by hand.",
                {"accuracy": loss.late("accuracy", 0.25) or 0.0, "cross-entropy": entropy},
            )
