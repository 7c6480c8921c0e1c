"""Training loops as one writes them by hand in PyTorch: one seed, eager, torch.optim.Adam, torch's own draws.

Each is a generator that yields its Trained before the first step and after every step: a benchmark decides how long it
runs. Nothing of whichloss is used; networks, hyperparameters, batch and averaging are those of its objective of that
name.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus
from torch.optim import Adam

FEATURES = 16


@dataclass
class Trained:
    """Networks and optimisers under way; `sample(n)` draws rows from the averaged network."""

    networks: dict[str, nn.Module]
    optimisers: dict[str, Adam]
    sample: Callable[[int], Tensor] = field(repr=False)


def mlp(inputs: int, outputs: int, width: int, activation: type[nn.Module] = nn.ReLU, depth: int = 3) -> nn.Sequential:
    """`depth` hidden layers of `width` units."""
    layers: list[nn.Module] = []
    for a, b in pairwise([inputs, *[width] * depth]):
        layers += [nn.Linear(a, b), activation()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class Average:
    """A moving average of a network's weights, corrected for starting at zero; decay 0 means none."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net, self.decay, self.steps = net, decay, 0
        self.mean = [torch.zeros_like(p) for p in net.parameters()] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        if self.decay:
            torch._foreach_lerp_(self.mean, list(self.net.parameters()), 1 - self.decay)
            self.steps += 1

    @torch.no_grad()
    def network(self) -> nn.Module:
        """A copy of the network with the averaged weights."""
        if not self.decay:
            return self.net
        net = copy.deepcopy(self.net)
        for p, mean in zip(net.parameters(), self.mean, strict=True):
            p.copy_(mean / (1 - self.decay**self.steps))
        return net


