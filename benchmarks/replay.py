"""whichloss's own draws for the plain loops, in the order in which those ask for them.

A plain loop calls torch.randint, torch.randn, ...; `same_draws` hands it the numbers that one lane gets at that place.
Both then train on equal rows and equal noise from equal first weights, so that what differs is the code alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import plain
import torch
from torch import Tensor

from whichloss.losses.diffusion import spread_times
from whichloss.rng import Rng
from whichloss.train import Lanes

Draws = Iterator[Tensor]


def gan(lane: Lanes, latent: int, n_critic: int = 1) -> Draws:
    """Batches and latents, and for n_critic > 1 the mixing weights of WGAN-GP's penalty."""
    number, step, batch = 0, 0, lane.batch
    while True:
        for turn in range(n_critic):
            rng = one(lane.draws.at(step, 0, turn))
            yield numbers(lane, number)
            yield rng.normal("z", (batch, latent))
            if n_critic > 1:
                yield rng.uniform("eps", (batch, 1))
            number += 1
        yield one(lane.draws.at(step, 1, 0)).normal("z", (batch, latent))
        number, step = number + 1, step + 1


def flow_matching(lane: Lanes) -> Draws:
    """Batches, noise and times."""
    step, batch = 0, lane.batch
    while True:
        rng = one(lane.draws.at(step, 0, 0))
        yield numbers(lane, step)
        yield rng.normal("x0", (batch, lane.task.dim))
        yield spread_times(rng.uniform("t", ()), batch)
        step += 1


def numbers(lane: Lanes, number: int) -> Tensor:
    """The row numbers of a batch, as `Lanes.rows` draws them."""
    return lane.rng.at(number).integers("rows", (lane.batch,), 1 << 40)[0] % lane.sizes[0]


def one(rng: Rng) -> Rng:
    """The generator of the only lane, without its lane axis."""
    return Rng(rng.key[0], rng.path)


def training(name: str, lane: Lanes) -> Draws:
    """The draws of an objective's training. Raises KeyError for objectives whose plain loop draws other things."""
    objective: Any = lane.objective
    made: dict[str, Callable[[], Draws]] = {
        "gan": lambda: gan(lane, objective.latent),
        "wgan-gp": lambda: gan(lane, objective.latent, objective.n_critic),
        "flow-matching": lambda: flow_matching(lane),
    }
    return made[name]()


def sampling(name: str, lane: Lanes, n: int, label: str) -> Draws:
    """The draws of `Lanes.sample(weights, n, label)`."""
    rng = one(lane.draws)["sample"][label]
    objective: Any = lane.objective
    yield rng.normal("x0", (n, lane.task.dim)) if name == "flow-matching" else rng.normal("z", (n, objective.latent))


@contextmanager
def same_draws(draws: Draws) -> Iterator[None]:
    """Within, `plain` draws these. Shapes are checked: a loop that asks in another order fails."""

    def give(*shape: int) -> Tensor:
        drawn = next(draws)
        assert drawn.shape == shape, f"asked for {shape}, next is {tuple(drawn.shape)}"
        return drawn

    class Torch:
        randn = rand = staticmethod(give)
        randint = staticmethod(lambda top, shape: give(*shape))
        randn_like = staticmethod(lambda x: give(*x.shape))

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

    with patch.object(plain, "torch", Torch()):
        yield
