"""WGAN: a critic of bounded slope, by clipping its weights, so that its gap bounds W1 (Arjovsky et al., 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.func import grad

from ..losses.adversarial import wasserstein_critic, wasserstein_generator
from ..rng import Rng
from ..task import Batch, Task
from .base import Build, Generative, Nets, RMSprop, Update


@dataclass(frozen=True)
class WGAN(Generative):
    """min_D E D(G(z)) - E D(x), every weight of D clipped to [-clip, clip] after each step; min_G -E D(G(z))."""

    lr: float = 1e-3
    clip: float = 0.1
    latent: int = 8
    n_critic: int = 5
    search = {"lr": (3e-4, 1e-3, 2e-3)}
    pictures = {"latent": 64}
    average = 0.99

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"G": build("G", self.latent, task.dim), "D": build("D", task.dim, 1)}

    def updates(self) -> Sequence[Update]:
        rms = RMSprop(self.lr)
        return [
            Update(("D",), self.critic, rms, self.n_critic, project={"D": self.clipped}),
            Update(("G",), self.generator, rms),
        ]

    def clipped(self, w: Tensor) -> Tensor:
        return w.clamp(-self.clip, self.clip)

    def critic(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        fake = self.sample(nets, batch.x.shape, rng)
        return wasserstein_critic(nets.D(batch.x), nets.D(fake)).mean()

    def generator(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return wasserstein_generator(nets.D(self.sample(nets, batch.x.shape, rng))).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        return nets.G(rng.normal("z", (shape[0], self.latent)))

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        x_fake = self.sample(nets, batch.x.shape, rng)
        slope = grad(lambda x: nets.D(x).sum())(x_fake).norm(dim=1).mean()
        gap = (nets.D(batch.x) - nets.D(x_fake)).mean()
        return {"critic slope": slope, "critic gap / slope": gap / slope}
