"""R3GAN: scores of pairs, real against fake, with the critic's slope held down on both (Huang et al., 2024)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import grad, grad_and_value

from ..losses.adversarial import relativistic_critic, relativistic_generator, zero_slope_penalty
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class R3GAN(Generative):
    """min_D E f(D(G(z)) - D(x)) + gamma s2 / 2 (E |grad D(x)|^2 + E |grad D(G(z))|^2), f = softplus, s2 = Var x;
    min_G E f(D(x) - D(G(z)))."""

    lr: float = 1e-3
    gamma: float = 0.1
    latent: int = 8
    search = {"lr": (5e-4, 1e-3, 2e-3), "gamma": (0.03, 0.1, 0.3)}
    pictures = {"latent": 64}
    average = 0.99

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"G": build("G", self.latent, task.dim), "D": build("D", task.dim, 1)}

    def updates(self) -> Sequence[Update]:
        adam = Adam(self.lr, betas=(0.0, 0.99))
        return [Update(("D",), self.critic, adam), Update(("G",), self.generator, adam)]

    def memory(self, data: Batch, rng: Rng) -> dict[str, Tensor]:
        return {"variance": data.x.var(dim=0, correction=0).mean()}  # a slope's unit is 1 / that of x

    def critic(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x_fake = self.sample(nets, batch.x.shape, rng)

        def scores(x: Tensor) -> tuple[Tensor, Tensor]:
            score = nets.D(x)
            return score.sum(), score

        slopes, (_, score) = grad_and_value(scores, has_aux=True)(torch.cat([batch.x, x_fake]))
        real, fake = score.chunk(2)
        r1, r2 = zero_slope_penalty(slopes).chunk(2)
        gamma = self.gamma * batch.memory["variance"]
        return relativistic_critic(real, fake).mean() + gamma * (r1 + r2).mean()

    def generator(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        fake = nets.D(self.sample(nets, batch.x.shape, rng))
        return relativistic_generator(nets.D(batch.x), fake).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return nets.G(rng.normal("z", (shape[0], self.latent)))

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        x_fake = self.sample(nets, batch.x.shape, rng)
        right = (nets.D(batch.x) > nets.D(x_fake)).float().mean()
        slope = grad(lambda x: nets.D(x).sum())(x_fake).norm(dim=1).mean()
        return {"critic accuracy": right, "critic slope": slope}
