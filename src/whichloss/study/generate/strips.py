"""What a model of pictures shows beside its samples: the way from one to another, and what it rebuilds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...rng import Rng
from ...train import Lanes

LINES, STEPS = 4, 9  # strips; pictures in each
Weights = Mapping[str, Tensor]


class SeveralDraws(Exception):
    """More than one draw makes a row, so that no single point lies behind it."""


@dataclass(frozen=True)
class Ways(Rng):
    """A stream whose first normal draw is LINES ways of STEPS points each, and which has no second draw."""

    drawn: list[str] = field(default_factory=list)

    def normal(self, name: str | int, shape: Sequence[int]) -> Tensor:
        """Points (LINES * STEPS, d) on arcs between normal ones."""
        if self.drawn or shape[0] != LINES * STEPS:
            raise SeveralDraws
        self.drawn.append(str(name))
        ends = super().normal(name, (2 * LINES, *shape[1:]))
        return arcs(ends[:LINES], ends[LINES:])

    def uniform(self, name: str | int, shape: Sequence[int]) -> Tensor:
        """Never."""
        raise SeveralDraws

    def integers(self, name: str | int, shape: Sequence[int], top: int) -> Tensor:
        """Never."""
        raise SeveralDraws


def arcs(a: Tensor, b: Tensor) -> Tensor:
    """sin((1 - t) w) / sin w a + sin(t w) / sin w b, w the angle between a and b (n, d), t from 0 to 1: (n * STEPS, d).

    Normal points lie near a sphere, and so do those between them on its arcs, unlike on straight lines (Shoemake,
    1985). Where w is 0 the way is straight.
    """
    t = torch.linspace(0, 1, STEPS, dtype=a.dtype, device=a.device)[:, None]
    cosine = torch.cosine_similarity(a, b, dim=1).clamp(-1, 1)
    w = cosine.acos()[:, None, None]
    bent = w.sin() > 1e-3
    one, two = (torch.where(bent, (s * w).sin() / w.sin(), s) for s in (1 - t, t))
    return (one * a[:, None] + two * b[:, None]).flatten(0, 1)


def between(lanes: Lanes, weights: Weights, real: Tensor, y: Tensor) -> dict[str, Tensor]:
    """LINES * STEPS encoded rows of one lane. "between": its samples along arcs of the noise that they are made from.
    "between codes", where more than that noise makes a row: what is decoded along arcs between the codes of real rows
    (2 LINES, d), of classes y. Nothing where neither is.
    """

    def drawn(objective: Any, rng: Rng, weights: Weights, y: Tensor) -> Tensor:
        ways = Ways(rng.key, rng["between"].path)
        rows: Tensor = objective.sample(lanes.nets(weights, y), (LINES * STEPS, lanes.task.dim), ways)
        return rows

    def decoded(objective: Any, rng: Rng, weights: Weights, x: Tensor, y: Tensor) -> Tensor:
        codes = lanes.nets(weights, y).Enc(x)
        line = y[:LINES].repeat_interleave(STEPS, dim=0)
        return lanes.nets(weights, line).Dec(arcs(codes[:LINES], codes[LINES:]))

    try:
        return {"between": lanes.map(drawn, dict(weights), lanes.told(LINES).repeat_interleave(STEPS, dim=1))[0]}
    except SeveralDraws:
        if not rebuilds(lanes) or len(real) < 2 * LINES:
            return {}
        return {"between codes": lanes.map(decoded, dict(weights), real[None], y[None])[0]}


def rebuilds(lanes: Lanes) -> bool:
    """Is there a code and a way back from it?"""
    return {"Enc", "Dec"} <= set(lanes.modules)


def rebuilt(lanes: Lanes, weights: Weights, x: Tensor, y: Tensor) -> Tensor:
    """Dec(Enc(x)) of encoded rows x (n, d) of classes y."""

    def work(objective: Any, rng: Rng, weights: Weights, x: Tensor, y: Tensor) -> Tensor:
        nets = lanes.nets(weights, y)
        return nets.Dec(nets.Enc(x))

    found: Tensor = lanes.map(work, dict(weights), x[None], y[None])
    return found[0]
