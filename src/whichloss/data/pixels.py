"""What every way in for pictures shares: decoded rows go onto disk, never into memory; white, sizes, counts."""

import hashlib
import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from whichloss.data.columns import few
from whichloss.errors import DataUnfit, UserError

Size = tuple[int, int]  # height, width
Shape = tuple[int, int, int]  # channels, height, width

LEAST_PICTURES = 20  # as for tables: a test part of 4
LEAST_SIDE, MOST_SIDE = 8, 64
BLOCK = 1 << 24  # bytes decoded at a time
FLOATED = 1 << 21  # bytes made into floats at a time: that takes four times as many, or more


@dataclass(frozen=True, eq=False)
class Found:
    """What a source holds: values uint8 (n, C*H*W) on disk, their shape (C, H, W), perhaps labels and their names;
    groups: units that a split keeps whole; files: the name of each picture, where each is a file."""

    values: np.ndarray
    shape: Shape
    notes: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    groups: np.ndarray | None = None


def said(size: Sequence[int]) -> str:
    """A size as it stands in messages, height first."""
    return f"{size[0]} x {size[1]}"


def shade(shape: Sequence[int]) -> str:
    """Grey or colour, as texts name one and three channels."""
    return "grey" if shape[0] == 1 else "colour"


def on_disk(blocks: Iterable[np.ndarray], beside: Path | None = None) -> np.ndarray:
    """The bytes of the blocks, one after the other, as a read-only memory map (bytes,) of a file that has no name.

    The file lies in `beside` (else in the folder for temporary files) and vanishes with the array, or with the process.
    """
    folder = beside if beside is not None and os.access(beside, os.W_OK) else Path(tempfile.gettempdir())
    written = 0
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block).data)
                written += block.nbytes
            file.flush()
            return np.memmap(file, np.uint8, "r")
    except OSError as error:
        raise UserError(
            f"The decoded pictures cannot be written to '{folder}' ({error.strerror or error}, after "
            f"{written / 1e6:,.0f} MB). Make room there{', or set TMPDIR to a folder with room' * (folder != beside)}."
        ) from error


