"""Retrieval as pictures: some judging pairs, what is found for each, nearest first, and whether it is right."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Captions, Pictures
from ..errors import StudyError
from ..study.goals import judge_of
from ..study.judge import Which
from ..study.records import Study
from ..study.store import unpack
from .grids import page
from .words import cut

ASKED, TOP = 6, 5  # queries shown each way; what is found for each


@dataclass(frozen=True)
class Thing:
    """A picture or a text, and whether it belongs to what was asked."""

    uri: str = ""
    text: str = ""
    right: bool = False


def section(study: Study, folder: Path) -> dict[str, Any]:
    """Queries both ways by the recommended objective; nothing where its run is missing, or vectors are all there is."""
    row, judge = study.row(study.answer.recommended), judge_of(str(folder.resolve()))
    pairs: Any = judge.table
    if not isinstance(pairs.first, Pictures) or not isinstance(pairs.second, Captions):
        return {}
    try:
        record, arrays = unpack(folder / "runs" / f"{row.sample}.safetensors")
    except StudyError:
        return {}
    which: Which = "test" if record["run"]["judge"] == "test" else "validation"
    rows = judge.numbers(record["run"]["seed"], which)
    a, b = (directions(arrays[name]) for name in ("first", "second"))
    if len(a) != len(rows):
        return {}
    single = judge.singles(rows)  # type: ignore[attr-defined]
    units = pairs.groups[rows]
    picked = np.unique(np.linspace(0, len(rows) - 1, ASKED).astype(int))
    lines = []
    for i in picked:
        best = single[np.argsort(-(b[single] @ a[i]), kind="stable")[:TOP]]
        found = [Thing(text=text(pairs, rows[j]), right=units[j] == units[i]) for j in best]
        lines.append((Thing(picture(pairs, rows[i])), found))
    for i in picked:
        best = np.argsort(-(a @ b[i]), kind="stable")[:TOP]
        found = [Thing(picture(pairs, rows[j]), right=units[j] == units[i]) for j in best]
        lines.append((Thing(text=text(pairs, rows[i])), found))
    says = f"First pictures that search {len(single):,} texts, then texts that search {len(rows):,} pictures."
    return {"name": row.name, "count": len(picked), "top": TOP, "lines": lines, "says": says}


def directions(z: np.ndarray) -> np.ndarray:
    """z / |z|."""
    z = z.astype(np.float64)
    return np.asarray(z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12))


def picture(pairs: Any, row: int) -> str:
    """One picture, inline."""
    return page([[np.asarray(pairs.first.values[row])]], pairs.first.shape)[0]


def text(pairs: Any, row: int) -> str:
    """The beginning of one text."""
    return cut(pairs.second.texts[row], 60)
