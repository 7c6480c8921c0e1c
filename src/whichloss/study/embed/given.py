"""How embeddings are judged by given pairs: does the cosine of two things tell whether a label calls them alike?

Pairs that nothing was trained on are ranked by their cosine; the score is how often a pair that is not alike stands
above one that is. Pairs that share things stay in one part of every split, where that leaves parts to split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...data import Column, Encoder, Pairs, Pictures, Scale, Schema, Split, evenly, split
from ...data.pair_labels import things
from ...data.pairs import Side, Vectors
from ...data.pixels import BLOCK, let_go, on_disk, shrunk
from ...errors import DataUnfit
from ...metrics import embeddings as measure
from ...metrics import labels as scores
from ...metrics.labels import Outcome
from ...objectives import Embedder, find
from ...task import Task
from ...train import Lanes, count
from ..judge import FREE, Anchor, Judge, Role, Weights, Which, unwritten
from . import signal, simple
from .judge import COSTED, drawn

METRIC = "pair-auroc"
SIDE = 16  # of the pictures that simple models see
RIDGE = 0.1  # of the mean variance of what parts alike things


@dataclass(frozen=True)
class Compared:
    """Where both things of every judging pair lie, (m, e) each, and the cosine above which validation pairs are best
    called alike."""

    a: np.ndarray
    b: np.ndarray
    threshold: float


@dataclass(frozen=True, eq=False)
class AlikeJudge(Judge):
    """The pairs of a study, each with 1 or 0, alike or not."""

    table: Pairs  # type: ignore[assignment]
    goal = "embed"
    measures = signal.AlikeSignal
    roles: ClassVar[Mapping[str, Role]] = simple.ROLES | {"relevant components": "baseline"}
    score_name = "1 - auroc of pairs"
    method = (
        "A row, in what follows, is a pair: two things, both seen by one network, and a label that calls them alike or "
        "not.",
        "Every objective gets the same pairs, network, number of settings and training compute, which is counted, "
        "tuning included.",
        "The score is how often a new pair that is not alike has the higher cosine than one that is, 1 - AUROC. "
        "Accuracy is that of the threshold that suits validation pairs best.",
        "Pairs that share a thing stay in one part of every split, unless shared things tie most pairs together; equal "
        "pairs always do.",
        "Settings and snapshots are chosen on validation pairs; finalists are judged on test pairs with seeds "
        "nothing was chosen on.",
        "A winner's two-sided 95 % interval against every finalist excludes 0; no other test is used.",
        "What other judging pairs would change is taken as if each counted for itself, also where some share a thing.",
        "A failed run counts as a run at the worst simple baseline's score; none is dropped.",
    )

    @property
    def asked(self) -> Mapping[str, object]:
        """That pairs are judged."""
        return {"pairs": True, "metric": METRIC}

    @property
    def most(self) -> int:
        """The most pairs that judge."""
        return 20_000 if self.pictures is None else 5_000

    @property
    def batch(self) -> int:  # type: ignore[override]
        """Pairs of a step."""
        return 256 if self.pictures is None else 64

    @property
    def block(self) -> int:
        """Pairs embedded at once."""
        return 2048 if self.pictures is None else 250

    @property
    def alike(self) -> np.ndarray:
        """1 where a pair is alike, else 0 (n,)."""
        assert self.table.labels is not None
        return self.table.labels

    @cached_property
    def things(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of each thing on either side, equal where things are."""
        return things(self.table.first, self.table.second)

    @lru_cache(maxsize=64)  # noqa: B019  one judge per process
    def split(self, seed: int) -> Split:
        """Training, validation and test pairs of a seed. Raises DataUnfit where a part lacks one of the labels."""
        parts = split(self.table, seed=seed, strata=self.alike)  # type: ignore[arg-type]
        for name, rows in (("training", parts.train), ("validation", parts.validation), ("test", parts.test)):
            known = self.alike[rows]
            if len(set(known)) < 2:
                what = "alike" if not known.any() else "not alike"
                raise DataUnfit(
                    f"{self.table.source}: no {name} pair is {what}, since pairs that share things stay together. Add "
                    "pairs of other things, of both labels."
                )
        return parts

    @property
    def pictures(self) -> Pictures | None:
        """The first things, where they are pictures."""
        return self.table.first if isinstance(self.table.first, Pictures) else None

    @cached_property
    def pixels(self) -> Tensor | None:
        """The bytes of both pictures of every pair (n, 2 d), beside each other."""
        if self.pictures is None:
            return None
        first, second = (np.asarray(side.values) for side in self.sides)
        step = max(1, BLOCK // (2 * first.shape[1]))
        blocks = (np.hstack([first[i : i + step], second[i : i + step]]) for i in range(0, len(first), step))
        found = unwritten(on_disk(blocks).reshape(len(first), -1))
        for side in self.sides:
            let_go(side.values)
        return found

    @property
    def sides(self) -> tuple[Any, Any]:
        """Both sides, of one kind."""
        return self.table.first, self.table.second

    @cached_property
    def schema(self) -> Schema:
        """The columns of one thing, by the names that they have on the first side; of pictures none."""
        side: Side = self.table.first
        return Schema(tuple(Column(name, "number") for name in side.names) if isinstance(side, Vectors) else ())

    @property
    def task(self) -> Task:
        """The width of a thing, which both have, how many pairs may be learned from, the shape of a picture."""
        dim = self.table.first.values.shape[1]  # type: ignore[union-attr]
        shape = self.pictures.shape if self.pictures is not None else ()
        return Task("embed", dim, len(self.rest), shape=shape, second=dim)

    def preflight(self) -> signal.AlikeSignal:
        """Do two things tell at all whether they are alike, as far as a cheap probe sees?"""
        return signal.measure(self)

    def kinds(self) -> np.ndarray:
        """Some training pairs: the numbers of their things, from 0, and their labels."""
        rows, (u, v) = evenly(self.split(1).train, FREE // 2), self.things
        both = np.unique(np.stack([u[rows], v[rows]]), return_inverse=True)[1].reshape(2, -1)
        return np.stack([*both, self.alike[rows]], axis=1)

    def encoded(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding fitted on both things of these pairs, and the pairs in it, labels last."""
        code = Scale(self.pictures.shape) if self.pictures is not None else self.fitted(rows)
        x = self.seen(code, rows)
        return code, torch.cat([x, torch.from_numpy(self.alike[rows])[:, None].to(x)], dim=1)

    def fitted(self, rows: np.ndarray) -> Encoder:
        """One encoding for the vectors of both sides."""
        return Encoder.fit(self.schema, np.concatenate([side.values[rows] for side in self.sides]).astype(np.float64))

    def seen(self, encoder: Any, rows: np.ndarray) -> Tensor:
        """These pairs as a lane's data holds them: both vectors (m, 2 d), or a number for both pictures (m, 1)."""
        if self.pictures is not None:
            return torch.from_numpy(rows.astype(np.float64))[:, None]
        return torch.from_numpy(
            np.hstack([encoder.encode(side.values[rows].astype(np.float64)) for side in self.sides])
        )

    def jitter(self, encoder: Any) -> np.ndarray:
        """None."""
        return np.zeros(self.task.dim, np.float32)

    def truth(self, seed: int, which: Which) -> Tensor:
        """The labels of the judging pairs."""
        return torch.from_numpy(self.alike[self.numbers(seed, which)])

    def answers(
        self, lanes: Lanes, encoders: Sequence[Any], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Compared | None]:
        """Where every lane puts its judging pairs; None where it has diverged."""
        asked = [self.asked_rows(seed, which) for seed in seeds]
        rows = [self.seen(e, np.concatenate(pair)) for e, pair in zip(encoders, asked, strict=True)]
        found: list[Compared | None] = []
        for seed, pair, (a, b) in zip(seeds, asked, self.told_of(lanes, weights, rows), strict=True):
            whole = np.isfinite(a).all() and np.isfinite(b).all()
            found.append(self.compared(a, b, len(pair[0]), seed) if whole else None)
        return found

    def asked_rows(self, seed: int, which: Which) -> tuple[np.ndarray, np.ndarray]:
        """The judging pairs, and beside them the validation pairs, which choose the threshold."""
        judged = self.numbers(seed, which)
        return judged, self.numbers(seed, "validation") if which == "test" else judged[:0]

    def compared(self, a: np.ndarray, b: np.ndarray, judging: int, seed: int) -> Compared:
        """The answer: the first `judging` pairs, with the threshold that suits validation pairs, the others, best."""
        start = judging if len(a) > judging else 0
        known = measure.cosines(*(torch.from_numpy(np.asarray(z[start:])) for z in (a, b)))
        return Compared(a[:judging], b[:judging], measure.threshold(known, self.truth(seed, "validation")))

    def told_of(self, lanes: Lanes, weights: Weights, rows: Sequence[Tensor]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Where every lane puts both things of its own pairs, as its data holds them: (m, e) each."""
        z = self.asked_of(lanes, weights, torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)).numpy()
        halves = [np.split(z[k, : len(r)], 2, axis=1) for k, r in enumerate(rows)]
        return [(a, b) for a, b in halves]

    def asked_of(self, lanes: Lanes, weights: Weights, x: Tensor) -> Tensor:
        """Where every lane puts both things of pairs x (S, m, ...), block by block: (S, m, 2 e)."""

        def work(objective: Any, rng: object, weights: Weights, x: Tensor) -> Tensor:
            nets, seen = lanes.nets(weights), lanes.read(x)
            return torch.cat([objective.embed(nets, side) for side in seen.chunk(2, dim=1)], dim=1)

        return torch.cat([lanes.map(work, dict(weights), part) for part in torch.split(x, self.block, dim=1)], dim=1)

    def cosine(self, answer: Compared) -> Tensor:
        """The cosine of every judging pair (m,)."""
        return measure.cosines(torch.from_numpy(np.asarray(answer.a)), torch.from_numpy(np.asarray(answer.b)))

    def called(self, answer: Compared, seed: int, which: Which) -> scores.Predicted:
        """Every judging pair as a prediction: above 0 it is called alike."""
        logits = self.cosine(answer) - answer.threshold
        return scores.predicted(logits[:, None], self.truth(seed, which)[:, None])

    def score(self, answer: Compared, seed: int, which: Which) -> Outcome:
        """1 - AUROC of the cosines."""
        return scores.score("auroc", self.called(answer, seed, which))

    def describe(self, answer: Compared, seed: int, which: Which) -> dict[str, float]:
        """How well alike and not alike are told, and how the embeddings fill the sphere."""
        found, alike = self.called(answer, seed, which), self.truth(seed, which).bool()
        right = {name: 1 - scores.score(name, found).value for name in ("auroc", "average-precision", "accuracy")}
        a, b = torch.from_numpy(np.asarray(answer.a)), torch.from_numpy(np.asarray(answer.b))
        share = float(alike.double().mean())
        z = torch.cat([a, b])[self.singles(seed, which)]
        return {
            "auroc": right["auroc"],
            "average precision": right["average-precision"],
            "pair accuracy": right["accuracy"],
            "pair accuracy by chance": max(share, 1 - share),
            "threshold": answer.threshold,
            "alignment": measure.pairs_apart(a[alike], b[alike]),
            "apart": measure.pairs_apart(a[~alike], b[~alike]),
            "uniformity": measure.spread_evenly(z),
            "effective rank": measure.effective_rank(z),
        }

    def singles(self, seed: int, which: Which) -> Tensor:
        """The places of different things among those of the judging pairs, first sides before second ones."""
        rows, (u, v) = self.numbers(seed, which), self.things
        return torch.from_numpy(np.sort(np.unique(np.concatenate([u[rows], v[rows]]), return_index=True)[1]))

    def anchors(self, seed: int, which: Which) -> list[Anchor]:
        """Chance, the things themselves, by cosine and by distance, their principal components, what alike pairs
        have in common, an untrained network."""
        judged, others = self.asked_rows(seed, which)
        rows, train = np.concatenate([judged, others]), self.split(seed).train
        code, encoded = self.encoded(train)
        lanes = simple.untrained(self, find("pair-contrastive")(), encoded, seed)
        known = evenly(train, simple.SEEN)
        one, two = self.plain(known)
        sides = self.plain(rows)
        found = simple.plain(seed, sides, np.concatenate([one, two]))
        found.append(
            ("untrained network", list(self.told_of(lanes, lanes.start().weights, [self.seen(code, rows)])[0]))
        )
        alike = self.alike[known] == 1
        found.append(("relevant components", relevant(one[alike], two[alike], np.concatenate([one, two]), sides)))
        return [Anchor(name, self.compared(z[0], z[1], len(judged), seed)) for name, z in found]

    def plain(self, rows: np.ndarray) -> list[np.ndarray]:
        """What simple models see of both things of these pairs (m, d): levels of small pictures, scaled columns."""
        if self.pictures is None:
            code = self.code
            return [code.encode(side.values[rows].astype(np.float64)).astype(np.float64) for side in self.sides]
        shape = self.pictures.shape
        size = min(shape[1], SIDE), min(shape[2], SIDE)
        levels = [side.values[rows] for side in self.sides]
        small = levels if size == shape[1:] else [shrunk(part, shape, size) for part in levels]
        return [np.asarray(part, dtype=np.float64) / 127.5 - 1 for part in small]

    @cached_property
    def code(self) -> Encoder:
        """The encoding that simple models share: of all pairs that are not test pairs."""
        return self.fitted(self.rest)

    def extras(self, lanes: Lanes, encoder: Any, seed: int, weights: Weights, which: Which) -> dict[str, float | None]:
        """What embedding one pair costs, and the known levels of the loss."""
        x = self.seen(encoder, self.split(seed).train[:COSTED])[None]
        cost = count(lambda: self.asked_of(lanes, weights, x)) / x.shape[1]
        return {"use flops": cost, **simple.levels(lanes)}

    def about(self, arrays: Mapping[str, np.ndarray]) -> dict[str, object]:
        """The threshold, and the names that the columns of a thing have on the second side."""
        side = self.table.second
        also = list(side.names) if isinstance(side, Vectors) else []
        return {"threshold": float(arrays["threshold"][0]), "also": also}

    def kept(self, answer: Compared, seed: int) -> dict[str, np.ndarray]:
        """A map of the first things, and the cosines, for the report."""
        cosine = self.cosine(answer).numpy().astype(np.float32)
        return drawn(answer.a) | {"cosine": cosine, "threshold": np.array([answer.threshold])}


def relevant(one: np.ndarray, two: np.ndarray, known: np.ndarray, sides: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Both sides (m, d) in relevant components (Bar-Hillel et al., 2003): directions in which alike pairs (one, two)
    differ are shortened, C^(-1/2) (x - m), C = E (x - x')(x - x')' in the principal directions of known things."""
    middle = known.mean(axis=0)
    axes = np.linalg.svd(known - middle, full_matrices=False)[2][: Embedder.size].T
    gaps = (one - two) @ axes
    values, vectors = np.linalg.eigh(gaps.T @ gaps / max(1, len(gaps)))
    white = vectors / np.sqrt(values + RIDGE * values.mean() + 1e-12)
    return [simple.directed((x - middle) @ axes @ white) for x in sides]
