"""EBGAN: the critic is an autoencoder and its error an energy, low on data only (Zhao et al., 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.ebgan import energy_critic, energy_generator, pull_away, reconstruction_energy
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class EBGAN(Generative):
    """min_D E E(x) + E [m - E(G(z))]^+, min_G E E(G(z)) + repulsion m PT(Enc(G(z))), E(x) = |Dec(Enc(x)) - x|^2 / d.

    m = margin Var x, Var x being the error of the best constant. Enc sees x + noise in the critic's loss.
    """

    lr: float = 1e-3
    margin: float = 1.0
    repulsion: float = 0.1
    noise: float = 0.3
    code: int = 8
    latent: int = 8
    search = {"lr": (5e-4, 1e-3, 2e-3), "margin": (0.3, 1.0)}
    pictures = {"latent": 64, "code": 32}
    average = 0.99
    scores = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {
            "G": build("G", self.latent, task.dim),
            "Enc": build("Enc", task.dim, self.code),
            "Dec": build("Dec", self.code, task.dim),
        }

    def updates(self) -> Sequence[Update]:
        adam = Adam(self.lr, betas=(0.5, 0.9))
        return [Update(("Enc", "Dec"), self.critic, adam), Update(("G",), self.generator, adam)]

    def memory(self, data: Batch, rng: Rng) -> dict[str, Tensor]:
        return {"variance": data.x.var(dim=0, correction=0).mean()}  # the energy of the best constant reconstruction

    def critic(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x, variance = batch.x, batch.memory["variance"]
        x_noisy = x + self.noise * variance.sqrt() * rng.normal("noise", x.shape)
        e_real = reconstruction_energy(x, nets.Dec(nets.Enc(x_noisy)))
        e_fake = self.score(nets, self.sample(nets, x.shape, rng))
        return energy_critic(e_real, e_fake, self.margin * variance).mean()

    def generator(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x_fake = self.sample(nets, batch.x.shape, rng)
        codes = nets.Enc(x_fake)
        e_fake = reconstruction_energy(x_fake, nets.Dec(codes))
        weight = self.repulsion * self.margin * batch.memory["variance"]
        return energy_generator(e_fake).mean() + weight * pull_away(codes).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return nets.G(rng.normal("z", (shape[0], self.latent)))

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) (n,): the squared error of reconstruction per dimension."""
        return reconstruction_energy(x, nets.Dec(nets.Enc(x)))

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        x_fake, m = self.sample(nets, batch.x.shape, rng), self.margin * batch.memory["variance"]
        e_real, e_fake = self.score(nets, batch.x), self.score(nets, x_fake)
        e_noise = self.score(nets, (12 * batch.memory["variance"]).sqrt() * (rng.uniform("box", x_fake.shape) - 0.5))
        return {
            "energy gap / margin": (e_fake.mean() - e_real.mean()) / m,
            "hinge share": (e_fake < m).float().mean(),
            "noise energy / data energy": e_noise.mean() / e_real.mean(),
            "code similarity": pull_away(nets.Enc(x_fake)).mean(),
        }
