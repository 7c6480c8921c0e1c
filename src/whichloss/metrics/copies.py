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
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr
from scipy.stats import rankdata
from torch import Tensor

from ..errors import UserError
from .rows import TILE, checked, nearest, squares

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
    samples, test = (x.flatten(0, 1) if x.ndim == 3 else x for x in (samples, test))
    samples, train = checked(samples, train, 1, ("samples", "train"))
    _, test = checked(samples, test, 1, ("samples", "test"))
    middle = train.mean(0)
    samples, train, test = samples - middle, train - middle, test - middle
    same = SAME**2 * float((train * train).sum(1).mean())
    as_is = test[::versions]
    some = _evenly(test.view(len(as_is), -1), min(len(as_is), MOST_TEST)).view(-1, train.shape[1])
    to_train, held_out = (nearest(x, train).view(-1, versions).amin(1) for x in (samples, some))
    copied = (to_train <= same) & (nearest(samples, as_is).view(-1, versions).amin(1) > same)
    z = min(_nearer(to_train, held_out, same), _more_often(samples, train, as_is, versions))
    return CopyTest(float(ndtr(-z)), z, float(copied.double().mean()))


def _nearer(samples: Tensor, fresh: Tensor, same: float) -> float:
    """z of the Mann-Whitney test that samples' distances are smaller than those of fresh rows."""
    n, l = len(samples), len(fresh)
    distances = torch.cat([samples, fresh])
    rank = rankdata(torch.where(distances <= same, 0.0, distances).numpy())
    variance = n * l / (n + l) / (n + l - 1) * float(((rank - rank.mean()) ** 2).sum())
    if variance < 1e-9 * n * l:  # all equal
        return 0.0
    return (n * (n + l + 1) / 2 - float(rank[:n].sum())) / math.sqrt(variance)


def _more_often(samples: Tensor, train: Tensor, test: Tensor, versions: int = 1) -> float:
    """z of the test that the nearest row is a training row more often than by chance."""
    n, m, pool = len(samples) // versions, len(train), torch.cat([train, test])
    rows = len(pool)
    spread = float((pool * pool).sum(1).mean())
    counts = torch.zeros(rows, dtype=torch.float64)
    step = versions * max(1, TILE**2 // rows // versions)  # as many distances at once as in a tile
    for r in (slice(i, i + step) for i in range(0, len(samples), step)):
        square = squares(samples[r], pool).view(-1, versions, rows).amin(1)
        reach = square.min(1, keepdim=True).values
        sample, row = (square <= reach + 1e-12 * (spread + reach)).nonzero(as_tuple=True)
        counts.index_add_(0, row, 1 / sample.bincount()[sample].double())
    variance = m * (rows - m) / (rows * (rows - 1)) * (float((counts**2).sum()) - n * n / rows)
    if variance < 1e-9 * n:  # every row is as near as every other: nothing to tell
        return 0.0
    return (float(counts[:m].sum()) - n * m / rows) / math.sqrt(variance)


def _evenly(rows: Tensor, count: int) -> Tensor:
    return rows[torch.from_numpy(np.linspace(0, len(rows) - 1, count).astype(np.int64))]
