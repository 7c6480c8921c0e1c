"""Who judges, on which rows: what every goal's judge has in common.

A judge holds the real rows of a study. It says what one run trains on, asks a trained lane for its answer (rows
drawn from it, or predictions for the judging rows), and scores the answer, lower is better.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import msgspec
import numpy as np
import torch
from torch import Tensor

from ..data import Encoder, Pictures, Split, Table, evenly, split
from ..errors import UserError
from ..objectives.base import Objective
from ..objectives.find import DEFAULTS
from ..task import Goal, Task
from ..train import Lanes

FREE = 256  # things that free vectors stand for, at most
Which = Literal["validation", "test"]
Role = Literal["baseline", "ceiling", "cheat", "derived"]
Weights = Mapping[str, Tensor]


class Scored(Protocol):
    """A score, its standard error over the judging rows, and what each of these rows does to it."""

    @property
    def value(self) -> float: ...
    @property
    def se(self) -> float: ...
    @property
    def influence(self) -> Tensor: ...


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured before anything is trained. rope: the noise of a score at this number of rows."""

    rows: int
    rope: float

    @property
    def guessed(self) -> float | None:
        """The balanced accuracy that guesses seldom exceed, where nothing better was seen."""
        return None

    def refusal(self, judge: "Judge") -> str:
        """Why nothing can be compared on this data, or nothing."""
        return ""

    def cautions(self) -> tuple[str, ...]:
        """What a verdict on this data does not show, in sentences."""
        return ()

    def facts(self) -> dict[str, Any]:
        """All of it as plain values, for the study."""
        return dict(msgspec.to_builtins(self))


@dataclass(frozen=True)
class Anchor:
    """One anchor's answer on one seed, and its log-likelihood of the judging rows where it has one."""

    name: str
    answer: Any  # what a judge scores: rows of the table, or predictions
    log_likelihood: float | None = None


