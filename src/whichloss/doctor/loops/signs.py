"""In which direction each loss pushes what the judge says of data and of samples."""

import math
from collections.abc import Iterator
from statistics import median

from ...task import Finding
from ..say import Say
from ..trace import Trace

FIRST, ALIKE = 8, 0.9  # looks, before penalties balance the pulls; the share of them that shows one direction
WEAK = 1 / 3  # of the other pull: less shows no direction
FOLLOWS = 0.05  # cosine of a chain's steps and the slope, mostly noise at first


def _known(pulls: list[float]) -> list[float]:
    return [p for p in pulls if p and math.isfinite(p)][:FIRST]


def _sign(pulls: list[float]) -> int:
    """The direction that nearly all looks show, or 0."""
    known = _known(pulls)
    up = sum(p > 0 for p in known)
    if len(known) < 2 or max(up, len(known) - up) / len(known) < ALIKE:
        return 0
    return 1 if up * 2 > len(known) else -1


def _alike(one: list[float], other: list[float]) -> bool:
    """Is it the same direction, about as strongly? A squared error pulls a little either way near its target."""
    if not _sign(one) or _sign(one) != _sign(other):
        return False
    a, b = (median(map(abs, _known(pulls))) for pulls in (one, other))
    return min(a, b) > WEAK * max(a, b)


def _found(say: Say, says: str, remedy: str) -> Finding:
    return say.fault(
        "contract: sign", says, "A minus too many, or labels exchanged.", remedy, {}, "Goodfellow et al., 2014"
    )


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        real, made, own = (game.curves.get(name, []) for name in ("pull real", "pull made", "pull of maker"))
        if maker == "chains":
            follows = game.late("follows")
            if _alike(real, made):
                yield _found(
                    say,
                    f"{judge} is pushed the same way on data and on the samples of its chains.",
                    "The two terms of its loss need opposite signs.",
                )
            elif follows is not None and abs(follows) > FOLLOWS and _sign(real) == (1 if follows > 0 else -1):
                yield _found(
                    say,
                    f"The chains go where {judge} {'rises' if follows > 0 else 'falls'}, and the loss makes data "
                    f"{'fall' if follows > 0 else 'rise'} there: samples are drawn from where the data is not.",
                    "Of the loss or of the chains one has the wrong sign: E falls at data, and chains go down E.",
                )
            continue
        if _alike(real, made):
            yield _found(
                say,
                f"{judge}'s loss pushes its output the same way on data and on samples.",
                "One of the two terms has the wrong sign or the wrong label.",
            )
        elif _alike(made, own):
            yield _found(
                say,
                f"{maker}'s loss pushes what {judge} says of samples the same way as {judge}'s own loss does: the two "
                "play together, not against each other.",
                f"The sign of {maker}'s loss is wrong, or both terms of {judge}'s.",
            )
