"""A folder of PNG and JPEG files as pictures: what lies in it, what is wrong with it, its pixels."""

import math
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from whichloss.data.columns import few
from whichloss.data.files import PICTURES
from whichloss.data.picture_arrays import BROKEN, IDX_NAME
from whichloss.data.pixels import (
    LEAST_PICTURES,
    MOST_SIDE,
    Found,
    Shape,
    Size,
    check_count,
    check_sizes,
    on_disk,
    on_white,
    resized,
    shrink,
)
from whichloss.errors import DataUnfit, UserError

READ = (".png", ".jpg", ".jpeg")
SHOWN = 10  # damaged or foreign files that are named
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
TURNED = 0x0112  # the EXIF orientation
PALETTE, WHITE, UPRIGHT = "palette", "white", "upright"
FAULTS = {  # what can be wrong with a single file, and the way out
    "damaged": "Replace the damaged files, or move them out.",
    "animated or of several frames": "Save one frame of each picture that has several.",
    "of 16 bits a channel": "Convert those of 16 bits to 8 bits a channel: which 8 bits matter is not guessed.",
    "CMYK": "Convert CMYK pictures to RGB: how depends on the ink.",
}


def read_folder(path: Path, size: Size | None, labelled: bool = True, like: Shape | None = None) -> Found:
    """The PNG and JPEG files of a folder in the order of their names; sub-folders are classes, if labels are wanted."""
    names, classes = list_folder(path, one=like is not None)
    found = read_files(f"'{path}'", path, names, size, like)
    if not classes or not labelled:
        return found
    place = {name: k for k, name in enumerate(classes)}
    labels = np.array([place[name.partition("/")[0]] for name in names], np.int64)
    note = f"Classes are the sub-folders: {_shares(labels, classes)}."
    return replace(found, notes=(*found.notes, note), labels=labels, classes=classes)


def read_files(label: str, path: Path, names: list[str], size: Size | None, like: Shape | None = None) -> Found:
    """The pictures of these files in a folder."""
    check_count(label, len(names), like)
    tally = _Tally(label, size, like)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of metadata; what touches pixels it raises
        values = on_disk(tally.decoded(path, names), path.parent)
    (kind,) = tally.kinds
    shape = (3 if kind == "colour" else 1, *(size or next(iter(tally.sizes))))
    notes = tuple(tally.notes(len(names)))
    return Found(values.reshape(len(names), math.prod(shape)), shape, notes, files=tuple(names))


def list_folder(path: Path, one: bool = False) -> tuple[list[str], tuple[str, ...]]:
    """The pictures (class/name, or name), sorted, and the classes; refuses a folder that is neither flat nor classes.

    Hidden files (a dot first) do not count. one: a single class will do.
    """
    names, folders, others = _entries(path, "")
    classes = []
    inside: list[str] = []
    for folder in folders:
        some, deeper, more = _entries(path, f"{folder}/")
        if deeper:
            raise UserError(
                f"'{path / deeper[0]}' lies two folders down: pictures lie in the folder itself, or each in a "
                f"sub-folder named after its class. Give one folder of these, such as '{path / folder}'."
            )
        if not some and not more:
            raise UserError(f"'{path}': the sub-folder '{folder}' is empty. Put its pictures in, or remove it.")
        classes.append(folder)
        inside += some
        others += more
    if others:
        raise _no_pictures(path, others, len(names) + len(inside))
    if names and inside:
        raise UserError(
            f"'{path}' has pictures of its own ({len(names):,}: {few(names, 3)}) and in sub-folders ({len(inside):,}: "
            f"{few(inside, 3)}). Put all into sub-folders named after their classes, or all into one folder."
        )
    if len(classes) == 1 and not one:
        raise UserError(
            f"'{path}' has all pictures in one sub-folder, and one class is none: give '{path / classes[0]}'."
        )
    if not names and not inside:
        raise DataUnfit(f"'{path}' is an empty folder; give one with at least {LEAST_PICTURES} PNG or JPEG files.")
    return names or inside, tuple(classes)


def _entries(path: Path, below: str) -> tuple[list[str], list[str], list[str]]:
    """Pictures, folders and whatever else is in path/below, sorted, named from `path`."""
    pictures: list[str] = []
    folders: list[str] = []
    others: list[str] = []
    try:
        with os.scandir(path / below) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                known = entry.is_file() and entry.name.lower().endswith(READ)
                (folders if entry.is_dir() else pictures if known else others).append(below + entry.name)
    except OSError as error:
        raise UserError(f"'{path / below}' cannot be read: {error.strerror or error}.") from error
    return sorted(pictures), sorted(folders), sorted(others)


def _no_pictures(path: Path, others: list[str], pictures: int) -> UserError:
    many = len(others) > 1
    what = "files that are no PNG or JPEG files" if many else "file that is no PNG or JPEG file"
    fix = f"Move {'them' if many else 'it'} out, or give another folder."
    if any(name.lower().endswith(PICTURES) for name in others):
        fix = "Convert the pictures among them to PNG, and move the rest out."
    if idx := [name for name in others if IDX_NAME.search(name) and "idx1" not in name]:
        fix = f"An IDX file is given by its own name: '{path / idx[-1]}'."
    return UserError(f"'{path}' has {len(others):,} {what} ({few(others, SHOWN)}), beside {pictures:,} that are. {fix}")


