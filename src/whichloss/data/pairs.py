"""Pairs: two views of one thing, row by row, such as a picture and its caption, or two things that are alike or not;
what `read_pairs` returns."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from whichloss.data.maps import read_map, write_map
from whichloss.data.pictures import Pictures
from whichloss.data.pixels import blocks_of, said
from whichloss.errors import UserError

SIDES = ("first", "second")


@dataclass(frozen=True, eq=False, repr=False)
class Captions:
    """Texts, one a row, as they were written."""

    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return "captions"

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any text."""
        return hashlib.sha256(json.dumps(self.texts).encode()).hexdigest()[:16]

    def rows(self, index: Any) -> "Captions":
        """The texts of an index, mask or slice, in its order."""
        return Captions(tuple(np.array(self.texts, object)[index]))


@dataclass(frozen=True, eq=False, repr=False)
class Vectors:
    """Vectors, one a row: float32 (n, d), finite; a read-only memory map where they come from disk.

    names: of their columns, where a model is to find them in another table.
    """

    values: np.ndarray
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32:
            raise UserError(f"values must be float32 (rows, d); got {self.values.dtype} {self.values.shape}.")

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"vectors of {self.values.shape[1]:,} numbers"

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any number."""
        known = [self.values.shape, self.names] if self.names else self.values.shape
        digest = hashlib.sha256(json.dumps(known).encode())
        for block in blocks_of(self.values):
            digest.update(np.ascontiguousarray(block.astype("<f4") + np.float32(0)).data)
        return digest.hexdigest()[:16]

    def rows(self, index: Any) -> "Vectors":
        """The vectors of an index, mask or slice, in its order."""
        return replace(self, values=self.values[index])


Side = Pictures | Captions | Vectors


@dataclass(frozen=True, eq=False, repr=False)
class Pairs:
    """Row i of `first` and row i of `second` belong together; or, with labels, are alike or not.

    groups: int64 (n,), what may be exchanged without harm and what a split keeps whole: the concepts where they are
    known, else rows whose captions, pictures or vectors are equal; times: none, ever. labels: int64 (n,), 1 where both
    things are alike, 0 where they are not; then both are of one kind and width.
    """

    first: Side
    second: Side
    groups: np.ndarray
    source: str = "pairs"
    times: None = None
    notes: tuple[str, ...] = ()
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.first) != len(self.second):
            raise UserError(f"Pairs need as many of both: {len(self.first):,} and {len(self.second):,} were given.")
        if self.groups.shape != (len(self),) or self.groups.dtype != np.int64:
            raise UserError(f"groups must be int64 ({len(self)},); got {self.groups.dtype} {self.groups.shape}.")
        if (y := self.labels) is not None and (y.shape != (len(self),) or y.dtype != np.int64 or not set(y) <= {0, 1}):
            raise UserError(f"labels must be int64 ({len(self)},) of 0 and 1; got {y.dtype} {y.shape}.")

    def __len__(self) -> int:
        return len(self.first)

    def __repr__(self) -> str:
        return f"Pairs({self.source}: {len(self):,} x {self.said})"

    @property
    def said(self) -> str:
        """What pairs are of: pictures of 32 x 32 and captions."""
        if self.labels is not None:
            return f"{_kind(self.first)}, alike or not"
        return f"{_kind(self.first)} and {_kind(self.second)}"

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with either side, the groups or the labels."""
        digest = hashlib.sha256(f"{self.first.fingerprint} {self.second.fingerprint}".encode())
        digest.update(self.groups.astype("<i8").tobytes())
        if self.labels is not None:
            digest.update(b"labels" + self.labels.astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def rows(self, index: Any) -> "Pairs":
        """The pairs of an index, mask or slice, in its order."""
        labels = None if self.labels is None else self.labels[index]
        first, second = self.first.rows(index), self.second.rows(index)
        return replace(self, first=first, second=second, groups=self.groups[index], labels=labels)

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file, block by block."""
        arrays = {"groups": self.groups.astype("<i8")}
        if self.labels is not None:
            arrays["labels"] = self.labels.astype("<i8")
        meta = {"source": self.source, "notes": json.dumps(self.notes)}
        for name, side in zip(SIDES, (self.first, self.second), strict=True):
            if isinstance(side, Captions):
                arrays[name] = np.frombuffer(json.dumps(side.texts, ensure_ascii=False).encode(), np.uint8)
                kind: dict[str, Any] = {"kind": "captions"}
            elif isinstance(side, Vectors):
                arrays[name], kind = side.values, {"kind": "vectors", "names": side.names}
            else:
                arrays[name], kind = side.values, {"kind": "pictures", "shape": side.shape, "files": side.files}
            meta[name] = json.dumps(kind)
        write_map(Path(path), arrays, meta)

    @classmethod
    def load(cls, path: str | Path) -> "Pairs":
        """Read what `save` wrote; pixels and vectors stay on disk, as a read-only memory map."""
        try:
            meta, arrays = read_map(Path(path))
            first, second = (_side(json.loads(meta[name]), arrays[name], meta["source"]) for name in SIDES)
            notes: Sequence[str] = json.loads(meta["notes"])
            labels = np.array(arrays["labels"]) if "labels" in arrays else None
            return cls(first, second, np.array(arrays["groups"]), meta["source"], notes=tuple(notes), labels=labels)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"'{path}' is missing, damaged or holds no saved pairs: {error}.") from error


def _side(known: dict[str, Any], values: np.ndarray, source: str) -> Side:
    if known["kind"] == "captions":
        return Captions(tuple(json.loads(values.tobytes())))
    if known["kind"] == "vectors":
        return Vectors(values, tuple(known.get("names", ())))
    channels, height, width = known["shape"]
    return Pictures(values, (channels, height, width), source, files=tuple(known["files"]))


def _kind(side: Side) -> str:
    return f"{side!r}" if not isinstance(side, Pictures) else f"pictures of {said(side.shape[1:])}"
