"""Every source of pictures becomes pictures of one size, or a clear error."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
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
from whichloss.data.pictures import Pictures
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
    shade,
)
from whichloss.data.raw import is_tensor, to_array
from whichloss.data.toys import CHANNELS, digits, find_stacked, is_stacked, stack
from whichloss.errors import DataUnfit, UserError

WAYS = "a folder of PNG or JPEG files, an IDX file, an NPY file, an array or a tensor"


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
    label, found = _find(source, asked_size(size), labels is None)
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
    if group is not None and groups is not None and len(np.unique(groups)) < 3:
        tie = "equal pictures tie the groups of --group together, and fewer than 3 are left. Remove the repeats."
        raise DataUnfit(f"{label}: {tie} {repeats[0]}")
    notes = (*found.notes, *repeats)
    return Pictures(
        found.values, found.shape, label, found.labels, found.classes, groups, notes=notes, files=found.files
    )


def _read_like(source: Any, size: int | Size | None, like: Shape, labelled: bool) -> Pictures:
    """Pictures of this shape, with labels if wanted. Nothing is compared: what is wrong is the user's mistake."""
    try:
        if isinstance(source, Pictures):
            label, side = source.source, asked_size(size)
            check_sizes(label, {source.shape[1:]: []}, side, like)
            taken = source if side is None else source.sized(side)
            found = Found(taken.values, taken.shape, taken.notes, files=taken.files)
            if labelled:
                found = replace(found, labels=source.labels, classes=source.classes)
        else:
            label, found = _find(source, asked_size(size), labelled, like)
    except DataUnfit as error:
        raise UserError(str(error)) from error
    if found.shape[0] != like[0]:
        is_, was = shade(found.shape), shade(like)
        raise UserError(f"{label} has {is_} pictures, and the model learned from {was} ones. Convert them to {was}.")
    return Pictures(found.values, found.shape, label, found.labels, found.classes, notes=found.notes, files=found.files)


def asked_size(size: Any) -> Size | None:
    """(height, width) as asked for, or none; refused outside 8 to 64."""
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
