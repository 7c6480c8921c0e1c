"""A critic alone against a generator that is held still: then the best critic, and its loss, are known exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from whichloss.objectives.base import Build, Nets, Objective, Update
from whichloss.rng import Rng
from whichloss.task import Batch, Task
from whichloss.train import Lanes, Loop, sampling_weights

from .lanes import BUILD, lanes_of, run


def normal(z: Tensor) -> Tensor:
    """z is normal already."""
    return z


def uniform(z: Tensor) -> Tensor:
    """A standard normal number as a uniform one in [0, 1]."""
    return torch.special.ndtr(z)


@dataclass(frozen=True)
class Held(Objective):
    """`rule` with G(z) = mean + std * shape(z) for good, z normal: only the critic learns. `rule.latent` must be 1."""

    rule: Any
    mean: float | Tensor = 0.0
    std: float = 1.0
    shape: Callable[[Tensor], Tensor] = normal
    goal = "generate"
    average = 0.99

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"D": self.rule.networks(task, build)["D"]}

    def updates(self) -> Sequence[Update]:
        critic = self.rule.updates()[0]

        def loss(nets: Nets, batch: Batch, rng: Rng) -> Tensor:
            return critic.loss(self.both(nets), batch, rng)

        return [replace(critic, loss=loss)]

    def memory(self, data: Batch, rng: Rng) -> dict[str, Tensor]:
        return self.rule.memory(data, rng)

    def both(self, nets: Nets) -> Nets:
        """The critic and the held generator."""
        return Nets({"D": nets.D, "G": lambda z: self.mean + self.std * self.shape(z)})

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return self.rule.sample(self.both(nets), shape, rng)


def trained(
    objective: Held, rows: Tensor, steps: int, build: Build = BUILD, hyper: Mapping[str, Tensor] | None = None
) -> tuple[Lanes, dict[str, Tensor]]:
    """The lanes and their critics' averaged weights after `steps` steps on rows (S, n, 1)."""
    lanes = lanes_of(objective, rows, build, hyper)
    loop = Loop(lanes, lanes.start(), steps)
    for _ in run(loop, steps):
        pass
    return lanes, sampling_weights(lanes, loop.state)


def look(
    lanes: Lanes, weights: Mapping[str, Tensor], fresh: Tensor, work: Callable[[Nets, Tensor, Tensor], Tensor]
) -> Tensor:
    """work(nets, real, fake) of every lane, on rows (S, n, 1) and as many fakes that no critic was trained on."""

    def one(objective: Any, rng: Rng, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        nets = lanes.nets(weights)
        return work(nets, x, objective.sample(nets, x.shape, rng["look"]))

    return lanes.map(one, dict(weights), fresh)


def linear(role: str, inputs: int, outputs: int, *, smooth: bool = False) -> nn.Module:
    """One layer: D(x) = w x + b."""
    return nn.Linear(inputs, outputs)


def leaning(weight: float) -> Build:
    """One layer that starts at D(x) = weight x."""

    def build(role: str, inputs: int, outputs: int, *, smooth: bool = False) -> nn.Module:
        layer = nn.Linear(inputs, outputs)
        nn.init.constant_(layer.weight, weight)
        return layer

    return build
