"""CPU milliseconds of a training step on pictures: whichloss's one lane against a plain PyTorch loop of the same work.

EBGAN (convolutional autoencoder and generator) and DDPM (compact U-Net) on pictures of 28 x 28, batch 64, at the quick
width: the same modules, losses and Adam on both sides, drawing and averaging included, rounds interleaved in one
process. First checks that both do the same work: from equal first weights and draws they reach equal weights.

    python benchmarks/pictures.py [--rounds 5] [--side 28] [--channels 1] [--width 64] [--out pictures.json]
"""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from measure import cpu, interleaved, keep, parser, settle, summary, table
from plain import Average, time_features
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize, relu, softplus
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.optim import Adam

from whichloss.losses.diffusion import bound_term, spread_times
from whichloss.nets import pictures
from whichloss.objectives import find
from whichloss.objectives.ddpm import tables
from whichloss.rng import Rng
from whichloss.task import Task
from whichloss.train import Lanes, Loop, count, flops_per_step

BATCH, ROWS, TARGET = 64, 1000, 1.05
STEPS, WARM, CHECKED = {"ebgan": 4, "ddpm": 3}, 2, 2
SAME = 1e-2  # of the weights' change: Adam turns the rounding errors of slopes near 0 into whole steps
Networks = dict[str, nn.Module]


class Own:
    """whichloss's draws of one lane in the order in which a plain loop asks for them."""

    def __init__(self, lanes: Lanes, name: str) -> None:
        self.draws = self.stream(lanes, name)

    def stream(self, lanes: Lanes, name: str) -> Iterator[Tensor]:
        d, step, number = lanes.task.dim, 0, 0
        rows = lambda k: lanes.rng.at(k).integers("rows", (BATCH,), 1 << 40)[0] % lanes.sizes[0]
        while True:
            rng = lanes.draws.at(step, 0, 0)
            yield rows(number)
            if name == "ebgan":
                objective: Any = lanes.objective
                yield rng.normal("noise", (BATCH, d))[0]
                yield rng.normal("z", (BATCH, objective.latent))[0]
                yield lanes.draws.at(step, 1, 0).normal("z", (BATCH, objective.latent))[0]
            else:
                yield rng.uniform("t", ())[0]
                yield rng.normal("eps", (BATCH, d))[0]
            step, number = step + 1, number + (2 if name == "ebgan" else 1)

    def randn(self, *shape: int) -> Tensor:
        drawn = next(self.draws)
        assert drawn.shape == shape, f"asked for {shape}, next is {tuple(drawn.shape)}"
        return drawn

    def rand(self, shape: tuple[int, ...]) -> Tensor:
        return self.randn(*shape)

    def randint(self, top: int, shape: tuple[int, ...]) -> Tensor:
        return self.randn(*shape)


def ebgan(x: Tensor, nets: Networks, o: Any, draw: Any, fused: bool) -> Iterator[None]:
    """Energy-based GAN (Zhao et al., 2017) with pull-away term, written by hand; x (n, d)."""
    G, Enc, Dec = nets["G"], nets["Enc"], nets["Dec"]
    critic = [*Enc.parameters(), *Dec.parameters()]
    adam_d = Adam(critic, o.lr, betas=(0.5, 0.9), fused=fused or None)
    adam_g = Adam(G.parameters(), o.lr, betas=(0.5, 0.9), fused=fused or None)
    means = [Average(net, o.average) for net in nets.values()]
    variance = x.var(dim=0, correction=0).mean()
    while True:
        real = x[draw.randint(len(x), (BATCH,))]
        noised = real + o.noise * variance.sqrt() * draw.randn(*real.shape)
        with torch.no_grad():
            fake = G(draw.randn(BATCH, o.latent))
        e_real = ((Dec(Enc(noised)) - real) ** 2).mean(dim=1)
        e_fake = ((Dec(Enc(fake)) - fake) ** 2).mean(dim=1)
        loss = (e_real + relu(o.margin * variance - e_fake)).mean()
        adam_d.zero_grad()
        loss.backward()
        adam_d.step()
        for p in critic:
            p.requires_grad_(False)
        fake = G(draw.randn(BATCH, o.latent))
        codes = Enc(fake)
        cosines = (normalize(codes, dim=1) @ normalize(codes, dim=1).T) ** 2
        pull = (cosines.sum() - cosines.diagonal().sum()) / (BATCH * (BATCH - 1))
        loss = mse_loss(Dec(codes), fake) + o.repulsion * o.margin * variance * pull
        adam_g.zero_grad()
        loss.backward()
        adam_g.step()
        for p in critic:
            p.requires_grad_(True)
        for mean in means:
            mean.update()
        yield


def ddpm(x: Tensor, nets: Networks, o: Any, draw: Any, fused: bool) -> Iterator[None]:
    """Denoising diffusion with a learned variance (Nichol & Dhariwal, 2021), written by hand; x (n, d)."""
    net, d = nets["eps"], x.shape[1]
    adam, mean = Adam(net.parameters(), o.lr, fused=fused or None), Average(net, o.average)
    abar, clock = (torch.tensor(values) for values in tables(o.schedule, o.steps))
    while True:
        x0 = x[draw.randint(len(x), (BATCH,))]
        t = 1 + (spread_times(draw.rand(()), BATCH) * o.steps).long()
        eps, a, a_s = draw.randn(*x0.shape), abar[t], abar[t - 1]
        x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
        out = net(torch.cat([x_t, time_features(clock[t])], dim=1))
        eps_hat, share = out[:, :d], softplus(out[:, d:])
        x0_hat = ((x_t - (1 - a).sqrt() * eps_hat) / a.sqrt()).detach()
        bound = bound_term(x0, x_t, x0_hat, share, a, a_s).mean() / d
        loss = mse_loss(eps_hat, eps) + o.hybrid * o.steps * bound
        adam.zero_grad()
        loss.backward()
        adam.step()
        mean.update()
        yield


