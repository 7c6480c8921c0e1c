"""From a raw column to its schema and its float64 codes, with the limits of what is modelled."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from whichloss.data.files import PICTURES
from whichloss.data.raw import SUPPORTED, Raw, drop_hint
from whichloss.data.schema import EXACT, YEARS, Column, Kind, moments, seconds, snap
from whichloss.data.words import fits
from whichloss.errors import DataUnfit

MOST_CATEGORIES = 100
FREE_TEXT = 30  # characters: half of the values are at least this long and most differ
DECIMALS = range(1, 7)
PAIRED = "Captions and the pictures that they describe are pairs: add --goal align."


def column_of(raw: Raw) -> Column:
    """The schema of a column, from all its rows."""
    known, some = raw.known(), bool(raw.missing.any())
    kind = known.dtype.kind
    if len(known) == 0:
        return _nothing(raw, kind)
    if kind == "O":
        return _category(raw, set(known), some)
    _check_exact(raw)
    values = seconds(known) if kind == "M" else known.astype(np.float64)
    constant = not some and bool(np.all(values == values[0]))
    if kind == "M":
        unit: Literal["date", "timestamp"] = "date" if raw.sql_type == "DATE" else "timestamp"
        decimals = 0 if unit == "date" else _decimals(values, range(7), raw.sql_type)
        return Column(raw.name, "date", some, constant, (), decimals, unit, raw.sql_type)
    if kind == "b" or set(np.unique(values).tolist()) == {0.0, 1.0}:
        words = raw.words or (("false", "true") if kind == "b" else ())
        return Column(raw.name, "boolean", some, constant, words, sql_type=raw.sql_type)
    if np.all(np.rint(values) == values) and np.abs(values).max() <= EXACT:
        return Column(raw.name, "integer", some, constant, sql_type=raw.sql_type)
    decimals = _decimals(values, DECIMALS, raw.sql_type)
    return Column(raw.name, "number", some, constant, decimals=decimals, sql_type=raw.sql_type)


def _nothing(raw: Raw, kind: str) -> Column:
    """A column without a single value: its type is all there is."""
    if kind == "M":
        unit: Literal["date", "timestamp"] = "date" if raw.sql_type == "DATE" else "timestamp"
        return Column(raw.name, "date", True, True, (), 0, unit, raw.sql_type)
    kinds: dict[str, Kind] = {"O": "category", "b": "boolean"}
    return Column(raw.name, kinds.get(kind, "number"), True, True, sql_type=raw.sql_type)


def _check_exact(raw: Raw) -> None:
    """Infinities, and whole numbers that float64 cannot hold, are errors."""
    data, where = raw.data, ~raw.missing
    if data.dtype.kind == "f" and np.any(bad := np.isinf(data) & where):
        row, value = raw.first(bad)
        raise DataUnfit(
            f"Column '{raw.name}', row {row}: {value} is not finite ({int(bad.sum())} such "
            f"row{'s' * int(bad.sum() > 1)}). Correct the value or mark it as missing. {drop_hint(raw.name)}"
        )
    if data.dtype.kind in "iu" and np.any(bad := ((data > EXACT) | (data < -EXACT)) & where):
        row, value = raw.first(bad)
        raise DataUnfit(
            f"Column '{raw.name}', row {row}: {value} is beyond 2^53 and cannot be kept exactly (an identifier?). "
            f"{drop_hint(raw.name)}"
        )
    if data.dtype.kind == "M":
        _check_times(raw)
    if raw.sql_type.startswith("DECIMAL"):
        scale = int(raw.sql_type[8:-1].split(",")[1])
        if np.any(bad := (np.abs(data) > EXACT / 10.0**scale) & where):
            row, value = raw.first(bad)
            raise DataUnfit(
                f"Column '{raw.name}', row {row}: {value} as {raw.sql_type} has more digits than a float64 (15) "
                f"keeps. {drop_hint(raw.name)}"
            )


def _check_times(raw: Raw) -> None:
    """Times that float64 seconds do not keep, or outside the years 1 to 9999, are errors."""
    clock = seconds(raw.data)
    outside = (clock < YEARS[0]) | (clock > YEARS[1] + 1)
    lost = moments(clock) != raw.data
    for bad, what in ((outside, "no calendar date"), (lost, "finer than can be kept")):
        if np.any(bad := bad & ~raw.missing):
            row, value = raw.first(bad)
            raise DataUnfit(
                f"Column '{raw.name}', row {row}: {value} is {what}. Round or correct it. {drop_hint(raw.name)}"
            )


def _decimals(values: np.ndarray, tried: range, sql_type: str) -> int | None:
    for digits in tried:
        column = Column("", "number", decimals=digits, sql_type="FLOAT" if sql_type == "FLOAT" else "DOUBLE")
        if np.abs(values).max() > EXACT / 10.0**digits:
            return None
        if all(np.array_equal(snap(column, part), part) for part in (values[:100], values)):
            return digits
    return None


def _category(raw: Raw, distinct: set[str], some: bool) -> Column:
    lengths = np.array([len(text) for text in distinct])
    share = len(distinct) / len(raw.known())
    row, example = raw.first(~raw.missing)
    if len(distinct) > 20 and share > 0.5 and np.median(lengths) >= FREE_TEXT:
        raise DataUnfit(
            f"Column '{raw.name}' is free text (row {row}: '{example[:40]}...'); text generation "
            f"is not a goal of whichloss. {SUPPORTED} {PAIRED} {drop_hint(raw.name)}"
        )
    if len(distinct) > MOST_CATEGORIES:
        what = "It looks like an identifier or a name. " if share > 0.9 else ""
        what = f"{PAIRED} " if example.lower().endswith(PICTURES) else what
        raise DataUnfit(
            f"Column '{raw.name}' has {len(distinct):,} distinct texts (row {row}: '{example[:40]}'); at most "
            f"{MOST_CATEGORIES} categories are supported. {what}Merge the rare ones. "
            f"{drop_hint(raw.name)}{' '.join(['', *raw.notes])}"
        )
    categories = tuple(sorted(distinct))
    return Column(raw.name, "category", some, not some and len(distinct) == 1, categories, sql_type="VARCHAR")


def code(raw: Raw, column: Column) -> np.ndarray:
    """(rows,) float64: the column's values in the table's coding, nan where missing."""
    out = np.full(len(raw.data), np.nan)
    known, where = raw.known(), ~raw.missing
    kind = known.dtype.kind
    expected = {"category": "O", "date": "M"}.get(column.kind, "biuf")
    if len(known) and kind not in expected:
        raise _misfit(raw, column)
    if kind == "M":
        out[where] = seconds(known)
    elif kind != "O":
        _check_exact(raw)
        out[where] = known.astype(np.float64) + 0.0  # -0.0 becomes 0.0
    else:
        place = {text: float(i) for i, text in enumerate(column.categories)}
        if unknown := set(known) - place.keys():
            odd = np.isin(raw.data, list(unknown)) & where
            raise DataUnfit(
                f"Column '{raw.name}', row {raw.first(odd)[0]}: {few(sorted(unknown))} does not occur in the data "
                f"({int(odd.sum())} such row{'s' * int(odd.sum() > 1)}). Known: {few(column.categories, 10)}."
            )
        out[where] = [place[text] for text in known]
    return out


def _misfit(raw: Raw, column: Column) -> DataUnfit:
    """The first value that is of another kind than the column."""
    odd = ~raw.missing
    if raw.data.dtype.kind == "O":
        odd[odd] = [not fits(text, column) for text in raw.known()]
    odd = odd if odd.any() else ~raw.missing  # each fits, but they do not fit together
    row, value = raw.first(odd)
    rows = int(odd.sum())
    return DataUnfit(
        f"Column '{raw.name}', row {row}: '{value}' where the data has {_article(column)} ({rows} such "
        f"row{'s' * (rows > 1)})."
    )


def _article(column: Column) -> str:
    if column.kind == "date":
        zone = "Z" if column.sql_type == "TIMESTAMP WITH TIME ZONE" else ""
        return "a date, as 2023-01-31" if column.unit == "date" else f"a date and time, as 2023-01-31 12:30:00{zone}"
    if column.kind == "boolean":
        return " or ".join(column.categories or ("0", "1"))
    return {"integer": "a whole number", "number": "a number, as 1234.5"}.get(column.kind, "text")


def few(texts: Sequence[str], most: int = 5) -> str:
    """Some of these texts, in quotes."""
    return ", ".join(f"'{text}'" for text in texts[:most]) + ", ..." * (len(texts) > most)
