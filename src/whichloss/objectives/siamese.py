"""What embeddings learned by comparison share: one network for all rows, and who is like whom."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..nets.views import view
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Embedder, Nets, Update

PARTNERS = 16  # that each row is compared with


@dataclass(frozen=True)
class Siamese(Embedder):
    """z = F(x) for every row (Bromley et al., 1993)."""

    lr: float = 1e-3
    search = {"lr": (3e-4, 1e-3, 3e-3)}

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"F": build("F", task.dim, self.size)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F",), self.loss, Adam(self.lr))]

    @abstractmethod
    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        """Of a batch: a scalar."""

    def embed(self, nets: Nets, x: Tensor) -> Tensor:
        return nets.F(x)

    def grouped(self, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor]:
        """Rows (n, d) and who they are (n,), equal where they are alike: the batch and its classes; without classes two
        views of every row, alike with each other only."""
        if batch.y.shape[1]:
            return batch.x, batch.labels
        kinds = firsts(batch.x)
        return torch.cat(self.views(batch, rng)), torch.cat([kinds, kinds])

    def pairs(self, nets: Nets, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
        """F(x) of both rows of pairs, (p, size) each, and whether they are alike, 0 or 1: the batch's own pairs where
        these are given; else every row with those that follow it in the batch, and with the one half a batch away,
        which without classes is its other view."""
        if batch.second:
            one, two = nets.F(torch.cat([batch.x, batch.other])).chunk(2)
            return one, two, batch.alike
        x, kinds = self.grouped(batch, rng)
        z, n = nets.F(x), len(x)
        steps = [*range(1, min(PARTNERS, n // 2)), n // 2]
        other, theirs = (torch.cat([v.roll(-k, 0) for k in steps]) for v in (z, kinds))
        return z.repeat(len(steps), 1), other, (theirs == kinds.repeat(len(steps))).to(z.dtype)

    def views(self, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor]:
        """Two views of every row."""
        return view(batch.x, rng["first"], batch.shape), view(batch.x, rng["second"], batch.shape)


def firsts(x: Tensor) -> Tensor:
    """The place (n,) of the first row that equals each: a batch may hold a row twice, no stranger to itself."""
    mark = (x * torch.cos(1 + torch.arange(x.shape[1], dtype=x.dtype, device=x.device))).sum(dim=1)
    return (mark[:, None] == mark).to(x.dtype).argmax(dim=1)


def even(losses: Tensor, alike: Tensor) -> Tensor:
    """The mean over alike pairs and that over others, averaged: as many of each, however many classes there are. Of one
    kind only, its mean."""
    sides = torch.stack([alike, 1 - alike])
    counts = sides.sum(dim=1)
    return ((losses * sides).sum(dim=1) / counts.clamp(min=1)).sum() / (counts > 0).sum()


def matched(losses: Tensor, kinds: Tensor, others: bool = False) -> Tensor:
    """The mean loss of the rows that have another of their kind in the batch (and, others: one of another kind)."""
    same = kinds[:, None] == kinds
    there = same.sum(dim=1) > 1
    there = there & ~same.all(dim=1) if others else there
    return (losses * there).sum() / there.sum().clamp(min=1)


@dataclass(frozen=True)
class Projected(Siamese):
    """z = H(F(x)) is what the loss sees, F(x) what is used: H may lose what the loss wants lost (Chen et al., 2020)."""

    apart = "it makes its own pairs, two views of every row, and cannot hear that two things are not alike"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return super().networks(task, build) | {"H": build("H", self.size, self.size)}

    def updates(self) -> Sequence[Update]:
        return [Update(("F", "H"), self.loss, Adam(self.lr))]

    def projected(self, nets: Nets, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor]:
        """H(F(x)) (B, size) of two views of every row."""
        a, b = nets.H(nets.F(torch.cat(self.views(batch, rng)))).chunk(2)
        return a, b
