"""How sampled pictures are judged: rounded to the levels that a picture holds, compared in features of them."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import metrics
from ...data import Pictures, Scale
from ...rng import key
from ...task import Task
from ...train import Lanes
from ..judge import Anchor, Weights, Which
from . import anchors
from .features import Features, learned
from .judge import DIRECTIONS, SampleJudge

LOOK = 500  # pictures that score a point of a curve
SHOWN = 64  # sampled pictures kept for the report
AXES = 64  # principal directions in which the simple models of pictures live
BATCH = 64


@dataclass(frozen=True, eq=False)
class PictureJudge(SampleJudge):
    """The real pictures of a study and the features they are compared in."""

    table: Pictures  # type: ignore[assignment]  # its sibling: rows of bytes, not of columns
    features: Features | None = None
    batch = BATCH

    @property
    def asked(self) -> Mapping[str, object]:
        """The shape of a picture."""
        return {"shape": self.table.shape}

    @property
    def tables(self) -> Mapping[str, Any]:
        """The pictures, and the features."""
        return {"data": self.table, "features": self.eyes}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noticed while the pictures were read."""
        return self.table.notes

    @cached_property
    def eyes(self) -> Features:
        """The features, trained where they are not given."""
        return self.features or learned(self.table, self.rest)

    @property
    def score_name(self) -> str:  # type: ignore[override]
        """The score, with the name of the features it is taken in."""
        return f"MMD^2 of {'label' if self.labelled else 'turn'} features"

    @property
    def labelled(self) -> bool:
        """Do the pictures have labels?"""
        return self.table.labels is not None and len(np.unique(self.table.labels)) > 1

    @property
    def task(self) -> Task:
        """The width of a picture as a row, how many may be learned from, and its shape."""
        return Task("generate", self.space.dim, len(self.rest), shape=self.table.shape)

    @property
    def pixels(self) -> Tensor:
        """All pictures (n, d), bytes; read only."""
        with warnings.catch_warnings():  # a map that nobody may write to; nobody does
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return torch.from_numpy(np.asarray(self.table.values))

    def encoded(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding, and the numbers of these pictures."""
        return self.space, torch.from_numpy(rows.astype(np.float64))[:, None]

    def jitter(self, encoder: Any) -> np.ndarray:
        """Noise within a level, so that a density exists."""
        return np.asarray(encoder.jitter)

    @cached_property
    def space(self) -> Any:
        """Bytes to [-1, 1] and back."""
        return Scale(self.table.shape)

    @cached_property
    def directions(self) -> Tensor:
        """The directions of the sliced distance, in the features."""
        return metrics.directions(self.place(self.table.values[:1]).shape[1], DIRECTIONS, seed=0)

    def answers(
        self, lanes: Lanes, encoders: Sequence[Any], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Any]:
        """Pictures drawn by every lane, fewer and in fewer steps for a point of a curve; None where it has diverged."""
        if name != "look":
            return super().answers(lanes, encoders, seeds, weights, which, name)
        rough: Mapping[str, Any] = getattr(lanes.objective, "rough", {})
        lanes = replace(lanes, objective=replace(lanes.objective, **rough))
        drawn = lanes.sample(weights, min(LOOK, self.size(seeds[0])), name).numpy()
        return [e.decode(x) if np.isfinite(x).all() else None for e, x in zip(encoders, drawn, strict=True)]

    def place(self, values: np.ndarray) -> Tensor:
        """Features (n, k) of pictures (n, d)."""
        return self.eyes.of(values.astype(np.uint8))

    def describe(self, answer: np.ndarray, seed: int, which: Which) -> dict[str, float]:
        """The descriptive metrics, in features named in their names."""
        y = self.table.values[self.numbers(seed, which, min(len(answer), 1000))]
        one, two = self.place(answer[: len(y)]), self.place(y)
        named = f"{self.eyes.kind} features"
        return super().describe(answer, seed, which) | {
            f"Frechet distance ({named})": metrics.frechet(one, two),
            f"KID ({named})": metrics.kid(one, two),
        }

    def kept(self, answer: np.ndarray) -> dict[str, np.ndarray]:
        """Some pictures, for the report."""
        return {"samples": answer[:SHOWN].astype(np.uint8)}

    def anchors(self, seed: int, which: Which) -> list[Anchor]:
        """Simple models of pictures, fresh real ones, and copies of training pictures."""
        parts = self.split(seed)
        fresh = parts.validation[np.linspace(0, len(parts.validation) - 1, self.size(seed)).astype(int)]
        train = self.table.values[parts.train[: anchors.FIT]]
        return list(simple(np.asarray(train), np.asarray(self.table.values[fresh]), self.space, seed))

    def examined(self, lanes: Lanes, encoder: Any, seed: int, weights: Weights, which: Which) -> dict[str, float]:
        """Nothing: bytes have no density."""
        return {}

    def maps(self, lanes: Lanes, encoder: Any, weights: Weights) -> dict[str, np.ndarray]:
        """Nothing: there is no plane."""
        return {}

    def log_likelihood(
        self, encoder: Any, seed: int, which: Which, density: Callable[[Tensor], Tensor]
    ) -> float | None:
        """None: the exact divergence of a network of pictures costs too much."""
        return None


def simple(train: np.ndarray, fresh: np.ndarray, scale: Any, seed: int) -> Iterator[Anchor]:
    """Every anchor as pictures (n, d), as many as the fresh real ones."""
    n = len(fresh)
    generator = np.random.Generator(np.random.PCG64(key("anchors", seed)))
    yield Anchor("independent marginals", anchors.marginals(train, n, generator))
    x = scale.encode(train).astype(np.float64)
    mean = x.mean(0)
    _, _, axes = np.linalg.svd(x - mean, full_matrices=False)
    axes = axes[: min(AXES, len(train) - 1)]
    z = (x - mean) @ axes.T
    for name, components in (("Gaussian", (1,)), ("Gaussian mixture", anchors.COMPONENTS)):
        model = anchors.mixture(z, components, seed)
        drawn = model.sample(n)[0][generator.permutation(n)]
        yield Anchor(name, scale.decode((drawn @ axes + mean).astype(np.float32)))
    yield Anchor("fresh real rows", fresh)
    yield Anchor("copies of training rows", train[generator.integers(0, len(train), n)])
