"""Which pictures are another one saved again: written anew by a lossy format, or off by a few levels.

What saving does is spread over a picture and small in the means of its cells, brightness above all; what tells two
drawings apart is a colour or a detail, which stands out of these. Near ones are looked for in the few directions in
which pictures differ most, where none lies farther apart than it is.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from whichloss.data.pictures import Pictures
from whichloss.data.pixels import blocks_of
from whichloss.data.split import evenly

LIGHT, TINTED = 16, 8  # cells a side in which brightness is compared, and colour, which is saved more coarsely
OFF, MOST = 5.0, 16.0  # levels: root mean square over the cells, and of any of them
PEAK, SLIGHT = 6.0, 3.0  # times the root mean square: more is a detail, unless it is no more than so many levels
TINT, MOST_TINT = 9.0, 40.0  # the same of colour
SHARE = 0.15  # of a picture's own contrast
WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue in brightness
KNOWN, DIRECTIONS, NEAREST = 4000, 8, 16  # pictures that tell the directions; how many; neighbours looked at
PAIRS = 1 << 14  # compared at once


def again(pictures: Pictures, equal: np.ndarray, *more: Pictures) -> np.ndarray:
    """int64 (n,) from 0: equal where `equal` (n,) is, and where one picture is another one saved again. `more` of the
    same size follow the first."""
    blocks = (block for one in (pictures, *more) for block in blocks_of(one.values))
    cells = np.concatenate([_cells(block.reshape(-1, *pictures.shape)) for block in blocks])
    first, place = np.unique(equal, return_index=True, return_inverse=True)[1:]
    pairs = _candidates(cells[first])
    found = [same(cells[first[part[:, 0]]], cells[first[part[:, 1]]]) for part in _parts(pairs)]
    links = pairs[np.concatenate(found)] if found else pairs
    graph = coo_array((np.ones(len(links)), links.T), shape=(len(first), len(first)))
    return np.asarray(connected_components(graph, directed=False)[1][place].astype(np.int64))


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(p,) of the cells (p, C, h, w) of pairs of pictures: is one the other saved again?"""
    a, b = a.astype(np.float32), b.astype(np.float32)
    light, size = _light(a - b), (-1, -2)
    off, most = np.sqrt(np.square(light).mean(axis=size)), np.abs(light).max(axis=size)
    tint = _means(a - b - light[:, None], TINTED)
    colour, most_colour = np.sqrt(np.square(tint).mean(axis=(1, *size))), np.abs(tint).max(axis=(1, *size))
    contrast = np.minimum(_light(a).std(axis=size), _light(b).std(axis=size))
    alike = (off <= OFF) & (off <= SHARE * contrast) & (most <= MOST) & (most <= np.maximum(SLIGHT, PEAK * off))
    return np.asarray(alike & (colour <= TINT) & (most_colour <= MOST_TINT))


def _parts(pairs: np.ndarray) -> list[np.ndarray]:
    return [pairs[start : start + PAIRS] for start in range(0, len(pairs), PAIRS)]


def _cells(pictures: np.ndarray) -> np.ndarray:
    """The means (n, C, h, w) of cells of pictures (n, C, H, W), to the nearest level."""
    return np.asarray(np.rint(_means(pictures.astype(np.float32), LIGHT)).astype(np.uint8))


def _light(cells: np.ndarray) -> np.ndarray:
    """(n, C, h, w) -> (n, h, w): brightness, of grey pictures their levels."""
    return np.asarray(cells[:, 0] if cells.shape[1] == 1 else np.tensordot(cells, WEIGHTS, (1, 0)))


def _means(x: np.ndarray, cells: int) -> np.ndarray:
    """(n, C, H, W) -> (n, C, h, w), at most so many cells a side, each the mean of what it covers."""
    down, across = (_shares(side, min(cells, side)) for side in x.shape[2:])
    return np.asarray(down @ (x.reshape(-1, x.shape[3]) @ across.T).reshape(*x.shape[:3], -1))


def _shares(side: int, cells: int) -> np.ndarray:
    """(cells, side): the share of each pixel in the mean of each cell; a pixel may lie in two."""
    ends, pixels = np.linspace(0, side, cells + 1)[:, None], np.arange(side)
    covered = np.minimum(ends[1:], pixels + 1) - np.maximum(ends[:-1], pixels)
    return np.asarray((covered.clip(0) * cells / side).astype(np.float32))


def _candidates(cells: np.ndarray) -> np.ndarray:
    """int64 (p, 2): pairs that are near in brightness, as far as few directions tell."""
    light = _light(cells[evenly(np.arange(len(cells)), KNOWN)].astype(np.float32)).reshape(-1, cells[0, 0].size)
    axes = np.linalg.eigh(np.cov(light.T))[1][:, -DIRECTIONS:].astype(np.float32)
    parts = [_light(part.astype(np.float32)).reshape(len(part), -1) @ axes for part in blocks_of(cells)]
    where = np.concatenate(parts)
    near = min(NEAREST, len(where) - 1) + 1
    place = cKDTree(where).query(where, near, distance_upper_bound=OFF * len(axes) ** 0.5)[1].reshape(len(where), -1)
    one, other = np.repeat(np.arange(len(where)), near), place.reshape(-1)
    return np.unique(np.stack([one, other], axis=1)[(one < other) & (other < len(where))], axis=0)
