"""Every source of pairs becomes pairs, or a clear error: files and captions, blocks of numbers, two arrays."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from whichloss.data.columns import few
from whichloss.data.files import check_names, read_csv
from whichloss.data.pair_columns import (
    FILES,
    TEXTS,
    WAYS,
    is_file,
    listed,
    sides_of,
)
from whichloss.data.pair_units import check_pairs, paired
from whichloss.data.pairs import Captions, Pairs, Side, Vectors
from whichloss.data.picture_arrays import read_npy
from whichloss.data.picture_files import SHOWN, read_files
from whichloss.data.picture_read import asked_size, is_pictures, read_pictures
from whichloss.data.pictures import Pictures
from whichloss.data.pixels import Size, on_disk, taken
from whichloss.data.raw import Lazy, Raw, from_columns, is_tensor, to_array
from whichloss.data.read import open_source
from whichloss.data.words import NUMBER, understand
from whichloss.errors import DataUnfit, UserError

NUMERIC = ("BIGINT", "DOUBLE")


def read_pairs(
    source: Any,
    *,
    first: str | None = None,
    second: str | None = None,
    concept: str | None = None,
    size: int | Size | None = None,
) -> Pairs:
    """The pairs of a table (CSV, TSV, JSON lines, Parquet, a data frame, a dict of columns) or of two arrays.

    first, second: the column of picture files and that of captions, or a pattern of columns of numbers such as
    'image_*'; found by name or by what they hold if not given. Files are named relative to the table. concept: the
    column that says which rows show the same thing. size: reduce pictures to this side or (height, width), 8 to 64.
    Two arrays (a, b), or two NPY files: (n, d) numbers, pictures (n, H, W[, C]), or a list of texts.
    Raises UserError (cannot be read, wrong name, missing files) or DataUnfit (can be read but not compared).
    """
    if isinstance(source, Pairs):
        if first or second or concept or size is not None:
            raise UserError("first, second, concept and size apply when pairs are read; these are Pairs already.")
        return source
    if isinstance(source, tuple | list) and len(source) == 2:
        if first or second or concept:
            raise UserError("first, second and concept name columns of a table; these are two arrays.")
        label = " and ".join(_named(one) for one in source)
        return paired(label, [_array(one, name, size) for one, name in zip(source, ("first", "second"), strict=True)])
    label, columns, folder = _table(source)
    one, two, unit = sides_of(label, columns, first, second, concept)
    data = {name: columns[name]() for name in (*one, *two, *unit)}
    n = len(data[one[0]].data)
    kept, notes = _whole(label, data, one, two)
    if len(kept) < n:
        data = {name: replace(raw, data=raw.data[kept], missing=raw.missing[kept]) for name, raw in data.items()}
    check_pairs(label, len(kept))
    sides = [_side(label, folder, [data[name] for name in names], size) for names in (one, two)]
    notes = [f"Pairs are {listed(one)} with {listed(two)}.", *notes]
    return paired(label, sides, notes, data[unit[0]] if unit else None)


def _named(source: Any) -> str:
    if isinstance(source, str | Path):
        return str(source)
    return f"{type(source).__name__} {tuple(source.shape)}" if hasattr(source, "shape") else f"{len(source):,} texts"


def _table(source: Any) -> tuple[str, dict[str, Callable[[], Raw]], Path]:
    """What the table is called, its columns, and the folder that its files are relative to."""
    path = Path(source).expanduser() if isinstance(source, str | Path) else None
    if path is not None and path.suffix.lower() in (".tsv", ".jsonl", ".ndjson") and path.is_file():
        label, lazies = str(source), read_csv(path) if path.suffix.lower() == ".tsv" else _json_lines(path)
    elif path is not None and path.is_dir() and (path / "pairs.csv").is_file():
        path = path / "pairs.csv"
        label, lazies = str(path), open_source(path)[1]
    elif path is not None and path.is_dir():
        raise UserError(f"'{path}' is a folder without pairs.csv. Give {WAYS}.")
    else:
        label, lazies = open_source(source)
    check_names([name for name, _ in lazies], label)
    return f"'{label}'", dict(lazies), Path() if path is None else path.parent


def _json_lines(path: Path) -> list[Lazy]:
    """The columns of a file with one JSON object a line; what a line lacks is missing."""
    rows: list[dict[str, Any]] = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                rows.append(json.loads(line))
                if not isinstance(rows[-1], dict):
                    raise UserError(f"'{path}', line {number}: no JSON object. Write one object a line.")
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        where = f", line {len(rows) + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError(f"'{path}'{where} cannot be read as JSON lines: {error}. Write one object a line.") from error
    names = list(dict.fromkeys(name for row in rows for name in row))
    return from_columns({name: [row.get(name) for row in rows] for name in names})


def _whole(label: str, data: Mapping[str, Raw], one: list[str], two: list[str]) -> tuple[np.ndarray, list[str]]:
    """The rows that have both sides, and how many have not."""
    bare = []
    for names in (one, two):
        column = data[names[0]]
        text = column.data.dtype.kind == "O"
        none = np.array([not str(v).strip() for v in column.data], bool) if text else np.zeros(len(column.data), bool)
        bare.append(column.missing | none if len(names) == 1 else none)
        if len(bare[-1]) and bare[-1].all():
            raise DataUnfit(f"{label}: {listed(names)} is empty in all {len(none):,} rows. Give both sides of a pair.")
    notes = []
    for names, gone in zip((one, two), bare, strict=True):
        if gone.any():
            rows = ", ".join(str(row + 1) for row in np.flatnonzero(gone)[:SHOWN]) + ", ..." * int(gone.sum() > SHOWN)
            notes.append(
                f"{int(gone.sum()):,} of {len(gone):,} rows have nothing in {listed(names)} and were left out (row "
                f"{rows})."
            )
    return np.flatnonzero(~(bare[0] | bare[1])), notes


def _side(label: str, folder: Path, raws: list[Raw], size: Any) -> Side:
    """One side of the pairs: several columns are numbers, one is files or texts, by what it holds."""
    name, text = raws[0].name.casefold(), len(raws) == 1 and raws[0].data.dtype.kind == "O"
    number = text and raws[0].untyped and name not in TEXTS and _understood(raws[0]).sql_type in NUMERIC
    if not text or number:
        return Vectors(np.stack([_numbers(label, raw) for raw in raws], axis=1))
    texts = [str(value) for value in raws[0].data]
    if sum(map(is_file, texts)) > len(texts) / 2 or name in FILES:
        return _files(label, folder, [text.strip() for text in texts], size)
    return Captions(tuple(texts))


def _understood(raw: Raw) -> Raw:
    """The column as a table would take it, or its texts where no table would."""
    try:
        return understand(raw)
    except DataUnfit:  # a word among numbers
        return raw


def _numbers(label: str, raw: Raw) -> np.ndarray:
    """One column as float32; refused where it is no number everywhere."""
    texts, raw = raw, _understood(raw)
    if raw.data.dtype.kind not in "biuf":
        odd = np.array([not NUMBER.fullmatch(str(value).strip()) for value in texts.data], bool) & ~texts.missing
        many, (row, value) = int(odd.sum()), texts.first(odd if odd.any() else ~texts.missing)
        raise DataUnfit(
            f"{label}, column '{raw.name}': '{value}' (row {row}) is no number ({many:,} such row{'s' * (many != 1)}). "
            "Correct it, or leave the row or the column out."
        )
    values = np.where(raw.missing, np.nan, raw.data).astype(np.float32)
    _check_finite(f"{label}, column '{raw.name}'", values[:, None])
    return values


def _check_finite(where: str, values: np.ndarray) -> None:
    odd = ~np.isfinite(values).all(axis=1)
    if odd.any():
        row = int(np.argmax(odd))
        value = values[row][~np.isfinite(values[row])][0]
        raise DataUnfit(
            f"{where}: {int(odd.sum()):,} of {len(odd):,} vectors hold numbers that are none (row {row + 1}: {value}). "
            "Correct them, or leave these rows out."
        )


def _files(label: str, folder: Path, names: list[str], size: Any) -> Pictures:
    """The pictures of these files; one that several rows name is decoded once."""
    unique, place = np.unique(names, return_inverse=True)
    if missing := [str(name) for name in unique if not (folder / name).is_file()]:
        row = names.index(missing[0]) + 1
        raise UserError(
            f"{label}: {len(missing):,} of {len(unique):,} picture files are missing: {few(missing, SHOWN)} (first in "
            f"row {row}). Files are looked for in '{folder}', where the table lies: correct the paths, or remove these "
            "rows."
        )
    found = read_files(label, folder, [str(name) for name in unique], asked_size(size))
    rows = max(1, (1 << 24) // found.values.shape[1])
    blocks = (taken(found.values, place[start : start + rows]) for start in range(0, len(place), rows))
    values = on_disk(blocks, folder).reshape(len(place), -1)
    return Pictures(values, found.shape, label, notes=found.notes, files=tuple(names))


def _array(source: Any, which: str, size: Any) -> Side:
    """One of two arrays: texts, pictures or vectors."""
    if isinstance(source, Captions | Vectors | Pictures):
        return source
    if isinstance(source, list | tuple) and source and all(isinstance(text, str) for text in source):
        return Captions(tuple(source))
    if is_pictures(source):
        return read_pictures(source, size=size)
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if path.suffix.lower() != ".npy" or not path.is_file():
            raise UserError(f"'{path}', the {which} of two sides, is no NPY file that is there. Give {WAYS}.")
        array = read_npy(path)
    elif isinstance(source, np.ndarray | list | tuple) or is_tensor(source):
        array = np.asarray(to_array(source))
    else:
        raise UserError(f"The {which} of the two sides is of type {type(source).__name__}. Give {WAYS}.")
    if array.dtype.kind in "OU" and array.ndim == 1 and all(isinstance(text, str) for text in array):
        return Captions(tuple(map(str, array)))
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise UserError(
            f"The {which} of the two sides has type {array.dtype} and shape {array.shape}; vectors are numbers (n, d)."
        )
    values = np.ascontiguousarray(array, np.float32)
    _check_finite(f"The {which} of the two sides", values)
    return Vectors(values)
