"""How predictions are judged: logits for rows that nothing was trained on, against their labels.

Every objective trains in its own lane's encoding of the columns that are not labels. A score is a function of the
predicted probabilities on the judging rows; which one decides is asked for, log-loss unless told otherwise.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import msgspec
import numpy as np
import torch
from torch import Tensor

from ...data import Column, Encoder, Schema, Split, split
from ...metrics import labels as measure
from ...objectives import Nets
from ...task import Task
from ...train import Lanes, count
from ..judge import Anchor, Judge, Weights, Which
from . import anchors, signal
from .target import Target

ADJUSTED = "cross-entropy, adjusted after training"
DOUBLINGS = 7  # of the steps, from the first look at the validation rows to the last
COSTED = 256  # rows predicted together to count what one costs


@dataclass(frozen=True)
class Prediction:
    """Logits (m, K) for the judging rows, and the temperature that suits the validation rows best."""

    logits: np.ndarray
    temperature: float = 1.0


@dataclass(frozen=True, eq=False)
class Labelled(Judge):
    """The rows of a study and their labels: what judging predictions and judging embeddings share."""

    target: tuple[str, ...] = ()
    metric: str = "log-loss"
    measures = signal.Signal
    block: ClassVar[int] = 4096  # rows answered at once

    @property
    def most(self) -> int:
        """The most rows that judge."""
        return 20_000

    @property
    def asked(self) -> Mapping[str, object]:
        """The label columns and the score."""
        return {"target": list(self.target), "metric": self.metric}

    @property
    def noise_score(self) -> str:
        """The score of predicted labels that is as noisy as the one that decides."""
        return self.metric

    @cached_property
    def labels(self) -> Target:
        """What is to be predicted."""
        return Target.of(self.table, tuple(self.target))

    @cached_property
    def schema(self) -> Schema:
        """The columns that are not labels."""
        return Schema(tuple(c for c in self.table.schema.columns if c.name not in self.target))

    @cached_property
    def inputs(self) -> np.ndarray:
        """The values of the columns that are not labels (n, columns)."""
        keep = [i for i, c in enumerate(self.table.schema.columns) if c.name not in self.target]
        return self.table.values[:, keep]

    @lru_cache(maxsize=64)  # noqa: B019  one judge per process
    def split(self, seed: int) -> Split:
        """Training, validation and test rows of a seed, each with the classes' shares where rows are drawn freely."""
        return split(self.table, seed=seed, strata=self.labels.strata)

    @property
    def label_columns(self) -> list[Column]:
        """The columns that are labels."""
        return [c for c in self.table.schema.columns if c.name in self.target]

    @property
    def task(self) -> Task:
        """The width of an encoded row, the number of rows that may be learned from, and the labels."""
        return Task(self.goal, self.schema.dim, len(self.rest), len(self.labels.names), self.labels.kind)

    def preflight(self) -> signal.Signal:
        """Is there anything to learn, does a column give the labels away, how many labels look wrong?"""
        return signal.measure(self)

    def encoded(self, rows: np.ndarray) -> tuple[Encoder, Tensor]:
        """The encoding fitted on these rows, and the rows in it, labels last."""
        encoder = Encoder.fit(self.schema, self.inputs[rows])
        x = torch.from_numpy(encoder.encode(self.inputs[rows]))
        return encoder, torch.cat([x, torch.from_numpy(self.labels.columns[rows]).float()], dim=1)

    def seen(self, encoder: Encoder, rows: np.ndarray) -> Tensor:
        """These rows in an encoding (m, d), as a lane's data holds them."""
        return torch.from_numpy(encoder.encode(self.inputs[rows]))

    def plain(self, train: np.ndarray, *asked: np.ndarray) -> list[np.ndarray]:
        """What simple models see of the training rows and of others: all in the encoding that the first fit."""
        encoder = Encoder.fit(self.schema, self.inputs[train])
        return [encoder.encode(self.inputs[rows]) for rows in (train, *asked)]

    def ranked(self, rows: np.ndarray) -> np.ndarray:
        """What the probe sees of these rows."""
        return signal.ranked(self.schema, self.inputs[rows])

    def marks(self) -> np.ndarray:
        """64 bits of each row without its labels, equal where rows are."""
        return signal.hashed(self.inputs)

    def truth(self, seed: int, which: Which) -> Tensor:
        """The labels of the judging rows."""
        return torch.from_numpy(self.labels.codes[self.numbers(seed, which)])

    def told_of(self, lanes: Lanes, weights: Weights, rows: Sequence[Tensor]) -> list[np.ndarray]:
        """What every lane says of its own rows (m, d): (m, K) each."""
        z = self.asked_of(lanes, weights, torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)).numpy()
        return [z[k, : len(r)] for k, r in enumerate(rows)]

    def asked_of(self, lanes: Lanes, weights: Weights, x: Tensor) -> Tensor:
        """What every lane says of its rows x (S, m, d), as its data holds them, block by block: (S, m, K)."""

        def work(objective: Any, rng: object, weights: Weights, x: Tensor) -> Tensor:
            return self.use(objective, lanes.nets(weights), lanes.read(x))

        return torch.cat([lanes.map(work, dict(weights), part) for part in torch.split(x, self.block, dim=1)], dim=1)

    @abstractmethod
    def use(self, objective: Any, nets: Nets, x: Tensor) -> Tensor:
        """What an objective says of rows x (m, d): (m, K)."""


