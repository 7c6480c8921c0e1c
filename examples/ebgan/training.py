"""The loop as people write it, and what is measured where it ends."""

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from whichloss.losses.ebgan import pull_away
from whichloss.metrics import frechet, kid, neighbours
from whichloss.study.generate.features import Features

from .forms import LATENT, SHAPE, Autoencoder, Form, critic_loss, generator, generator_loss, repulsion

BATCH, LR, BETAS = 64, 2e-4, (0.5, 0.999)
POINTS = 100  # of the curves, up to the first point at which a run is judged
LAST = 10  # points of the curves that "at the end" means
KEPT = 64  # pictures kept for the page
PICTURES = 10_000  # whose variance is the data's scale


@dataclass
class Trained:
    """A run after some steps; m: margin, weight: of the pull-away term."""

    step: int
    G: torch.nn.Sequential
    D: Autoencoder
    m: float
    weight: float
    curves: dict[str, list[float]]
    seconds: float

    @property
    def device(self) -> torch.device:
        """Where it is trained."""
        return next(self.G.parameters()).device


def train(form: Form, values: Tensor, seed: int, points: Sequence[int]) -> Iterator[Trained]:
    """Train on bytes (n, 784); yields at every point. Equal seeds see the same batches, noise and first weights."""
    nets = []
    for make in (Autoencoder, generator):
        torch.manual_seed(seed)
        nets.append(make(form).to(values.device))
    D, G = nets
    adam_d, adam_g = (torch.optim.Adam(net.parameters(), LR, BETAS, fused=True) for net in nets)
    variance = float(pixels(form, values[:PICTURES]).var(dim=0, correction=0).mean())
    m, weight = variance if form.margin is None else form.margin, form.repulsion * variance
    draw = torch.Generator().manual_seed(seed)
    rows, curves, started = batches(len(values), draw), {}, time.process_time()
    for step in range(1, max(points) + 1):
        x = pixels(form, values[next(rows).to(values.device)])
        fake = G(torch.rand(BATCH, LATENT, generator=draw).to(values.device))
        e_real, e_fake = D.energy(x), D.energy(fake.detach())
        loss_d = critic_loss(form, e_real, e_fake, m)
        descend(adam_d, loss_d)
        codes, restored = D(fake)
        descend(adam_g, generator_loss(form, fake, restored) + weight * repulsion(form, codes))
        if step % max(1, min(points) // POINTS) == 0 or step in points:
            with torch.no_grad():
                active = (e_fake.mean() < m if form.mean_hinge else e_fake < m).float().mean()
                pt = {"PT": pull_away(codes).mean(), "PT as computed": repulsion(form, codes)}
            seen = {"L_D": loss_d, "E(x)": e_real.mean(), "E(G(z))": e_fake.mean(), "active hinges": active} | pt
            for name, value in seen.items():
                curves.setdefault(name, []).append(float(value.detach()))
            curves.setdefault("step", []).append(step)
        if step in points:
            yield Trained(step, G, D, m, weight, curves, time.process_time() - started)


def batches(n: int, draw: torch.Generator) -> Iterator[Tensor]:
    """Rows of full batches, in a new order every epoch."""
    while True:
        yield from (rows for rows in torch.randperm(n, generator=draw).split(BATCH) if len(rows) == BATCH)


def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step on the weights of this optimiser alone."""
    optimiser.zero_grad()
    loss.backward(inputs=optimiser.param_groups[0]["params"])
    optimiser.step()


def pixels(form: Form, values: Tensor) -> Tensor:
    """Bytes (n, 784) as the networks see them: in [0, 1] for a sigmoid, else in [-1, 1]."""
    x = values.view(-1, *SHAPE).float()
    return x / 255 if form.output == "sigmoid" else x / 127.5 - 1


def levels(form: Form, x: Tensor) -> Tensor:
    """The nearest levels that pictures can hold: bytes (n, 784)."""
    v = x * 255 if form.output == "sigmoid" else (x + 1) * 127.5
    return v.round().clamp(0, 255).to(torch.uint8).flatten(1).cpu()


@dataclass(frozen=True)
class Judge:
    """Compares pictures with real ones that no run has seen, in features (n, k) of them."""

    features: Features
    real: Tensor

    def __call__(self, values: np.ndarray) -> dict[str, float]:
        """Frechet distance, KID and coverage of bytes (n, 784)."""
        x = self.features.of(values)
        near = neighbours(x, self.real)
        return {"Frechet": frechet(x, self.real), "KID": kid(x, self.real), "coverage": near.coverage}


def at_the_end(run: Trained) -> dict[str, float]:
    """Means over the last points of the curves; energies and the critic's loss in margins."""
    means = {name: float(np.mean(curve[-LAST:])) for name, curve in run.curves.items() if name != "step"}
    return {f"{k} / m" if k[0] in "LE" else k: v / run.m if k[0] in "LE" else v for k, v in means.items()}


@torch.no_grad()
def drawn(form: Form, run: Trained, n: int) -> dict[str, Tensor]:
    """n pictures by G in evaluation mode, and what the autoencoder makes of some; nothing from a run that diverged."""
    G, D = copy.deepcopy(run.G).eval(), copy.deepcopy(run.D)
    z = torch.rand(n, LATENT, generator=torch.Generator().manual_seed(0)).to(run.device)
    x = torch.cat([G(part) for part in z.split(500)])
    return {"samples": levels(form, x), "restored": levels(form, D(x[:KEPT])[1])} if x.isfinite().all() else {}


@torch.no_grad()
def blindness(form: Form, run: Trained, values: Tensor) -> float:
    """Energy of noise / energy of data; 1 for an autoencoder that restores anything."""
    D, x = copy.deepcopy(run.D), pixels(form, values[:500])
    noise = x.flatten()[torch.randperm(x.numel(), generator=torch.Generator().manual_seed(2)).to(run.device)].view_as(x)
    return float(D.energy(noise).mean() / D.energy(x).mean())


def agreement(form: Form, run: Trained, weights: int, h: float = 1e-6) -> dict[str, float]:
    """The gradient that G follows against central differences of the loss that is printed, in float64.

    Over some weights of G's last layer, 16 pictures: cosine, and |gradient - differences| / |differences|, of the whole
    loss and of its energy alone. Then how hard the pull-away term pulls on the pictures beside the energy.
    """
    G, D = copy.deepcopy(run.G).double().cpu(), copy.deepcopy(run.D).double().cpu()
    z = torch.rand(16, LATENT, generator=torch.Generator().manual_seed(1)).double()
    hidden, last = G[:-2](z).detach(), G[-2:]
    w = last[0].weight.detach().view(-1)
    spots = torch.linspace(0, len(w) - 1, min(weights, len(w))).long()

    def losses(x: Tensor) -> Tensor:
        codes, restored = D(x)
        energy = generator_loss(form, x, restored)
        return torch.stack([energy + run.weight * repulsion(form, codes), energy])

    @torch.no_grad()
    def difference(spot: Tensor) -> Tensor:
        here, ends = w[spot].clone(), []
        for w[spot] in (here + h, here - h):
            ends.append(losses(last(hidden)))
        w[spot] = here
        return (ends[0] - ends[1]) / (2 * h)

    true = torch.stack([difference(spot) for spot in spots], dim=1)
    slopes = [torch.autograd.grad(loss, last[0].weight, retain_graph=True)[0] for loss in losses(last(hidden))]
    followed = torch.stack(slopes).flatten(1)[:, spots]
    cosines = torch.cosine_similarity(followed, true, dim=1)
    errors = (followed - true).norm(dim=1) / true.norm(dim=1)
    x = last(hidden).detach().requires_grad_()
    both, energy = (torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in losses(x))
    return {
        "cosine": float(cosines[0]),
        "relative error": float(errors[0]),
        "cosine of the energy's": float(cosines[1]),
        "relative error of the energy's": float(errors[1]),
        "PT's pull / energy's": float((both - energy).norm() / energy.norm()),
    }
