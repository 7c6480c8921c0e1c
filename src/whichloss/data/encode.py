"""A row as a vector of real numbers and back, exactly.

With the training rows' mean m and standard deviation s, shares p_k of the levels, missing share q:

    number, integer, date, boolean    f (v - m) / s    and, if it can be missing, f ([missing] - q)
    category of K levels              f (onehot - p)   K dimensions, one more if it can be missing

    f = 1 / sqrt((1 - q) + q (1 - q))     or, one-hot,     f = 1 / sqrt(1 - sum_k p_k^2)

so that every column has mean 0 and, over its dimensions together, variance 1 on the training rows:
a distance weighs columns equally. A missing number stands at its mean, 0. A constant column takes
no dimension. float32 resolves about 10^7 steps: a whole number further than that from its mean, in
steps of 1, comes back as the nearest that float32 tells apart.
"""

from typing import NamedTuple

import msgspec
import numpy as np

from whichloss.data.schema import Column, Schema, snap
from whichloss.errors import UserError

FINE = 2000.0  # steps per scale beyond which float32 no longer resolves a fraction of a step


class Block(msgspec.Struct, frozen=True):
    """One column's place in a vector; mean m (None: missing), scale s, factor f, shares p or q."""

    start: int
    width: int
    mean: float | None = 0.0
    scale: float = 1.0
    factor: float = 1.0
    shares: tuple[float, ...] = ()


