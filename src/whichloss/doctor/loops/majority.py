"""One class for every row."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import informed, mixed, skill
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        named, largest = loss.late("classes predicted", 0.25), loss.late("largest class", 1.0)
        if loss.facts.get("pairs") or named is None or largest is None or not loss.moves or mixed(loss):
            continue
        classes, told = loss.facts.get("classes", 0.0), skill(loss)
        if not classes:
            continue
        if told is None or told >= 0.15:
            continue
        if largest > 1.8 / classes and largest > 0.6 and named < 1.8:
            yield say.told(
                not informed(loss),  # probabilities may well be right where no rare class comes first
                "most frequent class only",
                f"At {loss.site} {largest:.0%} of the labels are one class, and hardly anything else is predicted.",
                "Rare classes weigh little in the loss.",
                "Weigh the classes, or adjust the logits by the classes' frequencies; judge by balanced accuracy.",
                {"largest class": largest, "classes predicted": named},
                "Menon et al., 2021",
            )
