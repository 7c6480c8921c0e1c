"""Arrays, NPY files and IDX files as pictures: their dimensions, their range, their levels."""

import gzip
import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from whichloss.data.files import DAMAGED
from whichloss.data.pixels import (
    BLOCK,
    Found,
    Shape,
    Size,
    blocks_of,
    check_count,
    check_sizes,
    on_disk,
    on_white,
    resized,
    shrink,
)
from whichloss.errors import DataUnfit, UserError

BROKEN = (*DAMAGED, struct.error, IndexError, TypeError, Image.DecompressionBombError)
UBYTE = 8
IDX_TYPES = (8, 9, 11, 12, 13, 14)
IDX_NAME = re.compile(r"(idx[1-4]-ubyte|\.idx)(\.gz)?$")


def from_array(
    label: str, array: np.ndarray, size: Size | None, beside: Path | None, like: Shape | None = None
) -> Found:
    """Pictures (n, H, W), (n, H, W, C) or (n, C, H, W) of uint8 or floats v / 255; C = 2 or 4: the last is alpha."""
    if array.dtype.kind == "O" or array.dtype.names:
        raise UserError(
            f"{label} holds {'records' if array.dtype.names else 'Python objects'}; give numbers of one type: "
            "numpy.stack(pictures).astype(numpy.uint8)."
        )
    if np.ma.is_masked(array):
        raise DataUnfit(f"{label} has masked pixels; a picture has all of them. Fill them in: array.filled(0).")
    if array.dtype == np.uint8:
        return arranged(label, array.shape, blocks_of(array), size, beside, like)
    if array.dtype.kind != "f":
        fix = "astype(numpy.uint8) if they are levels from 0 to 255" if array.dtype.kind in "biu" else "convert them"
        raise DataUnfit(f"{label} holds {array.dtype}; pictures are uint8, or floats from 0 to 1: {fix}.")
    far = _check_range(label, array)
    note = f"Numbers in [0, 1] became 256 levels, 255 times as large{far}."
    found = arranged(label, array.shape, map(_levels, blocks_of(array)), size, beside, like)
    return replace(found, notes=(note, *found.notes))


def _levels(block: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(block * 255).astype(np.uint8))


def _check_range(label: str, array: np.ndarray) -> str:
    """Refuse floats outside [0, 1], with the usual ways in; else how far the farthest lies from a level."""
    least, most, far = np.inf, -np.inf, 0.0
    for block in blocks_of(array):
        if not np.isfinite(block).all():
            raise DataUnfit(f"{label} has pixels that are no number (nan or infinite). Correct them.")
        least, most = min(least, float(block.min())), max(most, float(block.max()))
        levels = block * 255
        far = max(far, float(np.abs(levels - np.rint(levels)).max()))
    if least >= 0 and most <= 1:
        return f", rounded by up to {far:.2g} of a level" if far > 0.01 else ""
    fix = f"(x - {least:.6g}) / {most - least:.6g}"
    if -1 <= least < 0 and most <= 1:
        fix = "(x + 1) / 2, if the range is -1 to 1"
    elif least >= 0:
        fix = "x.round().astype(numpy.uint8), if these are levels" if 128 < most <= 255 else f"x / {most:.6g}"
    raise DataUnfit(
        f"{label} holds numbers from {least:.6g} to {most:.6g}; pictures are floats from 0 to 1, or uint8 from 0 to "
        f"255. Give {fix}."
    )


def arranged(
    label: str,
    shape: tuple[int, ...],
    blocks: Iterator[np.ndarray],
    size: Size | None,
    beside: Path | None,
    like: Shape | None = None,
) -> Found:
    """Blocks of uint8 (k, H, W), (k, H, W, C) or (k, C, H, W), n pictures in all, as rows on disk."""
    last = _channels_last(label, shape)
    n, channels, *sides = (shape[0], shape[-1], *shape[1:3]) if last else (shape[0], *(1, *shape[1:])[-3:])
    old = (sides[0], sides[1])
    check_count(label, n, like)
    check_sizes(label, {old: []}, size, like)
    new = old if size is None else size
    see_through = channels in (2, 4)
    clear = [0]

    def rows() -> Iterator[np.ndarray]:
        for block in blocks:
            block = np.moveaxis(block, -1, 1) if last else block.reshape(len(block), channels, *old)
            if see_through:
                clear[0] += int((block[:, -1] < 255).any(axis=(1, 2)).sum())
                block = on_white(block)
            yield block if new == old else np.stack([shrink(picture, new) for picture in block])

    values = on_disk(rows(), beside)
    kept = (channels - see_through, *new)
    notes = [f"{clear[0]:,} of {n:,} pictures were transparent in places: laid on white."] * bool(clear[0])
    return Found(values.reshape(n, math.prod(kept)), kept, (*notes, *resized([old], size)))


