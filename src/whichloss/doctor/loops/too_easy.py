"""A classifier against noise that has nothing to learn."""

from collections.abc import Iterator
from statistics import median

from ...task import Finding
from ..say import Say
from ..trace import Trace

EASY = 0.97  # told right


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        right = loss.curves.get("binary accuracy", [])
        if (
            len(right) < 5
            or not loss.facts.get("logits")
            or loss.facts.get("own output")
            or any(set(players) & loss.moves for players in trace.games)
        ):
            continue
        looks = trace.looks or [0]  # none where no optimiser steps
        steps = [looks[k * len(looks) // len(right)] for k in range(len(right))]  # of losses asked more than once, too
        begun = looks[-1] / 5  # with the steps that it takes to learn the little there is
        later = [r for r, step in zip(right, steps, strict=True) if step >= begun] or right
        ones = loss.late("share of ones", 1.0) or 0.0
        if median(later) > EASY and min(later) > EASY - 0.02 and 0.2 < ones < 0.8:
            yield say.fault(
                "noise too easy",
                f"Almost from the start {min(later):.0%} are told right at {loss.site}: there is nothing left to "
                "learn.",
                "The noise lies far from the data, so any rough boundary tells them apart.",
                "Noise nearer to the data: its own mean and covariance.",
                {"told right": min(later)},
                "Gutmann & Hirayama, 2012",
            )
