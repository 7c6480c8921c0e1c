"""O1 to O12: levels that theory knows, each measured with whichloss's own losses and objectives.

Most hold a generator still (`Held`), train the critic of 16 seeds against it, and look at the loss on new rows. An
oracle passes if the mean over seeds lies within `slack` of the truth; `slack` is what finite training may cost.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import grad

from whichloss.data import find_toy
from whichloss.losses.adversarial import (
    bce_critic,
    hinge_critic,
    least_squares_critic,
    least_squares_generator,
    relativistic_critic,
    relativistic_generator,
    slope_penalty,
    wasserstein_critic,
)
from whichloss.losses.ebgan import energy_critic
from whichloss.metrics import w1_columns
from whichloss.objectives import Nets, find
from whichloss.objectives.base import Build
from whichloss.rng import Rng
from whichloss.task import Batch

from .critics import Held, leaning, linear, look, trained
from .lanes import BUILD, DEPTH, FRESH, ROWS, WIDTH, draw
from .laws import LN2, bce_of_modes, js_normals, line, modes_of_bce, normal_log_density, steepest, tv_normals

STD = 0.5
Work = Callable[[Nets, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Oracle:
    """One known level, or `bound`: what is checked, the truth, what every seed measured, how far off it may be."""

    name: str
    what: str
    truth: float
    seen: np.ndarray
    slack: float
    bound: bool = False

    @property
    def holds(self) -> bool:
        """The mean over seeds is as near as finite training allows; no seed is above a bound."""
        if self.bound:
            return bool(self.seen.max() <= self.truth + self.slack)
        return bool(abs(self.seen.mean() - self.truth) <= self.slack)


@dataclass(frozen=True)
class Bench:
    """How many seeds, how long their critics train, and the data N(0, STD^2)."""

    seeds: int
    steps: int

    def centred(self, first: int = 0, n: int = ROWS) -> Tensor:
        """Rows of toy:normal1d, moved to mean 0."""
        return draw(find_toy("toy:normal1d")[0], self.seeds, n, first) - 4.0

    def measure(
        self, rule: Any, work: Work, mean: float, std: float = STD, build: Build = BUILD, rows: Tensor | None = None
    ) -> np.ndarray:
        """`work` of every seed's critic, trained by `rule` against N(mean, std^2), on new rows: (seeds, ...)."""
        held = Held(rule, mean=mean, std=std)
        lanes, weights = trained(held, self.centred() if rows is None else rows, self.steps, build)
        fresh = self.centred(1000, FRESH) if rows is None else torch.roll(rows, 1, 0)
        return look(lanes, weights, fresh, work).double().numpy()


def critic(name: str, **setting: float) -> Any:
    """An objective whose critic is wanted: one latent number, one critic step, quick enough to settle."""
    rule = replace(find(name)(), latent=1, **setting)
    return replace(rule, n_critic=1) if hasattr(rule, "n_critic") else rule


def of_loss(loss: Callable[[Tensor, Tensor], Tensor]) -> Work:
    """The mean loss of a critic."""
    return lambda nets, x, fake: loss(nets.D(x), nets.D(fake)).mean()


def gap(nets: Nets, x: Tensor, fake: Tensor) -> Tensor:
    """E D(x) - E D(G(z))"""
    return -wasserstein_critic(nets.D(x), nets.D(fake)).mean()


def slope_at_zero(nets: Nets, x: Tensor, fake: Tensor) -> Tensor:
    """D'(0), which is the weight of a linear critic."""
    return grad(lambda t: nets.D(t).sum())(x.new_zeros(1, 1)).sum()


def all_oracles(seeds: int, steps: int) -> list[Oracle]:
    """Every oracle, measured. O8 (BEGAN) is missing, because whichloss ships no BEGAN."""
    bench = Bench(seeds, steps)
    return [o for part in (bce, least_squares_and_hinge, equality, energy, transport, slopes) for o in part(bench)]


