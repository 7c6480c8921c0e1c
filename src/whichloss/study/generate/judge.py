"""How sampled rows are judged: decoded to the user's table, encoded in one space for all, compared with real rows.

Every objective trains in its own lane's encoding (means and scales of that lane's training rows). Judging happens in
the encoding fitted on all rows that are not test rows, after a round trip through the table, so that what is judged is
what the user would get: whole numbers, real categories, real missing values.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import metrics
from ...data import Encoder, evenly, find_toy
from ...objectives import Generative, Nets
from ...objectives.base import Objective
from ...rng import Rng, key
from ...task import Task
from ...train import Lanes, count
from ..judge import Anchor, Judge, Preflight, Scored, Weights, Which
from . import anchors, power

MOST = 2000  # rows on each side of a comparison
DESCRIBED = 1000  # rows on each side of the descriptive metrics, whose cost grows with the square
GROUPED = 2000  # rows that groups are found among
MATCHED = 500  # rows on each side of the exact assignment, whose cost grows with the cube
DIRECTIONS = 256  # of the sliced distance, shared by all objectives
KEPT = 1000  # sampled rows kept for the report
CELLS, MARGIN = 64, 0.15  # of a map of energies, a side; how far it goes beyond the rows
SKILLED = 2000  # training rows that the least loss is found from
COSTED = 256  # rows drawn together to count what one costs


@dataclass(frozen=True, eq=False)
class SampleJudge(Judge):
    """The real rows of a study and the space they are compared in."""

    goal = "generate"
    measures = power.Power
    score_name = "MMD^2"
    roles = anchors.ROLES
    draws = power.DRAWS
    method = (
        "Every objective gets the same rows, networks, number of settings and training compute, which is counted, "
        "tuning included.",
        "The score is the unbiased MMD^2 with Gaussian kernels at half, once and twice the median distance, on rows "
        "decoded to the table and encoded alike for all.",
        "Settings and snapshots are chosen on validation rows; finalists are judged on test rows with seeds nothing "
        "was chosen on.",
        "A winner's two-sided 95 % interval against every finalist excludes 0; no other test is used.",
        "A failed run counts as a run at the worst simple baseline's score; none is dropped.",
    )

    @property
    def task(self) -> Task:
        """The width of an encoded row and the number of rows that may be learned from."""
        return Task("generate", self.space.dim, len(self.rest))

    def preflight(self) -> Preflight:
        """The power of the score: damage real rows on purpose and look."""
        return power.measure(self)

    def encoded(self, rows: np.ndarray) -> tuple[Encoder, Tensor]:
        """The encoding fitted on these rows of the table, and the rows in it."""
        values = self.table.values[rows]
        encoder = Encoder.fit(self.table.schema, values)
        return encoder, torch.from_numpy(encoder.encode(values))

    def jitter(self, encoder: Encoder) -> np.ndarray:
        """The width of the uniform noise on every encoded column in training."""
        return encoder.jitter

    def answers(
        self, lanes: Lanes, encoders: Sequence[Encoder], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Any]:
        """Rows of the user's table drawn by every lane; None where a lane has diverged."""
        sizes = [self.size(seed) for seed in seeds]
        drawn = lanes.sample(weights, max(sizes), name).numpy()
        return [
            e.decode(x[:n]) if np.isfinite(x).all() else None for e, x, n in zip(encoders, drawn, sizes, strict=True)
        ]

    @cached_property
    def space(self) -> Encoder:
        """The encoding in which rows are compared."""
        return Encoder.fit(self.table.schema, self.table.values[self.rest])

    @property
    def bare(self) -> Encoder:
        """The same of what is generated alone."""
        return self.space

    def place(self, values: np.ndarray) -> Tensor:
        """Table values (n, columns) as points (n, d) of the space."""
        return torch.from_numpy(self.space.encode(values)).double()

    def at(self, numbers: np.ndarray) -> Tensor:
        """Real rows as points (n, d) of the space."""
        return self.place(self.table.values[numbers])

    def compared(self, numbers: np.ndarray) -> Tensor:
        """Real rows as the score compares them."""
        return self.at(numbers)

    @cached_property
    def widths(self) -> tuple[float, float, float]:
        """The kernel's three bandwidths, from the rows that are not test rows."""
        return metrics.bandwidths(self.at(self.rest[:: max(1, len(self.rest) // MOST)]))

    @cached_property
    def directions(self) -> Tensor:
        """The directions of the sliced distance."""
        return metrics.directions(self.space.dim, DIRECTIONS, seed=0)

    @cached_property
    def groups(self) -> metrics.Groups | None:
        """The well separated groups of the rows that are not test rows, if there are two."""
        return metrics.groups(self.at(evenly(self.rest, GROUPED)))

    @lru_cache(maxsize=16)  # noqa: B019
    def real(self, seed: int, which: Which) -> metrics.MmdReference:
        """The real rows that judge, with what every comparison with them shares."""
        return metrics.MmdReference(self.compared(self.numbers(seed, which)), self.widths)

    def score(self, answer: np.ndarray, seed: int, which: Which) -> Scored:
        """The primary metric: unbiased MMD^2 against the judging rows (0 = the same law), lower is better."""
        return self.real(0 if which == "test" else seed, which).score(self.place(answer))

    def describe(self, answer: np.ndarray, seed: int, which: Which) -> dict[str, float]:
        """The descriptive metrics of sampled rows against the judging rows."""
        y = self.at(self.numbers(seed, which, min(len(answer), DESCRIBED)))
        some = evenly(np.arange(len(answer)), len(y))
        x = self.place(answer)[some]
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
        return found | self.shares(answer, seed, which) | self.copies(answer[some], seed) | self.toy(answer)

    def shares(self, answer: np.ndarray, seed: int, which: Which) -> dict[str, float]:
        """How rows share themselves out over the groups of the data, if it has any: all rows, since chance is large."""
        if self.groups is None:
            return {}
        y = self.at(self.numbers(seed, which))
        found = metrics.share_difference(self.groups, self.place(answer), y)
        return {"share difference": found.difference, "least share": found.least}

    def copies(self, rows: np.ndarray, seed: int) -> dict[str, float]:
        """The copy test: are the rows nearer to training rows than held-out rows are?"""
        parts = self.split(seed)
        found = metrics.copy_test(self.place(rows), self.at(parts.train), self.at(parts.test))
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

    def damaged(self, numbers: np.ndarray, draw: int) -> Iterator[tuple[str, float, Tensor]]:
        """(kind, size, points): real rows with every planted damage."""
        for kind, size in power.planted(self.space.dim):
            generator = np.random.Generator(np.random.PCG64(key("damage", kind, draw)))
            yield kind, size, self.place(power.damage(self, self.table.values[numbers], kind, size, generator))

    def copied(self) -> Iterator[tuple[float, float, bool]]:
        """(share, z, seen): what the copy test sees of planted copies, where it is measured."""
        yield from ()

    def kept(self, answer: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """The first rows."""
        return {"samples": answer[:KEPT]}

    def fresh(self, seed: int) -> np.ndarray:
        """The rows of validation that stand for fresh real ones: as many as are scored, in no order."""
        generator = np.random.Generator(np.random.PCG64(key("fresh", seed)))
        return generator.permutation(evenly(self.split(seed).validation, self.size(seed)))

    def anchors(self, seed: int, which: Which) -> Iterable[Anchor]:
        """Simple models, fresh real rows, and copies of training rows."""

        def likely(encoder: Encoder, log_p: Callable[[Tensor], Tensor]) -> float | None:
            return self.log_likelihood(encoder, seed, which, log_p)

        train, real = self.table.values[self.split(seed).train], self.table.values[self.fresh(seed)]
        return list(anchors.anchors(self.table.schema, train, real, seed, likely))

    def extras(self, lanes: Lanes, encoder: Encoder, seed: int, weights: Weights, which: Which) -> dict[str, Any]:
        """What one sampled row costs; how far the loss went; log-likelihood of the judging rows."""
        (objective, nets), likely = lanes.trained(weights), None
        seen = lanes.some(0, SKILLED)
        if isinstance(objective, Generative) and objective.scores == "log density":
            own = nets.told(self.told(self.numbers(seed, which)))
            likely = self.log_likelihood(encoder, seed, which, lambda x: objective.score(own, x))
        return {
            "use flops": count(lambda: lanes.sample(weights, COSTED, "cost")) / COSTED,
            **self.loss_skills(objective, nets, seen, encoder, seed),
            "log likelihood": likely,
        }

    def examined(self, lanes: Lanes, encoder: Encoder, seed: int, weights: Weights, which: Which) -> dict[str, float]:
        """Of a model that scores rows: does its density fit the judging rows, and do its samples follow its density?

        Neither needs Z. Only for columns of plain numbers: a density says nothing of whole ones.
        """
        objective, nets = lanes.trained(weights)
        discrete = encoder.jitter.any() or any(c.missing for c in encoder.schema.columns)
        if discrete or not isinstance(objective, Generative) or not objective.scores:
            return {}

        def slope(x: Tensor, y: Tensor) -> Tensor:
            x = x.clone().requires_grad_(True)
            with torch.enable_grad():
                (found,) = torch.autograd.grad(objective.unlike(nets.told(y), x).sum(), x)
            return found.detach()

        numbers = self.numbers(seed, which, DESCRIBED)
        real = torch.from_numpy(encoder.encode(self.inputs[numbers]))
        drawn = lanes.sample(weights, DESCRIBED, "examined")[0]
        at_real, at_drawn = slope(real, self.told(numbers)), slope(drawn, lanes.told(DESCRIBED)[0])
        if not (at_real.isfinite().all() and at_drawn.isfinite().all() and drawn.isfinite().all()):
            return {}
        own = metrics.equipartition(drawn, at_drawn)
        return {
            "Stein discrepancy": metrics.kernel_stein(real, -at_real, Rng.of(seed)["stein"]).value,
            "temperature of samples": own.value / own.expected,
        }

    def maps(self, lanes: Lanes, encoder: Encoder, weights: Weights) -> dict[str, np.ndarray]:
        """Energy, or minus log-density, on a grid over a table of one or two columns of numbers; nan where infinite."""
        columns = [c for c in encoder.schema.columns if not c.constant]
        objective, nets = lanes.trained(weights)
        plain = encoder.dim == len(columns) <= 2 and all(c.kind in ("number", "integer") for c in columns)
        if not plain or not isinstance(objective, Generative) or not objective.scores:
            return {}
        rows = lanes.data[0, : int(lanes.sizes[0])]
        low, high = (rows.amin(0), rows.amax(0))
        low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
        grid = torch.cartesian_prod(
            *((a + (b - a) * torch.linspace(0, 1, CELLS)) for a, b in zip(low, high, strict=True))
        )
        with torch.no_grad():
            energy = objective.unlike(nets, grid.reshape(-1, encoder.dim)).reshape((CELLS,) * encoder.dim).numpy()
        blocks = [b for b in encoder.blocks if b.width]
        box = [[float(v[j]) * b.scale / b.factor + (b.mean or 0.0) for j, b in enumerate(blocks)] for v in (low, high)]
        return {"energy": np.where(np.isfinite(energy), energy, np.nan).astype(np.float32), "energy box": np.array(box)}

    def loss_skills(
        self, objective: Objective, nets: Nets, x: Tensor, encoder: Encoder, seed: int
    ) -> dict[str, float | tuple[float, ...] | None]:
        """Of the loss on validation rows. "loss skill": 0 at a trivial predictor's, 1 at the least loss, None where
        neither is known; "skill by level": what of the trivial one's loss is gone at little, middle, much noise."""
        if not isinstance(objective, Generative):
            return {"loss skill": None}
        rows = self.table.values[self.numbers(seed, "validation", DESCRIBED)]
        x_new = torch.from_numpy(encoder.encode(rows))
        with torch.no_grad():
            found = objective.denoised(nets, x, x_new, Rng.of(seed)["loss skill"])
        if found is None or found.skill is None:
            return {"loss skill": None}
        return {"loss skill": found.skill, "skill by level": found.skill_by_level}

    def log_likelihood(
        self, encoder: Encoder, seed: int, which: Which, density: Callable[[Tensor], Tensor]
    ) -> float | None:
        """Mean log p of the judging rows, as a density over the judge's space; None if a column is discrete, or for a
        law of whole rows where a part of them is given."""
        if encoder.dim != self.bare.dim or encoder.jitter.any() or any(c.missing for c in encoder.schema.columns):
            return None
        rows = self.inputs[self.numbers(seed, which)]
        x, y = encoder.encode(rows), self.bare.encode(rows)
        stretch = np.log((x[1:] - x[:-1]).std(0) / (y[1:] - y[:-1]).std(0)).sum()  # x = a y + b per column
        with torch.no_grad():
            found = float(density(torch.from_numpy(x)).double().mean()) + float(stretch)
        return found if math.isfinite(found) else None
