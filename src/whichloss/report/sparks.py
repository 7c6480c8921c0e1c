"""Small drawings made of plain SVG: every column of every sample over the real rows."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from .samples import Rows
from .shapes import Shape
from .words import figures, percent

WIDE, HIGH = 84.0, 34.0


@dataclass(frozen=True)
class Spark:
    """A drawing, the difference of shares under it, and what a pointer over it says."""

    svg: Markup
    apart: float | None
    tip: str
    shade: int


def table(rows: Rows) -> list[tuple[Shape, Spark, list[Spark | None]]]:
    """Per column: the real rows, then every sample over them; None where a sample is absent."""
    out = []
    for shape in rows.shapes:
        own = [
            Spark(draw(shape, k + 1), shape.apart[k], says(shape, k), level(shape.apart[k]))
            if shape.heights[k + 1] is not None
            else None
            for k in range(len(rows.samples))
        ]
        out.append((shape, Spark(draw(shape, None), None, "real rows", 0), own))
    return out


def level(apart: float | None) -> int:
    """0 to 3: how dark a difference is shaded."""
    return 0 if apart is None else int(np.searchsorted([0.08, 0.16, 0.32], apart))


def says(shape: Shape, k: int) -> str:
    """The numbers of one cell."""
    parts = [f"largest difference of shares {figures(shape.apart[k])}"]
    if shape.missing[0] or shape.missing[k + 1]:
        parts.append(f"missing {percent(shape.missing[k + 1])}, of the real rows {percent(shape.missing[0])}")
    if shape.outside[k + 1]:
        parts.append(f"{percent(shape.outside[k + 1])} of rows outside the axis")
    return "; ".join(parts)


def draw(shape: Shape, k: int | None) -> Markup:
    """The real rows filled, the sample as an outline."""
    real = shape.heights[0]
    own = None if k is None else shape.heights[k]
    assert real is not None
    top = float(real.max()) * 1.25 or 1.0
    body = (bars if shape.bars else curves)(real, own, top)
    return Markup(f'<svg class="spark" viewBox="0 0 {WIDE:g} {HIGH:g}" aria-hidden="true">{body}</svg>')


def height(values: np.ndarray, top: float) -> np.ndarray:
    """From shares to pixels down from the upper edge, cut off at it."""
    return HIGH - np.clip(values / top, 0, 1) * (HIGH - 1)


def curves(real: np.ndarray, own: np.ndarray | None, top: float) -> str:
    """Densities."""
    x = np.linspace(0, WIDE, len(real))
    area = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, height(real, top), strict=True))
    body = f'<polygon class="real" points="0,{HIGH:g} {area} {WIDE:g},{HIGH:g}"/>'
    if own is not None:
        line = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, height(own, top), strict=True))
        body += f'<polyline class="own" points="{line}"/>'
    return body


def bars(real: np.ndarray, own: np.ndarray | None, top: float) -> str:
    """Shares."""
    step = WIDE / len(real)
    body = "".join(rectangle(i * step, step * 0.86, y, "real") for i, y in enumerate(height(real, top)))
    if own is not None:
        body += "".join(
            rectangle(i * step + 0.25 * step, step * 0.36, y, "bar") for i, y in enumerate(height(own, top))
        )
    return body


def rectangle(x: float, width: float, y: float, kind: str) -> str:
    """One bar, standing on the lower edge."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HIGH - y:.1f}"/>'
