"""Sheets of pictures: real ones first, then what each line of the ranking table draws."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Pictures
from ..study.records import Row, Study
from .samples import read_sample

ACROSS, DOWN = 8, 4
EDGE = 1  # pixels between pictures


@dataclass(frozen=True)
class Sheet:
    """Pictures side by side as one PNG, and what they are."""

    name: str
    role: str
    uri: str
    count: int
    width: int


def sheet(values: np.ndarray, shape: tuple[int, ...], name: str, role: str) -> Sheet:
    """The first pictures (n, C*H*W), ACROSS in a line."""
    from PIL import Image

    c, h, w = shape
    some = values[: ACROSS * DOWN].reshape(-1, c, h, w).transpose(0, 2, 3, 1).astype(np.uint8)
    down = -(-len(some) // ACROSS)
    page = np.full((down * (h + EDGE) + EDGE, ACROSS * (w + EDGE) + EDGE, c), 128, np.uint8)
    for k, picture in enumerate(some):
        y, x = EDGE + k // ACROSS * (h + EDGE), EDGE + k % ACROSS * (w + EDGE)
        page[y : y + h, x : x + w] = picture
    file = io.BytesIO()
    Image.fromarray(page[:, :, 0] if c == 1 else page).save(file, "PNG", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return Sheet(name, role, uri, len(some), page.shape[1])


def sheets(study: Study, folder: Path) -> dict[str, Any]:
    """What the section on samples shows of pictures."""
    pictures = Pictures.load(folder / "data.safetensors")
    spread = np.linspace(0, len(pictures) - 1, ACROSS * DOWN).astype(int)
    found, absent = [sheet(pictures.values[spread], study.data.shape, "real pictures", "real")], []
    for row in study.ranked():
        one = read_sample(row, folder, pictures.values.shape[1])
        if one is None or not len(one.values):
            absent.append(one or Missing(row))
        else:
            found.append(sheet(one.values, study.data.shape, row.name, row.role))
    return {"kind": "pictures", "sheets": found, "absent": absent, "ceiling": True, "energies": []}


@dataclass(frozen=True)
class Missing:
    """A line of the table without pictures."""

    row: Row
    absent: str = "keeps no pictures"

    @property
    def name(self) -> str:
        """The objective or anchor."""
        return self.row.name
