"""Chains that do not move, run away, or have no noise; energies that drift apart."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import badly
from ..say import Say
from ..trace import Trace, late

APART = 0.2  # from guessing: the energy knows the chains' ends from data


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, _judge), game in trace.games.items():
        if maker != "chains":
            continue
        reach, wide, follows = game.late("chain reach"), game.late("chain sd"), game.late("follows", 1.0)
        if reach is None or wide is None or follows is None:
            continue
        if abs(follows) > 0.999:
            yield say.fault(
                "chains without noise",
                "Every step of the chains is along the slope alone: they climb to a peak instead of drawing samples.",
                "The noise of Langevin's step is missing.",
                "x = x - step / 2 * slope + sqrt(step) * torch.randn_like(x).",
                {"step along the slope": abs(follows)},
                "Welling & Teh, 2011",
            )
        if not wide < 2.5:
            yield say.fault(
                "chains running away",
                f"The samples of the chains spread to {wide:.3g} times the data.",
                "Steps too long for the energy's slope, or an energy that falls outwards.",
                "Shorten the step, lower the learning rate, or clamp the samples.",
                {"chain sd": wide},
                "Nijkamp et al., 2020",
            )
        elif reach < 0.05:
            apart = game.late("told apart")
            yield say.told(
                badly(game) or (apart is not None and abs(apart - 0.5) > APART),
                "chains not moving",
                f"A chain comes {reach:.2g} standard deviations of the data far; it needs some tenths.",
                "Too few or too short steps: samples stay where they began, whatever the energy.",
                "Lengthen the step, or take more of them.",
                {"chain reach": reach},
                "Nijkamp et al., 2020",
            )
        real, made = (game.curves.get(name, []) for name in ("real score", "made score"))
        gap = [abs(a - b) for a, b in zip(real, made, strict=False)]
        early, end = late(gap[: max(3, len(gap) // 3)], 1.0), late(gap, 0.2)
        if early is not None and end is not None and end > 10 * max(early, 0.1) and end > 20:
            yield say.fault(
                "energies diverging",
                f"The energies of data and of samples lie {end:.3g} apart at the end, {early:.3g} in the first third.",
                "The chains no longer follow the energy: it grew steeper than their steps can follow.",
                "Lower the learning rate, add a penalty on the energies' squares, or take more and shorter steps.",
                {"gap at the end": end, "gap before": early},
                "Nijkamp et al., 2020; Du & Mordatch, 2019",
            )
