"""A loss that stands where it stood early on."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import nothing
from ..say import Say
from ..trace import Trace, late

FALL = 0.05  # of its early value; less is no progress


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    players = {name for game in trace.games for name in game}  # whose losses need not fall
    players |= {name for loss in trace.losses.values() if loss.reaches - loss.moves for name in loss.reaches}
    for loss in trace.losses.values():
        if loss.reaches & players or not nothing(loss):
            continue
        early, end = late(loss.values[: max(1, len(loss.values) // 4)], 1.0), late(loss.values, 0.25)
        if early is not None and end is not None and early - end < FALL * abs(early):
            yield say.fault(
                "stagnation",
                f"The loss at {loss.site} stands at {end:.3g}, where it stood in the first quarter ({early:.3g}), and "
                "next to nothing is learnt.",
                "Whatever the steps do, they do not help this loss: a rate far off, a penalty on the weights that "
                "outweighs it, or targets that the inputs do not tell.",
                "Fit 16 rows by heart first: if that fails too, it is the code or the rate; if not, the data.",
                {"early loss": early, "last loss": end},
            )
