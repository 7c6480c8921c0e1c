"""How embeddings are judged without labels: does a view of a row find the other view of it among those of all rows?

Nothing says which rows are alike, so a row is only like itself: two views of it, which no objective was trained on,
must lie nearest to each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...data import Encoder, Pictures, Scale
from ...data.pixels import marks
from ...metrics import embeddings as measure
from ...metrics.labels import Outcome
from ...nets.views import view
from ...objectives import find
from ...rng import Rng
from ...task import Task
from ...train import Lanes, count
from ..classify.signal import hashed
from ..judge import Anchor, Judge, Preflight, Weights, Which
from . import simple
from .judge import COSTED, drawn

METRIC = "view-recall"
VIEWS = ("first", "second")
FEWEST = 20  # rows that differ


@dataclass(frozen=True)
class Viewed:
    """Where two views of every judging row lie, (m, e) each."""

    a: np.ndarray
    b: np.ndarray


class Repeats(Preflight, frozen=True, kw_only=True):
    """again: how many of all rows equal an earlier one."""

    again: int
    all_rows: int

    def refusal(self, judge: Judge) -> str:
        """Refuse where hardly any row differs."""
        if self.all_rows - self.again >= FEWEST:
            return ""
        return (
            f"only {self.all_rows - self.again} of {self.all_rows:,} rows differ; at least {FEWEST} are needed to tell "
            "views apart. Leave repeats out, or name the column of classes with --target."
        )

    def cautions(self) -> tuple[str, ...]:
        """Repeats, in a sentence."""
        share = self.again / self.all_rows
        return (f"{share:.0%} of the rows equal an earlier one: they count as equally right.",) * (share > 0.01)


@dataclass(frozen=True, eq=False)
class ViewJudge(Judge):
    """The rows of a table, without labels."""

    goal = "embed"
    measures = Repeats
    roles = simple.ROLES
    method = (
        "Every objective gets the same rows, network, number of settings and training compute, which is counted, "
        "tuning included.",
        "No labels say which rows are alike: two views of a row that nothing was trained on must find each other.",
        "Settings and snapshots are chosen on validation rows; finalists are judged on test rows with seeds "
        "nothing was chosen on.",
        "A winner's two-sided 95 % interval against every finalist excludes 0; no other test is used.",
        "What other judging rows would change is taken as if each counted for itself; that it is a wrong answer for "
        "all others too is left out.",
        "A failed run counts as a run at the worst simple baseline's score; none is dropped.",
    )
    score_name = "1 - recall@1 of views"
    block: ClassVar[int] = 2000  # rows embedded at once

    @property
    def asked(self) -> Mapping[str, object]:
        """That views are judged."""
        return {"metric": METRIC}

    @property
    def task(self) -> Task:
        """The width of an encoded row and the number of rows that may be learned from."""
        return Task("embed", self.table.schema.dim, len(self.rest))

    def preflight(self) -> "Repeats":
        """The noise of the score, for the rows as they are, and how many rows repeat others."""
        raw = next(anchor.answer for anchor in self.anchors(1, "test") if anchor.name == "rows as they are")
        rope = max(self.score(raw, 1, "test").se, measure.least_noise(self.size(1)))
        again = len(self.table) - len(np.unique(self.marks()))
        return Repeats(rows=self.size(1), rope=rope, again=again, all_rows=len(self.table))

    def encoded(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding fitted on these rows, and the rows in it."""
        encoder = Encoder.fit(self.table.schema, self.table.values[rows])
        return encoder, self.seen(encoder, rows)

    def seen(self, encoder: Any, rows: np.ndarray) -> Tensor:
        """These rows as a lane's data holds them."""
        return torch.from_numpy(encoder.encode(self.table.values[rows]))

    def viewed(self, x: Tensor) -> list[Tensor]:
        """Two views of rows (m, d), the same whoever is judged."""
        return [view(x, Rng.of(0)["judging"][name], self.task.shape) for name in VIEWS]

    def answers(
        self, lanes: Lanes, encoders: Sequence[Any], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Viewed | None]:
        """Where every lane puts the views; None where it has diverged."""
        rows = [self.seen(e, self.numbers(seed, which)) for e, seed in zip(encoders, seeds, strict=True)]
        found = self.told_of(lanes, weights, rows)
        return [Viewed(*z) if all(np.isfinite(part).all() for part in z) else None for z in found]

    def told_of(self, lanes: Lanes, weights: Weights, rows: Sequence[Tensor]) -> list[tuple[np.ndarray, ...]]:
        """The embeddings of both views of every lane's rows (m, d), (m, e) each; lane by lane, since a view of a row
        borrows from the rows beside it."""

        def work(objective: Any, rng: object, weights: Weights, x: Tensor) -> Tensor:
            nets, seen = lanes.nets(weights), lanes.read(x)
            return torch.stack([objective.embed(nets, v) for v in self.viewed(seen)])

        found = []
        for k, x in enumerate(rows):
            own, mine = lanes.alone(k), {role: w[k : k + 1] for role, w in weights.items()}
            z = torch.cat([own.map(work, mine, part[None])[0] for part in x.split(self.block)], dim=1)
            found.append(tuple(z.numpy()))
        return found

    def marks(self) -> np.ndarray:
        """64 bits of each row, equal where rows are."""
        return hashed(self.table.values)

    def found(self, answer: Viewed, rows: np.ndarray) -> tuple[measure.Retrieval, measure.Retrieval]:
        """First views searching the second ones, and the other way round; views of equal rows are equally right."""
        a, b = torch.from_numpy(answer.a), torch.from_numpy(answer.b)
        units = torch.from_numpy(np.unique(self.marks()[rows], return_inverse=True)[1].reshape(-1))
        return measure.retrieve(a, b, units, units), measure.retrieve(b, a, units, units)

    def score(self, answer: Viewed, seed: int, which: Which) -> Outcome:
        """1 - recall@1, the mean of both ways."""
        there, back = self.found(answer, self.numbers(seed, which))
        return measure.mean_of(1 - (there.found(1) + back.found(1)) / 2)

    def describe(self, answer: Viewed, seed: int, which: Which) -> dict[str, float]:
        """Recall, the median rank, and how the embeddings fill the sphere."""
        ways = self.found(answer, self.numbers(seed, which))
        recall = {f"recall@{k}": float(sum(way.found(k).mean() for way in ways) / 2) for k in (1, 5, 10)}
        a, b = torch.from_numpy(answer.a), torch.from_numpy(answer.b)
        return recall | {
            "median rank": float(torch.cat([way.rank for way in ways]).median()),
            "chance of recall@1": float((ways[0].answers / ways[0].gallery).double().mean()),
            "alignment": measure.pairs_apart(a, b),
            "uniformity": measure.spread_evenly(a),
            "effective rank": measure.effective_rank(a),
        }

    def anchors(self, seed: int, which: Which) -> list[Anchor]:
        """Chance, the views themselves, their principal components, a network that has learned nothing."""
        rows, train = self.numbers(seed, which), self.split(seed).train
        encoder, encoded = self.encoded(train)
        lanes = simple.untrained(self, find("triplet")(), encoded, seed)
        views = [v.numpy() for v in self.viewed(lanes.read(self.seen(encoder, rows)))]
        known = lanes.read(encoded[:: max(1, len(encoded) // simple.SEEN)]).numpy()
        z = self.told_of(lanes, lanes.start().weights, [self.seen(encoder, rows)])[0]
        found = [*simple.plain(seed, views, known), ("untrained network", z)]
        return [Anchor(name, Viewed(*parts)) for name, parts in found]

    def extras(self, lanes: Lanes, encoder: Any, seed: int, weights: Weights, which: Which) -> dict[str, float | None]:
        """What embedding one row costs, and the known levels of the loss."""
        x = self.seen(encoder, self.split(seed).train[:COSTED])
        return {
            "use flops": count(lambda: self.told_of(lanes, weights, [x])) / (len(VIEWS) * len(x)),
            **simple.levels(lanes),
        }

    def kept(self, answer: Viewed, seed: int) -> dict[str, np.ndarray]:
        """A map of the judging rows, for the report."""
        return drawn(answer.a)


@dataclass(frozen=True, eq=False)
class PictureViewJudge(ViewJudge):
    """Pictures, without labels."""

    table: Pictures  # type: ignore[assignment]  # its sibling: rows of bytes, not of columns
    batch = 64
    block: ClassVar[int] = 500

    def marks(self) -> np.ndarray:
        """64 bits of each picture."""
        return marks(self.table.values)

    @property
    def asked(self) -> Mapping[str, object]:
        """That views are judged, and the shape of a picture."""
        return {"metric": METRIC, "shape": self.table.shape}

    @property
    def task(self) -> Task:
        """The width of a picture as a row, how many may be learned from, and its shape."""
        return Task("embed", self.table.values.shape[1], len(self.rest), shape=self.table.shape)

    def encoded(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding, and the numbers of these pictures."""
        return Scale(self.table.shape), self.seen(None, rows)

    def seen(self, encoder: Any, rows: np.ndarray) -> Tensor:
        """The numbers of these pictures (m, 1)."""
        return torch.from_numpy(rows.astype(np.float64))[:, None]
