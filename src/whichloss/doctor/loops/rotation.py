"""Two players that circle round each other: each answers the other's last step, and neither comes nearer."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import badly
from ..say import Say
from ..trace import Trace

SURE = 0.95  # of pairs of a row of data and a sample, put in this order by the judge's scores, or in the other one
OFTEN = 2  # looks in each order


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        curve = game.curves.get("told apart", [])
        later = curve[len(curve) // 3 :]
        right, wrong = sum(v >= SURE for v in later), sum(v <= 1 - SURE for v in later)
        if min(right, wrong) >= OFTEN:
            yield say.told(
                badly(game),
                "rotation",
                f"{judge} now scores nearly all data above the samples of {maker} ({right} of {len(later)} later "
                f"looks), now nearly all below them ({wrong}).",
                "The players circle: the maker runs past the data to where the judge was right a moment ago.",
                "Hold the judge's slope down (R1 and R2: r3gan; wgan-gp), take momentum away (beta1 = 0), or average "
                "the maker's weights.",
                {"data above": right / len(later), "data below": wrong / len(later)},
                "Mescheder et al., 2018; Gidel et al., 2019",
            )
