"""The rows every table of classifiers also shows: what simple models predict."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...rng import key
from ..judge import Role

ROLES: dict[str, Role] = {
    "majority class": "baseline",
    "logistic regression": "baseline",
    "boosted trees": "baseline",
    "nearest neighbours": "baseline",
}
# what a model may learn from, so that each takes seconds: rows x columns (x classes; x rows asked for: neighbours)
CELLS = {"logistic regression": 1.6e8, "boosted trees": 4e7, "nearest neighbours": 5e10}
LEAST, MOST_NEIGHBOURS = 2000, 20_000  # rows, whatever the cells
TREES, SPLIT = 100, 2e5  # rounds of boosting; columns x classes x rounds
NEIGHBOURS = 15
FEWEST, MOST = 1e-6, 1 - 1e-6  # a simple model's probabilities: one certain mistake is no infinite loss


def anchors(
    x: np.ndarray, y: np.ndarray, classes: int, asked: Sequence[np.ndarray], seed: int
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(name, logits (m, K) for each array of rows asked for), fitted on x (n, d) and y (n,) or (n, K)."""
    for name in ROLES:
        yield name, logits(name, x, y, classes, asked, seed)


def logits(
    name: str, x: np.ndarray, y: np.ndarray, classes: int, asked: Sequence[np.ndarray], seed: int
) -> list[np.ndarray]:
    """Logits (m, K) of one model for each array of rows asked for; a model per label where rows have several."""
    if y.ndim == 1:
        p = probabilities(name, x, y, classes, asked, seed)
        return [np.log(np.clip(v, FEWEST, 1)) for v in p]
    each = [probabilities(name, x, y[:, c].astype(np.int64), 2, asked, seed) for c in range(classes)]
    p = [np.clip(np.stack([one[i][:, 1] for one in each], axis=1), FEWEST, MOST) for i in range(len(asked))]
    return [np.log(v / (1 - v)) for v in p]


def probabilities(
    name: str, x: np.ndarray, y: np.ndarray, classes: int, asked: Sequence[np.ndarray], seed: int
) -> list[np.ndarray]:
    """(m, K) of every array of rows asked for; classes that no training row has get 0."""
    share = np.bincount(y, minlength=classes) / len(y)
    if name == "majority class" or share.max() == 1:
        return [np.tile(share, (len(rows), 1)) for rows in asked]
    most = affordable(name, x.shape[1], classes, sum(map(len, asked)))
    if len(y) > most:
        generator = np.random.Generator(np.random.PCG64(key("anchors", seed)))
        kept = np.sort(generator.permutation(len(y))[:most])
        return probabilities(name, x[kept], y[kept], classes, asked, seed)
    from sklearn.exceptions import ConvergenceWarning

    model = made(name, x.shape[0], x.shape[1], len(np.unique(y)), seed)
    with warnings.catch_warnings():  # a baseline that has not quite converged is one still
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
    out = []
    for rows in asked:
        p = np.zeros((len(rows), classes))
        p[:, model.classes_] = model.predict_proba(rows)
        if name == "nearest neighbours":  # none of a class among 15 is no certainty: one more, drawn from all rows
            p = (model.n_neighbors * p + share) / (model.n_neighbors + 1)
        out.append(p)
    return out


def affordable(name: str, columns: int, classes: int, asked: int) -> int:
    """How many rows a model learns from, at most: drawn at random from all."""
    if name == "nearest neighbours":
        return min(MOST_NEIGHBOURS, max(LEAST, int(CELLS[name] / (columns * asked))))
    return max(LEAST, int(CELLS[name] / (columns * classes)))


def made(name: str, rows: int, columns: int, classes: int, seed: int) -> Any:
    """The scikit-learn model of a name."""
    if name == "logistic regression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=500, tol=1e-3)
    if name == "boosted trees":
        from sklearn.ensemble import HistGradientBoostingClassifier

        rounds = int(np.clip(SPLIT / (columns * classes), TREES / 4, TREES))
        pace = 0.1 * (TREES / rounds) ** 0.5  # fewer rounds, larger steps
        return HistGradientBoostingClassifier(
            max_iter=rounds, learning_rate=pace, random_state=seed, early_stopping=rows >= 1000
        )
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(min(NEIGHBOURS, rows))
