"""A judge that is certain, so that nothing passes to the maker."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import badly
from ..say import Say
from ..trace import Trace, late


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        apart, passed = game.late("told apart"), game.curves.get("slope passed to maker", [])
        if apart is None or len(passed) < 5 or not badly(game):
            continue
        apart, fallen = max(apart, 1 - apart), passed
        start, end = late(fallen[: max(2, len(fallen) // 10)], 1.0), late(fallen, 0.5)
        if apart > 0.99 and start and end is not None and end < 0.01 * start:
            yield say.fault(
                "vanishing slope of a certain judge",
                f"{judge} tells {apart:.1%} of pairs of data and sample apart, and the slope it passes to {maker} "
                "fell to "
                f"{end / start:.1g} of what it was.",
                f"{judge} wins, and this loss of {maker} is flat where it is sure.",
                "The non-saturating loss, wgan-gp or r3gan; a lower learning rate or fewer steps for the judge.",
                {"told apart": apart, "slope at the end / start": end / start},
                "Arjovsky & Bottou, 2017",
            )