def _channels_last(label: str, shape: tuple[int, ...]) -> bool:
    """Whether the channels of (n, H, W), (n, H, W, C) or (n, C, H, W) come last."""
    if len(shape) == 4 and not {shape[1], shape[3]} & {1, 2, 3, 4}:
        raise DataUnfit(
            f"{label} has shape {tuple(shape)}, and neither the second nor the last number is one of 1 (grey), 3 "
            "(colour), 2 or 4 (with alpha). Give (n, H, W), (n, H, W, C) or (n, C, H, W)."
        )
    if len(shape) not in (3, 4):
        raise DataUnfit(f"{label} has shape {tuple(shape)}; pictures are (n, H, W), (n, H, W, C) or (n, C, H, W).")
    return len(shape) == 4 and shape[3] in (1, 2, 3, 4)


def is_idx(path: Path) -> bool:
    """Whether the name or the first bytes are those of an IDX file."""
    if IDX_NAME.search(path.name):
        return True
    try:
        with _unpacked(path) as file:
            head = file.read(4)
    except BROKEN:
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in IDX_TYPES and 1 <= head[3] <= 4


def read_idx(path: Path) -> tuple[tuple[int, ...], Iterator[np.ndarray]]:
    """The dimensions of an IDX file of unsigned bytes, and its rows in blocks (LeCun, Cortes and Burges, 1998)."""
    with _guarded(path), _unpacked(path) as file:
        shape = _header(path, file)
    return shape, _idx_blocks(path, shape)


def _idx_blocks(path: Path, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    each = math.prod(shape[1:])
    rows, done = max(1, BLOCK // max(1, each)), 0
    with _unpacked(path) as file:
        file.read(4 + 4 * len(shape))
        while done < shape[0]:
            with _guarded(path):
                part = file.read(min(rows, shape[0] - done) * each)
            if len(part) < min(rows, shape[0] - done) * each:
                raise UserError(
                    f"'{path}' is truncated: its header promises {' x '.join(map(str, shape))} bytes, and it ends "
                    f"after {done * each + len(part):,} of {shape[0] * each:,}. Fetch or write it again."
                )
            block = np.frombuffer(part, np.uint8).reshape(-1, *shape[1:])
            done += len(block)
            yield block
        with _guarded(path):
            extra = file.read(1)
        if extra:
            raise UserError(
                f"'{path}' is damaged: bytes follow after the {' x '.join(map(str, shape))} that its header promises. "
                "Fetch or write it again."
            )


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    """What a damaged packed file raises, as a message."""
    try:
        yield
    except BROKEN as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"'{path}' cannot be read: {reason}. Fetch or write it again.") from error


def _unpacked(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _header(path: Path, file: BinaryIO) -> tuple[int, ...]:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or head[3] == 0:
        raise UserError(
            f"'{path}' is no IDX file: it starts with 0x{head.hex()}, an IDX file of pictures with 0x00000803 (bytes, "
            "3 dimensions). Fetch it again, or write an NPY file."
        )
    if head[2] != UBYTE:
        raise DataUnfit(
            f"'{path}' holds numbers of IDX type 0x{head[2]:02x}; pictures are unsigned bytes (0x08). Write them as "
            "bytes, 0 to 255."
        )
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise UserError(f"'{path}' is truncated: it ends inside its header. Fetch or write it again.")
    return struct.unpack(f">{head[3]}I", sizes)


def idx_labels(path: Path) -> np.ndarray:
    """The labels (n,) of an IDX file of one dimension."""
    shape, blocks = read_idx(path)
    if len(shape) != 1:
        raise UserError(f"'{path}' holds an array of {len(shape)} dimensions, not labels: one number a picture.")
    return np.concatenate([np.zeros(0, np.uint8), *blocks])


def labels_beside(path: Path) -> Path | None:
    """train-labels-idx1-ubyte for train-images-idx3-ubyte, packed or not, if it is there."""
    return _beside(path, ("images", "labels"), ("idx3", "idx1"))


def pictures_beside(path: Path) -> Path | None:
    """The other way round."""
    return _beside(path, ("labels", "images"), ("idx1", "idx3"))


def _beside(path: Path, *words: tuple[str, str]) -> Path | None:
    name = path.name.removesuffix(".gz")
    for old, new in words:
        name = name.replace(old, new)
    names = (name, f"{name}.gz") if name != path.name.removesuffix(".gz") else ()
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def npy_dimensions(path: Path) -> int:
    """How many dimensions the array of an NPY file has, by its header alone; 0 where there is no such header."""
    try:
        with path.open("rb") as file:
            major, _ = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            shape = header(file)[0]
    except BROKEN:
        return 0
    return len(shape)


def read_npy(path: Path) -> np.ndarray:
    """The array of an NPY file as a read-only memory map."""
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except BROKEN as error:
        if "Python objects" in str(error) or _first(path) == b"\x80":
            raise UserError(
                f"'{path}' holds Python objects (pickle), which are never loaded; save a numeric array "
                "(numpy.save(path, array.astype(numpy.uint8)))."
            ) from error
        raise UserError(f"'{path}' is damaged or no NumPy file ({error}); save it again with numpy.save.") from error


def _first(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1)