@dataclass(frozen=True, eq=False)
class Judge(ABC):
    """The real rows of a study; one judge per process."""

    table: Table
    goal: ClassVar[Goal]
    measures: ClassVar[type[Preflight]]  # what `preflight` returns
    roles: ClassVar[Mapping[str, Role]]  # the anchors
    derived: ClassVar[Mapping[str, str]] = {}  # name -> the objective whose finished runs it is computed from
    method: ClassVar[tuple[str, ...]]  # what is done, a sentence each
    score_name: ClassVar[str]
    batch: ClassVar[int] = 256
    both_ends: ClassVar[bool] = False  # describe the last snapshot too, not only the best

    @property
    def most(self) -> int:
        """The most rows that judge."""
        return 2000

    @property
    def tables(self) -> Mapping[str, Table]:
        """The tables that a study keeps, by the name of their file."""
        return {"data": self.table}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noticed while the data was read."""
        return tuple(note for table in self.tables.values() for note in table.notes)

    def resumed(self, folder: Path) -> "Judge":
        """The judge with what its study has made already, in this folder."""
        return self

    @property
    def asked(self) -> Mapping[str, object]:
        """What, beside the table, makes this judge: kept with the plan."""
        return {}

    @lru_cache(maxsize=64)  # noqa: B019  one judge per process
    def split(self, seed: int) -> Split:
        """Training, validation and test rows of a seed; the test rows are the same for all."""
        return split(self.table, seed=seed)

    @property
    def pictures(self) -> Pictures | None:
        """The pictures that networks see, where they see any."""
        return self.table if isinstance(self.table, Pictures) else None

    @property
    def pixels(self) -> Tensor | None:
        """The bytes of all pictures (n, d), where there are some: then encoded rows are their numbers."""
        return None if self.pictures is None else unwritten(self.pictures.values)

    @property
    def inputs(self) -> np.ndarray:
        """The values that a model is given (n, columns)."""
        return self.table.values

    @property
    def described_by(self) -> Mapping[str, Any]:
        """What of the data's description is this judge's own: what rows are given, and its classes."""
        return {}

    def told(self, rows: np.ndarray) -> Tensor:
        """The classes of these rows that networks are told beside them, one-hot (n, K); K = 0 where they are not."""
        return torch.zeros(len(rows), 0)

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

    def size(self, seed: int) -> int:
        """How many rows stand on each side, everywhere: the fresh real rows must be as many."""
        parts = self.split(seed)
        return min(len(parts.validation), len(parts.test), self.most)

    def numbers(self, seed: int, which: Which, most: int | None = None) -> np.ndarray:
        """The row numbers that judge, at most `most`, spread evenly."""
        index = getattr(self.split(seed), which)
        return evenly(index, most or self.most)

    @property
    def usual(self) -> tuple[str, ...]:
        """The objectives that are compared unless others are asked for."""
        return DEFAULTS[self.goal]

    def unfit(self, kind: type[Objective]) -> str | None:
        """Why this judge cannot judge an objective, or None."""
        return None

    @property
    @abstractmethod
    def task(self) -> Task:
        """What objectives are told of the data."""

    @abstractmethod
    def preflight(self) -> Preflight:
        """Can anything be compared on this data?"""

    def kinds(self) -> np.ndarray | None:
        """Which of up to FREE training things are alike (n,), equal where they are, or given pairs of them (p, 3), two
        numbers from 0 and 1 or 0; None where nothing but views says so."""
        return None

    def looks(self, steps: int) -> Iterable[int]:
        """The steps, beside the ends of the quarters, after which validation rows judge; the best weights are kept."""
        return ()

    @abstractmethod
    def encoded(self, rows: np.ndarray) -> tuple[Encoder, Tensor]:
        """The encoding fitted on these training rows, and the rows in it, labels last."""

    def jitter(self, encoder: Encoder) -> np.ndarray:
        """The width of the uniform noise on every encoded column in training: only what is drawn needs a density."""
        return np.zeros_like(encoder.jitter)

    def units(self, rows: np.ndarray) -> np.ndarray | None:
        """Whole numbers, equal for rows that a batch should not hold together; None: each row is its own."""
        return None

    @abstractmethod
    def answers(
        self, lanes: Lanes, encoders: Sequence[Encoder], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Any]:
        """What every lane answers; None where it has diverged. `name` says what for, and keys the draws: "judge" for
        the best weights, "last" for the last, "look" for a point of a curve."""

    @abstractmethod
    def score(self, answer: Any, seed: int, which: Which) -> Scored:
        """The primary metric, lower is better."""

    @abstractmethod
    def describe(self, answer: Any, seed: int, which: Which) -> dict[str, float]:
        """The descriptive metrics."""

    @abstractmethod
    def anchors(self, seed: int, which: Which) -> Iterable[Anchor]:
        """The answers of all anchors on a seed."""

    def derive(self, name: str, arrays: Mapping[str, np.ndarray], seed: int) -> Any:
        """The answer of a derived row, from what a run kept."""
        raise UserError(f"'{name}' is derived from nothing.")

    def examined(self, lanes: Lanes, encoder: Encoder, seed: int, weights: Weights, which: Which) -> dict[str, float]:
        """The descriptive metrics that need the model of a finished run of one lane, not only its answer."""
        return {}

    def extras(
        self, lanes: Lanes, encoder: Encoder, seed: int, weights: Weights, which: Which
    ) -> dict[str, float | None]:
        """Further facts of a finished run of one lane: flops of use, loss skill, log likelihood, loss at collapse."""
        return {}

    def maps(self, lanes: Lanes, encoder: Encoder, weights: Weights) -> dict[str, np.ndarray]:
        """What of a finished run of one lane is drawn over the plane of its rows."""
        return {}

    def about(self, arrays: Mapping[str, np.ndarray]) -> dict[str, object]:
        """What a model needs beside its weights and its encoding; `arrays` is what its run kept."""
        return {}

    @abstractmethod
    def kept(self, answer: Any, seed: int) -> dict[str, np.ndarray]:
        """What of an answer is kept for the report."""

    def glimpse(self, answer: Any) -> np.ndarray | None:
        """What of the answer at a look is kept, so that the report can show the progress; nothing here."""
        return None


def unwritten(values: np.ndarray) -> Tensor:
    """A read-only map as a tensor that shares its memory: nobody may write to it, and nobody does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(values))
