"""The ways in from files: CSV and Parquet through duckdb, NPY and NPZ without pickle."""

import codecs
import csv
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import duckdb
import numpy as np

from whichloss.data.raw import (
    SUPPORTED,
    Lazy,
    Raw,
    drop_hint,
    from_columns,
    from_matrix,
    ready,
)
from whichloss.errors import DataUnfit, UserError, nearest

SUFFIXES = (".csv", ".parquet", ".npy", ".npz")
FORMATS = ", ".join(SUFFIXES)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
DELIMITERS = (",", ";", "\t", "|")
TIMES = (
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
)
NUMBERS = ("BOOLEAN", "FLOAT", "DOUBLE")
DAMAGED = (
    ValueError, EOFError, KeyError, OSError, SyntaxError, MemoryError, NotImplementedError,
    RuntimeError, BadZipFile, zlib.error,
)  # fmt: skip


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory that loads nothing from a network and spills nothing to disk."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": "",
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def open_file(path: Path) -> list[Lazy]:
    """The columns of a file, by its extension."""
    path = path.expanduser()
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        found = f" In it: {', '.join(inside[:10])}." if inside else ""
        seen = [p.name for p in sorted(path.iterdir()) if p.suffix.lower() in PICTURES]
        if seen and not inside:
            raise UserError(
                f"'{path}' is a folder of pictures ({len(seen):,}, such as '{seen[0]}'), and the rows of a table are "
                f"needed here: give one file ({FORMATS}). Pictures are read by compare, describe and read_pictures."
            )
        what = "a folder without pictures" if any(path.iterdir()) else "an empty folder"
        raise UserError(f"'{path}' is {what}; give one file ({FORMATS}), or a folder of PNG or JPEG files.{found}")
    if not path.exists():
        raise UserError(f"There is no file '{path}'.{_suggest(path)}")
    suffix = path.suffix.lower()
    readers: dict[str, Callable[[Path], list[Lazy]]] = {
        ".csv": read_csv, ".parquet": read_parquet, ".npy": read_numpy, ".npz": read_numpy,
    }  # fmt: skip
    if suffix not in readers:
        raise UserError(
            f"'{path}': the extension '{suffix}' is not known; supported: {FORMATS}. A text table with tabs or "
            "semicolons is read too when its name ends in .csv; export a spreadsheet as CSV."
        )
    try:
        if path.stat().st_size == 0:
            raise DataUnfit(f"'{path}' is empty (0 bytes); give a file with a header line and rows.")
        return readers[suffix](path)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror or error}.") from error


def _suggest(path: Path) -> str:
    if not path.parent.is_dir():
        return f" The folder '{path.parent}' does not exist either."
    names = [p.name for p in path.parent.iterdir() if p.suffix.lower() in SUFFIXES]
    hint = nearest(path.name, names) if names else ""
    close = hint.startswith("did you mean") or 0 < len(names) <= 10
    return f" In that folder, {hint}" if close else " Check the path and the spelling."


def read_csv(path: Path) -> list[Lazy]:
    """Text columns, types still to be understood; the delimiter that splits the header most."""
    _check_text(path)
    names, delimiter = _header(path)
    check_names(names, str(path))
    columns = {f"c{i}": "VARCHAR" for i in range(len(names))}
    query = (
        "SELECT * FROM read_csv(?, header=true, auto_detect=false, delim=?, quote='\"', "
        "escape='\"', strict_mode=true, max_line_size=16777216, columns=?)"
    )
    try:
        with connect() as connection:
            data = connection.execute(query, [_literal(path), delimiter, columns]).fetchnumpy()
    except duckdb.Error as error:
        raise UserError(f"'{path}' is not a well-formed CSV file: {_reason(error)}") from error
    return [ready(_text(name, data[f"c{i}"])) for i, name in enumerate(names)]


def _text(name: str, data: np.ndarray) -> Raw:
    return Raw(name, np.asarray(data, object), np.ma.getmaskarray(data), "VARCHAR", untyped=True)


def _literal(path: Path) -> str:
    """The path with *, ? and [ taken literally."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _reason(error: duckdb.Error) -> str:
    """The part of duckdb's message that speaks of the file, without its advice about options."""
    text = re.split(r"\n\s*\n|Possible (?:fixes|[Ss]olution)", str(error))[0]
    text = re.sub(r"^[\w ]+ Error: (CSV Error on )?", "", text).replace("Original Line", "the line is")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "unterminated quote" in str(error):
        lines = [*lines[:1], "a quote is opened and never closed"]
    return "; ".join(line[:200] for line in lines) + ". Correct the file, or export it again."


def _check_text(path: Path) -> None:
    """Refuse bytes that are no UTF-8 text, with the offset of the first."""
    decoder, offset = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            if offset == 0 and chunk[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise UserError(f"'{path}' is UTF-16 text (its first bytes say so); save it as UTF-8.")
            if (zero := chunk.find(b"\0")) >= 0:
                raise UserError(
                    f"'{path}' is no text: a zero byte at offset {offset + zero}. Give a CSV file in UTF-8."
                )
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=False)
            except UnicodeDecodeError as error:
                at = offset - held + error.start
                raise _no_text(path, at, error.object[error.start]) from None
            offset += len(chunk)
    if rest := decoder.getstate()[0]:
        raise _no_text(path, offset - len(rest), rest[0])


