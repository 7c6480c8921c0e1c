"""Pictures and their labels: learned from as bytes, judged as tables are; simple models see them reduced."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data import Column, Pictures, Scale, Schema
from ...data.pictures import LABEL
from ...data.pixels import marks, shrunk
from ...task import Task
from .judge import LabelJudge, Labelled
from .target import Target

SIDE = 16  # of the pictures that simple models and the probe see


@dataclass(frozen=True, eq=False)
class Pictured(Labelled):
    """The pictures of a study and their labels."""

    table: Pictures  # type: ignore[assignment]  # its sibling: rows of bytes, not of columns
    target: tuple[str, ...] = (LABEL,)
    batch = 64
    block = 500

    @property
    def most(self) -> int:
        """The most pictures that judge."""
        return 10_000

    @property
    def asked(self) -> Mapping[str, object]:
        """The score, and the shape of a picture."""
        return {"metric": self.metric, "shape": self.table.shape}

    @property
    def method(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is done, a sentence each."""
        _, height, width = self.table.shape
        reduced = f"Simple models and the probe see pictures reduced to {SIDE} pixels a side; networks see them whole."
        return (
            "A row, in what follows, is a picture.",
            *super().method,
            *(reduced for _ in range(max(height, width) > SIDE)),
        )

    @cached_property
    def labels(self) -> Target:
        """What is to be predicted."""
        return Target.of_pictures(self.table)

    @property
    def schema(self) -> Schema:
        """A picture has no columns."""
        return Schema(())

    @property
    def inputs(self) -> np.ndarray:
        """All pictures (n, d), bytes."""
        return self.table.values

    @property
    def task(self) -> Task:
        """The width of a picture as a row, how many may be learned from, the labels, and its shape."""
        names = self.labels.names
        return Task(self.goal, self.inputs.shape[1], len(self.rest), len(names), "one", shape=self.table.shape)

    @property
    def label_columns(self) -> list[Column]:
        """The label as a column, for the predictions of a model."""
        return [Column(LABEL, "category", categories=self.labels.names, sql_type="VARCHAR")]

    def encoded(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding, and the numbers of these pictures with their labels."""
        numbered = np.stack([rows, self.labels.codes[rows]], axis=1)
        return Scale(self.table.shape), torch.from_numpy(numbered.astype(np.float64))

    def seen(self, encoder: Any, rows: np.ndarray) -> Tensor:
        """The numbers of these pictures (m, 1)."""
        return torch.from_numpy(rows.astype(np.float64))[:, None]

    def jitter(self, encoder: Any) -> np.ndarray:
        """None: what is drawn needs a density, what is predicted does not."""
        return np.zeros(encoder.dim, np.float32)

    @cached_property
    def small(self) -> np.ndarray:
        """All pictures (n, C*h*w), bytes, with sides of at most SIDE."""
        _, height, width = self.table.shape
        size = min(height, SIDE), min(width, SIDE)
        if size == (height, width):
            return self.table.values
        return shrunk(self.table.values, self.table.shape, size)

    def plain(self, train: np.ndarray, *asked: np.ndarray) -> list[np.ndarray]:
        """What simple models see of the training pictures and of others."""
        return [np.asarray(self.small[rows] / np.float32(127.5) - 1) for rows in (train, *asked)]

    def ranked(self, rows: np.ndarray) -> np.ndarray:
        """What the probe sees of pictures: levels, which have no far values, centred."""
        x = self.small[rows].astype(np.float64)
        return np.asarray(x - x.mean(axis=0)) / 127.5

    def marks(self) -> np.ndarray:
        """64 bits of each picture."""
        return marks(self.table.values)


@dataclass(frozen=True, eq=False)
class PictureLabelJudge(Pictured, LabelJudge):
    """Predictions for the judging pictures, and the score that decides."""