@dataclass(frozen=True, eq=False)
class LabelJudge(Labelled):
    """Predictions for the judging rows, and the score that decides."""

    goal = "classify"
    roles = anchors.ROLES
    derived = {ADJUSTED: "cross-entropy"}
    both_ends = True

    @property
    def score_name(self) -> str:  # type: ignore[override]
        """The score that decides, lower is better."""
        return f"1 - {self.metric}" if self.metric in measure.MEANS_OF_GAINS else self.metric

    @property
    def method(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is done, a sentence each."""
        free = self.table.times is None and self.table.groups is None
        positive = f"Average precision is that of '{self.labels.names[self.labels.positive]}', the rarer class."
        return (
            "Every objective gets the same rows, network, number of settings and training compute, which is counted, "
            "tuning included.",
            *("Test rows keep the shares of the classes." for _ in range(free)),
            "Settings and snapshots are chosen on validation rows; finalists are judged on test rows with seeds "
            "nothing was chosen on.",
            *(positive for _ in range(self.labels.two)),
            "A winner's two-sided 95 % interval against every finalist excludes 0; no other test is used.",
            "A failed run counts as a run at the worst simple baseline's score; none is dropped.",
            "Simple baselines learn from a random part of the rows where all would take minutes: nearest neighbours "
            f"from {anchors.MOST_NEIGHBOURS:,} at most, boosted trees and logistic regression from fewer the more "
            "columns and classes there are.",
        )

    def looks(self, steps: int) -> list[int]:
        """Two in every doubling of the steps: a network may know the training rows by heart after few."""
        return [math.ceil(steps * 2 ** (-k / 2)) for k in range(2 * DOUBLINGS)]

    def answers(
        self, lanes: Lanes, encoders: Sequence[Encoder], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Prediction | None]:
        """Every lane's logits for its judging rows; None where a lane has diverged."""
        found = self.logits(lanes, encoders, seeds, weights, which)
        if name == "look":
            return [Prediction(z) if np.isfinite(z).all() else None for z in found]
        known = self.logits(lanes, encoders, seeds, weights, "validation")
        return [
            Prediction(z, self.temperature(v, seed)) if np.isfinite(z).all() and np.isfinite(v).all() else None
            for z, v, seed in zip(found, known, seeds, strict=True)
        ]

    def logits(
        self, lanes: Lanes, encoders: Sequence[Encoder], seeds: Sequence[int], weights: Weights, which: Which
    ) -> list[np.ndarray]:
        """(m, K) of every lane."""
        rows = [self.seen(e, self.numbers(seed, which)) for e, seed in zip(encoders, seeds, strict=True)]
        return self.told_of(lanes, weights, rows)

    def use(self, objective: Any, nets: Nets, x: Tensor) -> Tensor:
        """The logits (m, K) of rows x (m, d)."""
        z: Tensor = objective.logits(nets, x, self.task)
        return z

    def temperature(self, logits: np.ndarray, seed: int) -> float:
        """The temperature that suits the validation rows."""
        return measure.temperature(self.predicted(logits, seed, "validation"))

    def predicted(self, logits: np.ndarray, seed: int, which: Which) -> measure.Predicted:
        """Logits for the judging rows, beside their labels."""
        return measure.predicted(torch.from_numpy(logits), self.truth(seed, which), self.labels.positive)

    def score(self, answer: Prediction, seed: int, which: Which) -> measure.Outcome:
        """The score that decides, lower is better."""
        return measure.score(self.metric, self.predicted(answer.logits, seed, which))

    def describe(self, answer: Prediction, seed: int, which: Which) -> dict[str, float]:
        """All scores, as people know them, before and after temperature scaling."""
        found = measure.describe(self.predicted(answer.logits, seed, which))
        scaled = measure.describe(self.predicted(answer.logits / answer.temperature, seed, which))
        changed = {f"{name}, scaled": scaled[name] for name in measure.OF_PROBABILITIES}
        return found | changed | {"temperature": answer.temperature}

    def anchors(self, seed: int, which: Which) -> list[Anchor]:
        """Majority class, logistic regression, boosted trees, nearest neighbours."""
        train = self.split(seed).train
        x, *asked = self.plain(train, self.numbers(seed, which), self.numbers(seed, "validation"))
        y = self.labels.codes[train]
        return [
            Anchor(name, Prediction(judged, self.temperature(known, seed)))
            for name, (judged, known) in anchors.anchors(x, y, len(self.labels.names), asked, seed)
        ]

    def derive(self, name: str, arrays: Mapping[str, np.ndarray], seed: int) -> Prediction:
        """z - log prior: what the network would have said if all classes were equally frequent (Menon et al., 2021)."""
        train = self.labels.codes[self.split(seed).train]
        counts = np.maximum(np.bincount(train, minlength=len(self.labels.names)), 1)
        return Prediction(arrays["logits"] - np.log(counts / counts.sum()), float(arrays["temperature"][0]))

    def extras(
        self, lanes: Lanes, encoder: Encoder, seed: int, weights: Weights, which: Which
    ) -> dict[str, float | None]:
        """What the prediction for one row costs, and how well the training rows are predicted."""
        x = lanes.data[:, : int(lanes.sizes[0])]
        rows = x[:, torch.linspace(0, x.shape[1] - 1, min(x.shape[1], 5000)).long()]
        inputs, y = rows.tensor_split([rows.shape[2] - self.labels.columns.shape[1]], dim=2)
        z = self.asked_of(lanes, weights, inputs)[0]
        y = y[0] if self.labels.kind == "several" else y[0, :, 0].long()
        trained = measure.score("balanced-accuracy", measure.predicted(z, y)).value
        cost = count(lambda: self.asked_of(lanes, weights, inputs[:, :COSTED])) / min(COSTED, rows.shape[1])
        return {"use flops": cost, "training balanced accuracy": 1 - trained}

    def about(self, arrays: Mapping[str, np.ndarray]) -> dict[str, object]:
        """The labels, their names, and the temperature."""
        return {
            "target": msgspec.to_builtins(self.label_columns),
            "classes": list(self.labels.names),
            "values": list(self.labels.values),
            "temperature": float(arrays["temperature"][0]),
        }

    def kept(self, answer: Prediction, seed: int) -> dict[str, np.ndarray]:
        """The logits, for the curves of the report."""
        return {"logits": answer.logits.astype(np.float32), "temperature": np.array([answer.temperature])}
