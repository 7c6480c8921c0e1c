"""How rows are judged: decoded to the user's table, encoded in one space for all, compared with real rows.

Every objective trains in its own lane's encoding (means and scales of that lane's training rows). Judging happens in
the encoding fitted on all rows that are not test rows, after a round trip through the table, so that what is judged is
what the user would get: whole numbers, real categories, real missing values.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .. import metrics
from ..data import Encoder, Split, Table, find_toy, split
from ..rng import Rng

Which = Literal["validation", "test"]
MOST = 2000  # rows on each side of a comparison
DESCRIBED = 1000  # rows on each side of the descriptive metrics, whose cost grows with the square
MATCHED = 500  # rows on each side of the exact assignment, whose cost grows with the cube
DIRECTIONS = 256  # of the sliced distance, shared by all objectives


@dataclass(frozen=True, eq=False)
class Judge:
    """The real rows of a study and the space they are compared in."""

    table: Table

    @lru_cache(maxsize=64)  # noqa: B019  one judge per process
    def split(self, seed: int) -> Split:
        """Training, validation and test rows of a seed; the test rows are the same for all."""
        return split(self.table, seed=seed)

    @cached_property
    def overlap(self) -> float:
        """n_validation / n_train where folds share rows (Nadeau & Bengio, 2003), else 0."""
        parts = self.split(1)
        small = len(parts.train) + len(parts.validation) < 2000
        return len(parts.validation) / len(parts.train) if small else 0.0

    @cached_property
    def rest(self) -> np.ndarray:
        """The numbers of all rows that are not test rows."""
        return np.setdiff1d(np.arange(len(self.table)), self.split(1).test)

    @cached_property
    def space(self) -> Encoder:
        """The encoding in which rows are compared."""
        return Encoder.fit(self.table.schema, self.table.values[self.rest])

    def place(self, values: np.ndarray) -> Tensor:
        """Table values (n, columns) as points (n, d) of the space."""
        return torch.from_numpy(self.space.encode(values)).double()

    @cached_property
    def widths(self) -> tuple[float, float, float]:
        """The kernel's three bandwidths, from the rows that are not test rows."""
        return metrics.bandwidths(self.place(self.table.values[self.rest][:: max(1, len(self.rest) // MOST)]))

    @cached_property
    def directions(self) -> Tensor:
        """The directions of the sliced distance."""
        return metrics.directions(self.space.dim, DIRECTIONS, seed=0)

    def size(self, seed: int) -> int:
        """How many rows stand on each side, everywhere: the fresh real rows must be as many."""
        parts = self.split(seed)
        return min(len(parts.validation), len(parts.test), MOST)

    def numbers(self, seed: int, which: Which, most: int = MOST) -> np.ndarray:
        """The row numbers that judge, at most `most`, spread evenly."""
        index = getattr(self.split(seed), which)
        return np.asarray(index[np.linspace(0, len(index) - 1, min(len(index), most)).astype(int)])

    @lru_cache(maxsize=16)  # noqa: B019
    def real(self, seed: int, which: Which) -> metrics.MmdReference:
        """The real rows that judge, with what every comparison with them shares."""
        rows = self.table.values[self.numbers(seed, which)]
        return metrics.MmdReference(self.place(rows), self.widths)

    def score(self, values: np.ndarray, seed: int, which: Which) -> metrics.Mmd:
        """The primary metric: unbiased MMD^2 against the judging rows (0 = the same law), lower is better."""
        return self.real(0 if which == "test" else seed, which).score(self.place(values))

    def describe(self, values: np.ndarray, seed: int, which: Which) -> dict[str, float]:
        """The descriptive metrics of sampled rows against the judging rows."""
        y = self.place(self.table.values[self.numbers(seed, which, min(len(values), DESCRIBED))])
        x = self.place(values[np.linspace(0, len(values) - 1, len(y)).astype(int)])
        near = metrics.neighbours(x, y)
        found = {
            "energy distance": metrics.energy_distance(x, y),
            "sliced W2": metrics.sliced_w2(x, y, self.directions),
            "W1 per column": float(metrics.w1_columns(x, y).mean()),
            "two-sample accuracy": metrics.c2st_accuracy(x, y, seed=0).accuracy,
            "precision": near.precision,
            "recall": near.recall,
            "density": near.density,
            "coverage": near.coverage,
            "spread": float(x.var(0).sum().sqrt() / y.var(0).sum().sqrt()),
        }
        if self.space.dim > 1:
            found["correlation difference"] = metrics.correlation_difference(x, y)
        if self.space.dim <= 3:
            found["exact W2"] = metrics.exact_w2(x[:MATCHED], y[:MATCHED])
        return found | self.copies(x, seed) | self.toy(values)

    def copies(self, x: Tensor, seed: int) -> dict[str, float]:
        """The copy test: are the points x nearer to training rows than held-out rows are?"""
        parts = self.split(seed)
        train, test = (self.place(self.table.values[index]) for index in (parts.train, parts.test))
        found = metrics.copy_test(x, train, test)
        return {"copy test p": found.p, "copied share": found.share}

    def toy(self, values: np.ndarray) -> dict[str, float]:
        """What only a known density can tell: modes, high-quality share, divergence."""
        if not self.table.source.startswith("toy:"):
            return {}
        toy = find_toy(self.table.source.removeprefix("toy:"))[0]
        x = torch.from_numpy(values)
        found: dict[str, float] = {}
        if toy.centers is not None:
            modes = metrics.modes(x, torch.from_numpy(toy.centers), toy.std)
            found = {
                "modes covered": float(modes.covered),
                "modes": float(len(toy.centers)),
                "high-quality share": modes.high_quality,
            }
        return found | {"KL to the density": metrics.kl_to_density(x, toy.log_density)}


def uniform(name: str, shape: tuple[int, ...], *numbers: int) -> np.ndarray:
    """Keyed uniform numbers for the study's own draws."""
    return np.asarray(Rng.of(0)[name].at(*numbers).uniform("u", shape).numpy())