def bce(b: Bench) -> Iterator[Oracle]:
    """O1, O2: the best BCE critic is log p / q, its loss 2 log 2 - 2 JS."""
    rule, loss = critic("gan"), of_loss(bce_critic)
    fitted = b.measure(critic("gan", lr=1e-2), slope_at_zero, -0.5, build=linear)
    yield Oracle("O1", "slope of a linear logit, N(0, s²) against N(-1/2, s²): (a - b) / s²", 2.0, fitted, 0.1)
    yield Oracle("O1", "BCE critic at equality: 2 ln 2", 2 * LN2, b.measure(rule, loss, 0.0), 0.02)
    truth = 2 * LN2 - 2 * js_normals(1.0, STD)[0]
    yield Oracle("O1", "BCE critic, laws 2 s apart: 2 ln 2 - 2 JS", truth, b.measure(rule, loss, 1.0), 0.03)
    yield Oracle("O1", "BCE critic, laws 12 s apart: 0", 0.0, b.measure(rule, loss, 6.0), 0.01)
    two = find_toy("toy:two-normals-1d")[0]
    one_mode = b.measure(rule, loss, -2.0, rows=draw(two, b.seeds))
    yield Oracle("O2", "BCE critic, 1 of 2 modes covered", bce_of_modes(1, 2), one_mode, 0.03)
    back = np.array([modes_of_bce(float(v), 2) for v in one_mode])
    yield Oracle("O2", "modes that loss stands for", 1.0, back, 0.1)


def least_squares_and_hinge(b: Bench) -> Iterator[Oracle]:
    """O3, O4: levels of the least-squares and the hinge critic."""
    rule = critic("lsgan")

    def both(nets: Nets, x: Tensor, fake: Tensor) -> Tensor:
        players = least_squares_critic(nets.D(x), nets.D(fake)), least_squares_generator(nets.D(fake))
        return torch.stack([value.mean() for value in players])

    seen = b.measure(rule, both, 0.0)
    yield Oracle("O3", "LSGAN critic at equality: 1/4", 0.25, seen[:, 0], 0.01)
    yield Oracle("O3", "LSGAN generator at equality: 1/8", 0.125, seen[:, 1], 0.01)
    rule, loss = critic("hinge-gan"), of_loss(hinge_critic)
    yield Oracle("O4", "hinge critic at equality", 2.0, b.measure(rule, loss, 0.0), 0.03)
    truth = 2 * (1 - tv_normals(1.0, STD))
    yield Oracle("O4", "hinge critic, laws 2 s apart: 2 (1 - TV)", truth, b.measure(rule, loss, 1.0), 0.05)


def equality(b: Bench) -> Iterator[Oracle]:
    """O5, O6: Wasserstein and relativistic critics of equal laws."""
    yield Oracle("O5", "WGAN-GP gap at equality", 0.0, b.measure(critic("wgan-gp"), gap, 0.0), 0.02)
    yield Oracle("O5", "WGAN (clip) gap at equality", 0.0, b.measure(critic("wgan"), gap, 0.0), 0.02)

    def both(nets: Nets, x: Tensor, fake: Tensor) -> Tensor:
        scores = nets.D(x), nets.D(fake)
        return torch.stack([relativistic_critic(*scores).mean(), relativistic_generator(*scores).mean()])

    seen = b.measure(critic("r3gan"), both, 0.0)
    yield Oracle("O6", "RpGAN critic at equality: ln 2", LN2, seen[:, 0], 0.01)
    yield Oracle("O6", "RpGAN generator at equality: ln 2", LN2, seen[:, 1], 0.01)


def energy(b: Bench) -> Iterator[Oracle]:
    """O7: the best energy, found point by point among 201 levels in [0, m]: its loss is m (1 - TV). No training."""
    margin, levels = 2.0, torch.linspace(0, 2, 201, dtype=torch.float64)
    for distance, says in ((0.0, "at equality: m"), (1.0, "laws 2 s apart: m (1 - TV)")):
        x, weight = line(-8, 8, 4001)
        p, q = (normal_log_density(x, mean, STD).exp() * weight for mean in (0.0, distance))
        zero = torch.zeros_like(levels)
        real, fake = energy_critic(levels, zero + 9, margin), energy_critic(zero, levels, margin)
        least = (p[:, None] * real + q[:, None] * fake).min(1).values.sum()
        truth = margin * (1 - tv_normals(distance, STD))
        yield Oracle("O7", f"least EBGAN loss, m = 2, {says}", truth, np.full(b.seeds, float(least)), 1e-3)


