"""Many seeds of one objective at once, on the rows as they are, and the numbers that its curves need."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import grad

from whichloss.data import Toy
from whichloss.metrics import w1_columns
from whichloss.nets import MLP, builder
from whichloss.objectives.base import Build, Objective
from whichloss.rng import Rng
from whichloss.task import Task
from whichloss.train import Lanes, Loop, State, sampling_weights

WIDTH, DEPTH, BATCH = 32, 2, 128
ROWS, FRESH = 4000, 4000  # training rows of every seed; new rows, real and sampled, for every judgement
POINTS = 40  # of a curve


def network(inputs: int, outputs: int) -> torch.nn.Module:
    """Both players of every game here: big enough for one dimension."""
    return MLP(inputs, outputs, WIDTH, DEPTH)


BUILD: Build = builder(WIDTH, DEPTH)


def lanes_of(
    objective: Objective,
    rows: Tensor,
    build: Build = BUILD,
    hyper: Mapping[str, Tensor] | None = None,
    batch: int = BATCH,
) -> Lanes:
    """One lane for each block of rows (S, n, 1), seeds 0 .. S - 1; nothing is standardised, so distances stay true."""
    count, n, dim = rows.shape
    rng = Rng(torch.atleast_1d(Rng.of(*range(count)).key))
    sizes, jitter = torch.full((count,), n), torch.zeros(count, dim)
    task = Task("generate", dim, n)
    return Lanes(objective, task, build, rng, rows, sizes, jitter, hyper or {}, batch)


def draw(toy: Toy, seeds: int, n: int = ROWS, first: int = 0) -> Tensor:
    """Rows of a toy, new ones for every seed: (seeds, n, dim)."""
    return torch.from_numpy(np.stack([toy.sample(n, first + seed) for seed in range(seeds)])).float()


@dataclass
class Curves:
    """What was recorded: named numbers (points, seeds) over `share` of the budget, and samples now and then."""

    share: list[float] = field(default_factory=list)
    named: dict[str, list[np.ndarray]] = field(default_factory=dict)
    samples: dict[float, np.ndarray] = field(default_factory=dict)  # share -> (seeds, n)
    critics: dict[float, np.ndarray] = field(default_factory=dict)  # share -> f on the grid (seeds, n)

    def note(self, name: str, values: Tensor) -> None:
        """One point of a curve."""
        self.named.setdefault(name, []).append(values.double().numpy().reshape(-1))

    def of(self, name: str) -> np.ndarray:
        """A curve (points, seeds)."""
        return np.stack(self.named[name])

    def final(self, name: str, last: float = 0.5) -> np.ndarray:
        """The mean of every seed over the last half of the run: one point is one batch, and noisy."""
        late = np.asarray(self.share) >= last
        return np.asarray(self.of(name)[late].mean(0))


def moments(steps: int, points: int = POINTS) -> set[int]:
    """The steps after which a curve gets a point, evenly on a logarithmic axis, since most happens early."""
    return {round(step) for step in np.geomspace(1, steps, points)}


def replay(
    lanes: Lanes, steps: int, fresh: Tensor, loss: Callable[[Tensor], Tensor], keep: tuple[float, ...], grid: Tensor
) -> Curves:
    """Train all lanes; `fresh` (S, n, 1) are rows of the data none of them sees, `loss` the generator's, of one score,
    `keep` the shares of the run whose samples and critics (on `grid`) are kept."""
    curves, loop, due = Curves(), Loop(lanes, lanes.start(), steps), moments(steps)
    kept = {max(1, round(share * steps)): share for share in keep}
    for losses in run(loop, steps):
        step = loop.state.step
        if step in due:
            curves.share.append(step / steps)
            note(curves, lanes, losses, loop.state, steps, loss, fresh)
        if step in kept:
            samples = lanes.sample(sampling_weights(lanes, loop.state), FRESH, "judge")
            curves.samples[kept[step]] = samples[:, :, 0].numpy()
            curves.critics[kept[step]] = scores(lanes, loop.state.weights, grid).numpy()
    return curves


def note(
    curves: Curves,
    lanes: Lanes,
    losses: Mapping[str, Tensor],
    state: State,
    steps: int,
    loss: Callable[[Tensor], Tensor],
    fresh: Tensor,
) -> None:
    """One point of every curve. W1 is of the generator the critic faces; `W1 averaged` of the one to sample with."""
    named = {("L_D" if name.endswith("D") else "L_G"): value for name, value in losses.items()}
    named |= lanes.watch(state, steps) | gradients(lanes, state.weights, loss, state.step)
    named["W1"] = distances(lanes.sample(state.weights, FRESH, "judge"), fresh)
    named["W1 averaged"] = distances(lanes.sample(sampling_weights(lanes, state), FRESH, "judge"), fresh)
    for name, values in named.items():
        curves.note(name, values)


def run(loop: Loop, steps: int) -> Iterator[Mapping[str, Tensor]]:
    """The losses of every step."""
    while loop.state.step < steps:
        yield loop.step()


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Exact W1 of every lane's rows (S, n, 1)."""
    return torch.stack([w1_columns(a, b)[0] for a, b in zip(x, y, strict=True)])


def scores(lanes: Lanes, weights: Mapping[str, Tensor], grid: Tensor) -> Tensor:
    """D on a grid (n, 1), for every lane: (S, n)."""

    def work(objective: Objective, rng: Rng, weights: Mapping[str, Tensor]) -> Tensor:
        return lanes.nets(weights).D(grid)[:, 0]

    return lanes.map(work, dict(weights))


def gradients(
    lanes: Lanes, weights: Mapping[str, Tensor], loss: Callable[[Tensor], Tensor], step: int
) -> dict[str, Tensor]:
    """What the generator feels, raw and divided by the critic's slope, so that objectives can be compared.

    gradient at x = mean |d L_G(D(x)) / dx| at the samples; slope = mean |dD/dx| there; gradient of G = |d L_G / dG|
    """

    def work(objective: Any, rng: Rng, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        nets, stream, shape = lanes.nets(weights), rng["gradients"][step], (512, lanes.task.dim)
        x = objective.sample(nets, shape, stream)
        slope = grad(lambda x: nets.D(x).sum())(x).norm(dim=1).mean()
        felt = grad(lambda x: loss(nets.D(x)).sum())(x).norm(dim=1).mean()

        def mean_loss(theta: Tensor) -> Tensor:
            return loss(nets.D(objective.sample(lanes.nets({**weights, "G": theta}), shape, stream))).mean()

        moved = grad(mean_loss)(weights["G"]).norm()
        return {
            "slope": slope,
            "gradient at x": felt,
            "gradient at x / slope": felt / slope,
            "gradient of G": moved,
            "gradient of G / slope": moved / slope,
        }

    return lanes.map(work, dict(weights))
