"""A denoising autoencoder's error as an energy: low near the surface of its narrow code (Vincent et al., 2008)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..losses.ebgan import reconstruction_energy
from ..rng import Rng
from ..samplers.tilt import tilted_normal
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class Autoencoder(Generative):
    """min E |x - r(x + noise n)|^2 / d, r = Dec o Enc; E(x) = |x - r(x)|^2 / (2 noise^2) + |x|^2 / 2."""

    lr: float = 2e-3
    code: int = 4
    noise: float = 0.2
    levels: int = 8
    moves: int = 4
    search = {"lr": (1e-3, 2e-3, 4e-3), "noise": (0.1, 0.2, 0.4)}
    pictures = {"code": 32}
    average = 0.999
    scores = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        code = max(1, min(self.code, task.dim - 1))  # fewer numbers than columns, where there are several
        return {"Enc": build("Enc", task.dim, code, smooth=True), "Dec": build("Dec", code, task.dim, smooth=True)}

    def updates(self) -> Sequence[Update]:
        return [Update(("Enc", "Dec"), self.loss, Adam(self.lr))]

    def rebuilt(self, nets: Nets, x: Tensor) -> Tensor:
        """r(x) = Dec(Enc(x)) (n, d)."""
        return nets.Dec(nets.Enc(x))

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        x_noisy = batch.x + self.noise * rng.normal("noise", batch.x.shape)
        return reconstruction_energy(batch.x, self.rebuilt(nets, x_noisy)).mean()

    def missed(self, nets: Nets, x: Tensor) -> Tensor:
        """|x - Dec(Enc(x))|^2 / (2 noise^2) (n,)."""
        return (x - self.rebuilt(nets, x)).square().sum(dim=1) / (2 * self.noise**2)

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        (n, d), missed = shape, lambda x: self.missed(nets, x)
        return tilted_normal(missed, (n, d), rng, levels=self.levels, moves=self.moves, given=nets.given)[0]

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(x) (n,): the error in units of the noise, and |x|^2 / 2, without which far rows on the surface cost 0."""
        return self.missed(nets, x) + x.square().sum(dim=1) / 2

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        box = 4 * (rng.uniform("box", batch.x.shape) - 0.5) * batch.x.std(dim=0)
        e_data, e_box = self.missed(nets, batch.x), self.missed(nets, box)
        error = reconstruction_energy(batch.x, self.rebuilt(nets, batch.x)).mean()
        return {
            "unexplained": error / batch.x.var(dim=0).mean(),  # 1: no better than the mean; 0: the identity
            "data energy / box energy": e_data.mean() / e_box.mean(),
        }
