"""One row of a table: a rule, its statistic, a value just past its threshold and one just on the healthy side."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from whichloss.doctor.say import Say

from .traces import LOOKS, having, is_curve, poorly


def findings(rule, trace):
    """What one rule finds."""
    return [*import_module(f"whichloss.doctor.loops.{rule}").rule(trace, Say("toy"))]


def found(rule, trace):
    """finding -> level: what one rule says, every word of it there and every number finite."""
    result = {}
    for f in findings(rule, trace):
        assert f.objective == "toy" and f.says and f.cause and f.remedy
        assert all(math.isfinite(v) for v in f.evidence.values()), f.evidence
        assert " nan" not in f.says and " None" not in f.says
        result[f.rule] = f.level
    return result


def tail(value, other, share):
    """A curve whose last share has this median, just so: any other share has another."""
    last = max(1, round(share * LOOKS))
    most = last // 2 + 1
    return [float(v) for v in [other] * (LOOKS - last) + [value] * most + [other] * (last - most)]


@dataclass
class Case:
    """A finding that a statistic gives past its threshold ("loss: accuracy", see `having`); given: what else must hold.

    outcome: "any" (whatever comes of the loop), "poor" (not where it comes out well), "good" (shown there alone).
    window: the last share of a curve whose median counts. also: what the same rule may say beside it.
    level: "fault", "note", or "told": a fault where the loop comes out poorly, a note where it comes out well.
    healthy_level: what it is at the healthy value, where the threshold is between two levels; else it is not given.
    """

    rule: str
    finding: str
    kind: Callable
    statistic: str
    past: Any
    healthy: Any
    given: dict = field(default_factory=dict)
    outcome: str = "any"
    window: float = 0.5
    also: set = field(default_factory=set)
    level: str = "fault"
    healthy_level: str = ""

    def __str__(self):
        return f"{self.rule}, {self.statistic}"

    def trace(self, trace, past=True):
        """A trace in which the statistic is past its threshold, or not."""
        value, other = (self.past, self.healthy) if past else (self.healthy, self.past)
        if is_curve(self.statistic) and not isinstance(value, list) and not isinstance(other, list):
            value = tail(value, other, self.window)
        return having(trace, self.given | {self.statistic: value})

    def check(self):
        """It fires past the threshold with the right name and level, is silent before it, and heeds the outcome."""
        for outcome in ("poor", "good") if self.outcome == "any" else (self.outcome,):
            level = {"poor": "fault", "good": "note"}[outcome] if self.level == "told" else self.level
            for past, expected in ((True, level), (False, self.healthy_level)):
                base = poorly(self.kind) if outcome == "poor" else self.kind()
                said = found(self.rule, self.trace(base, past))
                assert said.pop(self.finding, "") == expected
                assert set(said) <= self.also
        if self.outcome == "poor":
            assert set(found(self.rule, self.trace(self.kind()))) <= self.also
