"""What was understood of a table, and what looks wrong with it, in plain English."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from whichloss.data.describe_pairs import PairDescription, describe_pairs
from whichloss.data.describe_pictures import PictureDescription, describe_pictures
from whichloss.data.encode import Encoder
from whichloss.data.pairs import Pairs
from whichloss.data.picture_read import is_pictures, read_pictures
from whichloss.data.raw import drop_hint
from whichloss.data.read import read
from whichloss.data.schema import Column
from whichloss.data.table import Table
from whichloss.data.write import texts

MOST_ROWS = 5_000  # the comparison of rows with one another looks at no more
TINY = 0.01  # of the usual distance to the nearest row


@dataclass(frozen=True)
class ColumnFacts:
    """One column: its kind, missing share, count of distinct values, their range or levels."""

    name: str
    kind: str
    missing: float
    distinct: int
    summary: str


@dataclass(frozen=True)
class Concern:
    """Something suspicious about columns, and what to do."""

    columns: tuple[str, ...]
    what: str
    advice: str


@dataclass(frozen=True)
class Description:
    """What `describe` found; near_duplicates counts rows among the `compared` ones."""

    source: str
    rows: int
    dim: int
    columns: tuple[ColumnFacts, ...]
    constants: tuple[str, ...]
    duplicates: int
    near_duplicates: int
    compared: int
    concerns: tuple[Concern, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """The description for a terminal, one fact a line."""
        columns, numbers = _count(len(self.columns), "column"), _count(self.dim, "number")
        out = [f"{self.source}: {self.rows:,} rows, {columns}, encoded as {numbers}."]
        for c in self.columns:
            missing = f"; {_percent(c.missing)} missing" if c.missing else ""
            out.append(f"  {c.name}: {c.kind}, {c.summary}{missing}.")
        out.append(self._repeats())
        compared = "" if self.compared == self.rows else f" (looked at {self.compared:,} of the rows)"
        if self.near_duplicates:
            out.append(
                f"Near-duplicates: {_count(self.near_duplicates, 'row')} almost equal to another{compared}. The same "
                "unit measured twice? Then name the unit with --group, so that it does not sit on both sides of the "
                "split."
            )
        elif self.compared:
            out.append(f"Near-duplicates: none{compared}.")
        else:
            out.append("Near-duplicates: not looked for below three encoded dimensions.")
        out += [f"Suspicious: {c.what}. {c.advice}" for c in self.concerns]
        if not self.concerns:
            out.append("Suspicious columns: none.")
        return out + [f"Note: {note}" for note in self.notes]

    def _repeats(self) -> str:
        if not self.duplicates:
            return "Exact duplicates: none."
        return (
            f"Exact duplicates: {_count(self.duplicates, 'row')} ({_percent(self.duplicates / self.rows)}) equal to "
            "an earlier row. Natural where all columns are coarse; else remove them, since a copy in the test part "
            "rewards copying."
        )


def describe(source: Any) -> Description | PictureDescription | PairDescription:
    """Rows, kinds, missing values, constants, duplicates, near-duplicates, suspicious columns of what `read` takes; or
    size, levels, classes and duplicates of pictures; or sides, repeats and units of `Pairs`."""
    if isinstance(source, Pairs):
        return describe_pairs(source)
    if is_pictures(source):
        return describe_pictures(read_pictures(source))
    table = read(source)
    near, compared = _near(table)
    return Description(
        table.source,
        len(table),
        table.schema.dim,
        tuple(_facts(*pair) for pair in zip(table.schema.columns, table.values.T, strict=True)),
        tuple(column.name for column in table.schema.columns if column.constant),
        len(table) - len({row.tobytes() for row in table.values}),
        near,
        compared,
        concerns(table),
        table.notes,
    )


def concerns(table: Table, besides: Sequence[str] = ()) -> tuple[Concern, ...]:
    """What is suspicious about the columns besides these."""
    pairs = [
        (column, values)
        for column, values in zip(table.schema.columns, table.values.T, strict=True)
        if column.name not in besides
    ]
    return (*_copies(pairs), *(c for column, values in pairs for c in _odd(column, values)))


def _facts(column: Column, values: np.ndarray) -> ColumnFacts:
    known = np.sort(values[~np.isnan(values)])
    distinct = len(np.unique(known))
    if column.constant:
        summary = f"constant ({texts(column, known[:1])[0]})" if len(known) else "all missing"
    elif column.kind in ("category", "boolean"):
        levels, counts = np.unique(known, return_counts=True)
        first = np.argsort(-counts, kind="stable")[:3]
        named = zip(texts(column, levels[first]), counts[first], strict=True)
        shown = ", ".join(f"{text} {_percent(count / len(known))}" for text, count in named)
        summary = f"{_count(distinct, 'value')} ({shown}{', ...' if distinct > 3 else ''})"
    else:
        middle = known[[0, len(known) // 2, -1]]
        low, half, high = texts(column, middle) if column.kind == "date" else [f"{value:.6g}" for value in middle]
        summary = f"{low} to {high}, median {half}, {distinct:,} distinct"
    return ColumnFacts(column.name, column.kind, float(np.isnan(values).mean()), distinct, summary)


def _near(table: Table) -> tuple[int, int]:
    """How many rows have a different row almost on top of them, and how many rows were compared.

    Almost: nearer than 1 % of the median distance to the nearest other row. Below three
    dimensions rows come that near by chance, and nothing is counted.
    """
    step = -(-len(table) // MOST_ROWS)
    values = table.values[::step]
    _, index = np.unique(np.nan_to_num(values, nan=np.inf), axis=0, return_index=True)
    distinct = values[index]
    if table.schema.dim < 3 or len(distinct) < 3:
        return 0, 0
    x = Encoder.fit(table.schema, table.values).encode(distinct).astype(np.float64)
    nearest = cKDTree(x).query(x, k=2)[0][:, 1]
    return int((nearest < TINY * np.median(nearest)).sum()), len(values)


def _odd(column: Column, values: np.ndarray) -> Iterator[Concern]:
    """A row number, an identifier, or a column that is nearly constant."""
    if column.constant or len(values) < 2:
        return
    name, whole, step = column.name, column.kind in ("integer", "category"), values[1] - values[0]
    levels, counts = np.unique(values, return_counts=True)
    if column.kind == "integer" and step and np.all(np.diff(values) == step):
        yield Concern(
            (name,),
            f"column '{name}' counts the rows ({values[0]:.0f}, {values[1]:.0f}, ...)",
            drop_hint(name),
        )
    elif whole and len(levels) == len(values):
        what = f"column '{name}' differs in every row, like an identifier"
        yield Concern((name,), what, f"If it is one, leave it out: --drop {name!r}.")
    yield from _spellings(column)
    share = counts.max() / len(values)
    if share >= 0.99:
        what = f"column '{name}' is nearly constant ({_percent(share)} of the rows are equal)"
        yield Concern((name,), what, f"Its rare values will hardly be learnt. {drop_hint(name)}")


def _spellings(column: Column) -> Iterator[Concern]:
    """Categories that differ in case or in spaces around them only."""
    seen: dict[str, str] = {}
    for text in column.categories if column.kind == "category" else ():
        if (other := seen.setdefault(text.strip().casefold(), text)) != text:
            what = f"column '{column.name}' has categories '{other}' and '{text}'"
            yield Concern((column.name,), what, "Write them in one spelling, if they are the same.")


def _copies(pairs: list[tuple[Column, np.ndarray]]) -> Iterator[Concern]:
    """Columns that say the same, up to a one-to-one (category) or monotone (number) change."""
    seen: dict[bytes, str] = {}
    for column, values in pairs:
        if column.constant:
            continue
        prints = _prints(column, values)
        for mark in prints:
            if (other := seen.get(mark)) is not None:
                what = f"column '{column.name}' says the same as column '{other}'"
                yield Concern((other, column.name), what, f"One is enough. {drop_hint(column.name)}")
                break
        else:
            seen[prints[0]] = column.name


def _prints(column: Column, values: np.ndarray) -> list[bytes]:
    """Marks shared by columns that say the same: order of first appearance, or ranks."""
    levels, first, place = np.unique(values, return_index=True, return_inverse=True, equal_nan=True)
    if column.kind in ("category", "boolean") or len(levels) == 2:
        return [b"level" + np.argsort(np.argsort(first))[place].astype(np.int64).tobytes()]
    gone = np.isnan(values)
    top = len(levels) - 1 - bool(gone.any())
    up, down = np.where(gone, -1, place), np.where(gone, -1, top - place)
    return [b"rank" + ranks.astype(np.int64).tobytes() for ranks in (up, down)]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
