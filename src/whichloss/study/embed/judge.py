"""How embeddings are judged: do rows that nothing was trained on lie among those of their class?

Labels are what the study knows of likeness. The classes of an embedded row's nearest training rows, or a linear probe
on these, predict its own: the share of wrong predictions is the score.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from ...data import Encoder, evenly
from ...metrics import embeddings as measure
from ...metrics.labels import Outcome
from ...objectives import Nets, find
from ...train import Lanes, count
from ..classify import signal
from ..classify.judge import Labelled
from ..classify.pictures import Pictured
from ..judge import FREE, Anchor, Weights, Which
from . import simple

METRICS = ("knn-accuracy", "probe-accuracy")
KNOWN = 10_000  # training rows among which neighbours are looked for, at most
COSTED = 256  # rows embedded together to count what one costs
DRAWN = 2000  # embedded rows that the report draws


@dataclass(frozen=True)
class Embedded:
    """Where the judging rows lie (m, e), and the training rows (n, e) whose classes are known."""

    z: np.ndarray
    known: np.ndarray


class Embeds(Labelled):
    """What judging embeddings adds to knowing labels."""

    goal = "embed"
    roles = simple.ROLES

    @property
    def noise_score(self) -> str:
        """The score of predicted labels that is as noisy as this one."""
        return "accuracy"

    @property
    def score_name(self) -> str:  # type: ignore[override]
        """The score that decides, lower is better."""
        return f"1 - {self.metric}"

    @property
    def method(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is done, a sentence each."""
        how = {
            "knn-accuracy": f"the classes of its {measure.NEIGHBOURS} nearest training rows by cosine",
            "probe-accuracy": "logistic regression on the embeddings of the training rows",
        }[self.metric]
        return (
            "Every objective gets the same rows, network, number of settings and training compute, which is counted, "
            "tuning included.",
            f"An embedding is judged by whether {how} tell the class of a row that nothing was trained on.",
            "Objectives that use no labels see two views of every row instead: the others know what is asked for.",
            "Settings and snapshots are chosen on validation rows; finalists are judged on test rows with seeds "
            "nothing was chosen on.",
            "A winner's two-sided 95 % interval against every finalist excludes 0; no other test is used.",
            "A failed run counts as a run at the worst simple baseline's score; none is dropped.",
        )

    def preflight(self) -> signal.Signal:
        """What is seen of the labels; the noise of the score is that of predicted labels."""
        found = super().preflight()
        return msgspec.structs.replace(found, rope=max(found.rope, measure.least_noise(found.rows)))

    def kinds(self) -> np.ndarray:
        """The classes of some training rows, about as many of each that has two."""
        sizes = np.bincount(self.labels.codes[self.split(1).train])
        kinds = np.flatnonzero(sizes > 1)[: FREE // 2]
        return np.repeat(kinds, np.minimum(sizes[kinds], FREE // max(1, len(kinds))))

    def known(self, seed: int) -> np.ndarray:
        """The numbers of the training rows whose classes are looked up."""
        return evenly(self.split(seed).train, KNOWN)

    def answers(
        self, lanes: Lanes, encoders: Sequence[Encoder], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Embedded | None]:
        """Where every lane puts its judging rows and its training rows; None where it has diverged."""
        asked = [(self.numbers(seed, which), self.known(seed)) for seed in seeds]
        rows = [torch.cat([self.seen(e, n) for n in pair]) for e, pair in zip(encoders, asked, strict=True)]
        z = self.told_of(lanes, weights, rows)
        parts = [np.split(all_of, [len(pair[0])]) for all_of, pair in zip(z, asked, strict=True)]
        return [Embedded(*part) if all(np.isfinite(p).all() for p in part) else None for part in parts]

    def use(self, objective: Any, nets: Nets, x: Tensor) -> Tensor:
        """The embeddings (m, e) of rows x (m, d)."""
        z: Tensor = objective.embed(nets, x)
        return z

    def codes(self, rows: np.ndarray) -> Tensor:
        """The classes of these rows."""
        return torch.from_numpy(self.labels.codes[rows])

    def score(self, answer: Embedded, seed: int, which: Which) -> Outcome:
        """The share of wrong classes."""
        return self.wrong(self.metric, answer, seed, which)

    def wrong(self, metric: str, answer: Embedded, seed: int, which: Which) -> Outcome:
        """The share of classes that neighbours, or a probe, tell wrong."""
        z, known = torch.from_numpy(answer.z), torch.from_numpy(answer.known)
        tell = measure.neighbours if metric == "knn-accuracy" else measure.probe
        return measure.share_wrong(tell(known, self.codes(self.known(seed)), z), self.truth(seed, which))

    def describe(self, answer: Embedded, seed: int, which: Which) -> dict[str, float]:
        """Both accuracies, and how the embeddings fill the sphere."""
        z, codes = torch.from_numpy(answer.z), self.truth(seed, which)
        right = {name: 1 - self.wrong(name, answer, seed, which).value for name in METRICS}
        found = right | {
            "alignment": measure.alignment(z, codes),
            "uniformity": measure.spread_evenly(z),
            "effective rank": measure.effective_rank(z),
        }
        return {
            name: value for name, value in found.items() if math.isfinite(value)
        }  # no two rows of a class: no alignment

    def anchors(self, seed: int, which: Which) -> list[Anchor]:
        """Chance, the rows themselves, by cosine and by distance, their principal components, an untrained network."""
        asked = [self.numbers(seed, which), self.known(seed)]
        known, judged = self.plain(asked[1], asked[0])
        encoder, encoded = self.encoded(self.split(seed).train)
        lanes = simple.untrained(self, find("triplet")(), encoded, seed)
        start = lanes.start().weights
        z = [self.told_of(lanes, start, [self.seen(encoder, rows)])[0] for rows in asked]
        found = [*simple.plain(seed, [judged, known], known), ("untrained network", z)]
        return [Anchor(name, Embedded(*parts)) for name, parts in found]

    def extras(
        self, lanes: Lanes, encoder: Encoder, seed: int, weights: Weights, which: Which
    ) -> dict[str, float | None]:
        """What embedding one row costs, and the known levels of the loss."""
        x = self.seen(encoder, self.known(seed)[:COSTED])[None]
        return {
            "use flops": count(lambda: self.asked_of(lanes, weights, x)) / x.shape[1],
            **simple.levels(lanes),
        }

    def about(self, arrays: Mapping[str, np.ndarray]) -> dict[str, object]:
        """The label and its classes."""
        return {"target": msgspec.to_builtins(self.label_columns), "classes": list(self.labels.names)}

    def kept(self, answer: Embedded, seed: int) -> dict[str, np.ndarray]:
        """A map of the judging rows, for the report."""
        return drawn(answer.z)


def drawn(z: np.ndarray) -> dict[str, np.ndarray]:
    """The first rows of embeddings (m, e) in the two directions in which they differ most, and their share in that."""
    d = measure.directions("z", torch.from_numpy(z[:DRAWN])).numpy()
    d = d - d.mean(axis=0)
    _, s, axes = np.linalg.svd(d, full_matrices=False)
    share = np.square(s[:2]).sum() / max(np.square(s).sum(), 1e-12)
    return {"map": (d @ axes[:2].T).astype(np.float32), "map share": np.array([share])}


@dataclass(frozen=True, eq=False)
class EmbedJudge(Embeds):
    """The rows of a table, and their labels."""

    metric: str = METRICS[0]


@dataclass(frozen=True, eq=False)
class PictureEmbedJudge(Embeds, Pictured):
    """The pictures of a study, and their labels."""

    metric: str = METRICS[0]
