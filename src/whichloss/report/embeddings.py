"""What the report shows of embeddings: every score of every line, and maps of where rows lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from ..errors import StudyError
from ..study.embed.judge import DRAWN
from ..study.goals import judge_of
from ..study.records import Row, Study
from .charts import Figure, data, figure, hover, small
from .lookup import kept
from .predictions import picked
from .words import cut, percent

SQUARE = 176  # pixels a map is high
POINTS = 600  # drawn, at most
MOST = 10  # classes that have a colour; the others share one
COLOURS = ("#3667c8", "#c2571a", "#2f8f4e", "#8a4fbf", "#b8860b", "#1a9bab", "#c23b6b", "#6b7a1e", "#7a5c48", "#5a6b85")
OTHERS = "#999999"


@dataclass(frozen=True)
class Map:
    """The judging rows of a line's first run in the two directions in which they differ most, and their classes."""

    row: Row
    at: np.ndarray  # (m, 2)
    classes: list[str]
    share: float  # of the variance, in these two directions


def section(study: Study, folder: Path) -> dict[str, Any]:
    """The maps of the recommended objective, its nearest rivals and the best simple baseline."""
    known = [(row, read(row, folder)) for row in picked(study)]
    maps = [found for _, found in known if found]
    every = sorted({name for found in maps for name in found.classes})
    names = every[:MOST]
    key = list(zip(names, COLOURS, strict=False)) + [("others", OTHERS)] * (len(every) > MOST)
    return {
        "maps": [drawn(i, found, names) for i, found in enumerate(maps)],
        "absent": [row.name for row, found in known if not found],
        "key": key if len(every) > 1 else [],
    }


def read(row: Row, folder: Path) -> Map | None:
    """One line's map; None where every run failed or its file is missing or damaged."""
    judge = judge_of(str(folder.resolve()))
    try:
        run = kept(row, folder)
    except StudyError:
        return None
    at, rows = run.arrays.get(f"map{run.suffix}"), judge.numbers(run.split, run.which)[:DRAWN]
    if at is None or len(at) != len(rows):
        return None
    some = np.unique(np.linspace(0, len(at) - 1, min(POINTS, len(at))).astype(int))
    labels: Any = getattr(judge, "labels", None)
    names = [labels.names[c] for c in labels.codes[rows[some]]] if labels else ["all"] * len(some)
    return Map(row, at[some], names, float(run.arrays[f"map share{run.suffix}"][0]))


def drawn(i: int, found: Map, names: Sequence[str]) -> Figure:
    """The map as a chart."""
    points = [
        {"x": float(x), "y": float(y), "c": cut(name, 24), "k": name if name in names else "others"}
        for (x, y), name in zip(found.at, found.classes, strict=True)
    ]
    reach = 1.05 * max(float(np.abs(found.at).max()), 1e-3)
    scale, axis = (
        alt.Scale(domain=[-reach, reach], nice=False),
        alt.Axis(labels=False, ticks=False, grid=False, title=None),
    )
    domain = [*names, "others"]
    colour = alt.Color("k:N", scale=alt.Scale(domain=domain, range=[*COLOURS[: len(names)], OTHERS]), legend=None)
    chart = (
        alt.Chart(data(points))
        .mark_circle(size=14, opacity=0.8)
        .encode(
            alt.X("x:Q", scale=scale, axis=axis),
            alt.Y("y:Q", scale=scale, axis=axis),
            colour,
            tooltip=hover({"c": "class"}, {}),
        )
    )
    share = f"{percent(found.share)} of the variance"
    says = (
        f"Map of the embeddings of {found.row.name}: {len(found.at)} points of {len(set(found.classes))} kinds, {share}"
    )
    return figure(f"map-{i}", says, small(chart, SQUARE), found.row.name, share)
