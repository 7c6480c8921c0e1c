"""WGAN-GP: the critic's slope is pulled to 1, so its gap estimates W1 (Gulrajani et al., 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.func import grad

from ..losses.adversarial import slope_penalty, wasserstein_critic, wasserstein_generator
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class WGANGP(Generative):
    """min_D E D(G(z)) - E D(x) + penalty E (|grad D(x_hat)| - 1)^2, x_hat between x and G(z)."""

    lr: float = 1e-3
    penalty: float = 0.1
    latent: int = 8
    n_critic: int = 5
    search = {"lr": (3e-4, 1e-3, 2e-3), "penalty": (0.1, 1.0, 10.0)}
    pictures = {"latent": 64}
    average = 0.99

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"G": build("G", self.latent, task.dim), "D": build("D", task.dim, 1)}

    def updates(self) -> Sequence[Update]:
        adam = Adam(self.lr, betas=(0.5, 0.9))
        return [Update(("D",), self.critic, adam, self.n_critic), Update(("G",), self.generator, adam)]

    def critic(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x = batch.x
        x_fake = self.sample(nets, x.shape, rng)
        eps = rng.uniform("eps", (len(x), 1))
        x_hat = eps * x + (1 - eps) * x_fake
        slope = grad(lambda x: nets.D(x).sum())(x_hat).norm(dim=1)
        gap = wasserstein_critic(nets.D(x), nets.D(x_fake))
        return gap.mean() + self.penalty * slope_penalty(slope).mean()

    def generator(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return wasserstein_generator(nets.D(self.sample(nets, batch.x.shape, rng))).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return nets.G(rng.normal("z", (shape[0], self.latent)))

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        x_fake = self.sample(nets, batch.x.shape, rng)
        slope = grad(lambda x: nets.D(x).sum())(x_fake).norm(dim=1).mean()
        gap = (nets.D(batch.x) - nets.D(x_fake)).mean()
        return {"critic slope": slope, "critic gap / slope": gap / slope}
