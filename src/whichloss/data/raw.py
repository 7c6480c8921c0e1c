"""A column as it came, before anybody decided what it is; and the ways in from Python objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np

from whichloss.data.schema import SQL_TYPES
from whichloss.errors import DataUnfit, UserError

SUPPORTED = "Supported: numbers, whole numbers, true/false, categories, dates; missing values."
TEXT_MISSING = frozenset(("", "NA", "N/A", "n/a", "NaN", "NAN", "nan", "null", "NULL", "Null", "?", "<NA>", "#N/A"))


@dataclass(frozen=True)
class Raw:
    """One column: data (rows,) of one type (text as objects), and where it is missing (rows,).

    untyped: the text of a file that states no types, still to be understood; blanks: what in it stood for missing.
    """

    name: str
    data: np.ndarray
    missing: np.ndarray
    sql_type: str
    untyped: bool = False
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    blanks: tuple[str, ...] = ()

    def known(self) -> np.ndarray:
        """The values that are not missing."""
        known: np.ndarray = self.data[~self.missing]
        return known

    def first(self, where: np.ndarray) -> tuple[int, Any]:
        """The 1-based row, and the value, of the first true entry."""
        row = int(np.argmax(where))
        return row + 1, self.data[row]


# A column's name and its reading: a dropped column is never read.
Lazy = tuple[str, Callable[[], Raw]]


def ready(raw: Raw) -> Lazy:
    """A column that is already read."""
    return raw.name, lambda: raw


def drop_hint(name: str) -> str:
    """The usual way out for a column that cannot be modelled."""
    return f"Leave the column out with --drop '{name}' (in Python: drop=['{name}'])."


def from_array(name: str, data: np.ndarray, missing: np.ndarray | None = None) -> Raw:
    """One column from a 1-D array; nan and NaT are missing, and so is what `missing` marks."""
    gone = np.zeros(len(data), bool) if missing is None else np.asarray(missing, bool)
    kind = data.dtype.kind
    if kind in "biuf" and data.dtype in SQL_TYPES:
        if kind == "f":
            gone = gone | np.isnan(data)
        return Raw(name, data, gone, SQL_TYPES[data.dtype])
    if kind == "M":
        day = np.datetime_data(data.dtype)[0] in ("D", "W", "M", "Y")
        return Raw(name, data, gone | np.isnat(data), "DATE" if day else "TIMESTAMP")
    if kind == "U":
        return Raw(name, data.astype(object), gone, "VARCHAR")
    if kind == "O":
        return from_objects(name, data, gone)
    raise DataUnfit(f"Column '{name}' has type {data.dtype}. {SUPPORTED} {drop_hint(name)}")


def from_objects(name: str, data: np.ndarray, missing: np.ndarray) -> Raw:
    """One column from Python values of one type; None, nan and pandas' NA are missing."""
    gone = missing | np.array([value is None or _is_nan(value) for value in data], bool)
    known = [value.item() if isinstance(value, np.generic) else value for value in data[~gone]]
    types = {type(value) for value in known}
    if not types or all(issubclass(t, str) for t in types):
        return Raw(name, data, gone, "VARCHAR")
    if types == {bool}:
        return _filled(name, gone, np.array(known, bool))
    if types <= {int, bool}:
        return _filled(name, gone, _whole(name, known))
    if types <= {int, float, bool}:
        return _filled(name, gone, np.array(known, np.float64))
    if all(issubclass(t, date) for t in types):
        unit = "datetime64[D]" if types == {date} else "datetime64[us]"
        return _filled(name, gone, np.array([_naive(value) for value in known], unit))
    names = ", ".join(sorted(t.__name__ for t in types))
    odd = int(np.flatnonzero(~gone)[next((i for i, v in enumerate(known) if type(v) is not type(known[0])), 0)])
    raise DataUnfit(
        f"Column '{name}' holds {names} (row {odd + 1}: {data[odd]!r}); one type per column. "
        f"{SUPPORTED} {drop_hint(name)}"
    )


def _whole(name: str, known: list[Any]) -> np.ndarray:
    try:
        return np.array(known, np.int64)
    except OverflowError:
        raise DataUnfit(
            f"Column '{name}' holds whole numbers beyond 64 bits; they cannot be kept exactly. {drop_hint(name)}"
        ) from None


def _is_nan(value: Any) -> bool:
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _naive(value: Any) -> Any:
    """A time with a zone as its UTC clock, one without as it is."""
    offset = value.utcoffset() if hasattr(value, "utcoffset") else None
    return value if offset is None else (value - offset).replace(tzinfo=None)


