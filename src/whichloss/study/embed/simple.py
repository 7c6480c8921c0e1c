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


def collapse(lanes: Lanes) -> float | None:
    """The loss of one lane's objective where all embeddings are equal, if that is one number."""
    objective = replace(lanes.objective, **{name: float(value[0]) for name, value in lanes.hyper.items()})
    assert isinstance(objective, Embedder | Aligner)
    return objective.collapsed(lanes.batch)


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
