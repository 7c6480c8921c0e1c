"""Embeddings that need no training: the rows themselves, their principal components, a network at its start."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ...objectives import Aligner, Embedder, Objective
from ...rng import Rng
from ...train import Lanes
from ..judge import Judge, Role
from ..nets import network_builder

ROLES: dict[str, Role] = {
    "chance": "baseline",
    "rows as they are": "baseline",
    "rows, by distance": "baseline",
    "principal components": "baseline",
    "untrained network": "baseline",
}
WIDTH = 64  # of the untrained network
FAR = 10.0  # times the rows' size
SEEN = 2000  # rows that tell the principal directions
BATCHES = 5  # that tell the least loss


def plain(seed: int, rows: Sequence[np.ndarray], known: np.ndarray) -> list[tuple[str, list[np.ndarray]]]:
    """(name, embeddings of each array of rows (m, d)) of all but the last; `known` (n, d) tells the middle."""
    generator, size = np.random.Generator(np.random.PCG64(seed)), Embedder.size
    middle = known.mean(axis=0)
    far = FAR * max(float(np.square(known - middle).sum(axis=1).mean()) ** 0.5, 1e-12)
    some = known[:: max(1, len(known) // SEEN)]
    axes = np.linalg.svd(some - middle, full_matrices=False)[2][:size]
    return [
        ("chance", [generator.standard_normal((len(x), size)) for x in rows]),
        ("rows as they are", [directed(x - middle) for x in rows]),
        ("rows, by distance", [lifted(x - middle, far) for x in rows]),
        ("principal components", [directed((x - middle) @ axes.T) for x in rows]),
    ]


def lifted(x: np.ndarray, far: float) -> np.ndarray:
    """Rows with one more number, so large that cosines order as distances do: cos ~ 1 - |x - y|^2 / (2 far^2)."""
    return np.hstack([x, np.full((len(x), 1), far)])


def directed(x: np.ndarray) -> np.ndarray:
    """Rows at the middle have no direction; they get the first one."""
    x = np.array(x, dtype=np.float64)
    x[~x.any(axis=1), 0] = 1.0
    return x


def levels(lanes: Lanes) -> dict[str, float | None]:
    """Of one lane's objective the loss where all embeddings are equal, and the least there is in its first batches,
    where these are numbers; and how many directions embeddings should use: as many as tell classes apart will do."""
    objective = replace(lanes.objective, **{name: float(value[0]) for name, value in lanes.hyper.items()})
    assert isinstance(objective, Embedder | Aligner)
    least = [objective.least(kinds(lanes, number).unique(return_counts=True)[1].tolist()) for number in range(BATCHES)]
    known = [level for level in least if level is not None]
    return {
        "collapse": objective.collapsed(lanes.batch),
        "least": sum(known) / len(known) if known else None,
        "directions": float(min(objective.size, lanes.task.classes - 1 if lanes.task.labels else objective.size)),
    }


def kinds(lanes: Lanes, number: int) -> Tensor:
    """What the rows (B,) of a batch of one lane are: units, or classes, or each its own."""
    if lanes.units is not None:
        return lanes.units[0][lanes.deal(0, number)]
    if lanes.task.labels:
        return lanes.labelled(lanes.rows(number)[0]).labels
    return torch.arange(lanes.batch)


def untrained(judge: Judge, objective: Objective, rows: Tensor, seed: int) -> Lanes:
    """One lane of an objective's networks at their start; `rows` as its data holds them."""
    return Lanes(
        objective,
        judge.task,
        network_builder(judge.task, WIDTH),
        Rng(Rng.of(seed).key.reshape(-1)),
        rows[None],
        torch.tensor([len(rows)]),
        torch.zeros(1, judge.task.dim),
        pixels=judge.pixels,
    )
