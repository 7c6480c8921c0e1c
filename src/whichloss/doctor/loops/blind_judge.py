"""A judge that guesses although samples and data differ."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import badly
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        apart = game.late("told apart")
        if apart is not None and 0.4 < apart < 0.6 and badly(game):
            still = trace.networks[judge].late("update")
            yield say.fault(
                "judge guesses",
                f"{judge} cannot tell samples from data ({apart:.0%} of pairs right), yet they differ plainly.",
                "It learns too slowly or not at all: learning rate, steps, or noise on its inputs.",
                "Raise its learning rate, or give it more steps or more units.",
                {"told apart": apart} | ({"update / weights": still} if still is not None else {}),
            )