def _no_text(path: Path, at: int, byte: int) -> UserError:
    return UserError(
        f"'{path}' is not UTF-8 text: byte 0x{byte:02X} at offset {at}. If it is Latin-1 or Windows-1252, save it as "
        "UTF-8 (in a spreadsheet: 'CSV UTF-8'); if it is no text at all, its extension is wrong."
    )


def _header(path: Path) -> tuple[list[str], str]:
    """The names in the first line, and the delimiter that yields most of them."""
    found: list[tuple[int, list[str], str]] = []
    for delimiter in DELIMITERS:
        with path.open(encoding="utf-8-sig", newline="") as file:
            try:
                names = next(csv.reader(file, delimiter=delimiter), [])
            except csv.Error as error:
                raise UserError(f"'{path}', line 1: {error}. The first line must hold the column names.") from error
        found.append((len(names), names, delimiter))
    _, names, delimiter = max(found, key=lambda entry: entry[0])
    if not names:
        raise UserError(f"'{path}': the first line is empty; it must hold the column names.")
    return names, delimiter


def check_names(names: list[str], where: str) -> None:
    """Refuse nameless columns and names that occur twice (case does not count in a database)."""
    seen: dict[str, int] = {}
    for i, name in enumerate(names, 1):
        if not name.strip():
            raise UserError(
                f"{where}: column {i} has no name; name it in the header. (An index saved by pandas? Use index=False.)"
            )
        if (folded := name.casefold()) in seen:
            raise UserError(
                f"{where}: columns {seen[folded]} and {i} are both named '{name}' (upper and lower case count as "
                "one); give every column its own name."
            )
        seen[folded] = i


def read_parquet(path: Path) -> list[Lazy]:
    """The columns of a Parquet file with their types."""
    try:
        with connect() as connection:
            table = connection.sql("SELECT * FROM read_parquet(?)", params=[_literal(path)])
            schema = connection.execute("SELECT name FROM parquet_schema(?)", [_literal(path)]).fetchall()
            flat = len(schema) - 1 == len(table.columns)
            names = [str(row[0]) for row in schema[1:]] if flat else list(table.columns)
            check_names(names, str(path))
            types = [str(sql) for sql in table.types]
            picks = [(i, expression) for i, sql in enumerate(types) if (expression := _cast(sql))]
            chosen = ", ".join(
                e.format('"' + table.columns[i].replace('"', '""') + '"') + f" AS c{i}" for i, e in picks
            )
            data = table.project(chosen).fetchnumpy() if picks else {}
    except duckdb.Error as error:
        raise UserError(f"'{path}' cannot be read as Parquet: {_reason(error)}") from error
    return [
        (name, _typed(name, sql, data.get(f"c{i}"))) for i, (name, sql) in enumerate(zip(names, types, strict=True))
    ]


def _cast(sql: str) -> str | None:
    """How to fetch a column of this type; None if it cannot be modelled."""
    if sql in ("VARCHAR", "UUID", "JSON", '"NULL"') or sql.startswith("ENUM"):
        return "CAST({} AS VARCHAR)"
    if sql.startswith("DECIMAL"):
        return "CAST({} AS DOUBLE)"
    if sql in TIMES:
        return "{}" if sql == "TIMESTAMP_NS" else "CAST({} AS TIMESTAMP)"
    return "{}" if sql in NUMBERS or re.fullmatch(r"U?(TINY|SMALL|BIG)?INT(EGER)?", sql) else None


def _typed(name: str, sql: str, data: Any) -> Callable[[], Raw]:
    def raw() -> Raw:
        if data is None:
            raise DataUnfit(f"Column '{name}' has type {sql}. {SUPPORTED} {drop_hint(name)}")
        values, gone = np.ma.getdata(data), np.ma.getmaskarray(data)
        if values.dtype.kind == "f":
            gone = gone | np.isnan(values)
        if values.dtype.kind == "M":
            gone = gone | np.isnat(values)
        if values.dtype.kind == "O":
            gone = gone | np.array([value is None for value in values], bool)
        return Raw(name, values, gone, "VARCHAR" if values.dtype.kind == "O" else sql)

    return raw


def read_numpy(path: Path) -> list[Lazy]:
    """One array (rows,) or (rows, columns), or an .npz of several named arrays (rows,)."""
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            plain = isinstance(content, np.ndarray)
            arrays = {"": content} if plain else {name: content[name] for name in content.files}
    except DAMAGED as error:
        raise _numpy_error(path, error) from error
    if not arrays:
        raise UserError(f"'{path}' holds no arrays.")
    if len(arrays) == 1:
        try:
            return from_matrix(next(iter(arrays.values())))
        except DataUnfit as error:
            raise DataUnfit(f"'{path}': {error}") from None
    shapes = {name: array.shape for name, array in arrays.items()}
    if all(len(shape) == 1 for shape in shapes.values()):
        check_names(list(arrays), str(path))
        return from_columns(arrays)
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    raise UserError(
        f"'{path}' holds several arrays: {listed}. Give a file with one array (rows, columns), or with one 1-D array "
        "per column."
    )


def _numpy_error(path: Path, error: Exception) -> UserError:
    if "Object arrays" in str(error) or path.read_bytes()[:1] == b"\x80":
        return UserError(
            f"'{path}' holds Python objects (pickle), which are never loaded; save a numeric array "
            "(array.astype(float)), or a data frame as Parquet."
        )
    return UserError(f"'{path}' is damaged or no NumPy file ({error}); save it again with numpy.save or numpy.savez.")
