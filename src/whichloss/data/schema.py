"""What a table's columns are: read once from the whole table, never from its numbers' statistics.

In a table every value is one float64 (`nan` = missing):

    number    itself                                 integer   itself
    boolean   0 or 1                                 category  its place in `categories`
    date      seconds since 1970-01-01 (UTC where the source has a time zone)
"""

from typing import Any, Literal

import msgspec
import numpy as np

Kind = Literal["number", "integer", "boolean", "category", "date"]
EXACT = 2**53  # every whole number up to here is a float64
YEARS = (-62135596800.0, 253402300799.0)  # seconds at the first and last moment of years 1 to 9999


class Column(msgspec.Struct, frozen=True):
    """One column of a user's table: enough to write any value back as the user would have.

    decimals: every value (a timestamp: in seconds) is a multiple of 10^-decimals; None: unknown.
    categories: the sorted distinct values (category), or the words for 0 and 1 (boolean).
    """

    name: str
    kind: Kind
    missing: bool = False
    constant: bool = False
    categories: tuple[str, ...] = ()
    decimals: int | None = None
    unit: Literal["", "date", "timestamp"] = ""
    sql_type: str = "DOUBLE"

    def bounds(self) -> tuple[float, float]:
        """The smallest and largest value that the column's storage type can hold."""
        if self.kind == "date":
            return YEARS
        if self.kind == "boolean":
            return 0.0, 1.0
        if self.sql_type in INTEGER_TYPES:
            info = np.iinfo(INTEGER_TYPES[self.sql_type])
            return float(max(info.min, -EXACT)), float(min(info.max, EXACT))
        if self.sql_type.startswith("DECIMAL"):
            digits, scale = (int(part) for part in self.sql_type[8:-1].split(","))
            top = 10**digits - 1
            return -top / 10**scale, top / 10**scale
        return -np.inf, np.inf

    def width(self) -> int:
        """The encoded dimensions: 0 if constant, else 1 or its levels; 1 more if it can miss."""
        if self.constant:
            return 0
        return (len(self.categories) if self.kind == "category" else 1) + self.missing


class Schema(msgspec.Struct, frozen=True):
    """The columns of a table, in the user's order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def dim(self) -> int:
        """The number of dimensions of an encoded row."""
        return sum(column.width() for column in self.columns)


INTEGER_TYPES: dict[str, type[np.integer[Any]]] = {
    "TINYINT": np.int8,
    "SMALLINT": np.int16,
    "INTEGER": np.int32,
    "BIGINT": np.int64,
    "UTINYINT": np.uint8,
    "USMALLINT": np.uint16,
    "UINTEGER": np.uint32,
    "UBIGINT": np.uint64,
}
SQL_TYPES = {np.dtype(kind): name for name, kind in INTEGER_TYPES.items()} | {
    np.dtype(np.bool_): "BOOLEAN",
    np.dtype(np.float16): "FLOAT",
    np.dtype(np.float32): "FLOAT",
    np.dtype(np.float64): "DOUBLE",
}


def snap(column: Column, values: np.ndarray) -> np.ndarray:
    """The nearest values that the column can hold: range, whole numbers or decimals; nan stays."""
    out: np.ndarray = np.clip(values, *column.bounds())
    if column.kind == "date" and column.unit == "date":
        return np.asarray(np.minimum(np.floor(out / 86400 + 0.5), YEARS[1] // 86400) * 86400)
    if column.kind in ("integer", "boolean"):
        return np.asarray(np.rint(out))
    if column.decimals is not None:
        factor = 10.0**column.decimals
        out = np.rint(out * factor) / factor
    if column.sql_type == "FLOAT":
        with np.errstate(over="ignore"):
            out = out.astype(np.float32).astype(np.float64)
    return np.asarray(out)


def seconds(times: np.ndarray) -> np.ndarray:
    """datetime64 -> seconds since 1970, exact to the microsecond in 1834 .. 2105; NaT -> nan."""
    micro: np.ndarray = times.astype("datetime64[us]")
    return np.where(np.isnat(micro), np.nan, micro.astype(np.int64) / 1e6)


def moments(values: np.ndarray) -> np.ndarray:
    """float64 seconds -> datetime64[us]; nan -> NaT."""
    known = np.nan_to_num(values)
    whole = np.floor(known)
    micro = whole.astype(np.int64) * 1_000_000 + np.rint((known - whole) * 1e6).astype(np.int64)
    out: np.ndarray = micro.astype("datetime64[us]")
    out[np.isnan(values)] = np.datetime64("NaT")
    return out
