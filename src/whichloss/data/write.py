"""Values as the user had them: Python values, CSV text, Parquet types."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from safetensors import SafetensorError

from whichloss.data.files import connect
from whichloss.data.schema import INTEGER_TYPES, Column, Schema, moments
from whichloss.errors import UserError

SPECIAL = re.compile(r"""[,;\t|"'\r\n]""")


def python_values(column: Column, codes: np.ndarray) -> list[Any]:
    """int, float, bool, str, date or datetime by the column's type; None where missing."""
    gone = np.isnan(codes)
    if column.kind == "category":
        words = np.array([*column.categories, None], object)
        return list(words[np.where(gone, len(column.categories), codes).astype(int)])
    if column.kind == "date":
        times = moments(codes)
        return list((times.astype("datetime64[D]") if column.unit == "date" else times).astype(object))
    known = np.where(gone, 0.0, codes)
    if column.kind == "boolean" and column.sql_type == "BOOLEAN":
        values: list[Any] = (known > 0.5).tolist()
    elif column.sql_type in INTEGER_TYPES:
        values = known.astype(np.int64).tolist()
    else:
        values = known.tolist()
    return [None if miss else value for miss, value in zip(gone.tolist(), values, strict=True)]


def texts(column: Column, codes: np.ndarray) -> list[str]:
    """The text of each value as it was read, an empty field where missing."""
    values = python_values(column, codes)
    if column.kind == "category":
        return ["" if value is None else value for value in values]
    if column.kind == "date":
        return _clock(column, codes)
    if column.sql_type == "BOOLEAN":
        words = column.categories or ("false", "true")
        return ["" if value is None else words[value] for value in values]
    if column.sql_type == "FLOAT":
        return ["" if value is None else str(np.float32(value)) for value in values]
    return ["" if value is None else repr(value) for value in values]


def names_of(column: Column, codes: np.ndarray) -> list[str]:
    """Classes in the user's words; whole numbers without a fraction (1, not 1.0)."""
    said = texts(column, codes)
    return [text.removesuffix(".0") for text in said] if column.kind in ("integer", "boolean") else said


def _clock(column: Column, codes: np.ndarray) -> list[str]:
    unit = "D" if column.unit == "date" else "s" if column.decimals == 0 else "us"
    zone = "Z" if column.sql_type == "TIMESTAMP WITH TIME ZONE" else ""
    shown = np.datetime_as_string(moments(codes).astype(f"datetime64[{unit}]"))
    return ["" if text == "NaT" else text.replace("T", " ") + zone for text in shown.tolist()]


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Write beside the file and rename: the file is whole or as it was."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except (OSError, duckdb.IOException, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(
            f"'{path}' cannot be written: {reason}. Choose a folder that exists and is writable."
        ) from error
    finally:
        if part.exists():
            part.unlink()


def write_csv(path: Path, schema: Schema, values: np.ndarray) -> None:
    """A header line with the user's names, then the rows; missing is an empty field."""
    columns = [texts(column, values[:, j]) for j, column in enumerate(schema.columns)]
    for j, column in enumerate(schema.columns):
        if column.kind == "category":
            columns[j] = [quoted(text) for text in columns[j]]
    if len(columns) == 1:  # an empty line would be no row
        columns[0] = [text or '""' for text in columns[0]]
    with aside(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(quoted(name) for name in schema.names) + "\n")
        file.writelines(",".join(row) + "\n" for row in zip(*columns, strict=True))


def quoted(text: str) -> str:
    """A CSV field: in quotes if it holds a delimiter, a quote or a line break (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if SPECIAL.search(text) else text


def write_parquet(path: Path, schema: Schema, values: np.ndarray) -> None:
    """The user's names and types; missing is NULL."""
    data = {f"c{j}": _vector(column, values[:, j]) for j, column in enumerate(schema.columns)}
    named = [(column, column.name.replace('"', '""')) for column in schema.columns]
    chosen = ", ".join(f'CAST(c{j} AS {column.sql_type}) AS "{name}"' for j, (column, name) in enumerate(named))
    with aside(path) as part, connect() as connection:
        connection.register("data", data)
        connection.sql(f"SELECT {chosen} FROM data").write_parquet(str(part))


def _vector(column: Column, codes: np.ndarray) -> np.ndarray:
    if column.kind == "category":
        return np.array(python_values(column, codes), object)
    if column.kind == "date":
        return moments(codes)
    gone = np.isnan(codes)
    return np.ma.masked_array(np.where(gone, 0.0, codes), gone)
