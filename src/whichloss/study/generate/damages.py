"""Pictures with a planted harm, as points of the features they are compared in.

Noise and blur are seen anew at every strength; what only exchanges pictures for others is put together from features
that are known already.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...data import evenly
from ...data.pixels import FLOATED, blocks_of, taken
from ...engines import trim
from ...metrics.copies import COPYING
from ...rng import key
from .anchors import marginals

if TYPE_CHECKING:
    from .pictures import PictureJudge

GRAIN = (2.0, 4.0, 8.0, 16.0, 32.0)  # standard deviations of noise, in levels of 255
BLUR = (0.25, 0.35, 0.5, 0.7, 1.0)  # standard deviations of a Gaussian, in pixels
SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)
HOLE = (0.05, 0.1, 0.2, 0.4)  # shares of the pictures missing round one picture
KIND = 0.1  # of the pictures, where they have no labels: those around one are of its kind
COUNT = 1000  # pictures in the copy test
AMONG = 10_000  # pictures among which those of one kind are sought


def planted(judge: "PictureJudge", numbers: np.ndarray, draw: int) -> Iterator[tuple[str, float, Tensor, np.ndarray]]:
    """(kind, size, points (n, k), places (n,)): these real pictures with every harm, gentle ones first; what is shown
    in a picture's place came from that place, unless it was exchanged for another kind."""
    rows, points = taken(judge.table.values, numbers), judge.at(numbers)
    generator = np.random.Generator(np.random.PCG64(key("damage", draw)))
    order, places = generator.random(len(rows)), np.arange(len(rows))
    for level in GRAIN:
        same = np.random.Generator(np.random.PCG64(key("grain", draw)))  # noise at every level
        yield "grain", level, seen(judge, (grainy(block, level, same) for block in blocks_of(rows, FLOATED))), places
    for width in BLUR:
        blocks = (blurred(block, judge.table.shape, width) for block in blocks_of(rows, FLOATED))
        yield "blur", width, seen(judge, blocks), places
    others = {
        "pixels": judge.place(marginals(rows, len(rows), generator)),
        "one kind": judge.at(alike(judge, len(rows), generator)),
    }
    for kind, instead in others.items():
        for share in SHARES:
            yield kind, share, torch.where(torch.from_numpy(order < share)[:, None], instead, points), places
    near = (points - points[generator.integers(len(points))]).square().sum(1).argsort(stable=True).numpy()
    for share in HOLE:
        left = generator.choice(near[int(share * len(near)) :], len(near))
        yield "hole", share, points[left], left


def alike(judge: "PictureJudge", count: int, generator: np.random.Generator) -> np.ndarray:
    """The numbers of so many real pictures of one class, or of the tenth of them that lie around one."""
    labels, rest = judge.table.labels, evenly(judge.rest, AMONG)
    centre = generator.choice(rest)
    if labels is not None and judge.labelled:
        same = rest[labels[rest] == labels[centre]]
    else:
        apart = (judge.at(rest) - judge.at(np.array([centre]))).square().sum(1).argsort(stable=True).numpy()
        same = rest[apart[: max(1, int(KIND * len(rest)))]]
    return generator.choice(same, count)


def copies(judge: "PictureJudge") -> Iterator[tuple[float, float, bool]]:
    """(share, z, seen): validation pictures, that share of them exchanged for training pictures, in the copy test."""
    parts, generator = judge.split(1), np.random.Generator(np.random.PCG64(key("copies")))
    count = min(judge.size(1), COUNT)
    chosen = generator.permutation(parts.validation)[:count], generator.choice(parts.train, count)
    fresh, known = (judge.versions(taken(judge.table.values, numbers)) for numbers in chosen)
    for share in SHARES:
        many = round(share * count)
        found = judge.copying(torch.cat([known[:many], fresh[many:]]), 1)
        yield share, found.z, found.p < COPYING


def seen(judge: "PictureJudge", blocks: Iterable[np.ndarray]) -> Tensor:
    """Features (n, k) of pictures in blocks: harm is done in floats, which take four times the memory or more."""
    found = torch.cat([judge.place(block) for block in blocks])
    trim()
    return found


def grainy(rows: np.ndarray, level: float, generator: np.random.Generator) -> np.ndarray:
    """Pictures (n, C*H*W) with normal noise of that standard deviation on every pixel."""
    return whole(rows + level * generator.standard_normal(rows.shape, np.float32))


def blurred(rows: np.ndarray, shape: tuple[int, int, int], width: float) -> np.ndarray:
    """Pictures (n, C*H*W) after a Gaussian of that standard deviation in pixels; edges are mirrored."""
    from scipy.ndimage import gaussian_filter

    x = np.asarray(rows, np.float32).reshape(-1, *shape)
    return whole(gaussian_filter(x, (0, 0, width, width))).reshape(len(rows), -1)


def whole(rows: np.ndarray) -> np.ndarray:
    """To the nearest of the 256 levels."""
    return np.asarray(np.rint(rows).clip(0, 255).astype(np.uint8))