def transport(b: Bench) -> Iterator[Oracle]:
    """O9: exact W1 on a line, and the direction in which a critic leans."""
    x, y = b.centred(), b.centred(1000)
    moved = np.array([float(w1_columns(u, v + 1)[0]) for u, v in zip(x, y, strict=True)])
    yield Oracle("O9", "W1 of samples, normals 1 apart: |a - b|", 1.0, moved, 0.02)
    wider = np.array([float(w1_columns(u, 2 * v)[0]) for u, v in zip(x, y, strict=True)])
    yield Oracle("O9", "W1 of samples, std s and 2 s: |s - t| √(2/π)", STD * math.sqrt(2 / math.pi), wider, 0.02)

    def leans(nets: Nets, x: Tensor, fake: Tensor) -> Tensor:
        slope, far = grad(lambda t: nets.D(t).sum())(fake), fake.abs() > 0.25
        right = ((slope * -fake.sign() > 0) & far).sum() / far.sum()  # F_fake - F_real > 0 below the middle
        return right.to(x.dtype)

    seen = b.measure(critic("wgan-gp"), leans, 0.0, std=2 * STD)
    yield Oracle("O9", "share of x with f'(x) = sgn(F_fake - F_real), |x| > s/2", 1.0, seen, 0.02)


def slopes(b: Bench) -> Iterator[Oracle]:
    """O10, O11, O12: what clips and penalties do to a critic's slope."""
    clip = 0.1
    seen = b.measure(critic("wgan", clip=clip, lr=1e-3), gap, 3.0, build=linear)
    yield Oracle("O10", "gap of a linear critic, |w| ≤ .1, means 3 apart: clip · 3", clip * 3.0, seen, 0.01)
    steep = b.measure(critic("wgan", clip=clip), steepest_slope, 3.0) / steepest(clip, WIDTH, DEPTH)
    yield Oracle("O10", "steepest slope / bound clip^L h^(L-1)", 1.0, steep, 0.0, bound=True)
    yield from points(b)
    seen = np.array([penalty_error(seed) for seed in range(b.seeds)])
    yield Oracle("O12", "WGAN-GP loss of a linear critic - its gap - λ (|w| - 1)², any data", 0.0, seen, 1e-9)


def points(b: Bench) -> Iterator[Oracle]:
    """O11: two point masses and a linear critic. One that starts on the wrong side of a strong penalty stays there:
    for d < 2 λ the loss w d + λ (|w| - 1)² has a second minimum at w = 1 - d / 2 λ, of gap -d w."""
    zeros = torch.zeros(b.seeds, 64, 1)
    cases = ((10.0, 4.0, -1.0), (0.1, 1.0, -1.0), (0.1, 4.0, -1.0), (10.0, 4.0, 1.0))
    for penalty, distance, side in cases:
        rule = critic("wgan-gp", penalty=penalty, lr=0.1)
        seen = b.measure(rule, gap, distance, std=0.0, build=leaning(side), rows=zeros)
        truth = -side * distance + distance**2 / (2 * penalty)
        says = f"WGAN-GP gap of points {distance:g} apart, λ = {penalty:g}: d + d²/2λ"
        wrong = f"the same from the wrong side, d = {distance:g} < 2λ: d²/2λ - d"
        yield Oracle("O11", says if side < 0 else wrong, truth, seen, 0.02 * abs(truth))


def steepest_slope(nets: Nets, x: Tensor, fake: Tensor) -> Tensor:
    """The largest slope anywhere between and around the laws."""
    grid = torch.linspace(-6, 6, 1201)[:, None]
    return grad(lambda t: nets.D(t).sum())(grid).abs().max()


def penalty_error(seed: int) -> float:
    """How far the penalty term of the shipped objective is from λ (|w| - 1)² on random rows and weights, float64."""
    generator, rule = torch.Generator().manual_seed(seed), find("wgan-gp")(penalty=7.0)
    dim, rows = 1 + seed % 5, 3 + seed
    draw_ = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    w, x, mixing = draw_(dim, 1), draw_(rows, dim), draw_(rule.latent, dim)
    nets = Nets({"D": lambda x: x @ w + 3, "G": lambda z: z.double() @ mixing})
    rng = Rng.of(seed)
    loss = rule.critic(nets, Batch(x), rng)
    own = wasserstein_critic(nets.D(x), nets.D(rule.sample(nets, x.shape, rng))).mean()
    return float((loss - own - 7.0 * slope_penalty(w.norm()[None])[0]).abs())
