"""Normalizing flow: an invertible map to normal noise, fitted by exact likelihood (Durkan et al., 2019)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.flows import change_of_variables
from ..nets.flows import conditioner_size, to_data, to_noise, too_wide
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class Flow(Generative):
    """min E[-log p(x)], log p(x) = log N(f(x); 0, I) + log |det df/dx|, f rational-quadratic spline couplings."""

    lr: float = 2e-3
    layers: int = 4
    bins: int = 16
    bound: float = 3.0
    whole: bool = False  # a coupling's network sees whole rows, 0 where it moves them: a convolution can
    search = {"lr": (1e-3, 2e-3, 4e-3)}
    pictures = {"whole": True, "bins": 8}
    average = 0.999
    scores = "log density"

    def unfit(self, task: Task) -> str | None:
        return too_wide(task.dim)

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        sizes = [conditioner_size(task.dim, k, self.bins, self.whole) for k in range(self.layers)]
        return {f"f{k}": build(f"f{k}", *size, smooth=True) for k, size in enumerate(sizes)}

    def couplings(self, nets: Nets) -> list[Callable[..., Tensor]]:
        """The couplings' networks, from the data to the noise."""
        return [getattr(nets, f"f{k}") for k in range(self.layers)]

    def updates(self) -> Sequence[Update]:
        return [Update(tuple(f"f{k}" for k in range(self.layers)), self.loss, Adam(self.lr))]

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return -self.score(nets, batch.x).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return to_data(self.couplings(nets), rng.normal("z", shape), bins=self.bins, bound=self.bound, whole=self.whole)

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """log p(x) (n,), exact, in nats."""
        z, log_det = to_noise(self.couplings(nets), x, bins=self.bins, bound=self.bound, whole=self.whole)
        return -change_of_variables(z, log_det)

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        z, log_det = to_noise(self.couplings(nets), batch.x, bins=self.bins, bound=self.bound, whole=self.whole)
        return {
            "noise sd": z.std(),  # 1 where the rows reach the noise
            "log det": log_det.mean(),
            "rows beyond the bound": (batch.x.abs() >= self.bound).any(dim=1).to(z).mean(),
        }
