"""Hinge GAN: a critic that stops at the margin, a generator that never saturates (Lim & Ye, 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.adversarial import hinge_critic, hinge_generator
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class HingeGAN(Generative):
    """min_D E [1 - D(x)]^+ + E [1 + D(G(z))]^+; min_G -E D(G(z))."""

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
        return hinge_critic(nets.D(batch.x), nets.D(fake)).mean()

    def generator(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return hinge_generator(nets.D(self.sample(nets, batch.x.shape, rng))).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return nets.G(rng.normal("z", (shape[0], self.latent)))

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        real, fake = nets.D(batch.x), nets.D(self.sample(nets, batch.x.shape, rng))
        right = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
        inside = ((real < 1).float().mean() + (fake > -1).float().mean()) / 2
        return {"critic accuracy": right, "hinge share": inside}
