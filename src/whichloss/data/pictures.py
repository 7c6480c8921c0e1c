"""Pictures of one size with one or three channels: what `read_pictures` returns; the sibling of a table."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from whichloss.data.files import PICTURES
from whichloss.data.picture_arrays import (
    arranged,
    from_array,
    idx_labels,
    is_idx,
    labels_beside,
    npy_dimensions,
    pictures_beside,
    read_idx,
    read_npy,
)
from whichloss.data.picture_files import read_files, read_folder
from whichloss.data.picture_write import write_folder, write_npy, write_sheet
from whichloss.data.pixels import (
    LEAST_PICTURES,
    LEAST_SIDE,
    MOST_SIDE,
    Found,
    Shape,
    Size,
    blocks_of,
    check_count,
    check_sizes,
    marks,
    on_disk,
    resized,
    shrink,
)
from whichloss.data.raw import is_tensor, to_array
from whichloss.data.toys import CHANNELS, digits, find_stacked, is_stacked, stack
from whichloss.data.write import aside
from whichloss.errors import DataUnfit, UserError
from whichloss.rng import key

LEVELS = (np.arange(256) / 127.5 - 1).astype(np.float32)
WAYS = "a folder of PNG or JPEG files, an IDX file, an NPY file, an array or a tensor"


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
        channels, height, width = self.shape
        kind = "grey" if channels == 1 else "colour"
        labels = f", {len(self.classes)} classes" if self.labels is not None else ""
        return f"Pictures({self.source}: {len(self):,} x {height} x {width} {kind}{labels})"

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
        chosen, (channels, height, width), notes = self, self.shape, self.notes
        if len(self) > most:
            generator = np.random.Generator(np.random.PCG64(key("reduced")))
            chosen = self.rows(np.sort(generator.choice(len(self), most, replace=False)))
            notes += (f"{most:,} of the {len(self):,} pictures were drawn at random.",)
        if side is None or max(height, width) <= side:
            return replace(chosen, notes=notes)
        scale = side / max(height, width)
        size = max(LEAST_SIDE, round(height * scale)), max(LEAST_SIDE, round(width * scale))
        shape = (channels, *size)
        values = np.empty((len(chosen), math.prod(shape)), np.uint8)
        for row, picture in enumerate(chosen.values):
            values[row] = shrink(picture.reshape(self.shape), size).reshape(-1)
        notes += tuple(resized([(height, width)], size, "Reduced"))
        return replace(chosen, values=values, shape=shape, notes=notes)

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
        return np.asarray(LEVELS[values])

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
        return np.asarray(np.rint(np.clip(x, -1, 1) * 127.5 + 127.5).astype(np.uint8))


def is_pictures(source: Any) -> bool:
    """Whether a source is read as pictures, cheaply: by names, headers and dimensions, not by what is inside."""
    if isinstance(source, Pictures) or is_stacked(source):
        return True
    if isinstance(source, np.ndarray) or is_tensor(source):
        return source.ndim in (3, 4)
    if not isinstance(source, str | Path):
        return False
    path = Path(source).expanduser()
    if path.is_dir():
        return _holds_pictures(path)
    if not path.is_file():
        return False
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return npy_dimensions(path) in (3, 4)
    return suffix in PICTURES or is_idx(path)


def _holds_pictures(folder: Path) -> bool:
    """Whether a picture or an IDX file lies in the folder or one or two levels down."""
    return any(
        path.name.lower().endswith(PICTURES) or "-idx3-ubyte" in path.name
        for pattern in ("*", "*/*", "*/*/*")
        for path in folder.glob(pattern)
    )


def read_pictures(
    source: Any,
    *,
    size: int | Size | None = None,
    group: Any = None,
    labels: Any = None,
    like: Shape | None = None,
) -> Pictures:
    """The pictures of a folder of PNG or JPEG files, an IDX or NPY file, an array or a tensor.

    size: reduce to this side or (height, width), 8 to 64; group, labels: one whole number or word a picture, as a
    sequence or a file (IDX or NPY). An array is (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or floats in [0, 1].
    like: the shape that a model learned: then any number of pictures will do, of this shape, one file too, and labels
    are read only where `labels` is True.
    Raises UserError (cannot be read, damaged, wrong option) or DataUnfit (can be read but not compared).
    """
    if like is not None:
        return _read_like(source, size, like, labels is True)
    if isinstance(source, Pictures):
        if size is not None or group is not None or labels is not None:
            raise UserError("size, group and labels apply when pictures are read; these are Pictures already.")
        return source
    label, found = _find(source, _side(size), labels is None)
    n = len(found.values)
    if not any((block != found.values[0]).any() for block in blocks_of(found.values)):
        raise DataUnfit(f"{label} has nothing to learn: all {n:,} pictures are equal. Give pictures that differ.")
    if labels is not None:
        codes, classes = _coded("labels", labels, n)
        found = replace(found, labels=codes, classes=classes)
    groups = found.groups
    if group is not None and groups is not None:
        raise UserError(f"--group does not go with {label}, whose groups are pools of originals. Leave it out.")
    if group is not None:
        groups, names = _coded("group", group, n)
        if len(names) < 3:
            raise DataUnfit(
                f"--group has {len(names)} group{'s' * (len(names) > 1)}; at least 3 are needed (training, "
                "validation, test). Give others, or none."
            )
    groups, repeats = _together(label, found, groups)
    notes = (*found.notes, *repeats)
    return Pictures(
        found.values, found.shape, label, found.labels, found.classes, groups, notes=notes, files=found.files
    )


def _read_like(source: Any, size: int | Size | None, like: Shape, labelled: bool) -> Pictures:
    """Pictures of this shape, with labels if wanted. Nothing is compared: what is wrong is the user's mistake."""
    try:
        if isinstance(source, Pictures):
            label, found = source.source, Found(source.values, source.shape, source.notes, files=source.files)
            if labelled:
                found = replace(found, labels=source.labels, classes=source.classes)
            check_sizes(label, {source.shape[1:]: []}, None, like)
        else:
            label, found = _find(source, _side(size), labelled, like)
    except DataUnfit as error:
        raise UserError(str(error)) from error
    if found.shape[0] != like[0]:
        is_, was = ("grey", "colour") if found.shape[0] == 1 else ("colour", "grey")
        raise UserError(f"{label} has {is_} pictures, and the model learned from {was} ones. Convert them to {was}.")
    return Pictures(found.values, found.shape, label, found.labels, found.classes, notes=found.notes, files=found.files)


def _side(size: Any) -> Size | None:
    if size is None:
        return None
    sides = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    whole = all(isinstance(side, int | np.integer) for side in sides)
    if len(sides) != 2 or not whole or not all(LEAST_SIDE <= side <= MOST_SIDE for side in sides):
        raise UserError(
            f"--size {size}: give one whole number from {LEAST_SIDE} to {MOST_SIDE}, or two (height, width), such as "
            "32."
        )
    return int(sides[0]), int(sides[1])


def _find(source: Any, size: Size | None, labelled: bool, like: Shape | None = None) -> tuple[str, Found]:
    if isinstance(source, np.ndarray) or is_tensor(source):
        what = f"{'tensor' if is_tensor(source) else 'array'} {tuple(source.shape)}"
        return what, from_array(f"The {what}", to_array(source), size, None, like)
    if is_stacked(source):
        return source, _stacked(source, size)
    if not isinstance(source, str | Path):
        raise UserError(f"Pictures of type {type(source).__name__} cannot be read. Give {WAYS}.")
    path = Path(source).expanduser()
    if path.is_dir():
        return str(source), read_folder(path, size, labelled, like)
    if not path.exists():
        raise UserError(f"There is no file or folder '{path}'. Check the path and the spelling.")
    if path.suffix.lower() in PICTURES:
        if like is not None:
            return str(source), read_files(f"'{path}'", path.parent, [path.name], size, like)
        raise UserError(f"'{path}' is one picture; give {WAYS}.")
    if path.suffix.lower() == ".npy":
        return str(source), from_array(f"'{path}'", read_npy(path), size, path.parent, like)
    if is_idx(path):
        return str(source), _from_idx(path, size, labelled, like)
    raise UserError(f"'{path}' holds no pictures that can be read. Give {WAYS}.")


def _stacked(source: str, size: Size | None) -> Found:
    """`toy:stacked`: three random grey pictures as colours; its originals are digits, or what it names."""
    n, path = find_stacked(source)
    check_count(source, n)
    if path:
        given = read_pictures(path, size=size)
        if given.labels is None or given.shape[0] != 1:
            raise DataUnfit(f"{source}: what is stacked are grey pictures with labels; {given!r} are none.")
        x, y, sides, names, notes = given.values, given.labels, given.shape[1:], given.classes, given.notes
    else:
        (x, y), sides, names, notes = digits(), (8, 8), tuple("0123456789"), ()
        check_sizes(source, {sides: []}, size)
    values, modes, pools = stack(x, y, n, source)
    classes = tuple(map("+".join, product(names, repeat=CHANNELS)))
    note = (
        f"Every picture stacks {CHANNELS} of {len(y):,} originals of {len(names)} classes as its colours: "
        f"{len(classes):,} modes, equally likely; training, validation and test share no original."
    )
    return Found(
        on_disk([values]).reshape(values.shape), (CHANNELS, *sides), (*notes, note), modes, classes, groups=pools
    )


def _together(label: str, found: Found, groups: np.ndarray | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The groups, joined where they share equal pictures, so that no part holds copies of another; and a note of it."""
    n, (_, first, place) = len(found.values), np.unique(marks(found.values), return_index=True, return_inverse=True)
    first = first[place]
    again = np.flatnonzero(first != np.arange(n))
    if n - len(again) < LEAST_PICTURES:
        raise DataUnfit(
            f"{label} has {n:,} pictures, but only {n - len(again):,} different ones; at least {LEAST_PICTURES} are "
            "needed, so that training, validation and test each get some. Add pictures."
        )
    if not len(again):
        return groups, ()
    links = again, first[again]
    if groups is not None:  # every picture is also linked to the first of its group
        _, head, place = np.unique(groups, return_index=True, return_inverse=True)
        links = np.append(again, np.arange(n)), np.append(first[again], head[place])
    joined = connected_components(coo_array((np.ones(len(links[0])), links), shape=(n, n)), directed=False)[1]
    names = found.files or [f"number {k + 1:,}" for k in range(n)]
    shown = "; ".join(f"{names[k]} is {names[first[k]]}" for k in again[:3]) + "; ..." * (len(again) > 3)
    labels = np.zeros(n) if found.labels is None else found.labels
    other = int((labels[again] != labels[first[again]]).sum())
    note = (
        f"{len(again):,} of {n:,} pictures equal an earlier one ({shown}); equal ones stay in one part of every split."
        + f" {other:,} of them have another class than the earlier one." * bool(other)
    )
    return joined.astype(np.int64), (note,)


def _from_idx(path: Path, size: Size | None, labelled: bool, like: Shape | None = None) -> Found:
    shape, blocks = read_idx(path)
    if len(shape) == 1:
        there = pictures_beside(path)
        hint = f"'{there}'" if there else "of the pictures (train-images-idx3-ubyte for train-labels-idx1-ubyte)"
        raise UserError(f"'{path}' holds labels without pictures ({shape[0]:,} numbers). Give the file {hint}.")
    found = arranged(f"'{path}'", shape, blocks, size, path.parent, like)
    beside = labels_beside(path) if labelled else None
    if beside is None:
        return found
    codes, classes = _coded("labels", beside, shape[0])
    note = f"Labels come from '{beside.name}': {len(classes)} classes."
    return replace(found, labels=codes, classes=classes, notes=(*found.notes, note))


def _coded(what: str, given: Any, n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """One whole number or word a picture as places in their sorted names."""
    where, array = f"--{what}", given
    if isinstance(given, str | Path):
        path = Path(given).expanduser()
        where = f"--{what} '{path}'"
        if not path.is_file():
            raise UserError(f"{where}: there is no such file. Give an IDX or NPY file with one number a picture.")
        array = read_npy(path) if path.suffix.lower() == ".npy" else idx_labels(path)
    array = array if isinstance(array, np.ndarray) else to_array(array)
    if array.dtype.kind == "O" and len({type(value) for value in array}) == 1:
        array = np.array(array.tolist())
    if array.ndim != 1 or array.dtype.kind not in "biuU":
        raise UserError(
            f"{where} has type {array.dtype} and shape {array.shape}; give one whole number or one word a picture, "
            f"({n},)."
        )
    if len(array) != n:
        raise UserError(f"{where} has {len(array):,} entries, and there are {n:,} pictures; give one a picture.")
    names, codes = np.unique(array, return_inverse=True)
    return codes.astype(np.int64), tuple(str(name) for name in names.tolist())
