"""The rows every table also shows: simple models (baseline), fresh real rows (ceiling), training rows again (cheat)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from ..data import Encoder
from ..rng import key
from .judge import Judge, Which
from .store import Store
from .work import KEPT, judge_of, log_likelihood

Role = Literal["baseline", "ceiling", "cheat"]
ROLES: dict[str, Role] = {
    "independent marginals": "baseline",
    "Gaussian": "baseline",
    "Gaussian mixture": "baseline",
    "fresh real rows": "ceiling",
    "copies of training rows": "cheat",
}
COMPONENTS = (1, 2, 4, 8, 16)  # tried for the mixture, chosen by BIC on training rows
FIT = 5000  # training rows a mixture is fitted on, at most


@dataclass(frozen=True)
class AnchorJob:
    """The anchors of one seed, judged by its validation rows or by the test rows."""

    folder: str
    data: str
    seed: int
    judge: Which

    @property
    def id(self) -> str:
        """The name on disk."""
        return f"anchors-{self.data}-{self.judge}-{self.seed}"


def work(job: AnchorJob, tell: Callable[[Any], None]) -> None:
    """Draw, judge and keep every anchor of a seed."""
    store, judge = Store(job.folder), judge_of(job.folder)
    record: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, values, density in anchors(judge, job.seed):
        score = judge.score(values, job.seed, job.judge)
        record[name] = {
            "score": score.value,
            "se": score.se,
            "metrics": judge.describe(values, job.seed, job.judge),
            "log likelihood": density(job.judge) if density else None,
        }
        arrays |= {f"witness/{name}": score.witness.numpy(), f"samples/{name}": values[:KEPT]}
    store.write(job.id, record, arrays)


Density = Callable[[Which], float | None] | None


def anchors(judge: Judge, seed: int) -> Iterator[tuple[str, np.ndarray, Density]]:
    """(name, rows of the table, log-likelihood of judging rows if the model has one) of every anchor."""
    parts, n = judge.split(seed), judge.size(seed)
    train = judge.table.values[parts.train]
    generator = np.random.Generator(np.random.PCG64(key("anchors", seed)))
    yield "independent marginals", marginals(train, n, generator), None
    encoder = Encoder.fit(judge.table.schema, train)
    x = encoder.encode(train[:FIT]).astype(np.float64)
    x += encoder.jitter * (generator.random(x.shape) - 0.5)
    for name, components in (("Gaussian", (1,)), ("Gaussian mixture", COMPONENTS)):
        model = mixture(x, components, seed)
        drawn = model.sample(n)[0][generator.permutation(n)]

        def density(which: Which, model: Any = model) -> float | None:
            def log_p(rows: torch.Tensor) -> torch.Tensor:
                return torch.from_numpy(model.score_samples(rows.numpy().astype(np.float64)))

            return log_likelihood(judge, encoder, seed, which, log_p)

        yield name, encoder.decode(drawn.astype(np.float32)), density
    yield "fresh real rows", judge.table.values[_evenly(parts.validation, n)], None
    yield "copies of training rows", train[generator.integers(0, len(train), n)], None


def marginals(train: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Every column drawn from the training rows on its own: right margins, no dependence."""
    index = generator.integers(0, len(train), (n, train.shape[1]))
    return np.asarray(np.take_along_axis(train, index, axis=0))


def mixture(x: np.ndarray, components: tuple[int, ...], seed: int) -> Any:
    """The Gaussian mixture of least BIC; full covariances, a small ridge for discrete columns."""
    from sklearn.mixture import GaussianMixture

    fitted = [
        GaussianMixture(k, reg_covar=1e-4, random_state=seed, max_iter=200).fit(x)
        for k in components
        if k == 1 or k * (x.shape[1] + 1) < len(x) / 2
    ]
    return min(fitted, key=lambda model: model.bic(x))


def _evenly(index: np.ndarray, n: int) -> np.ndarray:
    return np.asarray(index[np.linspace(0, len(index) - 1, n).astype(int)])
