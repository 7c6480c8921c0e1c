"""Alignments that need no training, and networks at their start: what a score of pairs must be read against."""

from collections.abc import Mapping

import numpy as np

from ...data.pairs import Captions, Side
from ...data.pictures import Pictures
from ...data.pixels import shrunk
from ...objectives import Aligner
from ..embed.simple import directed
from ..judge import Role

ROLES: dict[str, Role] = {
    "chance": "baseline",
    "canonical correlations": "baseline",
    "nearest training thing": "baseline",
    "untrained networks": "baseline",
}
SEEN = 4000  # training pairs that simple models learn from, at most
SIDE = 16  # of the pictures that they see
WORDS = 2000  # most frequent words that they know
DIRECTIONS = 64  # of each side, before correlations are sought
RIDGE = 0.1  # of the mean variance of a side's directions


def plain_side(side: Side, rows: np.ndarray, words: Mapping[str, int] | None = None) -> np.ndarray:
    """One side as numbers (m, d): levels of small pictures, which words a text has, vectors as they are."""
    if isinstance(side, Pictures):
        size = min(side.shape[1], SIDE), min(side.shape[2], SIDE)
        small = side.values[rows] if size == side.shape[1:] else shrunk(side.values[rows], side.shape, size)
        return np.asarray(small, dtype=np.float64) / 127.5 - 1
    if not isinstance(side, Captions):
        return np.asarray(side.values[rows], dtype=np.float64)
    assert words is not None
    found = np.zeros((len(rows), len(words)))
    for i, row in enumerate(rows):
        for word in set(split_words(side.texts[row])) & words.keys():
            found[i, words[word]] = 1.0
    return found


def known_words(side: Side, rows: np.ndarray) -> dict[str, int] | None:
    """The most frequent words of some texts, and their places."""
    if not isinstance(side, Captions):
        return None
    counts: dict[str, int] = {}
    for row in rows:
        for word in set(split_words(side.texts[row])):
            counts[word] = counts.get(word, 0) + 1
    most = sorted(counts, key=lambda word: (-counts[word], word))[:WORDS]
    return {word: i for i, word in enumerate(most)}


def split_words(text: str) -> list[str]:
    """Lower-cased, letters and digits only."""
    return "".join(c if c.isalnum() else " " for c in text.casefold()).split()


def directions(known: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(middle (d,), the first principal directions (d, k) of rows (n, d)), whitened with a ridge."""
    middle = known.mean(axis=0)
    _, s, axes = np.linalg.svd(known - middle, full_matrices=False)
    variance = np.square(s[:size]) / len(known)
    return middle, axes[:size].T / np.sqrt(variance + RIDGE * variance.mean() + 1e-12)


def canonical(known: tuple[np.ndarray, np.ndarray], asked: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Pairs in the directions in which both sides of known pairs correlate most (Hotelling, 1936)."""
    codes = [directions(side, DIRECTIONS) for side in known]
    a, b = ((side - middle) @ axes for side, (middle, axes) in zip(known, codes, strict=True))
    u, s, v = np.linalg.svd(a.T @ b / len(a), full_matrices=False)
    ways = (u * s, v.T * s)
    return [
        directed((side - middle) @ axes @ way)
        for side, (middle, axes), way in zip(asked, codes, ways, strict=True)
    ]  # fmt: skip


def nearest(known: tuple[np.ndarray, np.ndarray], asked: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Each first thing as the second thing of the nearest known pair; second things as they are."""
    squares = np.square(known[0]).sum(axis=1) - 2 * asked[0] @ known[0].T
    middle = known[1].mean(axis=0)
    return [directed(known[1][squares.argmin(axis=1)] - middle), directed(asked[1] - middle)]


def plain(
    seed: int, known: tuple[np.ndarray, np.ndarray], asked: tuple[np.ndarray, np.ndarray]
) -> list[tuple[str, list[np.ndarray]]]:
    """(name, embeddings of both sides of the pairs asked for) of the first three."""
    generator = np.random.Generator(np.random.PCG64(seed))
    chance = [generator.standard_normal((len(side), Aligner.size)) for side in asked]
    names = list(ROLES)
    return list(zip(names, [chance, canonical(known, asked), nearest(known, asked)], strict=False))
