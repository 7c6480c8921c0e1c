"""The failing setting, and everything that is changed about it: one field at a time."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from whichloss.losses import levels
from whichloss.losses.contrastive import cosine_bce, cosine_bce_least, info_nce, sup_con
from whichloss.losses.metric_learning import batch_hard_triplet

TEMPERATURE, MARGIN = 0.1, 0.2
ALIKE = 2 / 3  # of the pairs, where a loss asks of each pair whether it is alike: logit(2/3) = .693


@dataclass(frozen=True)
class Pairs:
    """A batch: embeddings of both sides (B, d), their labels (B,), of `classes` kinds; scale and threshold (2,)."""

    a: Tensor
    b: Tensor
    labels_a: Tensor
    labels_b: Tensor
    classes: int
    line: Tensor

    @property
    def alike(self) -> Tensor:
        """1 where both sides have one label, else 0."""
        return (self.labels_a == self.labels_b).float()

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """Both sides as rows (2 B, d), and their labels."""
        return torch.cat([self.a, self.b]), torch.cat([self.labels_a, self.labels_b])

    def counts(self, labels: Tensor) -> list[int]:
        """How often each label occurs."""
        return [k for k in labels.bincount().tolist() if k]


@dataclass(frozen=True)
class Loss:
    """A loss, the share of alike pairs it is given, and its levels on a batch: the least, and what a constant gets."""

    title: str
    positives: float
    value: Callable[[Pairs], Tensor]
    least: Callable[[Pairs], float]
    constant: Callable[[Pairs], float]


def scaled(pairs: Pairs) -> Tensor:
    """l = scale (cos - threshold), both learnt."""
    scale, threshold = pairs.line
    return cosine_bce(pairs.a, pairs.b, pairs.alike, 10 * scale, -10 * scale * threshold)


def triplet(pairs: Pairs) -> Tensor:
    """On the sphere, hardest positive and hardest negative of the batch."""
    z, labels = pairs.rows
    return batch_hard_triplet(normalize(z, dim=1), labels, MARGIN)


def raw_constant(positives: float) -> float:
    """`cosine_bce` of the best single cosine: c = logit(p), as far as a cosine reaches."""
    c = min(max(math.log(positives / (1 - positives)), -1.0), 1.0)
    return levels.collapse_of_cosine_bce(positives, scale=c)


LOSSES = {
    "raw": Loss(
        "BCE of the raw cosine",
        ALIKE,
        lambda p: cosine_bce(p.a, p.b, p.alike),
        lambda p: cosine_bce_least(p.classes, ALIKE),
        lambda p: raw_constant(ALIKE),
    ),
    "scaled": Loss(
        "BCE of the cosine, learnt scale and bias", ALIKE, scaled, lambda p: 0.0, lambda p: raw_constant(ALIKE)
    ),
    "supcon": Loss(
        "SupCon, T = 0.1",
        1.0,
        lambda p: sup_con(*p.rows, TEMPERATURE),
        lambda p: levels.floor_of_sup_con(p.counts(p.rows[1])),
        lambda p: levels.collapse_of_sup_con(2 * len(p.a)),
    ),
    "infonce": Loss(
        "InfoNCE, T = 0.1",
        1.0,
        lambda p: info_nce(p.a, p.b, TEMPERATURE),
        lambda p: levels.floor_of_info_nce(p.counts(p.labels_a)),
        lambda p: levels.collapse_of_info_nce(len(p.a)),
    ),
    "triplet": Loss(
        "triplet, hardest of the batch", 1.0, triplet, lambda p: 0.0, lambda p: levels.collapse_of_triplet(MARGIN)
    ),
}


@dataclass(frozen=True)
class Setting:
    """What is trained, on what, how long. `data` is one of DATA."""

    data: str = "noise"
    loss: str = "raw"
    depth: int = 2
    kernel: int = 3
    epochs: int = 30
    batch: int = 64
    lr: float = 3e-4
    decay: float = 0.0


DATA = {
    "noise": "noise, random labels",
    "fresh": "noise, never the same twice",
    "shuffled": "real pictures, labels shuffled",
    "real": "real pictures, their labels",
    "views": "real pictures, each its own class",
}
FAILING = Setting()
REMEDIES = {  # one change each
    "nothing": FAILING,
    "4 layers instead of 2": replace(FAILING, depth=4),
    "kernels of 7": replace(FAILING, kernel=7),
    "4 x the epochs": replace(FAILING, epochs=120),
    "learning rate x 10": replace(FAILING, lr=3e-3),
    "learning rate / 10": replace(FAILING, lr=3e-5),
    "batches of 16": replace(FAILING, batch=16),
    "batches of 256": replace(FAILING, batch=256),
    "weight decay 0.1": replace(FAILING, decay=0.1),
    "endless noise": replace(FAILING, data="fresh"),
    **{f"loss: {LOSSES[name].title}": replace(FAILING, loss=name) for name in LOSSES if name != "raw"},
    "real pictures, labels shuffled": replace(FAILING, data="shuffled"),
    "real pictures with their labels": replace(FAILING, data="real"),
}
ON_REAL = {LOSSES[name].title: replace(FAILING, data="real", loss=name) for name in LOSSES}
OF_EACH = {LOSSES[name].title: replace(FAILING, data="views", loss=name, lr=1e-3) for name in LOSSES}
PARTS = {
    "The failing setting, and one change at a time": REMEDIES,
    "Real pictures of 8 classes, every loss": ON_REAL,
    "Real pictures, each its own class, every loss": OF_EACH,
}
