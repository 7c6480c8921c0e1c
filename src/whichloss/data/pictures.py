"""Pictures of one size with one or three channels: what `read_pictures` returns; the sibling of a table."""

import hashlib
import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open

from whichloss.data.picture_write import write_folder, write_npy, write_sheet
from whichloss.data.pixels import FLOATED, LEAST_SIDE, Size, blocks_of, resized, said, shade, shrunk
from whichloss.data.split import evenly, spread
from whichloss.data.write import aside
from whichloss.errors import UserError
from whichloss.rng import key

LABEL = "label"  # what the labels of pictures are called
LEVELS = (np.arange(256) / 127.5 - 1).astype(np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """Pictures as rows of uint8 (n, C*H*W), channel first: row i is picture i of shape (C, H, W), flattened.

    values is a read-only memory map where it comes from disk. labels: int64 (n,), places in `classes`, or None;
    groups: int64 (n,), units that a split keeps whole; times: none, ever; files: their names, where each is a file.
    """

    values: np.ndarray
    shape: tuple[int, int, int]
    source: str = "pictures"
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    times: None = None
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        width = math.prod(self.shape)
        if self.values.ndim != 2 or self.values.shape[1] != width or self.values.dtype != np.uint8:
            raise UserError(
                f"values must be uint8 (pictures, {width}) for pictures of shape {self.shape}; got "
                f"{self.values.dtype} {self.values.shape}."
            )
        for name, array in (("labels", self.labels), ("groups", self.groups)):
            if array is not None and (array.shape != (len(self),) or array.dtype != np.int64):
                raise UserError(f"{name} must be int64 ({len(self)},); got {array.dtype} {array.shape}.")
        places = range(len(self.classes))
        if odd := [label for label in np.unique([] if self.labels is None else self.labels) if label not in places]:
            raise UserError(f"labels must be places in the {len(places)} classes; got {odd[0]}.")

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        labels = f", {len(self.classes)} classes" if self.labels is not None else ""
        return f"Pictures({self.source}: {len(self):,} x {said(self.shape[1:])} {shade(self.shape)}{labels})"

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any pixel, the shape, the labels, their names or the groups."""
        digest = hashlib.sha256(json.dumps([self.shape, len(self), self.classes]).encode())
        for array in (self.labels, self.groups):
            digest.update(b"none" if array is None else array.astype("<i8").tobytes())
        for block in blocks_of(self.values):
            digest.update(np.ascontiguousarray(block).data)
        return digest.hexdigest()[:16]

    def rows(self, index: Any) -> "Pictures":
        """The pictures of an index, mask or slice, in its order."""
        labels = None if self.labels is None else self.labels[index]
        groups = None if self.groups is None else self.groups[index]
        files = tuple(np.array(self.files, object)[index]) if self.files else ()
        return replace(self, values=self.values[index], labels=labels, groups=groups, files=files)

    def reduced(self, most: int, side: int | None) -> "Pictures":
        """At most so many pictures, drawn at random, and none with a side beyond `side`; notes say what was done."""
        chosen, (_, height, width), notes = self, self.shape, self.notes
        if len(self) > most:
            generator = np.random.Generator(np.random.PCG64(key("reduced")))
            numbers, strata = np.arange(len(self)), np.zeros(len(self)) if self.labels is None else self.labels
            chosen = self.rows(np.sort(evenly(spread(numbers, strata, generator), most)))
            shares = "; every class keeps its share" * (self.labels is not None)
            notes += (f"{most:,} of the {len(self):,} pictures were drawn at random{shares}.",)
        if side is None or max(height, width) <= side:
            return replace(chosen, notes=notes)
        scale = side / max(height, width)
        size = max(LEAST_SIDE, round(height * scale)), max(LEAST_SIDE, round(width * scale))
        return replace(chosen, notes=notes).sized(size)

    def sized(self, size: Size) -> "Pictures":
        """The pictures reduced to this (height, width)."""
        channels, *sides = self.shape
        values, notes = shrunk(self.values, self.shape, size), resized([(sides[0], sides[1])], size, "Reduced")
        return replace(self, values=values, shape=(channels, *size), notes=(*self.notes, *notes))

    def to_numpy(self) -> np.ndarray:
        """(n, C, H, W) uint8, in memory."""
        return np.array(self.values).reshape(len(self), *self.shape)

    def to_npy(self, path: str | Path) -> None:
        """Write uint8 (n, H, W), or (n, H, W, 3) of colour, which reads back to the same pictures."""
        write_npy(self, Path(path))

    def to_folder(self, path: str | Path) -> None:
        """Write numbered PNG files, which read back to the same pictures; a sub-folder per class, if they have any."""
        write_folder(self, Path(path))

    def to_sheet(self, path: str | Path) -> None:
        """Write all pictures side by side into one PNG file, to look at."""
        write_sheet(self, Path(path))

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file, block by block."""
        small = {"labels": self.labels, "groups": self.groups}
        arrays = {name: array.astype("<i8") for name, array in small.items() if array is not None}
        meta = {
            "shape": json.dumps(self.shape),
            "source": self.source,
            "classes": json.dumps(self.classes),
            "notes": json.dumps(self.notes),
            "files": json.dumps(self.files),
        }
        header: dict[str, Any] = {"__metadata__": meta}
        end = 0
        for name, array in (*arrays.items(), ("values", self.values)):
            start, end = end, end + array.nbytes
            kind = "U8" if name == "values" else "I64"
            header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, end]}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with aside(Path(path)) as part, part.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for array in arrays.values():
                file.write(array.data)
            for block in blocks_of(self.values):
                file.write(np.ascontiguousarray(block).data)

    @classmethod
    def load(cls, path: str | Path) -> "Pictures":
        """Read what `save` wrote; the pixels stay on disk, as a read-only memory map."""
        try:
            with safe_open(str(path), "numpy") as file:  # checks that the file is whole
                meta = file.metadata()
                small = {name: file.get_tensor(name) for name in file.keys() if name != "values"}  # noqa: SIM118
            with Path(path).open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                values = json.loads(file.read(length))["values"]
            start = 8 + length + values["data_offsets"][0]
            channels, height, width = json.loads(meta["shape"])
            return cls(
                np.memmap(path, np.uint8, "r", start, tuple(values["shape"])),
                (channels, height, width),
                meta["source"],
                small.get("labels"),
                tuple(json.loads(meta["classes"])),
                small.get("groups"),
                notes=tuple(json.loads(meta["notes"])),
                files=tuple(json.loads(meta.get("files", "[]"))),
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"'{path}' is missing, damaged or holds no saved pictures: {error}.") from error


