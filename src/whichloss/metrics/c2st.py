"""Can a classifier tell samples from real rows? For explanation; other statistics have more power."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from torch import Tensor

from .rows import checked

TREES, MOST = 30, 1000


@dataclass(frozen=True)
class TwoSample:
    """Accuracy on rows the classifier did not see (0.5: cannot tell), with its 95 % Wilson interval."""

    accuracy: float
    low: float
    high: float


def c2st_accuracy(x: Tensor, y: Tensor, seed: int) -> TwoSample:
    """Two-fold cross-validated accuracy of gradient-boosted trees, at most 1,000 rows from each side."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = checked(x, y, fewest=4)
    generator = np.random.Generator(np.random.PCG64(seed))
    n = min(len(x), len(y), MOST)
    rows = np.concatenate([x.numpy()[generator.permutation(len(x))[:n]], y.numpy()[generator.permutation(len(y))[:n]]])
    label, fold = np.repeat([0, 1], n), np.tile(np.arange(n) % 2, 2)
    right = 0
    for k in (0, 1):
        model = HistGradientBoostingClassifier(
            max_iter=TREES, early_stopping=False, random_state=0, min_samples_leaf=max(2, min(20, n // 10))
        )
        model.fit(rows[fold != k], label[fold != k])
        right += int((model.predict(rows[fold == k]) == label[fold == k]).sum())
    p, z2, total = right / (2 * n), float(ndtri(0.975)) ** 2, 2 * n
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = np.sqrt(z2 * (p * (1 - p) / total + z2 / (4 * total**2))) / (1 + z2 / total)
    return TwoSample(p, float(centre - half), float(centre + half))
