"""Sheets of pictures: real ones first, then what each line of the ranking table draws."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Pictures
from ..study.records import Study
from .samples import Sample, read_sample

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
    some = list(values[: ACROSS * DOWN])
    lines = [some[k : k + ACROSS] for k in range(0, len(some), ACROSS)]
    uri, width = page([lines[0] + [None] * (ACROSS - len(lines[0])), *lines[1:]], shape)
    return Sheet(name, role, uri, len(some), width)


def page(lines: Sequence[Sequence[np.ndarray | None]], shape: tuple[int, ...]) -> tuple[str, int]:
    """Lines of pictures (C*H*W,) as a PNG in a data address, and its width; grey where there is none."""
    from PIL import Image

    c, h, w = shape
    sheet = np.full((len(lines) * (h + EDGE) + EDGE, max(map(len, lines)) * (w + EDGE) + EDGE, c), 128, np.uint8)
    for i, line in enumerate(lines):
        for j, picture in enumerate(line):
            if picture is not None:
                y, x = EDGE + i * (h + EDGE), EDGE + j * (w + EDGE)
                sheet[y : y + h, x : x + w] = picture.astype(np.uint8).reshape(c, h, w).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(sheet[:, :, 0] if c == 1 else sheet).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode(), sheet.shape[1]


def sheets(study: Study, folder: Path) -> dict[str, Any]:
    """What the section on samples shows of pictures."""
    from . import film, given

    pictures = Pictures.load(folder / "data.safetensors")
    spread = np.linspace(0, len(pictures) - 1, ACROSS * DOWN).astype(int)
    found, absent = [sheet(pictures.values[spread], study.data.shape, "real pictures", "real")], []
    if study.data.given and pictures.labels is not None:
        found = [given.by_class(pictures.values, pictures.labels, study.data.shape, None, study.data.classes)]
    for row in study.ranked():
        one = read_sample(row, folder, pictures.values.shape[1])
        if one is None or not len(one.values):
            absent.append(one or Sample(row, np.empty((0, 0)), "keeps no pictures"))
        elif one.given is not None:
            found.append(given.by_class(one.values, one.given, study.data.shape, row, study.data.classes))
        else:
            found.append(sheet(one.values, study.data.shape, row.name, row.role))

    return {
        "kind": "pictures",
        "sheets": found,
        "absent": absent,
        "ceiling": True,
        "energies": [],
        "reels": film.reels(study, folder, pictures),
        "classes": film.classes(study, pictures),
    }
