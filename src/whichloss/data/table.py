"""A table of rows with its schema: what `read` returns and what a model's samples come back as."""

import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from whichloss.data.schema import Column, Schema
from whichloss.data.write import aside, python_values, write_csv, write_parquet
from whichloss.errors import UserError, nearest


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Rows of float64 codes (rows, columns), nan = missing; the coding is in `data/schema.py`.

    groups: int64 (rows,), units that a split keeps whole; times: float64 (rows,), its order; blanks: the words that
    were read as missing, by column.
    """

    schema: Schema
    values: np.ndarray
    source: str = "rows"
    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    blanks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.schema.columns):
            raise UserError(f"values must have shape (rows, {len(self.schema.columns)}); got {self.values.shape}.")

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Table({self.source}: {len(self):,} x {len(self.schema.columns)})"

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with the schema, any value, the groups or the times."""
        digest = hashlib.sha256(msgspec.json.encode(self.schema))
        for array in (self.values, self.groups, self.times):
            if array is None:
                digest.update(b"none")
                continue
            plain = np.where(np.isnan(array), np.nan, array + 0.0).astype("<f8")
            digest.update(str(plain.shape).encode() + np.ascontiguousarray(plain).tobytes())
        return digest.hexdigest()[:16]

    def rows(self, index: Any) -> "Table":
        """The rows of an index, mask or slice, in its order."""
        groups = None if self.groups is None else self.groups[index]
        times = None if self.times is None else self.times[index]
        return replace(self, values=self.values[index], groups=groups, times=times)

    def column(self, name: str) -> list[Any]:
        """One column as Python values, None where missing."""
        j = self.position(name)
        return python_values(self.schema.columns[j], self.values[:, j])

    def position(self, name: str) -> int:
        """The place of a column; a UserError that suggests the nearest name if there is none."""
        if name not in self.schema.names:
            raise UserError(f"{self.source} has no column '{name}'; {nearest(name, self.schema.names)}")
        return self.schema.names.index(name)

    def to_numpy(self) -> np.ndarray:
        """(rows, columns) float64: a category is its place, a date seconds, missing nan."""
        return self.values.copy()

    def to_csv(self, path: str | Path) -> None:
        """Write UTF-8 CSV with the user's names; missing is an empty field."""
        write_csv(Path(path), self.schema, self.values)

    def to_parquet(self, path: str | Path) -> None:
        """Write Parquet with the user's names and types; missing is NULL."""
        write_parquet(Path(path), self.schema, self.values)

    def to_pandas(self) -> Any:
        """A pandas frame; whole numbers and booleans with missing values take nullable types."""
        try:
            import pandas
        except ImportError:
            raise UserError("to_pandas needs pandas, which is not installed: pip install pandas") from None
        series = {
            c.name: pandas.Series(python_values(c, self.values[:, j]), dtype=_pandas_type(c))
            for j, c in enumerate(self.schema.columns)
        }
        return pandas.DataFrame(series)

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file."""
        arrays = {"values": self.values, "groups": self.groups, "times": self.times}
        kept = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}
        meta = {
            "schema": msgspec.json.encode(self.schema).decode(),
            "source": self.source,
            "notes": json.dumps(self.notes),
        }
        with aside(Path(path)) as part:
            save_file(kept, part, meta)

    @classmethod
    def load(cls, path: str | Path) -> "Table":
        """Read what `save` wrote."""
        try:
            with safe_open(str(path), "numpy") as file:
                meta = file.metadata()
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return cls(
                msgspec.json.decode(meta["schema"], type=Schema),
                arrays["values"],
                meta["source"],
                arrays.get("groups"),
                arrays.get("times"),
                tuple(json.loads(meta["notes"])),
            )
        except (
            OSError,
            SafetensorError,
            KeyError,
            TypeError,
            ValueError,
            msgspec.MsgspecError,
        ) as error:
            raise UserError(f"'{path}' is missing, damaged or no saved table: {error}.") from error

    def _repr_html_(self) -> str:
        head = self.rows(slice(5))
        columns = [head.column(name) for name in self.schema.names]
        names = "".join(f"<th>{html.escape(name)}</th>" for name in self.schema.names)
        body = "".join(
            "<tr>" + "".join(f"<td>{'' if v is None else html.escape(str(v))}</td>" for v in row) + "</tr>"
            for row in zip(*columns, strict=True)
        )
        return f"<table><caption>{html.escape(repr(self))}</caption><tr>{names}</tr>{body}</table>"


def _pandas_type(column: Column) -> str:
    if column.kind == "date":
        return "datetime64[us]"
    if column.kind == "category":
        return "object"
    if column.sql_type == "BOOLEAN":
        return "boolean" if column.missing else "bool"
    small = {"FLOAT": "float32", "DOUBLE": "float64"}
    if column.sql_type in small or column.sql_type.startswith("DECIMAL"):
        return small.get(column.sql_type, "float64")
    width = {"TINY": "8", "SMALL": "16", "": "32", "BIG": "64"}
    unsigned, bare = column.sql_type.startswith("U"), column.sql_type.removeprefix("U")
    name = ("UInt" if unsigned else "Int") + width[bare.removesuffix("EGER").removesuffix("INT")]
    return name if column.missing else name.lower()