def wgan_gp(
    x: Tensor, *, lr: float, penalty: float, latent: int, n_critic: int,
    average: float, width: int, batch: int, fused: bool = False,
) -> Iterator[Trained]:  # fmt: skip
    """WGAN with gradient penalty (Gulrajani et al., 2017); x (n, d)."""
    G, D = mlp(latent, x.shape[1], width), mlp(x.shape[1], 1, width)
    adam_g, adam_d = (Adam(net.parameters(), lr, betas=(0.5, 0.9), fused=fused or None) for net in (G, D))
    mean = Average(G, average)

    @torch.no_grad()
    def sample(n: int) -> Tensor:
        return mean.network()(torch.randn(n, latent))

    trained = Trained({"G": G, "D": D}, {"G": adam_g, "D": adam_d}, sample)
    while True:
        yield trained
        for _ in range(n_critic):
            real = x[torch.randint(len(x), (batch,))]
            with torch.no_grad():
                fake = G(torch.randn(batch, latent))
            eps = torch.rand(batch, 1)
            between = (eps * real + (1 - eps) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
            loss = D(fake).mean() - D(real).mean() + penalty * ((slope.norm(dim=1) - 1) ** 2).mean()
            adam_d.zero_grad()
            loss.backward()
            adam_d.step()
        D.requires_grad_(False)
        loss = -D(G(torch.randn(batch, latent))).mean()
        adam_g.zero_grad()
        loss.backward()
        adam_g.step()
        D.requires_grad_(True)
        mean.update()


def gan(x: Tensor, *, lr: float, latent: int, average: float, width: int, batch: int) -> Iterator[Trained]:
    """The non-saturating GAN (Goodfellow et al., 2014); x (n, d)."""
    G, D = mlp(latent, x.shape[1], width), mlp(x.shape[1], 1, width)
    adam_g, adam_d = (Adam(net.parameters(), lr, betas=(0.5, 0.9)) for net in (G, D))
    mean = Average(G, average)

    @torch.no_grad()
    def sample(n: int) -> Tensor:
        return mean.network()(torch.randn(n, latent))

    trained = Trained({"G": G, "D": D}, {"G": adam_g, "D": adam_d}, sample)
    while True:
        yield trained
        real = x[torch.randint(len(x), (batch,))]
        with torch.no_grad():
            fake = G(torch.randn(batch, latent))
        loss = softplus(-D(real)).mean() + softplus(D(fake)).mean()  # binary cross-entropy of logits
        adam_d.zero_grad()
        loss.backward()
        adam_d.step()
        D.requires_grad_(False)
        loss = softplus(-D(G(torch.randn(batch, latent)))).mean()
        adam_g.zero_grad()
        loss.backward()
        adam_g.step()
        D.requires_grad_(True)
        mean.update()


def time_features(t: Tensor) -> Tensor:
    """sin and cos of 2^(k/2) pi t / 2, k = 0 .. 7: t (n, 1) in [0, 1] -> (n, 16)."""
    angle = t * (0.5 * math.pi * 2.0 ** (0.5 * torch.arange(FEATURES // 2)))
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def flow_matching(
    x: Tensor, *, lr: float, sampling_steps: int, average: float, width: int, batch: int
) -> Iterator[Trained]:
    """Flow matching on straight lines (Lipman et al., 2023), sampled by Heun's method; x (n, d)."""
    d = x.shape[1]
    net = mlp(d + FEATURES, d, width, nn.SiLU)
    adam, mean = Adam(net.parameters(), lr), Average(net, average)

    @torch.no_grad()
    def sample(n: int) -> Tensor:
        u, z, h = mean.network(), torch.randn(n, d), 1 / sampling_steps
        for k in range(sampling_steps):
            first = u(torch.cat([z, time_features(torch.full((n, 1), k * h))], dim=1))
            second = u(torch.cat([z + h * first, time_features(torch.full((n, 1), (k + 1) * h))], dim=1))
            z = z + h / 2 * (first + second)
        return z

    trained = Trained({"u": net}, {"u": adam}, sample)
    while True:
        yield trained
        x1 = x[torch.randint(len(x), (batch,))]
        x0, t = torch.randn_like(x1), torch.rand(batch, 1)
        x_t = (1 - t) * x0 + t * x1
        loss = mse_loss(net(torch.cat([x_t, time_features(t)], dim=1)), x1 - x0)
        adam.zero_grad()
        loss.backward()
        adam.step()
        mean.update()


def ddpm(
    x: Tensor, *, lr: float, steps: int, sampling_steps: int, average: float, width: int, batch: int
) -> Iterator[Trained]:
    """DDPM with the linear schedule and the simple loss (Ho et al., 2020), variance btilde; x (n, d)."""
    d = x.shape[1]
    beta = torch.linspace(0.1 / steps, 20 / steps, steps, dtype=torch.float64)
    abar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)]).float()
    net = mlp(d + FEATURES, d, width, nn.SiLU)
    adam, mean = Adam(net.parameters(), lr), Average(net, average)

    @torch.no_grad()
    def sample(n: int) -> Tensor:
        eps_hat, z = mean.network(), torch.randn(n, d)
        times = [round(k * steps / sampling_steps) for k in range(sampling_steps, -1, -1)]
        for t, s in pairwise(times):
            a, a_s = abar[t], abar[s]
            eps = eps_hat(torch.cat([z, time_features(torch.full((n, 1), t / steps))], dim=1))
            x0 = (z - (1 - a).sqrt() * eps) / a.sqrt()
            var = (1 - a / a_s) * (1 - a_s) / (1 - a)
            z = a_s.sqrt() * x0 + (1 - a_s - var).sqrt() * eps
            z = z + var.sqrt() * torch.randn(n, d) if s else z
        return z

    trained = Trained({"eps": net}, {"eps": adam}, sample)
    while True:
        yield trained
        x0 = x[torch.randint(len(x), (batch,))]
        t, eps = torch.randint(1, steps + 1, (batch, 1)), torch.randn_like(x0)
        a = abar[t]
        x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
        loss = mse_loss(net(torch.cat([x_t, time_features(t / steps)], dim=1)), eps)
        adam.zero_grad()
        loss.backward()
        adam.step()
        mean.update()
