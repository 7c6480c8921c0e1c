"""The only training loop. It is a generator: whoever wants to log, logs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value

from ..objectives.base import Objective, Update
from ..rng import Rng
from . import optimise
from .count import count
from .lanes import Lanes, State
from .trace import trace

Losses = dict[str, Tensor]  # "0:D" (update number and the roles it moves) -> (S,)


class Loop:
    """Steps of one group of lanes. `state` is moved in place; one call of `step` runs every update once."""

    def __init__(self, lanes: Lanes, state: State, steps: int) -> None:
        self.lanes, self.state, self.steps = lanes, state, steps
        self.updates = lanes.objective.updates()
        self.names = [f"{i}:{'+'.join(u.moves)}" for i, u in enumerate(self.updates)]
        self.batches = sum(u.times for u in self.updates)
        columns = {k: v[:, None] for k, v in lanes.hyper.items()}
        # a searched rate is a column, one number per lane
        self.rates = [torch.as_tensor(u.optimiser.lr) for u in replace(lanes.objective, **columns).updates()]
        self.work: dict[int, Callable[..., Any]] = {}

    def step(self) -> Losses:
        """Every update, in order; the losses before each update's last gradient step."""
        state, losses = self.state, {}
        number = state.step * self.batches
        for i, update in enumerate(self.updates):
            start, end = update.active
            acts = start <= state.step / self.steps < end
            for turn in range(update.times):
                if acts:
                    rng = self.lanes.draws.at(state.step, i, turn)
                    losses[self.names[i]] = self._move(i, update, self.lanes.rows(number), rng)
                number += 1
        for role, average in state.averages.items():
            average.lerp_(state.weights[role], 1 - self.lanes.objective.average)
        state.step += 1
        return losses

    @torch.no_grad()
    def _move(self, i: int, update: Update, rows: Tensor, rng: Rng) -> Tensor:
        state = self.state
        moving = {r: state.weights[r] for r in update.moves}
        still = {r: w for r, w in state.weights.items() if r not in moving}
        progress = torch.tensor(state.step / self.steps)
        inputs = (moving, still, rng.key, rows, state.memory, progress, dict(self.lanes.hyper))
        if i not in self.work:
            gradient = self._gradient(i)
            self.work[i] = trace(gradient, *inputs) if self.lanes.stacked else gradient
        grads, value, memory = self.work[i](*inputs)
        loss: Tensor = value
        state.memory.update(memory)
        for role in update.moves:
            w, slots = state.weights[role], state.slots[f"{i}:{role}"]
            optimise.step(update.optimiser, w, grads[role], slots, self.rates[i])
            if update.project is not None:
                w.copy_(update.project(w))
        return loss

    def _gradient(self, i: int) -> Callable[..., Any]:
        """One update of all lanes as a pure function: (gradient, loss, new memory)."""
        lanes = self.lanes

        def one(
            moving: Mapping[str, Tensor],
            still: Mapping[str, Tensor],
            key: Tensor,
            rows: Tensor,
            memory: Mapping[str, Tensor],
            progress: Tensor,
            hyper: Mapping[str, Tensor],
        ) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
            objective = replace(lanes.objective, **hyper) if hyper else lanes.objective
            rng, fresh = Rng(key), {}
            batch = lanes.labelled(rows, memory, progress)
            if type(objective).refresh is not Objective.refresh:
                nets = lanes.nets({**moving, **still})
                fresh = objective.refresh(nets, batch, rng["refresh"])
                batch = replace(batch, memory={**memory, **fresh})

            def loss(moving: Mapping[str, Tensor]) -> Tensor:
                nets = lanes.nets({**moving, **still})
                return objective.updates()[i].loss(nets, batch, rng)

            return *grad_and_value(loss)(moving), fresh

        return lanes.vectorise(one, shared=(5,))


def train(lanes: Lanes, steps: int, state: State | None = None) -> Iterator[tuple[State, Losses]]:
    """Train for `steps` steps in all, from the start or from a checkpoint; yields after every step."""
    loop = Loop(lanes, state or lanes.start(), steps)
    while loop.state.step < steps:
        losses = loop.step()
        yield loop.state, losses


def sampling_weights(lanes: Lanes, state: State) -> dict[str, Tensor]:
    """The weights to sample with: the bias-corrected moving average where the objective keeps one."""
    decay = lanes.objective.average
    if not decay:
        return state.weights
    return {role: a / (1 - decay**state.step) for role, a in state.averages.items()}


def flops_per_step(lanes: Lanes) -> float:
    """Counted compute of one step of one lane, all updates and their repetitions included; the mean over a run."""
    one, steps = lanes.alone(0), 1 << 30
    bounds = sorted({0.0, 1.0, *(end for update in lanes.objective.updates() for end in update.active)})
    total = 0.0
    for start, end in pairwise(bounds):
        loop = Loop(one, one.start(), steps)
        loop.state.step = int((start + end) / 2 * steps)
        loop.work = {i: loop._gradient(i) for i in range(len(loop.updates))}  # not traced: that takes a second
        total += (end - start) * count(loop.step)
    return total
