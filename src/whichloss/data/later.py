"""Rows read later, coded by the schema of a table read before: what a trained model is asked about."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from whichloss.data.columns import code, few
from whichloss.data.encode import Encoder
from whichloss.data.files import check_names
from whichloss.data.raw import Lazy, Raw, drop_hint
from whichloss.data.schema import Column, Schema, snap
from whichloss.data.table import Table
from whichloss.data.words import understand
from whichloss.data.write import texts
from whichloss.errors import DataUnfit, UserError, nearest

Label = tuple[Column, Sequence[float]]  # a column that is predicted, and the codes of its labels
FAR = 10  # standard deviations from the mean of the training rows


def read_like(label: str, lazies: list[Lazy], schema: Schema, labels: Sequence[Label] = ()) -> Table:
    """The columns of the schema, found by name in any order; what else there is, or is not, becomes a note.

    A constant column teaches nothing: it may be absent (nan) or hold other values.
    """
    check_names([name for name, _ in lazies], label)
    columns = dict(lazies)
    _complete(label, columns, schema)
    codes, notes = {}, []
    for column in schema.columns:
        if column.name not in columns:
            notes.append(f"{column.name} was constant in training and taught nothing: it is not needed.")
            continue
        raw = columns[column.name]()
        try:
            codes[column.name] = _coded(raw, column)
        except UserError:
            if not column.constant:
                raise
            notes.append(_ignored(column, sorted({str(value) for value in raw.known()} - {*column.categories})))
    lengths = {len(values) for values in codes.values()}
    if lengths == {0}:
        raise UserError(f"{label} has no rows (a header only?); give at least one.")
    if len(lengths) > 1:
        raise UserError(f"{label}: the columns have different lengths; give every column one value per row.")
    nothing = np.full(lengths.pop(), np.nan)
    values = np.stack([codes.get(column.name, nothing) for column in schema.columns], axis=1)
    predicted = {column.name for column, _ in labels}
    if extra := [name for name in columns if name not in schema.names and name not in predicted]:
        notes.append(f"Left out, as the model does not know them: {', '.join(extra)}.")
    for column, known in labels:
        if column.name in columns:
            notes.append(
                f"{column.name} is what the model predicts: not used.{_new(columns[column.name](), column, known)}"
            )
    return Table(schema, values, label, notes=tuple(notes))


def renamed(lazies: list[Lazy], also: Mapping[str, str]) -> list[Lazy]:
    """The columns by the names that `also` gives them, where all its own are there and none of those."""
    names = {name for name, _ in lazies}
    if not also or not set(also) <= names or names & set(also.values()):
        return lazies
    return [(also.get(name, name), lazy) for name, lazy in lazies]


def surprises(encoder: Encoder, values: np.ndarray) -> Iterator[str]:
    """Values far outside the rows that the encoder was fitted on, and constants that are none any more."""
    for column, block, v in zip(encoder.schema.columns, encoder.blocks, values.T, strict=True):
        mean = np.nan if block.mean is None else block.mean
        if block.width == 0:
            odd = ~np.isnan(v) & (v != mean)
        elif column.kind == "category":
            continue
        else:
            with np.errstate(over="ignore"):
                odd = np.abs(v - mean) > FAR * block.scale
        if not odd.any():
            continue
        shown = _said(column, np.unique(v[odd]))
        if block.width == 0:
            yield _ignored(column, shown)
            continue
        yield (
            f"{column.name}: {_rows(odd)} far outside what was learned from ({', '.join(shown[:3])}"
            f"{', ...' * (len(shown) > 3)}; the first is row {int(np.argmax(odd)) + 1}; training rows lie around "
            f"{_said(column, np.array([mean]))[0]}): a prediction there is a guess."
        )


def _complete(label: str, columns: Collection[str], schema: Schema) -> None:
    """Refuse where a column that the model needs is not there."""
    lacking = [c.name for c in schema.columns if c.name not in columns and not c.constant]
    if lacking:
        hint = nearest(lacking[0], [name for name in columns if name not in schema.names])
        if not hint.startswith("did you mean"):
            hint = f"the columns in it are {few(list(columns), 10)}."
        raise UserError(
            f"{label} has no column{'s' * (len(lacking) > 1)} {few(lacking)}, which the model needs; {hint} Names must "
            "be those of the training rows, in upper and lower case too."
        )


def _coded(raw: Raw, column: Column) -> np.ndarray:
    """The codes; a fault is the file's, and a trained model can leave no column out."""
    try:
        return code(understand(raw, column), column)
    except DataUnfit as error:
        said = str(error).removesuffix(drop_hint(column.name)).rstrip()
        said = said.removesuffix(" Correct the value or mark it as missing.")
        empty = " leave it empty," if column.missing else ""
        raise UserError(f"{said} Correct the value,{empty} or leave the row out.") from error


def _new(raw: Raw, column: Column, known: Sequence[float]) -> str:
    """Labels that were never seen."""
    try:
        raw = understand(raw, column)
        if column.kind == "category":
            odd = ~raw.missing & ~np.isin(raw.data.astype(str), column.categories)
            words = sorted(set(raw.data[odd].astype(str)))
        else:
            codes = code(raw, column)
            odd = ~np.isnan(codes) & ~np.isin(codes, known)
            words = _said(column, np.unique(codes[odd]))
    except DataUnfit:
        return " Its values are no labels that training has seen."
    return f" {_rows(odd)} with a label that training never saw ({few(words)})." if words else ""


def _ignored(column: Column, shown: Sequence[str]) -> str:
    """What is said of a constant column that holds other values."""
    return f"{column.name} was constant in training and taught nothing: other values ({few(shown)}) change nothing."


def _said(column: Column, values: np.ndarray) -> list[str]:
    """Numbers in six digits, dates and words as they are written."""
    return texts(column, snap(column, values)) if column.kind == "date" else [f"{value:.6g}" for value in values]


def _rows(where: np.ndarray) -> str:
    rows = int(where.sum())
    return f"{rows:,} row{'s' * (rows > 1)}"