def blocks_of(values: np.ndarray, size: int = BLOCK) -> Iterator[np.ndarray]:
    """The array in blocks of rows of so many bytes; the pages of a file that it maps leave memory when their block is
    done."""
    rows = max(1, size // max(1, values[:1].nbytes))
    for start in range(0, len(values), rows):
        yield values[start : start + rows]
        let_go(values)


def taken(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """A copy of these rows. Of a file that is mapped every row brings sixteen pages with it, so they go in blocks."""
    out = np.empty((len(numbers), *values.shape[1:]), values.dtype)
    rows = max(1, BLOCK // (1 << 16))
    for start in range(0, len(numbers), rows):
        out[start : start + rows] = values[numbers[start : start + rows]]
        let_go(values)
    return out


def marks(values: np.ndarray) -> np.ndarray:
    """64 bits of each row (n,) uint64: that two of a million different rows share theirs has probability 3e-8."""
    found = (
        hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=8).digest()
        for block in blocks_of(values)
        for row in block
    )
    return np.frombuffer(b"".join(found), "<u8")


def let_go(values: np.ndarray) -> None:
    """Let the pages of a read-only memory map leave this process's memory; they come back when they are read."""
    base: object = values
    while isinstance(base, np.ndarray):
        base = base.base
    read_only = isinstance(values, np.memmap) and values.mode == "r"
    if read_only and isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def on_white(pixels: np.ndarray) -> np.ndarray:
    """(..., C + 1, H, W), alpha a last -> (..., C, H, W): (v a + 255 (255 - a)) / 255, to the nearest level."""
    v, a = pixels[..., :-1, :, :].astype(np.uint16), pixels[..., -1:, :, :].astype(np.uint16)
    return np.asarray(((v * a + 255 * (255 - a) + 127) // 255).astype(np.uint8))


def shrink(pixels: np.ndarray, size: Size) -> np.ndarray:
    """(C, H, W) -> (C, h, w) by Pillow's antialiased reduction: means of whole blocks where they fit, else Lanczos."""
    if pixels.shape[1:] == size:
        return pixels
    bands = [Image.fromarray(band) for band in pixels]
    if factors := _factors(pixels.shape[1:], size):
        small = [band.reduce(factors) for band in bands]
    else:
        small = [band.resize(size[::-1], Image.Resampling.LANCZOS) for band in bands]
    return np.stack([np.asarray(band) for band in small])


def shrunk(values: np.ndarray, shape: Shape, size: Size) -> np.ndarray:
    """Pictures (n, C*H*W) reduced to this size, block by block."""
    out = np.empty((len(values), shape[0] * size[0] * size[1]), np.uint8)
    pictures = (picture for block in blocks_of(values) for picture in block)
    for row, picture in enumerate(pictures):
        out[row] = shrink(picture.reshape(shape), size).reshape(-1)
    return out


def _factors(old: tuple[int, ...], new: Size) -> tuple[int, int] | None:
    """How many pixels across and down become one, where these are whole numbers."""
    return None if old[0] % new[0] or old[1] % new[1] else (old[1] // new[1], old[0] // new[0])


def resized(sizes: Iterable[Size], size: Size | None, done: str = "Resized on request") -> Iterator[str]:
    """What was done to pictures of these sizes to make them one."""
    changed = sorted({old for old in sizes if size and old != size})
    if not changed or size is None:
        return
    ways = sorted({"means of whole blocks of pixels" if _factors(old, size) else "Lanczos" for old in changed})
    how = f"Pillow, antialiased: {' or '.join(ways)}"
    before = said(changed[0]) + (f" to {said(changed[-1])} ({len(changed)} sizes)" if len(changed) > 1 else "")
    stretched = any(abs(h * size[1] / (w * size[0]) - 1) > 0.02 for h, w in changed)
    yield f"{done}: {before} became {said(size)} ({how})." + " Some were stretched." * stretched


def check_sizes(label: str, sizes: Mapping[Size, list[str]], size: Size | None, like: Shape | None = None) -> None:
    """Refuse sizes that differ or lie outside 8 to 64 unless they are to be reduced; and anything to be enlarged.

    like: the shape that a model learned, which must come out.
    """
    most = sorted(sizes.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    small = min(min(one) for one in sizes)
    if like is not None:
        _check_like(label, most, size, (like[1], like[2]))
    elif size is not None:
        if over := [entry for entry in most if entry[0][0] < size[0] or entry[0][1] < size[1]]:
            raise DataUnfit(
                f"{label} has pictures smaller than --size {said(size)} (height x width): {_listed(over)}. Pictures "
                "are reduced, never enlarged: ask for a smaller size, or move these out."
            )
    elif len(sizes) > 1:
        fix = f"resize them on request with {_asked(sizes)}, or move" if small >= LEAST_SIDE else "move"
        raise DataUnfit(
            f"{label} has pictures of {len(sizes)} sizes (height x width): {_listed(most)}. One size is needed: {fix} "
            "the others out."
        )
    elif small < LEAST_SIDE:
        raise DataUnfit(
            f"{label} has pictures of {said(most[0][0])} pixels (height x width); supported are {LEAST_SIDE} to "
            f"{MOST_SIDE} a side. Enlarge them yourself if that makes sense, or give them as rows of numbers "
            "(pictures, pixels)."
        )
    elif max(most[0][0]) > MOST_SIDE:
        raise DataUnfit(
            f"{label} has pictures of {said(most[0][0])} pixels (height x width); supported are {LEAST_SIDE} to "
            f"{MOST_SIDE} a side. Resize them on request with {_asked(sizes)}."
        )


def _check_like(label: str, sizes: list[tuple[Size, list[str]]], size: Size | None, known: Size) -> None:
    """Refuse what does not come out with the size that a model knows."""
    if under := [entry for entry in sizes if entry[0][0] < known[0] or entry[0][1] < known[1]]:
        raise UserError(
            f"{label} has pictures smaller than the {said(known)} (height x width) that the model learned: "
            f"{_listed(under)}. Pictures are reduced, never enlarged: give larger ones."
        )
    if odd := [entry for entry in sizes if (size or entry[0]) != known]:
        asked = f", to become {said(size)}" if size else ""
        raise UserError(
            f"{label} has pictures of {_listed(odd)} pixels{asked}; the model learned from {said(known)} (height x "
            f"width). Reduce them with {option(known)}."
        )


def _listed(entries: list[tuple[Size, list[str]]]) -> str:
    """Sizes, with how many files have them and the first few."""
    shown = [said(size) + (f" ({len(names):,}: {few(names, 3)})" if names else "") for size, names in entries[:5]]
    return "; ".join(shown) + "; ..." * (len(entries) > 5)


def _asked(sizes: Iterable[Size]) -> str:
    """The option that reduces all of these to one supported size."""
    height, width = min(h for h, _ in sizes), min(w for _, w in sizes)
    scale = min(1.0, MOST_SIDE / max(height, width))
    return option((max(LEAST_SIDE, math.floor(height * scale)), max(LEAST_SIDE, math.floor(width * scale))))


def option(size: Sequence[int]) -> str:
    """The option that asks for this size."""
    h, w = size
    return f"--size {h} (in Python: size={h})" if h == w else f"--size {h}x{w} (in Python: size=({h}, {w}))"


def check_count(label: str, n: int, like: Shape | None = None) -> None:
    """Refuse fewer pictures than training, validation and test need; a model takes any number but none."""
    if like is not None and not n:
        raise UserError(f"{label} has no pictures; give at least one.")
    if like is None and n < LEAST_PICTURES:
        raise DataUnfit(
            f"{label} has {n or 'no'} picture{'s' * (n != 1)}; at least {LEAST_PICTURES} are needed, so that training, "
            "validation and test each get some. Add pictures."
        )