def _filled(name: str, gone: np.ndarray, known: np.ndarray) -> Raw:
    data = np.zeros(len(gone), known.dtype)
    data[~gone] = known
    return replace(from_array(name, data), missing=gone)


def from_columns(columns: Mapping[Any, Any]) -> list[Lazy]:
    """A dict of equally long columns: lists, or arrays of one dimension."""
    return [(str(name), partial(from_values, str(name), values)) for name, values in columns.items()]


def from_values(name: str, values: Any) -> Raw:
    """One column from a list, an array or a tensor of one dimension."""
    listed = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str | bytes)
    data = to_array(values) if listed or is_tensor(values) else None
    if data is None or data.ndim != 1:
        what = type(values).__name__ if data is None else f"an array of shape {data.shape}"
        raise UserError(f"Column '{name}' is {what}; give each column as a list or a 1-D array.")
    mask = np.ma.getmaskarray(data) if isinstance(data, np.ma.MaskedArray) else None
    return from_array(name, np.asarray(data), mask)


def is_tensor(source: Any) -> bool:
    """Whether this is a torch tensor."""
    return type(source).__module__.partition(".")[0] == "torch" and hasattr(source, "detach")


def to_array(values: Any) -> np.ndarray:
    """An array from an array, a tensor or a list, whose values keep their Python types."""
    if is_tensor(values):
        tensor = values.detach().cpu()
        return np.asarray(tensor.float().numpy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy())
    if isinstance(values, np.ndarray):
        return values
    out = np.empty(len(values), object)
    for i, value in enumerate(values):
        out[i] = value
    return out


def from_matrix(array: np.ndarray) -> list[Lazy]:
    """Columns x1, x2, ... of an array (rows,) or (rows, columns), or a record array's own."""
    if array.dtype.names:
        return from_columns({name: array[name] for name in array.dtype.names})
    if array.ndim == 0 or array.ndim > 2:
        raise DataUnfit(
            f"The array has shape {array.shape}, and the rows of a table are needed here: (rows,) or (rows, columns). "
            "Pictures, (n, H, W[, C]), are read by compare, describe and read_pictures; reshape anything else."
        )
    if array.dtype.kind not in "biuf" or array.dtype not in SQL_TYPES:
        raise DataUnfit(
            f"The array has type {array.dtype}; supported are real numbers, whole numbers and booleans. For text, "
            "dates or mixed columns give a dict of columns or a data frame; split complex numbers into two columns."
        )
    matrix = array.reshape(len(array), -1)
    masks = np.ma.getmaskarray(matrix) if isinstance(matrix, np.ma.MaskedArray) else None
    return [
        ready(from_array(f"x{j + 1}", np.array(matrix[:, j]), None if masks is None else masks[:, j]))
        for j in range(matrix.shape[1])
    ]


def from_pandas(frame: Any) -> list[Lazy]:
    """The columns of a pandas frame; its index is not data."""
    return [(str(name), partial(_pandas, str(name), frame.iloc[:, j])) for j, name in enumerate(frame.columns)]


def _pandas(name: str, series: Any) -> Raw:
    gone = np.asarray(series.isna(), bool)
    kind, plain = series.dtype.kind, getattr(series.dtype, "numpy_dtype", series.dtype)
    if getattr(series.dtype, "tz", None) is not None:
        utc = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return replace(from_array(name, utc), sql_type="TIMESTAMP WITH TIME ZONE")
    if kind in "biuf" and isinstance(plain, np.dtype):
        filled = series.fillna(False if kind == "b" else 0).to_numpy(dtype=plain)
        return from_array(name, filled, gone)
    if kind == "M" and isinstance(plain, np.dtype):
        return from_array(name, series.to_numpy())
    return from_array(name, series.astype(object).to_numpy(), gone)


def from_polars(frame: Any) -> list[Lazy]:
    """The columns of a polars frame, their types kept."""
    return [(series.name, partial(_polars, series)) for series in frame.get_columns()]


def _polars(series: Any) -> Raw:
    name, kind = series.name, str(series.dtype)
    if kind.startswith(("Int", "UInt", "Float")):
        return from_array(name, series.fill_null(0).to_numpy(), series.is_null().to_numpy())
    if kind.startswith("Datetime"):
        zone = series.dtype.time_zone
        clock = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else series
        raw = from_array(name, clock.to_numpy())
        return replace(raw, sql_type="TIMESTAMP WITH TIME ZONE") if zone else raw
    return from_array(name, to_array(series.to_list()))
