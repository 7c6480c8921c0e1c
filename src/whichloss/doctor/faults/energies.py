"""Energies: contrastive divergence with Langevin chains, noise contrastive estimation; what goes wrong with them."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ..watch import Watch
from .base import Family, Fault, batches, mlp, points, seeded

STEPS, BATCH, CHAIN = 400, 128, 12


def chains(data: str, width: int, seed: int, fault: str) -> Iterator[Watch]:
    """Contrastive divergence from noise: chains of Langevin steps, a small penalty on the energies' squares."""
    seeded(seed)
    x = points(data)
    energy = mlp(x.shape[1], width, width, 1, act=torch.nn.SiLU)
    optimizer = torch.optim.Adam(energy.parameters(), lr=0.1 if fault == "rate too high" else 1e-3)
    watch = Watch({"energy": energy}, [optimizer], f"energy {fault}").start()
    yield watch
    step = {"steps too short": 1e-5, "steps too long": 8.0}.get(fault, 0.1)
    weight = {"rate too high": 0.0, "energies drift": 0.03}.get(fault, 0.1)
    for (real,) in batches(x, BATCH, STEPS):
        y = torch.randn_like(real)
        for _ in range(CHAIN):
            y = (
                y.detach().requires_grad_()
                if fault != "through the sampler"
                else (y if y.requires_grad else y.requires_grad_())
            )
            if fault == "slope by backward":
                energy(y).sum().backward()
                slope = y.grad if y.grad is not None else torch.zeros_like(y)
            else:
                (slope,) = torch.autograd.grad(energy(y).sum(), y, create_graph=fault == "through the sampler")
            noise = torch.zeros_like(y) if fault == "no noise" else torch.randn_like(y)
            way = 1 if fault == "uphill" else -1
            y = y + way * step / 2 * slope + (step**0.5 if fault != "steps too short" else step) * noise
        made = y if fault == "through the sampler" else y.detach()
        if fault != "slope by backward":
            optimizer.zero_grad()
        a, b = energy(real), energy(made)
        loss = (b - a if fault == "sign" else a - b).mean()
        if fault == "one sign":
            loss = (a + b).mean()
        loss = loss + weight * (a.square() + b.square()).mean()
        loss.backward()
        optimizer.step()
        if fault == "slope by backward":
            optimizer.zero_grad()


def contrast(data: str, width: int, seed: int, fault: str) -> Iterator[Watch]:
    """Noise contrastive estimation: a network tells data from normal noise."""
    seeded(seed)
    x = points(data)
    net = mlp(x.shape[1], width, width, 1, act=torch.nn.SiLU)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    watch = Watch({"energy": net}, [optimizer], f"nce {fault}").start()
    yield watch
    width_ = 60.0 if fault == "noise too wide" else 1.2
    for (real,) in batches(x, BATCH, STEPS):
        noise = torch.randn_like(real) * width_
        rows, told = torch.cat([real, noise]), torch.cat([torch.ones(len(real)), torch.zeros(len(noise))])
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(net(rows)[:, 0] - log_normal(rows, width_), told)
        loss.backward()
        optimizer.step()


def log_normal(x: Tensor, sd: float) -> Tensor:
    """log density of N(0, sd^2), up to what is the same for all rows."""
    return -(x / sd).square().sum(1) / 2


DATA = ("ring8", "line", "moons")
CHAINS = Family("energy", DATA, chains, (
    Fault("sign", ("contract: sign",), True),
    Fault("one sign", ("contract: sign",), True),
    Fault("uphill", ("contract: sign",), True),
    Fault("through the sampler", ("contract: gradient through the sampler",), True),
    Fault("slope by backward", ("contract: stale gradient", "contract: gradient never cleared"), True),
    Fault("steps too short", ("chains not moving",)),
    Fault("steps too long", ("chains running away", "non-finite")),
    Fault("no noise", ("chains without noise",)),
    Fault("rate too high", ("energies diverging", "learning rate too high")),
), ("energies drift",))  # fmt: skip
NCE = Family("nce", DATA, contrast, (Fault("noise too wide", ("noise too easy",)),))
