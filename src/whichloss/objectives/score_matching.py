"""Score matching, exact: an energy by its slope and curvature at the rows (Hyvarinen, 2005)."""

from dataclasses import dataclass

from torch import Tensor
from torch.func import grad

from ..losses import energy
from ..rng import Rng
from ..samplers.ode import with_divergence
from ..task import Batch, Task
from .base import Nets
from .boltzmann import Boltzmann

MOST = 20  # columns: a step costs a backward pass through the slope for every one


@dataclass(frozen=True)
class ScoreMatching(Boltzmann):
    """min E |s(x)|^2 / 2 + div s(x), s = -grad E: the divergence exactly, one product per column."""

    blur: float = 0.1  # without it few rows become spikes: the loss has no least value on a finite set
    search = {"lr": (1e-3, 2e-3, 4e-3), "blur": (0.05, 0.1, 0.2)}

    def unfit(self, task: Task) -> str | None:
        if task.dim <= MOST:
            return None
        return (
            f"the rows have {task.dim} columns and the exact divergence costs a backward pass for each, {MOST} at "
            "most; take sliced-score-matching"
        )

    def errors(self, nets: Nets, x: Tensor) -> Tensor:
        """The loss of each row (n,)."""
        slope = grad(lambda x: -self.energy(nets, x).sum())
        return energy.score_matching(*with_divergence(lambda x, _: slope(x), x, 0.0))

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return self.errors(nets, batch.x + self.blur * rng.normal("blur", batch.x.shape)).mean()

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        e, errors = self.energy(nets, self.base * rng.normal("far", batch.x.shape)), self.errors(nets, batch.x)
        return {
            "energy gap": e.mean() - self.energy(nets, batch.x).mean(),
            "loss noise": errors.std() / len(errors) ** 0.5,
        }
