"""A judge that guesses although samples and data differ."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import badly
from ..say import Say
from ..trace import Trace

MOSTLY = 0.7  # of the later looks: a judge that is one step ahead, one behind, is not blind


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        apart, curve = game.late("told apart"), game.curves.get("told apart", [])
        later = curve[len(curve) // 2 :]
        blind = sum(0.4 < value < 0.6 for value in later) > MOSTLY * len(later)
        if apart is not None and 0.4 < apart < 0.6 and blind and badly(game):
            still = trace.networks[judge].late("update")
            yield say.fault(
                "judge guesses",
                f"{judge} cannot tell samples from data ({apart:.0%} of pairs right), yet they differ plainly.",
                "It learns too slowly or not at all: learning rate, steps, or noise on its inputs.",
                "Raise its learning rate, or give it more steps or more units.",
                {"told apart": apart} | ({"update / weights": still} if still is not None else {}),
            )
