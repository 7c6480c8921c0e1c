"""How alignment is judged: does a new picture find its text among all new texts, and a text its picture?

The gallery is the judging pairs. Pairs of one unit (a concept; equal captions or pictures) are equally right, and equal
texts stand in the gallery of texts once. Where embeddings are equal their order is left to chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...data import Captions, Pairs, Pictures, Vocabulary, evenly
from ...data.pair_encode import Pairing, SideCode
from ...metrics import embeddings as measure
from ...metrics.labels import Outcome
from ...objectives import find
from ...task import Task
from ...train import Lanes, count
from ..embed.judge import drawn
from ..embed.simple import levels, untrained
from ..judge import FREE, Anchor, Judge, Role, Weights, Which
from . import signal, simple

KS = (1, 5, 10)
MOST_CONTEXT = 32  # ids of a text, at most; what does not fit is cut, and said
COSTED = 256  # pairs embedded together to count what one costs


@dataclass(frozen=True)
class Aligned:
    """Where both things of every judging pair lie, (m, e) each."""

    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True, eq=False)
class PairJudge(Judge):
    """The pairs of a study."""

    table: Pairs  # type: ignore[assignment]
    goal = "align"
    measures = signal.PairSignal
    roles: ClassVar[Mapping[str, Role]] = simple.ROLES
    score_name = "1 - recall@1"
    block: ClassVar[int] = 500  # things embedded at once
    method = (
        "Every objective gets the same pairs, networks, number of settings and training compute, which is counted, "
        "tuning included.",
        "The score is the share of new things whose partner is not found first, among all judging pairs, the mean of "
        "both ways; pairs of one unit are equally right, equal texts count once, what stands level comes by chance.",
        "Pairs of one unit (a concept, equal captions or pictures) stay in one part of every split.",
        "Settings and snapshots are chosen on validation pairs; finalists are judged on test pairs with seeds "
        "nothing was chosen on.",
        "A winner's two-sided 95 % interval against every finalist excludes 0; no other test is used.",
        "What other judging pairs would change is taken as if each counted for itself; that it is a wrong answer for "
        "all others too is left out.",
        "A failed run counts as a run at the worst simple baseline's score; none is dropped.",
    )

    @property
    def asked(self) -> Mapping[str, object]:
        """That pairs are judged."""
        return {"pairs": True}

    @property
    def batch(self) -> int:  # type: ignore[override]
        """256, or fewer where a batch would be most of the training pairs."""
        return int(min(256, max(16, len(self.rest) // 4)))

    @property
    def pictures(self) -> Pictures | None:
        """The first things, where they are pictures."""
        return self.table.first if isinstance(self.table.first, Pictures) else None

    @cached_property
    def texts(self) -> SideCode | None:
        """How texts are coded: a vocabulary of all captions, a context that holds 99 % of them whole."""
        if not isinstance(self.table.second, Captions):
            return None
        words = self.table.second.texts
        vocabulary = Vocabulary.learned(words)
        return SideCode(merges=vocabulary.merges, context=min(MOST_CONTEXT, vocabulary.context(words)))

    @cached_property
    def ids(self) -> np.ndarray | None:
        """All texts as ids (n, context)."""
        return None if self.texts is None else self.texts.encode(self.table.second)

    @property
    def task(self) -> Task:
        """Both widths, how many pairs may be learned from, the shape of a picture, the number of ids."""
        shape = self.pictures.shape if self.pictures is not None else ()
        code = Pairing.fit(self.table, self.rest[:2], self.texts)
        return Task(
            "align", code.first.dim, len(self.rest), shape=shape, second=code.second.dim, words=code.second.words
        )

    def preflight(self) -> signal.PairSignal:
        """Do pairs belong together at all, as far as a cheap probe sees?"""
        return signal.measure(self)

    def kinds(self) -> np.ndarray:
        """The units of some training pairs."""
        return np.asarray(self.table.groups[evenly(self.split(1).train, FREE)])

    def encoded(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding fitted on these pairs, and the pairs in it."""
        code = Pairing.fit(self.table, rows, self.texts)
        return code, self.seen(code, rows)

    def units(self, rows: np.ndarray) -> np.ndarray | None:
        """Concepts, where they are known, and what is equal."""
        return np.asarray(self.table.groups[rows])

    def jitter(self, encoder: Any) -> np.ndarray:
        """None."""
        return np.zeros(encoder.first.dim, np.float32)

    def seen(self, code: Pairing, rows: np.ndarray) -> Tensor:
        """These pairs as a lane's data holds them: the first thing, or a picture's number, then the second."""
        if self.pictures is not None:
            left = rows[:, None].astype(np.float64)  # numbers, not levels
        else:
            left = code.first.encode(self.table.first.rows(rows))
        right = self.ids[rows] if self.ids is not None else code.second.encode(self.table.second.rows(rows))
        return torch.from_numpy(np.concatenate([left, right.astype(left.dtype)], axis=1))

    def answers(
        self, lanes: Lanes, encoders: Sequence[Any], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Aligned | None]:
        """Where every lane puts its judging pairs; None where it has diverged."""
        found = []
        for k, (code, seed) in enumerate(zip(encoders, seeds, strict=True)):
            mine = {role: w[k : k + 1] for role, w in weights.items()}
            z = self.told_of(lanes.alone(k), mine, self.seen(code, self.numbers(seed, which)))
            found.append(Aligned(*z) if all(np.isfinite(part).all() for part in z) else None)
        return found

    def told_of(self, lanes: Lanes, weights: Weights, rows: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The embeddings of pairs by one lane, (m, e) each."""
        width = self.task.dim

        def work(objective: Any, rng: object, weights: Weights, x: Tensor) -> Tensor:
            nets, seen = lanes.nets(weights), lanes.read(x)
            return torch.stack([objective.first(nets, seen[:, :width]), objective.second(nets, seen[:, width:])])

        z = torch.cat([lanes.map(work, dict(weights), part[None])[0] for part in rows.split(self.block)], dim=1)
        return z[0].numpy(), z[1].numpy()

    def ways(self, answer: Aligned, seed: int, which: Which) -> tuple[measure.Retrieval, measure.Retrieval]:
        """First things searching the second ones, equal ones once; and the other way round."""
        rows = self.numbers(seed, which)
        units = torch.from_numpy(self.table.groups[rows])
        a, b = torch.from_numpy(answer.a), torch.from_numpy(answer.b)
        single = torch.from_numpy(self.singles(rows))
        there = measure.retrieve(a, b[single], units, units[single])
        return there, measure.retrieve(b, a, units, units)

    def singles(self, rows: np.ndarray) -> np.ndarray:
        """The places of the first of equal texts among these rows; of all where the second things are no texts."""
        if not isinstance(self.table.second, Captions):
            return np.arange(len(rows))
        texts = np.array(self.table.second.texts, dtype=object)[rows].astype(str)
        return np.sort(np.unique(texts, return_index=True)[1])

    def score(self, answer: Aligned, seed: int, which: Which) -> Outcome:
        """1 - recall@1, the mean of both ways."""
        there, back = self.ways(answer, seed, which)
        return measure.mean_of(1 - (there.found(1) + back.found(1)) / 2)

    def describe(self, answer: Aligned, seed: int, which: Which) -> dict[str, float]:
        """Recall both ways, median ranks, and how the embeddings fill the sphere."""
        there, back = self.ways(answer, seed, which)
        recall = {f"recall@{k}": float((there.found(k) + back.found(k)).mean() / 2) for k in KS}
        each = {
            f"recall@{k}, {name}": float(way.found(k).mean())
            for name, way in (("there", there), ("back", back)) for k in KS
        }  # fmt: skip
        a, b = torch.from_numpy(answer.a), torch.from_numpy(answer.b)
        return (
            recall
            | each
            | {
                "median rank, there": float(there.rank.median()),
                "median rank, back": float(back.rank.median()),
                "gallery": float(there.gallery),
                "chance of recall@1": float(np.mean([(w.answers / w.gallery).mean() for w in (there, back)])),
                "alignment": measure.pairs_apart(a, b),
                "uniformity": (measure.spread_evenly(a) + measure.spread_evenly(b)) / 2,
                "effective rank": measure.effective_rank(a),
            }
        )

    def anchors(self, seed: int, which: Which) -> list[Anchor]:
        """Chance, canonical correlations, the text of the nearest training picture, untrained networks."""
        train, asked = self.split(seed).train, self.numbers(seed, which)
        code, encoded = self.encoded(train)
        lanes = untrained(self, find("regress")(), encoded, seed)
        z = self.told_of(lanes, lanes.start().weights, self.seen(code, asked))
        known = evenly(train, simple.SEEN)
        found = simple.plain(seed, *(self.plain(rows) for rows in (known, asked)))
        return [Anchor(name, Aligned(*parts)) for name, parts in [*found, ("untrained networks", z)]]

    def plain(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What simple models see of pairs: pixels of pictures reduced, counts of words, vectors as they are."""
        return simple.plain_side(self.table.first, rows), simple.plain_side(self.table.second, rows, self.known_words)

    @cached_property
    def known_words(self) -> dict[str, int] | None:
        """The words that simple models know."""
        return simple.known_words(self.table.second, self.rest)

    def extras(self, lanes: Lanes, encoder: Any, seed: int, weights: Weights, which: Which) -> dict[str, float | None]:
        """What embedding one pair costs, and the known levels of the loss."""
        x = self.seen(encoder, self.split(seed).train[:COSTED])
        cost = count(lambda: self.told_of(lanes, weights, x)) / len(x)
        return {"use flops": cost, **levels(lanes)}

    def kept(self, answer: Aligned, seed: int) -> dict[str, np.ndarray]:
        """A map of the first things, and both embeddings for the report's examples."""
        return drawn(answer.a) | {"first": answer.a.astype(np.float16), "second": answer.b.astype(np.float16)}
