"""Panels of curves as static SVG in the page's colours: they need no script and turn dark, and print, with the page."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from ..charts import BLUE, FAINT, INK, REAL, RED, SOFT, lean

COLOURS = (BLUE, "var(--ochre)", "var(--green)", "var(--violet)", RED, SOFT)
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 2], [1, 3])
SIZE = (300, 190)
POINTS = 161
GRID = "var(--grid)"
ORDER = {"order": {"field": "i", "type": "quantitative"}}  # a line goes from point to point, even back in x
FONT = "system-ui, sans-serif"
CONFIG = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "tickColor": FAINT,
        "domainColor": FAINT,
        "gridColor": GRID,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "tickSize": 4,
        "titlePadding": 9,
        "tickCount": 5,
        "format": ".4~r",
    },
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "labelColor": INK,
        "labelFontSize": 11,
        "symbolType": "stroke",
        "symbolSize": 260,
        "symbolStrokeWidth": 2,
        "columnPadding": 26,
        "labelLimit": 220,
        "columns": 2,
        "offset": 4,
    },
}


@dataclass(frozen=True)
class Panel:
    """One picture: what it shows in a title, how to read it in a note, and its lines by name, (x, y) each.

    bars: a histogram behind the lines, (left, right, height). cells: a heat map, (x, y, share).
    ends: where a line has its last finite point, marked by a cross.
    """

    title: str
    note: str
    x: str
    y: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    across: tuple[float, float] | None = None
    range: tuple[float, float] | None = None
    bars: Sequence[tuple[float, float, float]] = ()
    cells: Sequence[tuple[float, float, float]] = ()
    paths: Sequence[tuple[Sequence[float], Sequence[float]]] = ()
    ends: Sequence[tuple[float, float]] = ()
    log: str = ""  # axes on a logarithmic scale: x, or xy

    def spec(self) -> dict[str, Any]:
        """For Vega-Lite."""
        layers = [
            *([self._cells()] if self.cells else []),
            *([self._bars()] if self.bars else []),
            *([self._paths()] if self.paths else []),
            *([self._lines()] if self.lines else []),
            *([self._ends()] if self.ends else []),
        ]
        width, height = SIZE
        return {"width": width, "height": height, "layer": layers, "config": CONFIG}

    def _place(self) -> dict[str, Any]:
        x: dict[str, Any] = {"zero": False, "nice": False} | ({"domain": list(self.across)} if self.across else {})
        y: dict[str, Any] = {"zero": False} | ({"domain": list(self.range)} if self.range else {})
        x |= {"type": "log"} if "x" in self.log else {}
        y |= {"type": "log"} if "y" in self.log else {}
        return {
            "x": {"field": "x", "type": "quantitative", "title": self.x, "scale": x, "axis": {"grid": False}},
            "y": {"field": "y", "type": "quantitative", "title": self.y, "scale": y},
        }

    def _lines(self) -> dict[str, Any]:
        rows = [
            {"x": a, "y": b, "n": name, "i": i}
            for name, (xs, ys) in self.lines.items()
            for i, (a, b) in enumerate(zip(xs, ys, strict=True))
            if abs(b) < float("inf")
        ]
        names = list(self.lines)
        legend: Any = {} if len(names) > 1 else None
        named = {"field": "n", "type": "nominal", "sort": None, "legend": legend}
        colour = {"domain": names, "range": list(COLOURS[: len(names)])}
        dash = {"domain": names, "range": list(DASHES[: len(names)])}
        return {
            "data": {"values": rows},
            "mark": {"type": "line", "strokeWidth": 2, "clip": True},
            "encoding": self._place()
            | ORDER
            | {"color": named | {"scale": colour}, "strokeDash": named | {"scale": dash}},
        }

    def _ends(self) -> dict[str, Any]:
        rows = [{"x": a, "y": b} for a, b in self.ends]
        mark = {"type": "point", "shape": "cross", "angle": 45, "filled": True, "size": 110, "color": RED}
        return {"data": {"values": rows}, "mark": mark, "encoding": self._place()}

    def _bars(self) -> dict[str, Any]:
        rows = [{"x": a, "x2": b, "y": h, "y2": 0} for a, b, h in self.bars]
        place = self._place() | {"x2": {"field": "x2"}, "y2": {"field": "y2"}}
        return {"data": {"values": rows}, "mark": {"type": "rect", "color": REAL, "clip": True}, "encoding": place}

    def _paths(self) -> dict[str, Any]:
        rows = [
            {"x": a, "y": b, "k": k, "i": i}
            for k, (xs, ys) in enumerate(self.paths)
            for i, (a, b) in enumerate(zip(xs, ys, strict=True))
        ]
        mark = {"type": "line", "strokeWidth": 0.9, "color": SOFT, "clip": True, "opacity": 0.8}
        place = self._place() | ORDER | {"detail": {"field": "k", "type": "nominal"}}
        return {"data": {"values": rows}, "mark": mark, "encoding": place}

    def _cells(self) -> dict[str, Any]:
        most = max(share for *_, share in self.cells)
        rows = [{"x": a, "y": b, "o": share / most} for a, b, share in self.cells if share > most / 100]
        place = self._place()
        place |= {"opacity": {"field": "o", "type": "quantitative", "legend": None, "scale": {"range": [0.15, 1]}}}
        mark = {"type": "square", "color": BLUE, "size": 90, "clip": True}
        return {"data": {"values": rows}, "mark": mark, "encoding": place}

    def svg(self) -> str:
        """The picture, as wide as its place."""
        import vl_convert

        drawn: str = vl_convert.vegalite_to_svg(lean(self.spec()))
        drawn = re.sub(r' (?:d|transform)="[^"]*"', _rounded, drawn)
        box = re.search(r'viewBox="([^"]*)"', drawn)
        assert box is not None
        inner = drawn[drawn.index(">") + 1 :].replace("</svg>", "")
        inner = re.sub(r' aria-[a-z]+="[^"]*"| role="[^"]*"| pointer-events="none"', "", inner)
        own = f"clip{crc32((self.title + self.note).encode()):08x}-"  # the renderer counts over all it ever drew
        names: dict[str, str] = {}
        inner = re.sub(r"\bclip\d+\b", lambda clip: names.setdefault(clip[0], f"{own}{len(names)}"), inner)
        says = escape(f"{self.title}. {self.note}", quote=True)
        return f'<svg class="curve" viewBox="{box[1]}" role="img" aria-label="{says}">{inner}</svg>'


def _rounded(found: re.Match[str]) -> str:
    """Places to a tenth of a pixel."""
    return re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), found[0])


def over(low: float, high: float, points: int = POINTS) -> Tensor:
    """Equal steps, float64."""
    return torch.linspace(low, high, points, dtype=torch.float64)


def curve(f: Callable[[Tensor], Tensor], x: Tensor) -> tuple[list[float], list[float]]:
    """f at every x."""
    with torch.no_grad():
        return x.tolist(), f(x).tolist()


def last(line: tuple[list[float], list[float]]) -> list[tuple[float, float]]:
    """The last finite point of a line that is not finite to its end."""
    finite = [(a, b) for a, b in zip(*line, strict=True) if abs(b) < float("inf")]
    return finite[-1:] if len(finite) < len(line[0]) else []


def slope(f: Callable[[Tensor], Tensor], x: Tensor) -> tuple[list[float], list[float]]:
    """df/dx at every x, by autograd."""
    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(at).sum(), at)
    return x.tolist(), gradient.tolist()


def pair(
    title: str,
    note: str,
    x: str,
    functions: Mapping[str, Callable[[Tensor], Tensor]],
    at: Tensor,
    *,
    range: tuple[float, float] | None = None,
    slopes: tuple[float, float] | None = None,
    of: str = "loss",
    below: str = "",
) -> list[Panel]:
    """The same functions twice: their values, and their gradients."""
    values = {name: curve(f, at) for name, f in functions.items()}
    gradients = {name: slope(f, at) for name, f in functions.items()}
    across = (round(float(at[0]), 4), round(float(at[-1]), 4))
    return [
        Panel(title, note, x, of, values, across, range),
        Panel(f"{title}: the gradient", below, x, f"d {of} / d {x.split(',')[0]}", gradients, across, slopes),
    ]


def histogram(values: Tensor, low: float, high: float, bins: int = 48) -> list[tuple[float, float, float]]:
    """Bars of area 1 in all."""
    counts = torch.histc(values.double(), bins, low, high)
    width = (high - low) / bins
    heights = (counts / (values.numel() * width)).tolist()
    return [(low + k * width, low + (k + 1) * width, h) for k, h in enumerate(heights)]