def _shares(labels: np.ndarray, classes: tuple[str, ...]) -> str:
    counts = np.bincount(labels, minlength=len(classes))
    shown = [f"{name} ({count:,})" for name, count in zip(classes, counts, strict=True)]
    return ", ".join(shown[:10]) + f", ... ({len(classes)} in all)" * (len(shown) > 10)


@dataclass
class _Tally:
    """What was met while the files of a folder were decoded, by name, so that one message can say all of it."""

    label: str
    size: Size | None
    like: Shape | None = None
    sizes: dict[Size, list[str]] = field(default_factory=dict)
    kinds: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    def decoded(self, path: Path, names: list[str]) -> Iterator[np.ndarray]:
        """(C, H, W) uint8 each, as long as nothing is wrong; then the rest is only looked at, and an error says all."""
        for name in names:
            pixels = self._decode(path / name, name)
            if pixels is not None and self._fine():
                yield pixels if self.size is None else shrink(pixels, self.size)
        self._check(len(names))

    def _fine(self) -> bool:
        return not self.faults and len(self.kinds) == 1 and (self.size is not None or len(self.sizes) == 1)

    def _decode(self, path: Path, name: str) -> np.ndarray | None:
        try:
            file = path.open("rb")
        except OSError as error:
            raise UserError(f"'{path}' cannot be read: {error.strerror or error}.") from error
        with file:
            try:
                return self._pixels(file, name)
            except UnidentifiedImageError:
                reason = "no PNG or JPEG inside" if os.fstat(file.fileno()).st_size else "0 bytes"
            except BROKEN as error:
                reason = str(error) or type(error).__name__
        self._fault("damaged", f"'{name}' ({reason})")
        return None

    def _fault(self, kind: str, name: str) -> None:
        self.faults.setdefault(kind, []).append(name)

    def _pixels(self, file: BinaryIO, name: str) -> np.ndarray | None:
        """Header first: what is refused for its kind or size is not decoded."""
        depth = file.read(25)[-1:]  # of a PNG: Pillow cuts 16 bits a channel to 8 without a word
        image = _open(file)
        if kind := _refused(image, depth == b"\x10"):
            self._fault(kind, f"'{name}'")
            return None
        grey = image.mode in ("1", "L", "LA")
        if self.size is None and max(image.size) > MOST_SIDE:
            self._count(name, grey, image.size[::-1])
            return None
        image.verify()  # checksums: decoding alone takes a PNG with a damaged end
        image = _open(file)
        if image.getexif().get(TURNED) in range(2, 9):
            ImageOps.exif_transpose(image, in_place=True)
            self.done[UPRIGHT] += 1
        pixels = self._channels(image, grey)
        self._count(name, grey, (pixels.shape[1], pixels.shape[2]))
        return pixels

    def _channels(self, image: Image.Image, grey: bool) -> np.ndarray:
        """(C, H, W): the colours of a palette, on white where anything is transparent."""
        if image.mode == "P":
            colours = len(image.getpalette() or ()) // 3
            if (top := int(np.asarray(image).max())) >= colours:
                raise ValueError(f"colour {top} of a palette of {colours}")
            self.done[PALETTE] += 1
        see_through = image.has_transparency_data
        mode = ("L" if grey else "RGB") + "A" * see_through
        pixels = np.asarray(image.convert(mode))
        pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        if not see_through:
            return pixels
        self.done[WHITE] += bool((pixels[-1] < 255).any())
        return on_white(pixels)

    def _count(self, name: str, grey: bool, size: Size) -> None:
        self.sizes.setdefault(size, []).append(name)
        self.kinds.setdefault("grey" if grey else "colour", []).append(name)

    def _check(self, n: int) -> None:
        if self.faults:
            bad = sum(len(names) for names in self.faults.values())
            told = [
                f"{len(names):,} {kind}: {', '.join(names[:SHOWN])}" + ", ..." * (len(names) > SHOWN)
                for kind, names in self.faults.items()
            ]
            fixes = " ".join(fix for kind, fix in FAULTS.items() if kind in self.faults)
            wrong = UserError if "damaged" in self.faults else DataUnfit
            raise wrong(f"{self.label}: {bad:,} of {n:,} pictures cannot be used. {'; '.join(told)}. {fixes}")
        check_sizes(self.label, self.sizes, self.size, self.like)
        if len(self.kinds) > 1:
            told = [f"{len(names):,} {kind} ({few(names, 3)})" for kind, names in sorted(self.kinds.items())]
            raise DataUnfit(
                f"{self.label} has {' and '.join(told)} pictures. All must have one channel, or all three: convert "
                "the grey ones to RGB, or the others to grey."
            )

    def notes(self, n: int) -> Iterator[str]:
        """What was changed while the files were read."""
        says = {
            PALETTE: "used a palette: read as RGB, exactly",
            WHITE: "were transparent in places: laid on white",
            UPRIGHT: "were turned upright, as their EXIF orientation says",
        }
        for what, text in says.items():
            if count := self.done[what]:
                yield f"{count:,} of {n:,} pictures {text}."
        yield from resized(self.sizes, self.size)


def _open(file: BinaryIO) -> Image.Image:
    file.seek(0)
    return Image.open(file, formats=("PNG", "JPEG"))


def _refused(image: Image.Image, deep: bool) -> str:
    """The fault of a picture whose header is whole, if it has one; deep: a PNG would have 16 bits a channel."""
    if getattr(image, "is_animated", False):
        return "animated or of several frames"
    if image.mode == "CMYK":
        return "CMYK"
    return "of 16 bits a channel" if image.mode not in MODES or (deep and image.format == "PNG") else ""
