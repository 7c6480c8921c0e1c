"""Maximum likelihood of an energy, its log Z by a grid or by importance (Bengio & Senecal, 2003)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses import energy
from ..rng import Rng
from ..samplers.tilt import effective_share
from ..task import Batch
from .base import Nets
from .boltzmann import Boltzmann

ROWS = 2048  # rows kept as centres of the proposal


@dataclass(frozen=True)
class ML(Boltzmann):
    """min E[E(x)] + log Z, log Z = log mean exp(-E(y) - log q(y)), y from a grid or from a proposal q."""

    lr: float = 5e-3
    points: int = 512
    grid: int = 1
    edge: float = 6.0
    centres: int = 256
    bandwidth: float = 0.1
    broad: float = 0.25
    search = {"lr": (2e-3, 5e-3, 1e-2), "bandwidth": (0.05, 0.1, 0.2)}

    def memory(self, data: Batch, rng: Rng) -> dict[str, Tensor]:
        return {"rows": data.x[rng.integers("rows", (ROWS,), len(data.x))]}

    def places(self, rows: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """Where log Z is measured, y (n, d) and log q(y) (n,): a grid, shifted anew, or rows of the proposal."""
        d = rows.shape[1]
        return self.lattice(d, rng) if d <= self.grid else self.proposal(rows, rng)

    def lattice(self, dim: int, rng: Rng) -> tuple[Tensor, Tensor]:
        """A grid over [-edge, edge]^d of about `points` cells, one place in each, all shifted alike."""
        cells = round(self.points ** (1 / dim))
        shift = rng.uniform("shift", (dim,))
        axes = [(2 * (torch.arange(cells) + shift[j]) / cells - 1) * self.edge for j in range(dim)]
        y = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, dim)
        return y, -dim * math.log(2 * self.edge) * torch.ones_like(y[:, 0])

    def proposal(self, rows: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """q = (1 - broad) mean_i N(c_i, bandwidth^2 I) + broad N(0, base^2 I), c_i some rows kept in memory."""
        n, d = self.points, rows.shape[1]
        c = rows[rng.integers("centres", (self.centres,), len(rows))]
        near = c[rng.integers("near", (n,), self.centres)] + self.bandwidth * rng.normal("y", (n, d))
        wide = rng.uniform("wide", (n, 1)) < self.broad
        y = torch.where(wide, self.base * rng.normal("far", (n, d)), near)
        square = (y**2).sum(dim=1, keepdim=True) - 2 * y @ c.T + (c**2).sum(dim=1)
        kernels = torch.logsumexp(-square / (2 * self.bandwidth**2), dim=1) - math.log(self.centres)
        near_log = math.log(1 - self.broad) + kernels - d * torch.as_tensor(self.bandwidth).log()
        far_log = math.log(self.broad) - (y**2).sum(dim=1) / (2 * self.base**2) - d * math.log(self.base)
        return y, torch.logaddexp(near_log, far_log) - d / 2 * math.log(2 * math.pi)

    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        y, log_q = self.places(batch.memory["rows"], rng)
        e = self.energy(nets, torch.cat([batch.x, y]))
        return energy.importance_likelihood(e[: len(batch.x)], e[len(batch.x) :], log_q).mean()

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        y, log_q = self.places(batch.memory["rows"], rng)
        e = self.energy(nets, y)
        log_z = energy.log_partition(e, log_q)
        return {
            "energy gap": e.mean() - self.energy(nets, batch.x).mean(),
            "log Z": log_z,
            "log likelihood": -self.energy(nets, batch.x).mean() - log_z,
            "proposal ess": effective_share(-e - log_q),
        }
