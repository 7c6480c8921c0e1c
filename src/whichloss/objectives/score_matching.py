"""Score matching, exact: an energy by its slope and curvature at the rows (Hyvarinen, 2005)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.func import grad

from ..losses import energy
from ..rng import Rng
from ..samplers.annealed import annealed_rows
from ..samplers.ode import with_divergence
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update

MOST = 20  # columns: a step costs a backward pass through the slope for every one


@dataclass(frozen=True)
class ScoreMatching(Generative):
    """min E |s(x)|^2 / 2 + div s(x), s = -grad E: the divergence exactly, one product per column."""

    lr: float = 2e-3
    blur: float = 0.0
    base: float = 2.0
    gain: float = 6.0
    temperatures: int = 32
    search = {"lr": (1e-3, 2e-3, 4e-3)}
    average = 0.999
    scores = "energy"

    def unfit(self, task: Task) -> str | None:
        if task.dim <= MOST:
            return None
        return (
            f"the rows have {task.dim} columns and the exact divergence costs a backward pass for each, {MOST} at "
            "most; take sliced-score-matching"
        )

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"E": build("E", task.dim, 1, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("E",), self.loss, Adam(self.lr))]

    def energy(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) (n,): the network and the energy of N(0, base^2 I), so that Z is finite."""
        return nets.E(self.gain * x).squeeze(-1) + x.square().sum(dim=1) / (2 * self.base**2)

    def errors(self, nets: Nets, x: Tensor) -> Tensor:
        """The loss of each row (n,)."""
        slope = grad(lambda x: -self.energy(nets, x).sum())
        return energy.score_matching(*with_divergence(lambda x, _: slope(x), x, 0.0))

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return self.errors(nets, batch.x + self.blur * rng.normal("blur", batch.x.shape)).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return annealed_rows(lambda x: self.energy(nets, x), shape, rng, sd=self.base, temperatures=self.temperatures)[
            0
        ]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) = -log p(x) + a constant (n,)."""
        return self.energy(nets, x)

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        e, errors = self.energy(nets, self.base * rng.normal("far", batch.x.shape)), self.errors(nets, batch.x)
        return {
            "energy gap": e.mean() - self.energy(nets, batch.x).mean(),
            "loss noise": errors.std() / len(errors) ** 0.5,
        }
