"""Pictures into files: an NPY array, a folder of PNG files, or one sheet to look at."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from whichloss.data.pixels import blocks_of
from whichloss.data.write import aside
from whichloss.errors import UserError

if TYPE_CHECKING:
    from whichloss.data.pictures import Pictures

EDGE, SIDE = 1, 64  # pixels between the pictures of a sheet; their side there, at least


def write_npy(pictures: "Pictures", path: Path) -> None:
    """uint8 (n, H, W), or (n, H, W, 3) of colour, block by block."""
    c, h, w = pictures.shape
    shape = (len(pictures), h, w) if c == 1 else (len(pictures), h, w, c)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with aside(path) as part, part.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks_of(pictures.values):
            file.write(np.ascontiguousarray(upright(block, pictures.shape)).data)


def write_folder(pictures: "Pictures", folder: Path) -> None:
    """A PNG file each, numbered from 0, in a sub-folder per class where they have labels. UserError unless empty."""
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(
            f"'{folder}' is not empty: old and new pictures would mix. Choose another folder, or empty this one."
        )
    digits = len(str(len(pictures) - 1))
    names = [""] * len(pictures)
    if odd := [name for name in pictures.classes if "/" in name or name.startswith(".") or not name.strip()]:
        raise UserError(
            f"'{folder}': the class '{odd[0]}' cannot be the name of a folder. Write one NPY file (.npy), or rename "
            "the class."
        )
    if pictures.labels is not None:
        names = [f"{pictures.classes[label]}/" for label in pictures.labels]
    try:
        for name in {"", *names}:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(upright(pictures.values, pictures.shape)):
            Image.fromarray(picture).save(folder / f"{names[i]}{i:0{digits}d}.png")
    except OSError as error:
        raise UserError(
            f"'{folder}' cannot be written: {error.strerror or error}. Choose a folder that is writable."
        ) from error


def write_sheet(pictures: "Pictures", path: Path) -> None:
    """All pictures side by side as one PNG, small ones enlarged by a whole factor."""
    c, h, w = pictures.shape
    across = math.ceil(math.sqrt(len(pictures) * h / w))
    down = -(-len(pictures) // across)
    zoom = max(1, SIDE // max(h, w))
    tall, wide = h * zoom + EDGE, w * zoom + EDGE
    page = np.full((down * tall + EDGE, across * wide + EDGE, c), 128, np.uint8)
    for k, picture in enumerate(pictures.values):
        y, x = EDGE + k // across * tall, EDGE + k % across * wide
        large = picture.reshape(c, h, w).transpose(1, 2, 0).repeat(zoom, 0).repeat(zoom, 1)
        page[y : y + h * zoom, x : x + w * zoom] = large
    with aside(path) as part:
        Image.fromarray(page[:, :, 0] if c == 1 else page).save(part, "PNG")


def upright(values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Rows (n, C*H*W) as (n, H, W), or (n, H, W, 3) of colour."""
    found = np.asarray(values).reshape(-1, *shape)
    return found[:, 0] if shape[0] == 1 else found.transpose(0, 2, 3, 1)
