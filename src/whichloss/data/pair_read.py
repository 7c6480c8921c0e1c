"""Every source of pairs becomes pairs, or a clear error: files and captions, blocks of numbers, two arrays; and, with
a label of 0 and 1, two things of one kind that are alike or not."""

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
    likes_of,
    listed,
    of_files,
    sides_of,
)
from whichloss.data.pair_labels import halves, labelled, read_labels
from whichloss.data.pair_units import check_pairs, concept_numbers, paired
from whichloss.data.pairs import SIDES, Captions, Pairs, Side, Vectors
from whichloss.data.picture_arrays import read_npy
from whichloss.data.picture_files import SHOWN, read_files
from whichloss.data.picture_read import asked_size, is_pictures, read_pictures
from whichloss.data.pictures import Pictures
from whichloss.data.pixels import Size, on_disk, taken
from whichloss.data.raw import Lazy, Raw, from_columns, from_values, is_tensor, to_array
from whichloss.data.read import open_source
from whichloss.data.words import NUMBER, understand
from whichloss.errors import DataUnfit, UserError, WhichlossError

NUMERIC = ("BIGINT", "DOUBLE")


def read_pairs(
    source: Any,
    *,
    first: str | None = None,
    second: str | None = None,
    concept: str | None = None,
    size: int | Size | None = None,
    label: str | None = None,
) -> Pairs:
    """The pairs of a table (CSV, TSV, JSON lines, Parquet, a data frame, a dict of columns) or of two arrays.

    first, second: the column of picture files and that of captions, or a pattern of columns of numbers such as
    'image_*'; found by name or by what they hold if not given. Files are named relative to the table. concept: the
    column that says which rows show the same thing. size: reduce pictures to this side or (height, width), 8 to 64.
    Two arrays (a, b), or two NPY files: (n, d) numbers, pictures (n, H, W[, C]), or a list of texts.
    label: the column that says which pairs are alike, 1, and which are not, 0; then first and second are of one kind,
    two columns of picture files or two blocks of numbers; of arrays (a, b, label).
    Raises UserError (cannot be read, wrong name, missing files) or DataUnfit (can be read but not compared).
    """
    if isinstance(source, Pairs):
        if first or second or concept or label or size is not None:
            raise UserError(
                "first, second, concept, label and size apply when pairs are read; these are Pairs already."
            )
        return source
    if isinstance(source, tuple | list) and len(source) in (2, 3):
        if first or second or concept or label:
            many = "two" if len(source) == 2 else "three"
            raise UserError(f"first, second, concept and label name columns of a table; these are {many} arrays.")
        name, two_sides = " and ".join(_named(one) for one in source[:2]), zip(source[:2], SIDES, strict=True)
        sides = [_array(one, which, size) for one, which in two_sides]
        return paired(name, sides) if len(source) == 2 else labelled(name, _numbered(sides), _labels(name, source[2]))
    name, columns, folder = _table(source)
    if label is None:
        one, two, unit = sides_of(name, columns, first, second, concept)
    else:
        one, two, unit = likes_of(name, columns, first, second, concept, label)
    data = {column: columns[column]() for column in (*one, *two, *unit, *filter(None, [label]))}
    n = len(data[one[0]].data)
    kept, notes = _whole(name, data, one, two)
    if len(kept) < n:
        data = {c: replace(raw, data=raw.data[kept], missing=raw.missing[kept]) for c, raw in data.items()}
    check_pairs(name, len(kept))
    notes = [f"Pairs are {listed(one)} with {listed(two)}.", *notes]
    raws = [[data[column] for column in names] for names in (one, two)]
    concepts = data[unit[0]] if unit else None
    if label is None:
        return paired(name, [_side(name, folder, side, size) for side in raws], notes, concepts)
    notes = [*notes[:1], f"Column '{label}' says which pairs are alike.", *notes[1:]]
    places = None if concepts is None else concept_numbers(name, concepts)[1]
    return labelled(name, _alike_sides(name, folder, raws, size), read_labels(name, data[label]), notes, places)


def holds_pictures_in_pairs(source: Any, target: str) -> bool:
    """Is this a table with exactly two columns of picture files beside the target?"""
    try:
        return of_files(_table(source)[1], target)
    except WhichlossError:
        return False  # whoever reads it says what is wrong


def _alike_sides(label: str, folder: Path, raws: list[list[Raw]], size: Any) -> list[Side]:
    """Both sides, of one kind: pictures are read together, so that they come out with one size."""
    names = [[str(value).strip() for value in side[0].data] for side in raws if _of_files(side)]
    if len(names) == 2:
        return list(halves(_files(label, folder, names[0] + names[1], size, sides=2)))
    sides = [_side(label, folder, side, size) for side in raws]
    columns = [tuple(raw.name for raw in side) for side in raws]
    return [replace(s, names=c) if isinstance(s, Vectors) else s for s, c in zip(sides, columns, strict=True)]


def _numbered(sides: list[Side]) -> list[Side]:
    """Vectors of arrays with names for their columns, as a table of such an array has them."""
    return [
        replace(s, names=tuple(f"x{i + 1}" for i in range(s.values.shape[1]))) if isinstance(s, Vectors) else s
        for s in sides
    ]


def _labels(label: str, source: Any) -> np.ndarray:
    return read_labels(label, from_values("labels", source))


def _of_files(side: list[Raw]) -> bool:
    """Does this column name picture files?"""
    values = side[0].data
    text = len(side) == 1 and values.dtype.kind == "O"
    return text and (sum(map(is_file, values)) > len(values) / 2 or side[0].name.casefold() in FILES)


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
    if _of_files(raws):
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


def _files(label: str, folder: Path, names: list[str], size: Any, sides: int = 1) -> Pictures:
    """The pictures of these files, of one side below the other; one that several rows name is decoded once."""
    unique, place = np.unique(names, return_inverse=True)
    if missing := [str(name) for name in unique if not (folder / name).is_file()]:
        row = names.index(missing[0]) % (len(names) // sides) + 1
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
