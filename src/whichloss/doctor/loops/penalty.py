"""A gradient penalty that does not act, or takes another norm."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker == "chains" or maker not in trace.networks:
            continue
        if game.curves.get("penalty cut") and not game.curves.get("penalty slope"):
            yield say.fault(
                "contract: penalty cut",
                f"A slope of {judge} is taken without create_graph=True: a penalty made of it teaches {judge} nothing.",
                "torch.autograd.grad cuts the graph unless it is told to keep it.",
                "torch.autograd.grad(..., create_graph=True).",
                {},
                "Gulrajani et al., 2017",
            )
    for loss in trace.losses.values():
        if loss.facts.get("norms off"):
            yield say.fault(
                "contract: penalty norm",
                f"The penalty at {loss.site} takes the norm of a slope over some of its axes only; one number a row "
                "is meant.",
                "A picture's slope has three axes beside that of the rows.",
                "slope.flatten(1).norm(dim=1).",
                {},
                "Gulrajani et al., 2017",
            )
