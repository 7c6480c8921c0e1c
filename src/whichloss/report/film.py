"""What each model of pictures shows of itself: progress, nearest training pictures, ways between, what it rebuilds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Pictures
from ..errors import StudyError
from ..metrics.copies import COPYING
from ..study.generate.pictures import SHARE
from ..study.generate.strips import STEPS
from ..study.records import Row, Study
from ..study.store import unpack
from .grids import page
from .words import figures, fixed, percent


@dataclass(frozen=True)
class Strip:
    """Lines of pictures as one PNG: what stands over the columns, beside the lines and below the columns."""

    title: str
    says: str
    uri: str
    width: int  # of the PNG, in pixels
    over: Sequence[str] = ()
    beside: Sequence[str] = ()
    below: Sequence[str] = ()


@dataclass(frozen=True)
class Reel:
    """All strips of one line of the ranking table."""

    row: Row
    copying: str
    strips: tuple[Strip, ...]
    open: bool


def strip(lines: Sequence[Sequence[np.ndarray | None]], shape: tuple[int, ...], title: str, says: str,
          **captions: Sequence[str]) -> Strip:  # fmt: skip
    """Lines of pictures (C*H*W,), none where a place stays empty."""
    uri, width = page(lines, shape)
    return Strip(title, says, uri, width, **captions)


def reels(study: Study, folder: Path, pictures: Pictures) -> list[Reel]:
    """Every line of the table that keeps something to show: the recommended one open."""
    real = next((row for row in study.rows if row.role == "ceiling"), None)
    found = []
    for row in study.ranked():
        record, arrays = kept(row, folder)
        shown = tuple(made for made in (
            progress(record, arrays, study.data.shape), neighbours(arrays, pictures),
            ways(arrays, study.data.shape), rebuilt(arrays, study.data.shape),
        ) if made)  # fmt: skip
        if shown:
            found.append(Reel(row, copying(row, real), shown, row.name == study.answer.recommended))
    return found


def kept(row: Row, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record and the arrays of the run that a line shows; nothing where its file is missing or damaged."""
    file, _, array = row.sample.partition("#")
    try:
        record, arrays = unpack(folder / "runs" / f"{file}.safetensors")
    except StudyError:
        return {}, {}
    if not array:
        return record, arrays
    own = "/" + array.partition("/")[2]
    return {}, {name.removesuffix(own): value for name, value in arrays.items() if name.endswith(own)}


def progress(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Strip | None:
    """The film: lines are noises, columns shares of the compute."""
    if "film" not in arrays:
        return None
    frames = arrays["film"]
    says = "A line keeps its noise; a column is a look after that share of the compute, in few sampling steps."
    over = [percent(share) for share in record["film"]]
    return strip([list(line) for line in frames.swapaxes(0, 1)], shape, "Progress over the compute", says, over=over)


def neighbours(arrays: Mapping[str, np.ndarray], pictures: Pictures) -> Strip | None:
    """Under each sample its nearest training pictures, and how near the nearest is."""
    if "near" not in arrays:
        return None
    near, pixels = arrays["near"], arrays["near in pixels"]
    values = pictures.values
    lines: list[list[np.ndarray | None]] = [
        list(arrays["samples"][: len(near)]),
        list(values[near]),
        [None if a == b else values[b] for a, b in zip(near, pixels, strict=True)],
    ]
    beside = ["sample", "nearest in features", "nearest in pixels"]
    if not any(x is not None for x in lines[2]):
        lines, beside = lines[:2], [beside[0], "nearest in features and pixels"]
    says = (
        "Training pictures nearest to the first samples; an empty place means that both are the same. Below: the "
        "distance in features, 1 being the usual one of a real picture that was held out. Near 0 is a copy."
    )
    below = [fixed(float(d), 2) for d in arrays["distance"]]
    return strip(lines, pictures.shape, "Nearest training pictures", says, beside=beside, below=below)


def ways(arrays: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Strip | None:
    """From one picture to another."""
    whence = {"between": "noises", "between codes": "codes of real pictures"}
    name = next((name for name in whence if name in arrays), None)
    if name is None:
        return None
    lines = [list(line) for line in arrays[name].reshape(-1, STEPS, arrays[name].shape[1])]
    says = f"Along the arc between two {whence[name]}: a law that was learnt changes smoothly, copies change in jumps."
    return strip(lines, shape, "From one picture to another", says)


def rebuilt(arrays: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Strip | None:
    """Pictures and what an autoencoder makes of them."""
    names = [name for name in ("real", "real rebuilt", "drawn", "drawn rebuilt") if name in arrays]
    if not names:
        return None
    says = "Its energy is the difference: small for real pictures that it never saw, large for what is no picture."
    return strip([list(arrays[name]) for name in names], shape, "Rebuilt by its autoencoder", says, beside=names)


def copying(row: Row, real: Row | None) -> str:
    """The copy test in words, beside its value for real pictures."""
    p = row.metrics.get("copy test p")
    if p is None:
        return ""
    held = f" (fresh real pictures: {figures(real.metrics['copy test p'][0])})" if real and real is not row else ""
    said = "may be copying" if p[0] < COPYING else "no sign of copying"
    share = row.metrics.get("copied share", (0.0, 0.0))[0]
    exact = f", {percent(share)} are training pictures" if share else ""
    return f"Copy test: p = {figures(p[0])}{held}: {said}{exact}."


@dataclass(frozen=True)
class Classes:
    """The share of each class in the samples of every line, beside real pictures counted the same way."""

    told_right: float
    heads: tuple[Row, ...]
    lines: tuple[tuple[str, float, tuple[float | None, ...]], ...]  # class, its share by labels, by line
    apart: tuple[float | None, ...]  # total variation


def classes(study: Study, pictures: Pictures) -> Classes | None:
    """The table of classes; none where nothing was counted."""
    rows = [row for row in study.ranked() if "classes told right" in row.metrics]
    if pictures.labels is None or not rows:
        return None
    rows.sort(key=lambda row: row.role != "ceiling")  # real pictures first
    labelled = np.bincount(pictures.labels, minlength=len(pictures.classes)) / len(pictures)

    def each(name: str) -> tuple[float | None, ...]:
        return tuple(row.metrics[name][0] if name in row.metrics else None for row in rows)

    lines = [(name, float(labelled[k]), each(f"{SHARE}{name}")) for k, name in enumerate(pictures.classes)]
    told_right = rows[0].metrics["classes told right"][0]
    return Classes(told_right, tuple(rows), tuple(lines), each("class share difference"))
