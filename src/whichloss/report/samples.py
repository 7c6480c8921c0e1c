"""The rows that the report draws: real ones first, then one sample of every line of the ranking table."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..data import Table, evenly
from ..errors import StudyError
from ..study.records import Row, Study
from ..study.store import unpack
from .shapes import Shape, mean_apart, numeric, shape

MOST_COLUMNS = 12  # drawn; of more, the most different ones
MOST_REAL = 5000  # rows looked at, spread evenly


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows (n, columns) of one line of the table, in the table's codes; none, and why, if it has none."""

    row: Row
    values: np.ndarray
    absent: str = ""
    energy: np.ndarray | None = None  # on a grid over the plane (or line) of the rows, whose corners are in `box`
    box: np.ndarray | None = None
    given: np.ndarray | None = None  # (n,) the class of each row, where it was asked for

    @property
    def name(self) -> str:
        """The objective or anchor."""
        return self.row.name


@dataclass(frozen=True, eq=False)
class Rows:
    """The real table and every sample, best objective first."""

    table: Table
    samples: tuple[Sample, ...]

    @cached_property
    def varying(self) -> list[int]:
        """The columns that are not constant; all if every one is."""
        columns = self.table.schema.columns
        return [j for j, c in enumerate(columns) if not c.constant] or list(range(len(columns)))

    @cached_property
    def kind(self) -> str:
        """line: one column of numbers; plane: two; table: anything else."""
        columns = [self.table.schema.columns[j] for j in self.varying]
        plain = all(numeric(c) and not c.missing for c in columns)
        return {1: "line", 2: "plane"}.get(len(columns), "table") if plain else "table"

    @cached_property
    def real(self) -> np.ndarray:
        """The real rows that are drawn, at most MOST_REAL."""
        return evenly(self.table.values, MOST_REAL)

    def each(self, j: int) -> list[np.ndarray | None]:
        """One column: of the real rows, then of every sample."""
        return [self.real[:, j], *(s.values[:, j] if len(s.values) else None for s in self.samples)]

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The columns to draw: at most MOST_COLUMNS, the most different first if there are more."""
        made = [shape(self.table.schema.columns[j], self.each(j)) for j in self.varying]
        if len(made) <= MOST_COLUMNS:
            return tuple(made)
        own = [k for k, s in enumerate(self.samples) if s.row.role == "objective"]
        order = sorted(range(len(made)), key=lambda i: (-mean_apart(made[i], own), i))
        return tuple(made[i] for i in order[:MOST_COLUMNS])


def load(study: Study, folder: Path) -> Rows:
    """Read the table and every sample. Raises UserError if the table is missing or damaged."""
    table = Table.load(folder / "data.safetensors")
    width = len(table.schema.columns)
    found = [read_sample(row, folder, width) for row in study.ranked()]
    return Rows(table, tuple(sample for sample in found if sample is not None))


def read_sample(row: Row, folder: Path, width: int) -> Sample | None:
    """The rows of one line; what is missing or damaged is said, not hidden. None for what only scores rows."""
    none = np.empty((0, width))
    if not row.sample:
        return Sample(row, none, "every run failed, so there is nothing to show")
    file, _, array = row.sample.partition("#")
    try:
        _, arrays = unpack(folder / "runs" / f"{file}.safetensors")
    except StudyError:
        return Sample(row, none, f"runs/{file}.safetensors is missing or damaged")
    values = arrays.get(array or "samples")
    if values is None and array.replace("samples/", "unlike/", 1) in arrays:
        return None
    if values is None or values.ndim != 2 or values.shape[1] != width or not len(values):
        return Sample(row, none, f"runs/{file}.safetensors holds none of this study's samples")
    given = arrays.get((array or "samples").replace("samples", "given", 1))
    return Sample(row, values, energy=arrays.get("energy"), box=arrays.get("energy box"), given=given)
