"""Two players: GAN, Wasserstein GAN with clip and with penalty, EBGAN; and what goes wrong with them."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..watch import Watch
from .base import Family, Fault, batches, mlp, points, seeded

STEPS, BATCH, NOISE = 1500, 128, 8
ROUNDS = {"wgan": 3, "wgan-gp": 3}  # steps of the judge for one of the maker


class Autoencoder(nn.Module):
    """Rebuilds rows through a narrow code."""

    def __init__(self, dim: int, width: int, code: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(dim, width), nn.ReLU(), nn.Linear(width, code), nn.ReLU() if code < dim else nn.Identity(),
            nn.Linear(code, width), nn.ReLU(), nn.Linear(width, dim),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(x)
        return found


def loop(kind: str, data: str, width: int, seed: int, fault: str) -> Iterator[Watch]:  # noqa: C901, PLR0915  one branch a fault
    """The plain loop of one kind of game."""
    seeded(seed)
    x = points(data)
    dim = x.shape[1]
    maker = mlp(NOISE, width, width, dim)
    if fault == "tanh on wide data":
        maker, x = nn.Sequential(maker, nn.Tanh()), x * 3
    if fault == "loss rising":  # the distance is large at first, and its negative is what the judge minimises
        x = x + 4
    if kind == "ebgan":
        judge: nn.Module = Autoencoder(dim, width, max(1, dim // 2))
        if fault == "identity":
            judge = nn.Sequential(nn.Linear(dim, width), nn.Linear(width, dim))
    else:
        judge = mlp(dim, width, width, 1, act=lambda: nn.LeakyReLU(0.2))
    if fault == "rotation":  # the plainest players, and data narrower than their steps (Mescheder et al., 2018)
        x, maker, judge = x * 0.03 + 1, nn.Sequential(nn.Linear(NOISE, dim)), nn.Linear(dim, 1)
    slow = {"judge does not learn": 0.0, "judge too slow": 1e-7}
    rate = slow.get(fault, 1e-3)
    if fault == "judge too quick":  # and data where no sample is
        rate, x = 2e-2, x + 8
    if fault == "judge mostly right":
        rate = 3e-3
    betas = (0.5, 0.9)
    of_judge: torch.optim.Optimizer = torch.optim.Adam(judge.parameters(), lr=rate, betas=betas)
    both = [*maker.parameters(), *judge.parameters()]
    moved = both if fault == "one optimiser for both" else maker.parameters()
    of_maker: torch.optim.Optimizer = torch.optim.Adam(moved, lr=1e-3, betas=betas)
    if fault == "rotation":
        of_judge, of_maker = (torch.optim.SGD(player.parameters(), lr=0.03, momentum=0.75) for player in (judge, maker))
    watch = Watch({"maker": maker, "judge": judge}, [of_judge, of_maker], f"{kind} {fault}").start()
    yield watch
    rounds = {"judge too quick": 20, "judge mostly right": 3}.get(fault, ROUNDS.get(kind, 1))
    margin = {"margin too small": 1e-4, "margin too large": 1e4, "margin wide": 3.0}.get(fault, 1.0)
    steps = {"ebgan": 2200, "wgan-gp": 1100}.get(kind, STEPS) // (6 if rounds == 20 else 1)
    rows = batches(x, BATCH, steps * rounds)

    def noise() -> Tensor:
        z = torch.randn(BATCH, NOISE)
        return z * {"noise of 0": 0.0, "rotation": 0.05}.get(fault, 1.0)

    def energy(rows: Tensor, target: Tensor | None = None) -> Tensor:
        found: Tensor = (judge(rows) - (rows if target is None else target)).square().mean(1)
        return found

    for _ in range(steps):
        for _ in range(rounds):
            (real,) = next(rows)
            made = maker(noise())
            shown = made if fault in ("not detached", "shared gradient") else made.detach()
            if fault != "judge never cleared":
                of_judge.zero_grad()
            if kind == "ebgan":
                short = margin - energy(shown)
                hinge = F.relu(short.mean() if fault == "margin of the mean" else short).mean()
                loss = energy(real).mean() + hinge
            elif kind == "gan":
                a, b = judge(real), judge(shown)
                ones, zeros = torch.ones_like(a), torch.zeros_like(b)
                if fault == "labels alike":
                    zeros = ones
                loss = F.binary_cross_entropy_with_logits(a, ones) + F.binary_cross_entropy_with_logits(b, zeros)
            else:
                sign = -1 if fault == "judge's sign" else 1
                loss = sign * (judge(shown).mean() - judge(real).mean())
                if kind == "wgan-gp":
                    loss = loss + penalty(judge, real, made.detach(), fault)
            loss.backward()
            of_judge.step()
            if kind == "wgan" and fault != "no clip":
                bound = {"clip too tight": 1e-5, "clip too loose": 50.0}.get(fault, 0.1)
                with torch.no_grad():
                    for p in judge.parameters():
                        p.clamp_(-bound, bound)
        if fault != "shared gradient":
            of_maker.zero_grad()
        made = maker(noise())
        if fault == "maker cut":
            made = made.detach()
        if kind == "ebgan":
            loss = energy(made, made.detach() if fault == "target detached" else None).mean()
        elif kind == "gan":
            score = judge(made)
            loss = F.binary_cross_entropy_with_logits(score, torch.ones_like(score))
            if fault == "judge too quick":
                loss = F.logsigmoid(-score).mean()  # the saturating loss
        else:
            loss = (1 if fault == "maker's sign" else -1) * judge(made).mean()
        if fault == "maker's sign" and kind == "gan":
            loss = -loss
        if loss.requires_grad:
            loss.backward()
        of_maker.step()


def penalty(judge: nn.Module, real: Tensor, made: Tensor, fault: str) -> Tensor:
    """(|slope| - 1)^2 between data and samples."""
    share = torch.rand(len(real), 1)
    between = (share * real + (1 - share) * made).requires_grad_()
    (slope,) = torch.autograd.grad(judge(between).sum(), between, create_graph=fault != "penalty cut")
    factor = 0.0 if fault == "penalty of 0" else 1.0
    found: Tensor = factor * (slope.norm(dim=0 if fault == "penalty norm" else 1) - 1).square().mean()
    return found


def _of(kind: str) -> Callable[[str, int, int, str], Iterator[Watch]]:
    def made(data: str, width: int, seed: int, fault: str) -> Iterator[Watch]:
        return loop(kind, data, width, seed, fault)

    return made


DATA, WIDER = ("line", "normal", "moons"), ("blobs", "cancer", "diabetes")
SHARED = (
    Fault("maker cut", ("contract: graph cut",), True),
    Fault("shared gradient", ("contract: wrong player moved",), True),
    Fault("judge never cleared", ("contract: gradient never cleared",), True),
    Fault("noise of 0", ("contract: input without content", "mode collapse"), True),
)
GAN = Family("gan", DATA, _of("gan"), (
    *SHARED,
    Fault("one optimiser for both", ("contract: wrong player moved",), True),
    Fault("labels alike", ("contract: sign",), True),
    Fault("maker's sign", ("contract: sign",), True),
    Fault("judge does not learn", ("contract: does not move", "judge guesses")),
    Fault("judge too slow", ("judge guesses", "learning rate too low", "mode dropping")),
    Fault("judge too quick", ("vanishing slope of a certain judge", "mode collapse", "mode dropping")),
    Fault("tanh on wide data", ("contract: out of reach",), True),
    Fault("rotation", ("rotation",)),
), ("judge mostly right",))  # fmt: skip
WGAN = Family("wgan", DATA, _of("wgan"), (
    Fault("judge's sign", ("contract: sign",), True),
    Fault("maker's sign", ("contract: sign",), True),
    Fault("clip too tight", ("judge too flat",)),
    Fault("no clip", ("contract: judge without bound",), True),
    Fault("clip too loose", ("contract: judge without bound",), True),
))  # fmt: skip
WGAN_GP = Family("wgan-gp", DATA, _of("wgan-gp"), (
    Fault("penalty of 0", ("judge without bound",)),
    Fault("penalty cut", ("contract: penalty cut",), True),
    Fault("penalty norm", ("contract: penalty norm",), True),
    Fault("judge's sign", ("contract: sign",), True),
), ("loss rising",))  # fmt: skip
EBGAN = Family("ebgan", WIDER, _of("ebgan"), (
    Fault("margin too small", ("margin always off",)),
    Fault("margin too large", ("margin always on",)),
    Fault("target detached", ("contract: half an energy",), True),
    Fault("identity", ("judge rebuilds anything",)),
    Fault("noise of 0", ("contract: input without content", "mode collapse"), True),
))  # fmt: skip