class Scale(msgspec.Struct, frozen=True):
    """Levels 0 to 255 <-> float32 vectors (n, C*H*W): x = v / 127.5 - 1, so that x lies in [-1, 1]; nothing is fitted.

    Raises UserError for other types and widths, and for numbers that are not finite.
    """

    shape: tuple[int, int, int]

    @property
    def dim(self) -> int:
        """The number of dimensions, C H W."""
        return math.prod(self.shape)

    @property
    def jitter(self) -> np.ndarray:
        """(dim,) float32: uniform noise of this full width, 98 % of a level, never changes what `decode` returns."""
        return np.full(self.dim, 0.98 / 127.5, np.float32)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, dim) uint8 -> (n, dim) float32 in [-1, 1]: the float32 nearest to v / 127.5 - 1."""
        if values.dtype != np.uint8 or values.ndim != 2 or values.shape[1] != self.dim:
            raise UserError(f"values must be uint8 (pictures, {self.dim}); got {values.dtype} {values.shape}.")
        out = np.empty(values.shape, np.float32)
        for part, levels in zip(blocks_of(values, FLOATED), blocks_of(out, FLOATED * out.itemsize), strict=True):
            levels[:] = LEVELS[part]  # places of eight bytes each
        return out

    def decode(self, x: np.ndarray) -> np.ndarray:
        """(n, dim) -> (n, dim) uint8: the nearest level that a picture can hold, 127.5 (x + 1) within 0 to 255."""
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise UserError(f"x must have shape (pictures, {self.dim}); got {x.shape}.")
        if not np.isfinite(x).all():
            row, place = np.argwhere(~np.isfinite(x))[0]
            raise UserError(
                f"x cannot be decoded: picture {row + 1}, dimension {place + 1} is {x[row, place]}. Has the model "
                "diverged?"
            )
        out = np.empty(x.shape, np.uint8)
        for part, levels in zip(blocks_of(x, FLOATED), blocks_of(out, FLOATED // x.itemsize), strict=True):
            levels[:] = np.rint(np.clip(part, -1, 1) * 127.5 + 127.5)
        return out
