"""An energy tilt on a normalizing flow: the flow proposes, the energy corrects (Gao et al., 2020)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses.energy import noise_contrastive
from ..losses.flows import change_of_variables
from ..nets.flows import conditioner_size, to_data, to_noise, too_wide
from ..rng import Rng
from ..samplers.tilt import effective, log_mean_exp, tilted_normal
from ..task import Batch, Task
from .base import Adam, Build, Generative, Nets, Update


@dataclass(frozen=True)
class FlowEBM(Generative):
    """p(x) = q(x) exp(-E(x)) / Z: first the flow q by likelihood, then, q held, E by telling rows from draws of q."""

    lr: float = 2e-3
    tilt_lr: float = 1e-3
    layers: int = 4
    bins: int = 16
    bound: float = 3.0
    whole: bool = False  # a coupling's network sees whole rows, 0 where it moves them: a convolution can
    share: float = 0.6
    proposals: int = 4
    moves: int = 4
    draws: int = 4096  # of the flow, for log Z
    search = {"lr": (1e-3, 2e-3, 4e-3)}
    pictures = {"whole": True, "bins": 8, "draws": 256}
    average = 0.998
    scores = "log density"

    def unfit(self, task: Task) -> str | None:
        return too_wide(task.dim)

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        sizes = [conditioner_size(task.dim, k, self.bins, self.whole) for k in range(self.layers)]
        flow = {f"f{k}": build(f"f{k}", *size, smooth=True) for k, size in enumerate(sizes)}
        return flow | {"E": build("E", task.dim, 1, smooth=True)}

    def updates(self) -> Sequence[Update]:
        roles = tuple(f"f{k}" for k in range(self.layers))
        return [
            Update(roles, self.flow_loss, Adam(self.lr), active=(0.0, self.share)),
            Update(("E",), self.tilt_loss, Adam(self.tilt_lr), active=(self.share, 1.0)),
        ]

    def couplings(self, nets: Nets) -> list[Callable[..., Tensor]]:
        """The couplings' networks, from the data to the noise."""
        return [getattr(nets, f"f{k}") for k in range(self.layers)]

    def flow_loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        return -self.log_flow(nets, batch.x).mean()

    def tilt_loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        y = self.decode(nets, rng.normal("z", batch.x.shape))
        return noise_contrastive(-nets.E(batch.x), -nets.E(y)).mean()  # log p - log q = -E, log Z in E's constant

    def log_flow(self, nets: Nets, x: Tensor) -> Tensor:
        """log q(x) (n,)."""
        return -change_of_variables(
            *to_noise(self.couplings(nets), x, bins=self.bins, bound=self.bound, whole=self.whole)
        )

    def decode(self, nets: Nets, z: Tensor) -> Tensor:
        """The flow's row of a noise row."""
        return to_data(self.couplings(nets), z, bins=self.bins, bound=self.bound, whole=self.whole)

    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        (n, d), tilt = shape, lambda z: nets.E(self.decode(nets, z))
        z, _ = tilted_normal(tilt, (n, d), rng, levels=1, moves=self.moves, proposals=self.proposals, given=nets.given)
        return self.decode(nets, z)

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """log q(x) - E(x) - log Z (n,), in nats, Z the mean of exp(-E) over the same draws of q every time."""
        z = Rng.of(0).normal("log Z", (self.draws, x.shape[1]))

        def log_z(nets: Nets) -> Tensor:
            return log_mean_exp(-nets.E(self.decode(nets, z)).squeeze(-1))

        given = nets.given
        if given is None:
            level = log_z(nets)
        else:  # every class has its own
            classes = torch.eye(given.shape[1], dtype=given.dtype, device=given.device)
            level = given @ torch.stack([log_z(nets.told(one[None])) for one in classes])
        return self.log_flow(nets, x) - nets.E(x).squeeze(-1) - level

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        e = nets.E(self.decode(nets, rng.normal("z", batch.x.shape))).squeeze(-1)
        return {
            "log Z": log_mean_exp(-e),  # 0 where E has learned its constant
            "effective share": effective(-e) / len(e),  # of the flow's draws; near 0 the flow misses the tilted law
            "energy gap": e.mean() - nets.E(batch.x).mean(),
        }
