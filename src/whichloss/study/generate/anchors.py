"""The rows every table also shows: simple models (baseline), fresh real rows (ceiling), training rows again (cheat)."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data import Encoder, Schema, evenly
from ...rng import key
from ..judge import Anchor, Role

ROLES: dict[str, Role] = {
    "independent marginals": "baseline",
    "Gaussian": "baseline",
    "Gaussian mixture": "baseline",
    "fresh real rows": "ceiling",
    "copies of training rows": "cheat",
}
COMPONENTS = (1, 2, 4, 8, 16)  # tried for the mixture, chosen by BIC on training rows
DRAWN = 1 << 22  # numbers drawn at once
FIT = 5000  # training rows a mixture is fitted on, at most
Likely = Callable[[Encoder, Callable[[Tensor], Tensor]], float | None]


def anchors(schema: Schema, train: np.ndarray, fresh: np.ndarray, seed: int, likely: Likely) -> Iterator[Anchor]:
    """Every anchor as rows of the table, as many as the fresh real rows."""
    n = len(fresh)
    generator = np.random.Generator(np.random.PCG64(key("anchors", seed)))
    yield Anchor("independent marginals", marginals(train, n, generator))
    encoder = Encoder.fit(schema, train)
    x = encoder.encode(evenly(train, FIT)).astype(np.float64)
    x += encoder.jitter * (generator.random(x.shape) - 0.5)
    for name, components in (("Gaussian", (1,)), ("Gaussian mixture", COMPONENTS)):
        model = mixture(x, components, seed)
        drawn = model.sample(n)[0][generator.permutation(n)]

        def log_p(rows: Tensor, model: Any = model) -> Tensor:
            return torch.from_numpy(model.score_samples(rows.numpy().astype(np.float64)))

        yield Anchor(name, encoder.decode(drawn.astype(np.float32)), likely(encoder, log_p))
    yield Anchor("fresh real rows", fresh)
    yield Anchor("copies of training rows", train[generator.integers(0, len(train), n)])


def marginals(train: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Every column drawn from the training rows on its own: right margins, no dependence."""
    out = np.empty((n, train.shape[1]), train.dtype)
    for part in np.array_split(out, 1 + out.size // DRAWN):  # a draw takes 8 bytes a number, even of pictures
        part[:] = np.take_along_axis(train, generator.integers(0, len(train), part.shape), axis=0)
    return out


def mixture(x: np.ndarray, components: tuple[int, ...], seed: int) -> Any:
    """The Gaussian mixture of least BIC; full covariances, a small ridge for discrete columns."""
    from sklearn.mixture import GaussianMixture

    fitted = [
        GaussianMixture(k, reg_covar=1e-4, random_state=seed, max_iter=200).fit(x)
        for k in components
        if k == 1 or k * (x.shape[1] + 1) < len(x) / 2
    ]
    return min(fitted, key=lambda model: model.bic(x))
