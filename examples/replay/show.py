"""Tables in the terminal, pictures and numbers on disk."""

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import torch
import vl_convert

from whichloss.data.write import aside

INK, GREY, BLUE, OCHRE, RED, GREEN = "#222222", "#c9c9c9", "#2f6db5", "#c07a12", "#b8352f", "#2d7d46"
PIXELS = {"width": 230, "height": 120}


@dataclass(frozen=True)
class Options:
    """How a script was called."""

    out: Path
    quick: bool
    seeds: int
    budget: float  # floating-point operations per run; only the comparison uses it
    started: float

    def done(self, name: str, chart: Any, numbers: Mapping[str, Any]) -> None:
        """Write NAME.svg and NAME.json and say where they are."""
        self.out.mkdir(parents=True, exist_ok=True)
        picture, record = self.out / f"{name}.svg", self.out / f"{name}.json"
        picture.write_text(vl_convert.vegalite_to_svg(styled(chart).to_dict()), encoding="utf-8")
        record.write_text(json.dumps(plain({"seeds": self.seeds, **numbers}), indent=1, allow_nan=False) + "\n")
        print(f"\n{picture}\n{record}\n{time.process_time() - self.started:.0f} s of CPU time in this process")


def options(about: str, budget: float = 0.0) -> Options:
    """The command line every script has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--out", type=Path, default=Path("replayed"), help="folder for the picture and the numbers")
    parser.add_argument("--quick", action="store_true", help="4 seeds, a fraction of the training: a smoke test")
    if budget:
        parser.add_argument("--budget", type=float, help="floating-point operations per run")
    given = parser.parse_args()
    torch.set_num_threads(1)
    chosen = getattr(given, "budget", None) or (budget / 5 if given.quick else budget)
    return Options(given.out, given.quick, 4 if given.quick else 16, chosen, time.process_time())


def spread(values: Any, digits: int = 3) -> str:
    """mean ± standard deviation over seeds; a seed without the number is left out, and said to be."""
    values = np.asarray(values, np.float64)
    known = values[np.isfinite(values)]
    said = f"{known.mean():.{digits}f} ± {known.std(ddof=1):.{digits}f}" if len(known) > 1 else "none"
    return said if len(known) == len(values) else f"{said} ({len(known)} of {len(values)} seeds)"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns under a title."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    print(f"\n{title}")
    for i, line in enumerate(lines):
        print("  " + "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())
        if i == 0:
            print("  " + "  ".join("-" * w for w in widths))


def plain(value: Any) -> Any:
    """JSON without infinities: they become the words "inf", "-inf" and "nan"."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray | torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else str(float(value))
    return value


def styled(chart: Any) -> Any:
    """One look for all pictures."""
    font = "DejaVu Sans, Verdana, sans-serif"
    chart = chart.configure(font=font, background="white", padding=16)
    chart = chart.configure_axis(gridColor="#eeeeee", labelFontSize=10, titleFontSize=11, titleFontWeight="normal")
    return chart.configure_title(fontSize=12, anchor="start", offset=6).configure_view(stroke="#dddddd")


def inline(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows inside the chart, at six figures."""
    return alt.Data(values=plain(list(rows)))


def band(x: Sequence[float], curve: np.ndarray, *, title: str, y: str, scale: Any, colour: str = BLUE) -> Any:
    """The median over seeds of a curve (points, seeds) as a line, 10 to 90 % of the seeds as a band."""
    low, middle, high = np.quantile(curve, (0.1, 0.5, 0.9), axis=1)
    drawn = np.isfinite(low) & np.isfinite(high)
    rows = [
        {"x": a, "low": b, "y": c, "high": d} for a, b, c, d, ok in zip(x, low, middle, high, drawn, strict=True) if ok
    ]
    share = alt.Axis(values=[0.001, 0.01, 0.1, 1], format="~%", grid=True)
    scale_x = alt.Scale(type="log", domain=[float(x[0]), 1.0], nice=False)
    base = alt.Chart(inline(rows)).encode(alt.X("x:Q", title="share of the run (log)", scale=scale_x, axis=share))
    area = base.mark_area(color=colour, opacity=0.22, clip=True).encode(
        alt.Y("low:Q", title=y, scale=scale), alt.Y2("high:Q")
    )
    middle_line = base.mark_line(color=colour, strokeWidth=1.6, clip=True).encode(alt.Y("y:Q", title=y, scale=scale))
    return (area + middle_line).properties(title=title, **PIXELS)


def level(value: float, says: str, x: float, *, below: bool = False) -> Any:
    """A dashed line at a level that theory knows, with its name."""
    rows = inline([{"y": value, "x": x, "says": says}])
    rule = alt.Chart(rows).mark_rule(color=RED, strokeDash=[5, 3], strokeWidth=1.2).encode(alt.Y("y:Q"))
    place = {"align": "right", "dx": -2, "dy": 9 if below else -8, "fontSize": 10}
    halo = alt.Chart(rows).mark_text(color="white", stroke="white", strokeWidth=3, **place)
    text = alt.Chart(rows).mark_text(color=RED, **place)
    return rule + alt.layer(*[t.encode(alt.X("x:Q"), alt.Y("y:Q"), alt.Text("says:N")) for t in (halo, text)])


def beside(real: np.ndarray, sample: np.ndarray, edges: np.ndarray, *, title: str, x: str, colour: str = BLUE) -> Any:
    """Real rows as a grey area, samples as a line, on the same axes."""
    heights = [np.histogram(v, edges)[0] / len(v) / (edges[1] - edges[0]) for v in (real, sample)]
    middle = (edges[1:] + edges[:-1]) / 2
    rows = [{"x": a, "real": b, "sample": c} for a, b, c in zip(middle, *heights, strict=True)]
    top = alt.Scale(domain=[0, 2.2 * float(heights[0].max())], clamp=True)
    base = alt.Chart(inline(rows)).encode(alt.X("x:Q", title=x))
    area = base.mark_area(color=GREY, interpolate="step").encode(alt.Y("real:Q", title="density", scale=top))
    line = base.mark_line(color=colour, interpolate="step", strokeWidth=1.4).encode(
        alt.Y("sample:Q", title="density", scale=top)
    )
    return (area + line).properties(title=title, **PIXELS)


def placed(path: Path, heading: str, lead: str, body: str) -> None:
    """End a section with these words, instead of what begins with the same lead."""
    text = path.read_text(encoding="utf-8")
    start = text.index(f"## {heading}\n")
    end = text.find("\n## ", start) + 1 or len(text)
    section = text[start:end].split(lead)[0].rstrip("\n")
    with aside(path) as part:
        new = f"{text[:start]}{section}\n\n{lead}{body.rstrip()}\n"
        part.write_text(f"{new}\n{text[end:]}" if text[end:] else new, encoding="utf-8")
    print(path)