class Encoder(msgspec.Struct, frozen=True):
    """Codes (n, columns) <-> float32 vectors (n, dim); the schema alone makes the layout."""

    schema: Schema
    blocks: tuple[Block, ...]

    @classmethod
    def fit(cls, schema: Schema, values: np.ndarray) -> "Encoder":
        """Means, scales and shares of these rows: give training rows only."""
        _check(values, len(schema.columns), "values")
        if len(values) == 0:
            raise UserError("Encoder.fit needs at least one training row; got 0.")
        blocks, start = [], 0
        for j, column in enumerate(schema.columns):
            block = _fit(column, values[:, j], start)
            blocks.append(block)
            start += block.width
        return cls(schema, tuple(blocks))

    @property
    def dim(self) -> int:
        """The number of dimensions."""
        return self.schema.dim

    @property
    def jitter(self) -> np.ndarray:
        """(dim,) float32: uniform noise of this full width never changes what `decode` returns.

        A whole number or day: 98 % of a step, 0 where float32 cannot resolve it; a level, boolean
        or indicator: half the gap; a number: 0.
        """
        width = np.zeros(self.dim, np.float32)
        for column, block in self._pairs():
            if column.kind == "category":
                width[block.start : block.start + block.width] = 0.5 * block.factor
                continue
            if block.width == 2:
                width[block.start + 1] = 0.5 * block.factor
            step = {
                "integer": 0.98,
                "boolean": 0.5,
                "date": 0.98 * 86400 * (column.unit == "date"),
            }
            if block.width and block.scale < FINE * (86400 if column.kind == "date" else 1):
                width[block.start] = step.get(column.kind, 0.0) * block.factor / block.scale
        return width

    def _pairs(self) -> list[tuple[Column, Block]]:
        return list(zip(self.schema.columns, self.blocks, strict=True))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, columns) codes, nan = missing -> (n, dim) float32."""
        _check(values, len(self.blocks), "values")
        out = np.empty((len(values), self.dim), np.float32)
        for j, (column, block) in enumerate(self._pairs()):
            if block.width == 0:
                continue
            v, gone = values[:, j], np.isnan(values[:, j])
            if gone.any() and not column.missing:
                raise UserError(
                    f"Column '{column.name}', row {int(np.argmax(gone)) + 1}: a missing value in a column that has "
                    "none in the data. Fill it in, or leave the row out."
                )
            place = slice(block.start, block.start + block.width)
            if column.kind == "category":
                level = np.where(gone, len(column.categories), v).astype(np.int64)
                onehot = level[:, None] == np.arange(block.width)
                out[:, place] = (onehot - np.array(block.shares)) * block.factor
                continue
            out[:, block.start] = _standard(column, block, np.where(gone, block.mean or 0.0, v))
            if column.missing:
                out[:, block.start + 1] = (gone - block.shares[0]) * block.factor
        return out

    def decode(self, x: np.ndarray) -> np.ndarray:
        """(n, dim) -> (n, columns) float64 codes: the nearest row that the table could hold.

        The likeliest level; the nearest whole number, decimal or date that the storage type holds.
        """
        _check(x, self.dim, "x")
        if not np.isfinite(x).all():
            row, place = np.argwhere(~np.isfinite(x))[0]
            raise UserError(
                f"x cannot be decoded: row {row + 1}, dimension {place + 1} is {x[row, place]}. Has the model diverged?"
            )
        out = np.empty((len(x), len(self.blocks)))
        for j, (column, block) in enumerate(self._pairs()):
            part = x[:, block.start : block.start + block.width].astype(np.float64) / block.factor
            if block.width == 0:
                out[:, j] = np.nan if block.mean is None else block.mean
            elif column.kind == "category":
                level = np.argmax(part + np.array(block.shares), axis=1)
                out[:, j] = np.where(level == len(column.categories), np.nan, level)
            else:
                mean = block.mean or 0.0
                with np.errstate(over="ignore"):
                    value = snap(column, part[:, 0] * block.scale + mean)
                out[:, j] = np.where(part[:, 1] + block.shares[0] > 0.5, np.nan, value) if column.missing else value
        return out

    def to_json(self) -> str:
        """The encoder as JSON text, exactly."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "Encoder":
        """Read what `to_json` wrote."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise UserError(f"The text is no encoder: {error}.") from error


def _standard(column: Column, block: Block, v: np.ndarray) -> np.ndarray:
    """f (v - m) / s in float32."""
    mean = block.mean or 0.0
    with np.errstate(over="ignore"):
        x = ((v - mean) / block.scale * block.factor).astype(np.float32)
    if np.any(far := np.isinf(x)):
        row = int(np.argmax(far))
        raise UserError(
            f"Column '{column.name}', row {row + 1}: {v[row]} is too far from the training rows "
            f"(mean {mean:.6g}, scale {block.scale:.6g}) for float32. Correct it, or leave it out."
        )
    return x


class _Moments(NamedTuple):
    mean: float
    scale: float
    varies: bool


def _fit(column: Column, values: np.ndarray, start: int) -> Block:
    gone = np.isnan(values)
    known, width = values[~gone], column.width()
    if width == 0:
        return Block(start, 0, float(known[0]) if len(known) else None)
    if column.kind == "category":
        level = np.where(gone, len(column.categories), values).astype(np.int64)
        p = np.bincount(level, minlength=width) / len(values)
        return Block(start, width, factor=_inverse_root(1 - float(p @ p)), shares=tuple(p.tolist()))
    mean, scale, varies = _moments(known)
    q = float(gone.mean()) if column.missing else 0.0
    factor = _inverse_root((1 - q) * varies + q * (1 - q))
    return Block(start, width, mean, scale, factor, (q,) if column.missing else ())


def _moments(known: np.ndarray) -> _Moments:
    """Mean and standard deviation, safe near the ends of float64; scale 1 where nothing varies."""
    if len(known) == 0:
        return _Moments(0.0, 1.0, False)
    unit = float(np.abs(known).max()) or 1.0
    mean = float((known / unit).mean())
    scale = float((known / unit - mean).std())
    varies = scale > 1e-14
    return _Moments(mean * unit, scale * unit if varies else 1.0, varies)


def _inverse_root(variance: float) -> float:
    return float(variance**-0.5) if variance > 1e-12 else 1.0


def _check(array: np.ndarray, width: int, name: str) -> None:
    if array.ndim != 2 or array.shape[1] != width:
        raise UserError(f"{name} must have shape (rows, {width}); got {array.shape}.")
