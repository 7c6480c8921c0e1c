"""Three classic cases, told from scratch by the doctor: it is given the loop and nothing else.

1. BCE-GAN against WGAN-GP on one column of numbers: does the slope that the critic passes on vanish? By number.
2. The EBGAN that does not learn: three mistakes that are often made together, and what each is called.
3. The contrastive network on random labels: every cosine near .7, accuracy at chance, a loss that cannot fall.
"""

import argparse
import itertools
import sys
from collections.abc import Callable

import torch
from contrastive.settings import Setting
from contrastive.training import at, batches, make, network, pool
from torch import Tensor, nn
from torch.nn import functional as F

import whichloss
from whichloss.doctor.trace import Trace, late
from whichloss.watching import Watched

STEPS, BATCH = 1000, 128


def net(*widths: int) -> nn.Sequential:
    """Linear layers and LeakyReLU."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def passed(trace: Trace) -> str:
    """The slope that reached the samples, in tenths of the run."""
    (game,) = trace.games.values()
    curve = game.curves["slope passed to maker"]
    parts = [late(curve[len(curve) * k // 5 : len(curve) * (k + 1) // 5 + 1], 1.0) or 0.0 for k in range(5)]
    return ", ".join(f"{value:.2g}" for value in parts)


def line_gan(kind: str, steps: int) -> Watched:
    """Data at 7 +- 1, samples start round 0; the critic takes ten steps for one of the generator."""
    torch.manual_seed(0)
    generator, critic = net(4, 32, 32, 1), net(1, 64, 64, 1)
    of_critic = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))
    of_generator = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
    print(f"\n--- {kind} on one column of numbers")
    with whichloss.watch(generator=generator, critic=critic, page=None, name=kind) as w:
        for _ in range(steps):
            for _ in range(10):
                real, made = 7 + torch.randn(BATCH, 1), generator(torch.randn(BATCH, 4)).detach()
                if kind == "BCE-GAN":
                    loss = F.softplus(-critic(real)).mean() + F.softplus(critic(made)).mean()
                else:
                    share = torch.rand(BATCH, 1)
                    between = (share * real + (1 - share) * made).requires_grad_()
                    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
                    loss = critic(made).mean() - critic(real).mean() + 10 * ((slope.norm(dim=1) - 1) ** 2).mean()
                of_critic.zero_grad()
                loss.backward()
                of_critic.step()
            score = critic(generator(torch.randn(BATCH, 4)))
            loss = F.logsigmoid(-score).mean() if kind == "BCE-GAN" else -score.mean()  # the first paper's loss
            of_generator.zero_grad()
            loss.backward()
            of_generator.step()
    print(f"slope that reaches the samples, over the run: {passed(w.trace)}")
    return w


def ebgan(steps: int) -> Watched:
    """A code as wide as the data, a detached target, a margin far below any energy."""
    torch.manual_seed(0)
    data = make("real", pool(None, 32), 32, 0).x.flatten(1) * 2 - 1
    dim = data.shape[1]
    generator, judge = nn.Sequential(net(16, 128, dim), nn.Tanh()), net(dim, 128, dim, 128, dim)
    of_judge = torch.optim.Adam(judge.parameters(), lr=1e-3)
    of_generator = torch.optim.Adam(generator.parameters(), lr=1e-3)
    print("\n--- the EBGAN that does not learn")

    def energy(x: Tensor, target: Tensor) -> Tensor:
        return (judge(x) - target).square().mean(1)

    with whichloss.watch(generator=generator, judge=judge, page=None, name="the EBGAN") as w:
        for _ in range(steps):
            real = data[torch.randint(0, len(data), (BATCH,))]
            made = generator(torch.randn(BATCH, 16))
            shown = made.detach()
            loss = energy(real, real).mean() + F.relu(1e-3 - energy(shown, shown)).mean()
            of_judge.zero_grad()
            loss.backward()
            of_judge.step()
            loss = energy(made, made.detach()).mean()
            of_generator.zero_grad()
            loss.backward()
            of_generator.step()
    return w


def contrastive(epochs: int) -> Watched:
    """The setting of contrastive_why.py as people write it: a raw cosine as the logit, noise with random labels."""
    torch.manual_seed(0)
    print("\n--- the contrastive network on random labels")
    setting = Setting()
    data = make("noise", pool(None, 32), 32, 0)
    encoder = network(setting, data.x.shape[1:])
    optimizer = torch.optim.AdamW(encoder.parameters(), setting.lr)
    drawn = batches(data, setting, torch.Generator().manual_seed(0))
    with whichloss.watch(encoder=encoder, page=None, name="the contrastive network") as w:
        for _ in range(epochs * -(-len(data.y) // setting.batch)):
            i, j = next(drawn)
            a, b = encoder(data.x[i]), encoder(data.x[j])
            alike = (data.y[i] == data.y[j]).float()
            loss = F.binary_cross_entropy_with_logits(F.cosine_similarity(a, b), alike)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = at(encoder, data)
    cosine = (found["test alike"] + found["test other"]) / 2
    last = float(loss.detach())
    print(f"test accuracy {found['test accuracy']:.1%} (chance 12.5 %), mean cosine {cosine:.2f}, loss {last:.3f}")
    return w


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the steps")
    given = parser.parse_args()
    torch.set_num_threads(1)
    steps = STEPS // (5 if given.quick else 1)
    cases: tuple[Callable[[], Watched], ...] = (
        lambda: line_gan("BCE-GAN", steps), lambda: line_gan("WGAN-GP", steps), lambda: ebgan(steps),
        lambda: contrastive(40 // (4 if given.quick else 1)),
    )  # fmt: skip
    for case in cases:
        case()


if __name__ == "__main__":
    sys.exit(main())
