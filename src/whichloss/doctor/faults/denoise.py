"""Denoisers: DDPM's prediction of the noise, and what goes wrong with it."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..watch import Watch
from .base import Family, Fault, batches, mlp, points, seeded

STEPS, BATCH, LEVELS = 600, 128, 200


class Denoiser(nn.Module):
    """Rows and their noise level, in [0, 1], as sines."""

    def __init__(self, dim: int, width: int, out: int, deaf: bool = False) -> None:
        super().__init__()
        self.net, self.deaf = mlp(dim + 8, width, width, out, act=nn.SiLU), deaf

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        angles = t[:, None] * torch.tensor([1.0, 2.0, 4.0, 8.0]) * torch.pi / 2
        level = torch.cat([angles.sin(), angles.cos()], 1)
        found: Tensor = self.net(torch.cat([x, level * 0 if self.deaf else level], 1))
        return found


def loop(data: str, width: int, seed: int, fault: str) -> Iterator[Watch]:
    """DDPM with a linear schedule of 200 levels."""
    seeded(seed)
    x = points(data)
    dim = x.shape[1]
    if fault == "normal rows":
        x = torch.randn_like(x)
    if fault == "unscaled":
        x = x * 40
    beta = torch.linspace(1e-4 * 5, 0.02 * 5, LEVELS) / (10 if fault == "schedule too short" else 1)
    kept = 1 - beta if fault == "not multiplied up" else torch.cumprod(1 - beta, 0)
    net = Denoiser(dim * (2 if fault == "target in the input" else 1), width, dim, fault == "level ignored")
    optimizer = torch.optim.Adam(net.parameters(), lr={"rate too high": 3.0, "rate too low": 1e-8}.get(fault, 2e-3))
    watch = Watch({"net": net}, [optimizer], f"denoise {fault}").start()
    yield watch
    for (real,) in batches(x, BATCH, STEPS):
        k = torch.randint(0, LEVELS, (BATCH,))
        a, eps = kept[k][:, None], torch.randn_like(real)
        noised = a.sqrt() * real + (1 - a).sqrt() * eps
        if fault == "noise added as it is":
            noised = real + 4 * (1 - a).sqrt() * eps
        if fault == "target drawn afresh":
            eps = torch.randn_like(eps)
        if fault == "rows mixed up":
            noised = noised.roll(1, 0)
        seen = torch.cat([noised, eps], 1) if fault == "target in the input" else noised
        optimizer.zero_grad()
        found = net(seen, k.float() / LEVELS)
        if fault == "cut":
            found = found.detach().requires_grad_()
        if fault == "levels weighted":  # by the signal-to-noise ratio: hardly anything where it matters most
            loss = ((a / (1 - a)) * (found - eps).square()).mean()
        else:
            loss = F.mse_loss(found, eps) if seed % 2 else (found - eps).square().mean()
        loss.backward()
        optimizer.step()


FAULTS = (
    Fault("target drawn afresh", ("denoiser explains nothing",)),
    Fault("rows mixed up", ("denoiser explains nothing",)),
    Fault("level ignored", ("noise level ignored",)),
    Fault("target in the input", ("contract: target in the input",), True),
    Fault("schedule too short", ("schedule ends before the noise",)),
    Fault("not multiplied up", ("schedule ends before the noise",)),
    Fault("unscaled", ("scale of the data", "scale of noised data")),
    Fault("noise added as it is", ("scale of noised data", "scale of the data")),
    Fault("rate too high", ("learning rate too high", "non-finite")),
    Fault("rate too low", ("learning rate too low", "denoiser explains nothing", "contract: does not move")),
    Fault("levels weighted", ("worse than a line at some levels",)),
    Fault("cut", ("contract: graph cut",), True),
)
FAMILY = Family("denoise", ("ring8", "line", "digits"), loop, FAULTS, ("normal rows",))
