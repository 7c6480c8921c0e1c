"""Read a table from a path, `toy:NAME`, an array, a tensor, a data frame or a dict of columns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from whichloss.data.columns import code, column_of
from whichloss.data.files import FORMATS, check_names, open_file
from whichloss.data.later import Label, read_like, renamed
from whichloss.data.raw import (
    Lazy,
    Raw,
    from_columns,
    from_matrix,
    from_pandas,
    from_polars,
    is_tensor,
    to_array,
)
from whichloss.data.schema import Column, Schema
from whichloss.data.table import Table
from whichloss.data.toys import find_toy
from whichloss.data.words import NUMBER, understand
from whichloss.errors import DataUnfit, UserError, nearest

LEAST_ROWS = 20  # a test part of 4 rows, the fewest for which an unbiased distance has a variance


def read(
    source: Any,
    *,
    group: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    schema: Schema | None = None,
    labels: Sequence[Label] = (),
    also: Mapping[str, str] | None = None,
) -> Table:
    """The table of a source; the group and time columns split the rows and are not modelled.

    schema: of a table read before; then any number of rows is coded by it, and columns it lacks
    are left out with a note; labels: what is predicted for these rows; also: other name -> the
    schema's, of columns that go by these where the schema's own are not there. Raises UserError (cannot be
    read, wrong name, rows unlike the schema) or DataUnfit (can be read but not compared).
    """
    if isinstance(source, Table):
        if group or time or drop or schema:
            raise UserError("group, time, drop and schema apply when data is read; this is a Table already.")
        return source
    if schema is not None:
        try:
            label, lazies = open_source(source)
            return read_like(label, renamed(lazies, also or {}), schema, labels)
        except DataUnfit as error:  # nothing is compared: the file is wrong
            raise UserError(str(error)) from error
    label, lazies = open_source(source)
    names = [name for name, _ in lazies]
    check_names(names, label)
    dropped = {drop} if isinstance(drop, str) else set(drop)
    for option, name in [
        ("--group", group),
        ("--time", time),
        *(("--drop", name) for name in sorted(dropped)),
    ]:
        _check_option(label, names, option, name, dropped)
    raws = _same_length(label, {name: lazy() for name, lazy in lazies if name not in dropped})
    if lazies and not raws:
        raise DataUnfit(f"{label} has nothing to learn: no column is left. Drop fewer columns.")
    _check_rows(label, max((len(raw.data) for raw in raws.values()), default=0))
    groups = _groups(raws[group]) if group else None
    times = _times(raws[time]) if time else None
    table = _model(label, [raw for name, raw in raws.items() if name not in (group, time)])
    unused = () if times is not None else _unused_dates(table.schema)
    notes = (*_header_note(names), *table.notes, *unused)
    return replace(table, groups=groups, times=times, notes=notes)


def open_source(source: Any) -> tuple[str, list[Lazy]]:
    library = type(source).__module__.partition(".")[0]
    if isinstance(source, str) and source.startswith("toy:"):
        toy, rows = find_toy(source)
        return source, from_matrix(toy.sample(rows))
    if isinstance(source, str | Path):
        return str(source), open_file(Path(source))
    if isinstance(source, np.ndarray) or is_tensor(source):
        what = "tensor" if is_tensor(source) else "array"
        return f"{what} {tuple(source.shape)}", from_matrix(to_array(source))
    if library in ("pandas", "polars") and hasattr(source, "columns"):
        lazies = from_pandas(source) if library == "pandas" else from_polars(source)
        return f"data frame {tuple(source.shape)}", lazies
    if isinstance(source, Mapping):
        lazies = from_columns(source)
        return f"{len(lazies)} columns", lazies
    raise UserError(
        f"Data of type {type(source).__name__} cannot be read. Give a path ({FORMATS}), 'toy:NAME', a NumPy array, a "
        "tensor, a pandas or polars data frame, or a dict of columns."
    )


def _check_option(label: str, names: list[str], option: str, name: str | None, dropped: set[str]) -> None:
    if name is None:
        return
    if name not in names:
        raise UserError(f"{option} '{name}': {label} has no such column; {nearest(name, names)}")
    if option != "--drop" and name in dropped:
        raise UserError(f"'{name}' is both {option} and --drop; choose one.")


def _check_rows(label: str, rows: int) -> None:
    if rows == 0:
        raise DataUnfit(f"{label} has no rows (a header only?); at least {LEAST_ROWS} are needed.")
    if rows < LEAST_ROWS:
        raise DataUnfit(
            f"{label} has {rows} row{'s' * (rows > 1)}; at least {LEAST_ROWS} are needed, so that training, "
            "validation and test each get some. Add rows."
        )


def _same_length(label: str, raws: dict[str, Raw]) -> dict[str, Raw]:
    lengths = {name: len(raw.data) for name, raw in raws.items()}
    first = next(iter(lengths), "")
    for name, length in lengths.items():
        if length != lengths[first]:
            raise UserError(
                f"{label}: column '{name}' has {length} rows and column '{first}' has {lengths[first]}; give every "
                "column one value per row."
            )
    return {name: understand(raw) for name, raw in raws.items()}


def _model(label: str, raws: list[Raw]) -> Table:
    columns = tuple(column_of(raw) for raw in raws)
    schema = Schema(columns)
    if schema.dim == 0:
        what = "; ".join(
            f"{c.name} is {'all missing' if _empty(c, r) else 'constant'}" for c, r in zip(columns, raws, strict=True)
        )
        raise DataUnfit(
            f"{label} has nothing to learn: {what or 'no column is left'}. Give at least one column that varies."
        )
    values = np.stack([code(raw, column) for raw, column in zip(raws, columns, strict=True)], axis=1)
    constant = (
        f"Column '{c.name}' is {'all missing' if _empty(c, r) else 'constant'}; it is written "
        "back as it is and teaches nothing."
        for c, r in zip(columns, raws, strict=True) if c.constant
    )  # fmt: skip
    notes = (*(note for raw in raws for note in raw.notes), *constant)
    blanks = {raw.name: raw.blanks for raw in raws if raw.blanks}
    return Table(schema, values, label, notes=notes, blanks=blanks)


def _empty(column: Column, raw: Raw) -> bool:
    return column.constant and bool(raw.missing.all())


def _unused_dates(schema: Schema) -> tuple[str, ...]:
    return tuple(
        f"Column '{c.name}' holds dates, and the split ignores time: later rows may help with earlier ones. Split by "
        f"date with --time '{c.name}', or leave the column out with --drop '{c.name}'."
        for c in schema.columns
        if c.kind == "date" and not c.constant
    )


def _header_note(names: list[str]) -> tuple[str, ...]:
    if names and all(NUMBER.fullmatch(name.strip()) for name in names):
        first = f"Every column name is a number ('{names[0]}', ...)"
        return (f"{first}. If the file has no header line, add one.",)
    return ()


def _groups(raw: Raw) -> np.ndarray:
    if raw.missing.any():
        row, _ = raw.first(raw.missing)
        raise DataUnfit(
            f"--group '{raw.name}', row {row}: the group is missing ({int(raw.missing.sum())} such rows). Fill it "
            "in, or leave these rows out."
        )
    names, codes = np.unique(raw.data, return_inverse=True)
    if len(names) < 3:
        raise DataUnfit(
            f"--group '{raw.name}' has {len(names)} group{'s' * (len(names) > 1)}; at least 3 are needed (training, "
            "validation, test). Choose another column, or none."
        )
    return codes.astype(np.int64)


def _times(raw: Raw) -> np.ndarray:
    if raw.data.dtype.kind not in "iufM":
        row, value = raw.first(~raw.missing)
        raise UserError(
            f"--time '{raw.name}' is no date or number (row {row}: '{value}'). Write dates as YYYY-MM-DD, or choose "
            "another column."
        )
    if raw.missing.any():
        row, _ = raw.first(raw.missing)
        raise DataUnfit(
            f"--time '{raw.name}', row {row}: the time is missing ({int(raw.missing.sum())} such rows). Fill it in, "
            "or leave these rows out."
        )
    return code(raw, column_of(raw))
