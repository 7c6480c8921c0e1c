"""Least-squares GAN: scores are regressed on labels, so that far fakes still pull (Mao et al., 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.adversarial import least_squares_critic, least_squares_generator
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class LSGAN(Generative):
    """min_D E (D(x) - 1)^2 / 2 + E D(G(z))^2 / 2; min_G E (D(G(z)) - 1)^2 / 2."""

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
        return least_squares_critic(nets.D(batch.x), nets.D(fake)).mean()

    def generator(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return least_squares_generator(nets.D(self.sample(nets, batch.x.shape, rng))).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return nets.G(rng.normal("z", (shape[0], self.latent)))

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        real, fake = nets.D(batch.x), nets.D(self.sample(nets, batch.x.shape, rng))
        right = ((real > 0.5).float().mean() + (fake < 0.5).float().mean()) / 2
        return {"critic accuracy": right, "score gap": real.mean() - fake.mean()}
