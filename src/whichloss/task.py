"""The vocabulary: what the data is, what a step sees, what a diagnosis says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

Goal = Literal["generate", "classify", "embed", "align"]
Labels = Literal["", "one", "several", "ordered"]


@dataclass(frozen=True)
class Task:
    """What is to be learned: the goal, the width of an encoded row, the number of training rows.

    labels: what a row is labelled with: nothing, one of `classes`, several of them (0/1 each), or one in an order; rows
    that are to be generated are generated given that class;
    shape: (C, H, W) where a row is a picture, flattened; second: how many numbers the other thing of a pair has, which
    a batch holds as its labels, followed by 1 or 0, alike or not, where pairs are to be embedded; words: how many ids
    there are, where these numbers are the ids of a text.
    """

    goal: Goal
    dim: int
    rows: int
    classes: int = 0
    labels: Labels = ""
    shape: tuple[int, ...] = ()
    second: int = 0
    words: int = 0

    @property
    def given(self) -> int:
        """How many numbers every network is told beside its inputs: the class of a row to be generated, one-hot."""
        return self.classes if self.goal == "generate" else 0


@dataclass(frozen=True)
class Batch:
    """What one step sees: rows x (B, d), the objective's memory, how far the run is, a number in [0, 1], and labels.

    y: (B, K) of 0 and 1, one 1 a row or, where rows have several labels, any number; (B, 0) where rows have none; of
    pairs, the second things, `second` numbers each, and where pairs are to be embedded whether they are alike.
    shape: (C, H, W) where a row is a picture; only networks, and views of a row, look at it; words: as in a task.
    """

    x: Tensor
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    progress: Tensor = field(default_factory=lambda: torch.zeros(()))
    y: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    shape: tuple[int, ...] = ()
    words: int = 0
    second: int = 0

    @property
    def labels(self) -> Tensor:
        """The class of each row (B,), a whole number."""
        return self.y.argmax(dim=1)

    @property
    def other(self) -> Tensor:
        """The second thing of each pair (B, second)."""
        return self.y[:, : self.second]

    @property
    def alike(self) -> Tensor:
        """1 where the two things of a pair are alike, else 0 (B,)."""
        return self.y[:, self.second]


@dataclass(frozen=True)
class Finding:
    """One diagnosed thing: what, on which objective, with what evidence, its cause and its remedy; card: what to read
    (`whichloss explain CARD`), where it is not the objective's own."""

    rule: str
    objective: str
    level: Literal["note", "fault"]
    says: str
    evidence: Mapping[str, float]
    cause: str
    remedy: str
    reference: str = ""
    card: str = ""
