"""A Wasserstein judge whose weights are clipped too hard, or not held at all."""

from collections.abc import Iterator, Sequence

import numpy as np

from ...task import Finding
from ..outcome import badly
from ..say import Say
from ..trace import Trace

CLIPPED = 4  # weights at one extreme value: fewer may stand there by chance
FLAT, STEEP = 0.01, 2.5  # slopes


def constant(pulls: Sequence[float]) -> bool:
    """Do all looks pull alike, as only a loss that is linear in the judge's output does?"""
    known = np.abs([p for p in pulls if p and np.isfinite(p)])
    return len(known) >= 5 and float(known.std()) < 1e-3 * float(known.mean())


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker not in trace.networks or not all(constant(game.curves.get(n, [])) for n in ("pull real", "pull made")):
            continue
        slope, clipped, penalty = (
            game.late("slope at made"),
            max(trace.networks[judge].curves.get("at the clip", [0.0])),  # few weights may stand there at a time
            game.late("penalty slope"),
        )
        held = trace.networks[judge].facts.get("parametrised")
        if penalty is None and clipped * trace.networks[judge].parameters < CLIPPED and not held:
            yield say.fault(
                "contract: judge without bound",
                f"The loss of {judge} has no floor, and nothing bounds its slope ({slope or 0.0:.3g} at samples): no "
                "weights "
                "stand at a clip, and there is no penalty.",
                "A Wasserstein judge needs a clip, a penalty or spectral normalisation; it is missing or far too "
                "loose.",
                "Clip its weights to .01 to .1 after each of its steps, or add the gradient penalty.",
                {"slope": slope or 0.0, "weights at the clip": clipped},
                "Arjovsky et al., 2017; Gulrajani et al., 2017",
            )
        elif penalty is not None and penalty > STEEP:
            yield say.told(
                penalty > 2 * STEEP or badly(game),
                "judge without bound",
                f"The slope of {judge} between data and samples is {penalty:.3g}; the penalty wants it near 1.",
                "The penalty's factor is 0 or too small.",
                "Raise the factor to 1 or 10.",
                {"slope": penalty},
                "Gulrajani et al., 2017",
            )
        elif slope is not None and slope < FLAT and badly(game):
            yield say.fault(
                "judge too flat",
                f"The slope of {judge} at samples is {slope:.2g}; {clipped:.0%} of its weights stand at one extreme "
                "value.",
                "Its weights are clipped too hard: hardly any slope passes to the maker.",
                "Raise the clip (.01 is the paper's, .1 suits small networks), or use wgan-gp.",
                {"slope": slope, "weights at the clip": clipped},
                "Gulrajani et al., 2017",
            )
