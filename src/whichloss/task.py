"""The vocabulary: what the data is, what a step sees, what a diagnosis says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

Goal = Literal["generate", "classify", "embed", "align"]


@dataclass(frozen=True)
class Task:
    """What is to be learned: the goal, the width of an encoded row, the number of training rows."""

    goal: Goal
    dim: int
    rows: int


@dataclass(frozen=True)
class Batch:
    """What one step sees: rows x (B, d), the objective's memory, and how far the run is, a number in [0, 1]."""

    x: Tensor
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    progress: Tensor = field(default_factory=lambda: torch.zeros(()))


@dataclass(frozen=True)
class Finding:
    """One diagnosed thing: what, on which objective, with what evidence, its cause and its remedy."""

    rule: str
    objective: str
    level: Literal["note", "fault"]
    says: str
    evidence: Mapping[str, float]
    cause: str
    remedy: str
    reference: str = ""
