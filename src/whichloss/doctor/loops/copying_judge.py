"""An autoencoder that judges, and rebuilds whatever it is given."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import badly
from ..say import Say
from ..trace import Trace

WHOLE = 0.02  # of the noise: nothing is lost on the way


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        ratio = game.late("energy of noise / real")
        left = game.late("noise not rebuilt")
        whole = left is not None and left < WHOLE
        if ratio is not None and (ratio < 2 or whole) and badly(game):
            yield say.fault(
                "judge rebuilds anything",
                f"{judge} rebuilds uniform noise {ratio:.1f} times as badly as data"
                + (f", and loses {left:.2%} of it only" if whole else "")
                + ": it has become the identity.",
                "Its code is as wide as the data, or nothing is lost on the way.",
                "A narrower code, or noise on its input.",
                {"noise / data": ratio},
                "Zhao et al., 2017",
            )
