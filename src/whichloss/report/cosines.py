"""How well cosines tell: those of judging pairs that are alike and of those that are not, a panel a line."""

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from ..errors import StudyError
from ..study.embed.given import AlikeJudge
from ..study.goals import judge_of
from ..study.records import Row, Study
from .charts import SOFT, Figure, data, figure, small
from .lookup import kept
from .predictions import picked
from .words import figures, percent

BINS = 30
ALIKE, OTHERS = COLOURS = ("#3667c8", "#c2571a")


def section(study: Study, folder: Path) -> list[Figure]:
    """A panel for the recommended objective, its nearest rivals and the best simple baseline."""
    judge = judge_of(str(folder.resolve()))
    assert isinstance(judge, AlikeJudge)
    known = [(row, read(row, folder, judge)) for row in picked(study)]
    return [drawn(i, row, *found) for i, (row, found) in enumerate(known) if found]


def read(row: Row, folder: Path, judge: AlikeJudge) -> tuple[np.ndarray, np.ndarray, float] | None:
    """(cosines, labels, threshold) of a line's first run; None where its file is missing or damaged."""
    try:
        run = kept(row, folder)
    except StudyError:
        return None
    cosine, alike = run.arrays.get(f"cosine{run.suffix}"), judge.truth(run.split, run.which).numpy()
    if cosine is None or cosine.shape != alike.shape:
        return None
    return cosine, alike, float(run.arrays[f"threshold{run.suffix}"][0])


def drawn(i: int, row: Row, cosine: np.ndarray, alike: np.ndarray, threshold: float) -> Figure:
    """The shares of both kinds of pairs in steps of their cosine."""
    low = min(float(cosine.min()), threshold)
    edges = np.linspace(low, max(float(cosine.max()), threshold, low + 1e-3), BINS + 1)
    points: list[dict[str, Any]] = []
    for kind, here in (("alike", cosine[alike == 1]), ("not alike", cosine[alike == 0])):
        shares = np.histogram(here, edges)[0] / len(here)
        points += [{"x": float(x), "y": float(y), "k": kind} for x, y in zip(edges, [*shares, shares[-1]], strict=True)]
    x = alt.X("x:Q", axis=alt.Axis(title="cosine", tickCount=5, grid=False), scale=alt.Scale(zero=False, nice=False))
    y = alt.Y("y:Q", axis=alt.Axis(title=None, tickCount=3, format="%"), stack=None)
    colour = alt.Color("k:N", scale=alt.Scale(domain=["alike", "not alike"], range=list(COLOURS)), legend=None)
    areas = alt.Chart(data(points)).mark_area(interpolate="step-after", opacity=0.45).encode(x, y, colour)
    rule = alt.Chart(data([{"x": threshold}])).mark_rule(color=SOFT, strokeDash=[4, 3], strokeWidth=1.3)
    above = float((cosine[alike == 1] > threshold).mean()), float((cosine[alike == 0] > threshold).mean())
    says = (
        f"{row.name}: {percent(above[0])} of the alike pairs and {percent(above[1])} of the others have a cosine above"
    )
    chart = small(alt.layer(areas, rule.encode(alt.X("x:Q"))))
    return figure(f"cosines-{i}", f"{says} {figures(threshold)}", chart, row.name, f"above {figures(threshold)}: alike")
