"""Does a model copy its training rows? Two questions, and only two yeses make an alarm.

1. Are samples s nearer to the training rows than held-out test rows t are? Mann-Whitney of d(s, train) against
   d(t, train), ties sharing ranks (Meehan et al., 2020). A smooth model says no even if it is centred on training rows,
   but a narrow one that never saw them says yes, since near the mode all rows are close.
2. Is a sample's nearest row more often a training row than chance has it? Of N rows, m of them for training, let c_r be
   the number of samples whose nearest row is r (ties share). Shuffling the labels leaves the c_r alone, so T = sum of
   c_r over training rows has mean n m / N and variance m (N - m) / (N (N - 1)) (sum c_r^2 - n^2 / N). A narrow model
   says no.

A row may come in several versions, as a picture and its mirror image: the nearest version counts, of samples and of
held-out rows alike, so that both tests hold as they are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import ndtr
from scipy.stats import rankdata
from torch import Tensor

from ..errors import UserError
from .rows import TILE, check, squares, tiles

SAME = 1e-6  # of the spread of the rows: nearer than this is the same row
MOST_TEST = 2000
COPYING = 0.01  # p of the copy test below which it looks as if training rows were copied


@dataclass(frozen=True)
class CopyTest:
    """p, z: of the weaker of two one-sided tests; share: samples equal to a training row and to no test row."""

    p: float
    z: float
    share: float


@torch.no_grad()
def copy_test(samples: Tensor, train: Tensor, test: Tensor) -> CopyTest:
    """One-sided test that samples (n, d) copy rows of train (m, d), against held-out rows of the same law (l, d).

    samples and test may come in v versions each, (n, v, d) and (l, v, d); the first is the row as it is.
    Null: the samples are no nearer to the training rows than fresh rows of the same law are, or the model knows nothing
    that tells training from test rows. p is the larger of both tests' p, so it is valid under either: P(p <= a) <= a,
    and less where both hold, as they do for fresh rows. Raises UserError for empty or non-finite sets.
    """
    versions, of_test = (x.shape[1] if x.ndim == 3 else 1 for x in (samples, test))
    if versions != of_test:
        raise UserError(f"samples come in {versions} versions and test in {of_test}; they must agree.")
    for name, x in (("samples", samples), ("test", test)):
        check(x.flatten(0, -2), train, 1, (name, "train"))
    samples, test = (x.view(len(x), versions, -1) for x in (samples, test))
    space = _Space.of(train)
    same = SAME**2 * space.spread
    some = test[torch.from_numpy(np.linspace(0, len(test) - 1, min(len(test), MOST_TEST)).astype(np.int64))]
    to_train, to_test = space.nearest(samples, train), space.nearest(samples, test[:, 0])
    copied = (to_train <= same) & (to_test > same)
    often = _more_often(space.counts(samples, train, test[:, 0], torch.minimum(to_train, to_test)), len(train))
    z = min(_nearer(to_train, space.nearest(some, train), same), often)
    return CopyTest(float(ndtr(-z)), z, float(copied.double().mean()))


@dataclass(frozen=True, eq=False)
class _Space:
    """Where rows (m, d) are compared: about their middle, in float64 a tile at a time, since all rows of many pictures
    at once would take gigabytes."""

    middle: Tensor
    spread: float = 0.0

    @classmethod
    def of(cls, rows: Tensor) -> "_Space":
        parts = rows.split(TILE)
        space = cls(sum((x.double().sum(0) for x in parts), torch.tensor(0.0)) / len(rows))
        return replace(space, spread=sum(float(space.at(x).square().sum()) for x in parts) / len(rows))

    def at(self, rows: Tensor) -> Tensor:
        return rows.double() - self.middle

    def tiles(self, samples: Tensor, rows: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
        """Of samples (n, v, d) and rows (m, d) a tile of squared distances, with the nearest version of a sample."""
        versions = samples.shape[1]
        for r, c in tiles(len(samples), len(rows), versions):
            x, y = self.at(samples[r].flatten(0, 1)), self.at(rows[c])
            yield r, c, squares(x, y).view(-1, versions, len(y)).amin(1)

    def nearest(self, samples: Tensor, rows: Tensor) -> Tensor:
        """Squared distance of every sample to its nearest row, (n,)."""
        found = torch.full((len(samples),), torch.inf, dtype=torch.float64)
        for r, _, square in self.tiles(samples, rows):
            found[r] = torch.minimum(found[r], square.amin(1))
        return found

    def counts(self, samples: Tensor, train: Tensor, test: Tensor, reach: Tensor) -> Tensor:
        """How many samples have each row of train, then test, as their nearest; rows equally near share a sample."""
        found = torch.zeros(len(train) + len(test), dtype=torch.float64)
        limit = (reach + 1e-12 * (self.spread + reach))[:, None]
        step = max(1, TILE // samples.shape[1])
        for part, within in zip(samples.split(step), limit.split(step), strict=True):
            hits = torch.zeros(len(part), len(found), dtype=torch.bool)
            for rows, here in ((train, hits[:, : len(train)]), (test, hits[:, len(train) :])):
                for r, c, square in self.tiles(part, rows):
                    here[r, c] = square <= within[r]
            share = 1 / hits.count_nonzero(1).double()  # a sum would copy them, eight bytes each
            for j in range(0, len(found), TILE):
                found[j : j + TILE] += share @ hits[:, j : j + TILE].double()
        return found


def _nearer(samples: Tensor, fresh: Tensor, same: float) -> float:
    """z of the Mann-Whitney test that samples' distances are smaller than those of fresh rows."""
    n, l = len(samples), len(fresh)
    distances = torch.cat([samples, fresh])
    rank = rankdata(torch.where(distances <= same, 0.0, distances).numpy())
    variance = n * l / (n + l) / (n + l - 1) * float(((rank - rank.mean()) ** 2).sum())
    if variance < 1e-9 * n * l:  # all equal
        return 0.0
    return (n * (n + l + 1) / 2 - float(rank[:n].sum())) / math.sqrt(variance)


def _more_often(counts: Tensor, train: int) -> float:
    """z of the test that the nearest row is a training row, one of the first, more often than by chance."""
    n, rows = float(counts.sum()), len(counts)
    variance = train * (rows - train) / (rows * (rows - 1)) * (float((counts**2).sum()) - n * n / rows)
    if variance < 1e-9 * n:  # every row is as near as every other: nothing to tell
        return 0.0
    return (float(counts[:train].sum()) - n * train / rows) / math.sqrt(variance)
