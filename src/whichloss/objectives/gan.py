"""The original GAN with the non-saturating generator loss (Goodfellow et al., 2014)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.adversarial import bce_critic, bce_generator
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class GAN(Generative):
    """min_G max_D E log D(x) + E log(1 - D(G(z))), G moved by -log D(G(z)) instead."""

    lr: float = 1e-3
    latent: int = 8
    search = {"lr": (5e-4, 1e-3, 2e-3)}
    pictures = {"latent": 64}
    average = 0.99

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"G": build("G", self.latent, task.dim), "D": build("D", task.dim, 1)}

    def updates(self) -> Sequence[Update]:
        adam = Adam(self.lr, betas=(0.5, 0.9))
        return [Update(("D",), self.critic, adam), Update(("G",), self.generator, adam)]

    def critic(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        fake = self.sample(nets, batch.x.shape, rng)
        return bce_critic(nets.D(batch.x), nets.D(fake)).mean()

    def generator(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return bce_generator(nets.D(self.sample(nets, batch.x.shape, rng))).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return nets.G(rng.normal("z", (shape[0], self.latent)))

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        real, fake = nets.D(batch.x), nets.D(self.sample(nets, batch.x.shape, rng))
        right = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
        saturated = (fake.abs() > 10).float().mean()
        return {"critic accuracy": right, "saturated share": saturated}
