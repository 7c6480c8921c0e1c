"""Understand the text of a CSV column: whole numbers, numbers, true/false, dates, or categories.

Missing are: an empty field, NA, N/A, n/a, #N/A, <NA>, NaN, nan, NAN, null, NULL, Null and ?. A
code such as 007 stays text, because a number would lose its zeros.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from whichloss.data.raw import TEXT_MISSING, Raw, drop_hint
from whichloss.data.schema import Column
from whichloss.errors import DataUnfit

WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)
NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?(\d\d)?)?", re.ASCII)
OTHER_DATE = re.compile(r"\d{1,4}[/.]\d{1,2}[/.]\d{1,4}", re.ASCII)
COMMAS = re.compile(r"[+-]?\d+(,\d+)+(\.\d+)?", re.ASCII)
PAIRS = (("false", "true"), ("False", "True"), ("FALSE", "TRUE"))


def understand(raw: Raw, column: Column | None = None) -> Raw:
    """The typed column; `column` says what it must be (rows read later, under a known schema)."""
    if not raw.untyped:
        return raw
    gone = raw.missing.copy()
    gone[~gone] = [text.strip() in TEXT_MISSING for text in raw.data[~gone]]
    blanks = {text.strip() for text in raw.data[gone & ~raw.missing]} - {""}
    raw = replace(raw, blanks=tuple(sorted(blanks)))
    known: list[str] = list(raw.data[~gone])
    if column is not None and column.kind == "category":
        return replace(raw, missing=gone, untyped=False)
    distinct = set(known)
    own = (column.categories,) if column is not None and column.kind == "boolean" and column.categories else ()
    words = (*own, *PAIRS)  # True in one file may be written true in the next
    for pair in words:
        if distinct and distinct <= set(pair):
            return _typed(raw, gone, np.array([text == pair[1] for text in known], bool), "BOOLEAN", pair)
    if distinct and _all(NUMBER, distinct):
        if _all(WHOLE, distinct):
            return _typed(raw, gone, _whole(raw, gone, known), "BIGINT")
        return _typed(raw, gone, np.array(known, object).astype(np.float64), "DOUBLE")
    if dates := _dates(raw, gone, known, distinct):
        return dates
    return _text(raw, gone, distinct) if column is None else replace(raw, missing=gone, untyped=False)


def fits(text: str, column: Column) -> bool:
    """Whether this text can stand in a column of numbers, true/false, or dates."""
    text = text.strip()
    if column.kind == "boolean" and column.categories:
        return text in column.categories
    if column.kind != "date":
        return bool(NUMBER.fullmatch(text))
    try:
        zoned = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
    pattern = DAY if column.unit == "date" else MOMENT
    return bool(pattern.fullmatch(text)) and zoned == (column.sql_type == "TIMESTAMP WITH TIME ZONE")


def _all(pattern: re.Pattern[str], distinct: set[str]) -> bool:
    return all(pattern.fullmatch(text.strip()) for text in distinct)


def _typed(raw: Raw, gone: np.ndarray, known: np.ndarray, sql_type: str, words: tuple[str, ...] = ()) -> Raw:
    data = np.zeros(len(gone), known.dtype)
    data[~gone] = known
    return replace(raw, data=data, missing=gone, sql_type=sql_type, untyped=False, words=words)


def _whole(raw: Raw, gone: np.ndarray, known: list[str]) -> np.ndarray:
    values = [int(text) for text in known]
    big = [i for i, value in enumerate(values) if abs(value) > 2**53]
    if big:
        row = int(np.flatnonzero(~gone)[big[0]]) + 1
        raise DataUnfit(
            f"Column '{raw.name}', row {row}: {values[big[0]]} is beyond 2^53 and cannot be kept exactly (an "
            f"identifier?). {drop_hint(raw.name)}"
        )
    return np.array(values, np.int64)


def _dates(raw: Raw, gone: np.ndarray, known: list[str], distinct: set[str]) -> Raw | None:
    if not distinct:
        return None
    try:
        if _all(DAY, distinct):
            return _typed(raw, gone, np.array([t.strip() for t in known], "datetime64[D]"), "DATE")
        if not _all(MOMENT, distinct):
            return None
        times = [datetime.fromisoformat(text.strip()) for text in known]
    except ValueError:
        return None
    zoned = {time.tzinfo is not None for time in times}
    if zoned == {True, False}:
        return None
    if zoned == {True}:
        times = [time.astimezone(UTC).replace(tzinfo=None) for time in times]
    kind = "TIMESTAMP WITH TIME ZONE" if zoned == {True} else "TIMESTAMP"
    return _typed(raw, gone, np.array(times, "datetime64[us]"), kind)


def _text(raw: Raw, gone: np.ndarray, distinct: set[str]) -> Raw:
    """Categories, unless nearly all are numbers: one odd word must not make categories of them."""
    numbers = {text for text in distinct if NUMBER.fullmatch(text.strip())}
    if len(numbers) >= 20 and len(numbers) >= 0.8 * len(distinct):
        odd = np.array([text not in numbers for text in raw.data], bool) & ~gone
        row, text = raw.first(odd)
        raise DataUnfit(
            f"Column '{raw.name}', row {row}: '{text}' among numbers ({int(odd.sum())} such rows). Write a missing "
            f"value as an empty field or NA, correct the value, or leave the column out: --drop '{raw.name}'."
        )
    notes: tuple[str, ...] = ()
    if len(distinct) >= 5 and (_all(OTHER_DATE, distinct) or _all(COMMAS, distinct)):
        fix = "dates as YYYY-MM-DD" if _all(OTHER_DATE, distinct) else "numbers as 1234.5, without commas"
        example = min(distinct)
        notes = (f"Column '{raw.name}' (such as '{example}') is read as categories; write {fix}.",)
    return replace(raw, missing=gone, untyped=False, notes=raw.notes + notes)
