"""What rows look like, class by class, where they were generated given one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..study.records import Row, Study
from .grids import ACROSS, Sheet, page
from .wording import score_name
from .words import figures, percent

SHOWN = 20  # classes of pictures on a sheet, a line each


@dataclass(frozen=True)
class Measure:
    """One number for every class and line of the ranking table, and what it means; `total` is that of all classes."""

    title: str
    says: str
    lines: tuple[tuple[str, tuple[str, ...]], ...]
    total: tuple[str, ...] = ()


def section(study: Study) -> dict[str, Any] | None:
    """The classes of every line that has rows of classes; None where nothing was given."""
    if not study.data.given:
        return None
    rows = [row for row in study.ranked() if any(" given " in name for name in row.metrics)]
    score, real = study.score_name, "rows" if study.data.columns else "pictures"

    def line(name: str, as_text: Any) -> tuple[str, ...]:
        return tuple(as_text(row.metrics[name][0] if name in row.metrics else None) for row in rows)

    measures = (
        Measure(
            f"{score_name(study)}, class by class",
            f"Each class's {real} against real ones of that class: lower is better, and as good as it gets where it is "
            "that of fresh real rows.",
            tuple((name, line(f"{score} given {name}", figures)) for name in study.data.classes),
        ),
        Measure(
            "Is it the class that was asked for?",
            f"The share of {real} whose nearest training {real} are mostly of the class that was asked for: higher is "
            "better, and as good as it gets where it is that of fresh real rows, by their own class.",
            tuple((name, line(f"agreement given {name}", percent)) for name in study.data.classes),
            line("agreement", percent),
        ),
    )
    return {"column": study.data.given, "heads": rows, "measures": measures}


def by_class(
    values: np.ndarray, codes: np.ndarray, shape: tuple[int, ...], row: Row | None, classes: Sequence[str]
) -> Sheet:
    """Pictures (n, C*H*W), a line for each of the first classes; row: whose they are, None for real ones."""
    some = [list(values[codes == k][:ACROSS]) for k in range(min(len(classes), SHOWN))]
    uri, width = page([line + [None] * (ACROSS - len(line)) for line in some], shape)
    name, role = (row.name, row.role) if row else ("real pictures", "real")
    return Sheet(name, role, uri, sum(map(len, some)), width)
