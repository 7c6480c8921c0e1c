"""Samples that are nearly one row, or leave most of the data out."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import coverage, spread
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, _judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        wide, covered = spread(game), coverage(game)
        if wide is not None and wide < 0.1:
            yield say.fault(
                "mode collapse",
                f"Samples of {maker} spread over {wide:.0%} of the data's spread: nearly one row again and again.",
                "Its noise is ignored or multiplied away, or it found a row that the judge likes.",
                "Check that each row gets its own noise; lower the judge's learning rate; try r3gan or wgan-gp.",
                {"spread": wide},
                "Goodfellow et al., 2014; Arjovsky et al., 2017",
            )
        elif covered is not None and covered[0] < 0.2 * covered[1]:
            yield say.fault(
                "mode dropping",
                f"Samples of {maker} are near {covered[0]:.0%} of the rows of data; other rows of data are near "
                f"{covered[1]:.0%}.",
                "Whole groups of rows get no samples, or samples lie off the data.",
                "Train longer, or prefer an objective that fits every row (flow-matching, ddpm, r3gan).",
                {"coverage": covered[0], "coverage of data": covered[1]},
                "Naeem et al., 2020",
            )
