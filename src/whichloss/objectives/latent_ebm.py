"""An energy on the codes of an autoencoder: p(z) = N(z; 0, I) exp(-E(z)) / Z, rows are decoded (Pang et al., 2020)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses.ebgan import reconstruction_energy
from ..losses.energy import noise_contrastive
from ..rng import Rng
from ..samplers.tilt import effective, log_mean_exp, tilted_normal
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class LatentEBM(Generative):
    """First Enc, Dec: min E |x - Dec(Enc(x))|^2 / d + whiten |moments of Enc(x) - those of N(0, I)|^2; then E by
    telling codes from N(0, I)."""

    lr: float = 2e-3
    energy_lr: float = 3e-3
    code: int = 8
    whiten: float = 0.1
    jitter: float = 0.1
    noise: float = 0.1
    share: float = 0.25
    levels: int = 4
    moves: int = 4
    search = {"lr": (1e-3, 2e-3, 4e-3)}
    pictures = {"code": 32}
    average = 0.998
    scores = "energy"

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        code = self.width(task.dim)
        return {
            "Enc": build("Enc", task.dim, code, smooth=True),
            "Dec": build("Dec", code, task.dim, smooth=True),
            "E": build("E", code, 1, smooth=True),
        }

    def width(self, dim: int) -> int:
        """Numbers in a code: never more than columns."""
        return min(self.code, dim)

    def updates(self) -> Sequence[Update]:
        return [
            Update(("Enc", "Dec"), self.rebuild, Adam(self.lr), active=(0.0, self.share)),
            Update(("E",), self.tell, Adam(self.energy_lr), active=(self.share, 1.0)),
        ]

    def rebuild(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        z = nets.Enc(batch.x)
        centred = z - z.mean(dim=0)
        away = centred.T @ centred / (len(z) - 1) - torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        moments = z.mean(dim=0).square().sum() + away.square().sum()
        x_hat = nets.Dec(z + self.jitter * rng.normal("jitter", z.shape))  # keeps the map from squeezing modes
        return reconstruction_energy(batch.x, x_hat).mean() + self.whiten * moments / z.shape[1]

    def tell(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        z = nets.Enc(batch.x)
        return noise_contrastive(-nets.E(z), -nets.E(rng.normal("z", z.shape))).mean()

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        n, d = shape
        size = n, self.width(d)
        z, _ = tilted_normal(nets.E, size, rng, levels=self.levels, moves=self.moves, given=nets.given)
        return nets.Dec(z)

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """E(z) + |z|^2 / 2 + |x - Dec(z)|^2 / (2 noise^2), z = Enc(x): (n,)."""
        z = nets.Enc(x)
        missed = (x - nets.Dec(z)).square().sum(dim=1) / (2 * self.noise**2)
        return nets.E(z).squeeze(-1) + z.square().sum(dim=1) / 2 + missed

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        z = nets.Enc(batch.x)
        e = nets.E(rng.normal("z", z.shape)).squeeze(-1)
        return {
            "unexplained": reconstruction_energy(batch.x, nets.Dec(z)).mean() / batch.x.var(dim=0).mean(),
            "code sd": z.std(),
            "energy gap": e.mean() - nets.E(z).mean(),
            "effective share": effective(-e) / len(e),
            "log Z": log_mean_exp(-e),
        }
