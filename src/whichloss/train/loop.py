"""The only training loop. It is a generator: whoever wants to log, logs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..objectives.base import Objective, Update
from ..rng import Rng
from . import optimise
from .count import count
from .lanes import Lanes, State, lane, single
from .place import back, device, precision, there
from .trace import trace

SHARED = (5,)  # the argument of an update that has no lane axis: how far the run is
Losses = dict[str, Tensor]  # "0:D" (update number and the roles it moves) -> (S,)


class Loop:
    """Steps of one group of lanes. `state` is moved in place; one call of `step` runs every update once."""

    def __init__(self, lanes: Lanes, state: State, steps: int) -> None:
        self.lanes, self.state, self.steps = lanes, state, steps
        self.updates = lanes.objective.updates()
        self.names = [f"{i}:{'+'.join(u.moves)}" for i, u in enumerate(self.updates)]
        self.batches = sum(u.times for u in self.updates)
        state.settle()
        self.hyper = there(dict(lanes.hyper))
        columns = {k: v[:, None] for k, v in self.hyper.items()}
        # a searched rate is a column, one number per lane
        self.rates = [torch.as_tensor(u.optimiser.lr) for u in replace(lanes.objective, **columns).updates()]
        decaying = {role for u in self.updates if u.optimiser.decay for role in u.moves}
        self.decaying = {role: there(lanes.matrices(role)) for role in decaying}
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
        progress = torch.tensor(state.step / self.steps, device=device())
        inputs = (moving, still, rng.key, rows.to(device()), state.memory, progress, self.hyper)
        if i not in self.work:
            self.work[i] = self._work(i, inputs)
        grads, value, memory = self.work[i](*inputs)
        loss: Tensor = value
        state.memory.update(memory)
        rate = self.rates[i] * update.optimiser.pace((state.step + 0.5) / self.steps)
        for role in update.moves:
            w, slots = state.weights[role], state.slots[f"{i}:{role}"]
            optimise.step(update.optimiser, w, grads[role], slots, rate, self.decaying.get(role))
            if role in update.project:
                w.copy_(update.project[role](w))
        return loss

    def _work(self, i: int, inputs: tuple[Any, ...]) -> Callable[..., Any]:
        """The update of all lanes: as one trace, or as a trace of one lane that serves each in turn."""
        lanes = self.lanes
        if lanes.together:
            return trace(self._gradient(i), *inputs)
        one = self._gradient(i, single)
        return lanes.in_turn(trace(one, *lane(0, inputs, SHARED)) if lanes.stacked else one, SHARED)

    def _gradient(self, i: int, vectorise: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """One update of all lanes as a pure function: (gradient, loss, new memory).

        Only losses are vectorised. One backward pass of their sum is every lane's own gradient, since no lane's loss
        reads another's weights; `torch.func.grad` around the loss would build each pass to be differentiated again.
        """
        lanes = self.lanes

        def one(
            moving: Mapping[str, Tensor],
            still: Mapping[str, Tensor],
            key: Tensor,
            rows: Tensor,
            memory: Mapping[str, Tensor],
            progress: Tensor,
            hyper: Mapping[str, Tensor],
        ) -> tuple[Tensor, dict[str, Tensor]]:
            objective = replace(lanes.objective, **hyper) if hyper else lanes.objective
            rng, fresh, batch = Rng(key), {}, lanes.labelled(rows, memory, progress)
            nets = lanes.nets({**moving, **still}, batch.y)
            if type(objective).refresh is not Objective.refresh:
                with torch.no_grad():
                    fresh = objective.refresh(nets, batch, rng["refresh"])
                batch = replace(batch, memory={**memory, **fresh})
            return objective.updates()[i].loss(nets, batch, rng), fresh

        losses = (vectorise or lanes.vectorise)(one, SHARED)

        def gradient(moving: Mapping[str, Tensor], *rest: Any) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
            moving = {role: w.detach().requires_grad_() for role, w in moving.items()}
            with torch.enable_grad(), device():
                with precision():
                    loss, fresh = losses(moving, *rest)
                slopes = torch.autograd.grad(loss.sum(), list(moving.values()), materialize_grads=True)
            return dict(zip(moving, slopes, strict=True)), loss.detach(), fresh

        return gradient


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
        return back(state.weights)  # type: ignore[no-any-return]
    return {role: a.cpu() / (1 - decay**state.step) for role, a in state.averages.items()}


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
