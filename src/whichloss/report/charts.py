"""What all charts share: the page's colours, one scale for scores, and the figure as the page holds it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from ..study.records import Row, Study
from .lookup import level, of_role, rope, span, unbiased

# Colours are the page's CSS variables, so charts turn dark, and print, with the page.
INK, SOFT, FAINT, PAPER = "var(--ink)", "var(--soft)", "var(--faint)", "var(--paper)"
BLUE, REAL, RED, NOISE = "var(--blue)", "var(--real)", "var(--red)", "var(--noise)"
COLOURS = {
    "objective": BLUE,
    "baseline": "var(--ochre)",
    "ceiling": "var(--green)",
    "cheat": "var(--violet)",
    "derived": "var(--violet)",
}
SMALL = (176, 140)  # of a small multiple; the page scales it to its place


@dataclass(frozen=True)
class Figure:
    """One chart: its name in the page, what it says to whoever cannot see it, its title and its specification."""

    name: str
    says: str
    spec: Mapping[str, Any]
    title: str = ""
    note: str = ""


def figure(name: str, says: str, chart: Any, title: str = "", note: str = "") -> Figure:
    """The chart as JSON without a style of its own. The tests check every chart against the schema."""
    spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    spec["description"] = says
    return Figure(name, says, lean(spec), title, note)


def small(chart: Any, height: int = SMALL[1]) -> Any:
    """Sized as a small multiple, axes and all."""
    return chart.properties(width=SMALL[0], height=height, autosize=FIT)


def wide(chart: Any, height: int) -> Any:
    """As wide as its place in the page."""
    return chart.properties(width="container", height=height, autosize=FIT)


FIT = alt.AutoSizeParams(type="fit", contains="padding")


def data(values: Sequence[Mapping[str, Any]]) -> Any:
    """Inline values; a plain dictionary, because Altair would check every number against its schema."""
    return {"values": list(values)}


def hover(words: Mapping[str, str], numbers: Mapping[str, str], form: str = ".3~g") -> list[Any]:
    """What a pointer over a mark shows: fields and their titles."""
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in words.items()] + [
        alt.Tooltip(f"{field}:Q", title=title, format=form) for field, title in numbers.items()
    ]


def lean(value: Any) -> Any:
    """The same JSON with four significant figures a number; whole numbers and times in milliseconds keep all."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        whole = value == int(value) and abs(value) < 1e15
        return int(value) if whole else float(f"{value:.4g}")
    if isinstance(value, dict):
        return {k: lean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [lean(v) for v in value]
    return value


@dataclass(frozen=True)
class Axis:
    """The scale of all scores: straight inside the noise, logarithmic beyond, so that nothing is cut off."""

    noise: float
    low: float
    high: float

    def place(self, x: float) -> float:
        """Where a score lies, from 0 to 1."""
        low, high = self.bend(self.low), self.bend(self.high)
        return (self.bend(x) - low) / (high - low)

    def bend(self, x: float) -> float:
        """sign(x) log(1 + |x| / noise)"""
        return math.copysign(math.log1p(abs(x) / self.noise), x)

    def scale(self) -> Any:
        """For Vega-Lite."""
        return alt.Scale(type="symlog", constant=self.noise, domain=[self.low, self.high], nice=False)

    def ticks(self, most: int) -> list[float]:
        """0 and round numbers, at least 1 / most of the axis apart."""
        kept = [0.0]
        exponents = range(math.floor(math.log10(self.noise)), math.ceil(math.log10(self.reach)) + 1)
        for step in (1.0, 3.0):
            for power in exponents:
                for sign in (1, -1):
                    value = sign * step * 10.0**power
                    inside = self.low <= value <= self.high
                    near = any(abs(self.place(value) - self.place(k)) < 1 / most for k in kept)
                    if inside and not near:
                        kept.append(value)
        return sorted(float(f"{k:.3g}") for k in kept)

    @property
    def reach(self) -> float:
        """The largest score in size."""
        return max(abs(self.low), abs(self.high), self.noise)

    def axis(self, most: int, title: str | None) -> Any:
        """Ticks and title for Vega-Lite."""
        return alt.Axis(values=self.ticks(most), format="~g", title=title, labelOverlap=False)


def score_axis(study: Study) -> Axis:
    """The axis that holds every score in the study."""
    found: list[float] = []
    for row in study.rows:
        found += [*row.scores, *row.screen, *span(study, row), *tried(row)]
    return axis_of(study, found)


def trained_axis(study: Study) -> Axis:
    """The axis of scores over budget and settings: of predictions no further than these go, for a majority class
    stands far off."""
    if study.goal == "generate":
        return score_axis(study)
    rows = of_role(study, "objective")
    return axis_of(study, [x for row in rows for x in (*tried(row), row.mean)] + [level(study)])


def tried(row: Row) -> list[float]:
    """Scores over the budget, and of settings."""
    return [q for q in row.quarters if q is not None] + [score for _, score in row.tuning if score is not None]


def axis_of(study: Study, found: Sequence[float]) -> Axis:
    """The axis that holds these scores and 0; scores that cannot be negative start there."""
    known, noise = [0.0, *(x for x in found if math.isfinite(x))], rope(study)
    low, high = min(known), max(known)
    below = 0.0 if not unbiased(study) and low >= 0 else min(low, -2 * noise) * 1.05
    return Axis(noise, below, max(high, 4 * noise) * 1.05)
