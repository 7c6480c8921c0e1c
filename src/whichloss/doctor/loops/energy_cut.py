"""An autoencoder's energy whose target is detached where samples need it."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        if not game.curves.get("energy of real"):
            continue
        own = [one for one in trace.losses.values() if maker in one.moves and judge not in one.moves]
        if any(one.facts.get("target cut") for one in own):
            yield say.fault(
                "contract: half an energy",
                f"{maker}'s loss compares {judge}(x) with a detached x: the slope of the energy in x is only half "
                "there.",
                "The target of the reconstruction error was detached.",
                "((judge(fake) - fake) ** 2).mean(), nothing detached in the maker's loss.",
                {},
                "Zhao et al., 2017",
            )