PLAIN: dict[str, Callable[..., Iterator[None]]] = {"ebgan": ebgan, "ddpm": ddpm}


def lanes_of(name: str, shape: tuple[int, int, int], width: int) -> Lanes:
    """One lane on pictures of smooth noise."""
    d, rng = math.prod(shape), Rng(Rng.of(0, 1).key[:1])
    data = torch.tanh(rng.normal("pictures", (ROWS, d)))
    task, build = Task("generate", d, ROWS), pictures.builder(shape, width)
    return Lanes(find(name)(), task, build, rng, data, torch.tensor([ROWS]), torch.zeros(1, d), batch=BATCH)  # type: ignore[arg-type]


def networks(lanes: Lanes) -> Networks:
    """The lane's modules, with the weights it starts from."""
    nets = {role: copy.deepcopy(net) for role, net in lanes.modules.items()}
    for role, w in lanes.start().weights.items():
        vector_to_parameters(w[0].clone(), nets[role].parameters())
    return nets


def check(lanes: Lanes, name: str) -> dict[str, float]:
    """CHECKED steps of both from equal weights on equal draws: how far apart, and the operations of a step."""
    loop, nets = Loop(lanes, lanes.start(), 1 << 30), networks(lanes)
    first = {role: w[0].clone() for role, w in loop.state.weights.items()}
    hand = PLAIN[name](lanes.data[0], nets, lanes.objective, Own(lanes, name), False)
    found = {"tracing, s": cpu(loop.step)}
    next(hand)
    for _ in range(CHECKED - 1):
        loop.step()
        next(hand)
    for role, net in nets.items():
        ours, theirs = loop.state.weights[role][0], parameters_to_vector(net.parameters()).detach()
        apart = float((ours - theirs).norm() / (ours - first[role]).norm())
        found |= {f"parameters {role}": len(ours), f"weights {role} differ by": apart}
        assert apart < SAME, found
    found["operations per step"] = flops_per_step(lanes)
    found["operations per step, plain"] = count(lambda: next(hand))
    return found


def measured(name: str, shape: tuple[int, int, int], width: int, rounds: int) -> dict[str, Any]:
    """Seconds per step of every way, their ratios to plain, and the check."""
    torch.manual_seed(0)
    lanes = lanes_of(name, shape, width)
    same, loop = check(lanes, name), Loop(lanes, lanes.start(), 1 << 30)
    x, o = lanes.data[0], lanes.objective
    hand = {"plain": PLAIN[name](x, networks(lanes), o, torch, False)}
    hand["plain, fused Adam"] = PLAIN[name](x, networks(lanes), o, torch, True)
    steps = {"1 lane": loop.step} | {way: lambda h=h: next(h) for way, h in hand.items()}
    works = {way: lambda s=step: [s() for _ in range(STEPS[name])] for way, step in steps.items()}
    for step in steps.values():
        for _ in range(WARM):
            step()
    seconds = {way: [s / STEPS[name] for s in raw] for way, raw in interleaved(works, rounds).items()}
    ratios = {way: summary([a / b for a, b in zip(s, seconds["plain"], strict=True)]) for way, s in seconds.items()}
    return {"objective": name, "check": same, "seconds per step": seconds, "this / plain": ratios}


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--side", type=int, default=28)
    options.add_argument("--channels", type=int, default=1)
    options.add_argument("--width", type=int, default=64)
    given = options.parse_args()
    settle()
    shape = (given.channels, given.side, given.side)
    found = [measured(name, shape, given.width, given.rounds) for name in PLAIN]
    rows, verdicts = [], []
    for entry in found:
        for way, seconds in entry["seconds per step"].items():
            ms, ratio = summary([1e3 * s for s in seconds]), entry["this / plain"][way]
            rows.append({
                "way": f"{entry['objective']}, {way}", "ms, least": ms["min"], "ms, median": ms["median"],
                "of plain, least": ratio["min"], "of plain, median": ratio["median"], "of plain, most": ratio["max"],
            })  # fmt: skip
        same, median = entry["check"], entry["this / plain"]["1 lane"]["median"]
        apart = max(value for key, value in same.items() if key.endswith("differ by"))
        verdicts.append(
            f"{entry['objective']}: one lane takes {median:.3f} of plain (target {TARGET}: "
            f"{'met' if median <= TARGET else 'MISSED'}); {same['operations per step']:.4g} operations against "
            f"{same['operations per step, plain']:.4g}, weights within {apart:.1g} of their change after {CHECKED} "
            f"steps of equal draws, tracing {same['tracing, s']:.1f} s once a group"
        )
    print(
        f"CPU per step, pictures {shape}, batch {BATCH}; 'of plain' = time over that of the plain loop, round by round"
    )
    table(rows)
    print("\n".join(verdicts))
    keep(given.out, "pictures", {"rounds": given.rounds, "shape": shape, "results": found, "verdicts": verdicts})


if __name__ == "__main__":
    main()
