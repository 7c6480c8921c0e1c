"""EBGAN: the critic is an autoencoder and its error an energy, low on data only (Zhao et al., 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ..losses.ebgan import energy_critic, energy_generator, pull_away, reconstruction_energy
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class EBGAN(Generative):
    """min_D E E(x) + E [m - E(G(z))]^+, E(x) = |Dec(Enc(x)) - x|^2 / d; min_G E E(G(z)) + pull_away PT(Enc(G(z)))."""

    lr: float = 1e-3
    margin: float = 0.3
    pull_away: float = 0.1
    noise: float = 0.0
    code: int = 8
    latent: int = 8
    search = {"lr": (5e-4, 1e-3, 2e-3), "margin": (0.1, 0.3, 1.0)}
    scores: ClassVar = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {
            "G": build("G", self.latent, task.dim),
            "Enc": build("Enc", task.dim, self.code),
            "Dec": build("Dec", self.code, task.dim),
        }

    def updates(self) -> Sequence[Update]:
        adam = Adam(self.lr, betas=(0.5, 0.9))
        return [Update(("Enc", "Dec"), self.critic, adam), Update(("G",), self.generator, adam)]

    def memory(self, x: Tensor, rng: Rng) -> dict[str, Tensor]:
        return {"variance": x.var(dim=0, correction=0).mean()}

    def critic(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x = batch.x
        v = batch.memory["variance"]
        m = self.margin * v
        e_fake = self.score(nets, self.sample(nets, x.shape, rng))
        xn = x + self.noise * v.sqrt() * rng.normal("noise", x.shape)
        e_real = reconstruction_energy(x, nets.Dec(nets.Enc(xn)))
        return energy_critic(e_real, e_fake, m).mean()

    def generator(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x_fake = self.sample(nets, batch.x.shape, rng)
        code = nets.Enc(x_fake)
        e_fake = reconstruction_energy(x_fake, nets.Dec(code))
        v = batch.memory["variance"]
        return energy_generator(e_fake).mean() + self.pull_away * v * self.margin * pull_away(code).mean()

    def sample(self, nets: Nets, shape: tuple[int, int], rng: Rng) -> Tensor:
        return nets.G(rng.normal("z", (shape[0], self.latent)))

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        return reconstruction_energy(x, nets.Dec(nets.Enc(x)))

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        return {}
