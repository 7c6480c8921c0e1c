"""Curves of adversarial, energy and contrastive losses, against the score of one row."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ...losses import adversarial as a
from ...losses import contrastive, ebgan, penalties
from .draw import Panel, curve, over, pair

SCORE = "D, the critic's score of a fake"
Function = Callable[[Tensor], Tensor]


def saturating() -> list[Panel]:
    """Saturating against non-saturating generator loss."""
    f: dict[str, Function] = {"non-saturating": a.bce_generator, "saturating (minimax)": a.minimax_generator}
    return pair(
        "The generator's two losses",
        "At the left the critic is sure that the row is fake: where training begins.",
        SCORE,
        f,
        over(-8, 8),
        below="There the saturating loss has no slope left; the other has slope -1. The two slopes add up to -1.",
    )


def bce() -> list[Panel]:
    """The critic's loss and the generator's."""
    zero: Function = torch.zeros_like
    f: dict[str, Function] = {
        "of a real row's score": lambda d: a.bce_critic(d, zero(d) - 40),
        "of a fake row's score": lambda d: a.bce_critic(zero(d) + 40, d),
    }
    return [
        *saturating(),
        pair("The critic's loss", "2 log 2 in all at D = 0, where it cannot tell.", "D, a score", f, over(-6, 6))[0],
    ]


def least_squares() -> list[Panel]:
    """LSGAN."""
    f: dict[str, Function] = {
        "critic, real": lambda d: a.least_squares_critic(d, torch.zeros_like(d)),
        "critic, fake": lambda d: a.least_squares_critic(torch.ones_like(d), d),
        "generator": a.least_squares_generator,
    }
    return pair(
        "Least squares",
        "Targets 1 and 0: a score beyond its target costs again.",
        "D, a score",
        f,
        over(-2, 3),
        below="The pull grows with the distance, so nothing saturates.",
    )


def hinge() -> list[Panel]:
    """Hinge."""
    f: dict[str, Function] = {
        "critic, real": lambda d: a.hinge_critic(d, torch.full_like(d, -1)),
        "critic, fake": lambda d: a.hinge_critic(torch.ones_like(d), d),
        "generator": a.hinge_generator,
    }
    says = "The critic is content beyond ±1; the generator never is."
    return pair("Hinge", says, "D, a score", f, over(-3, 3), below="What one row's score is pulled by.")


def wasserstein() -> list[Panel]:
    """WGAN."""
    zero: Function = torch.zeros_like
    f: dict[str, Function] = {
        "critic, real": lambda d: a.wasserstein_critic(d, zero(d)),
        "critic, fake": lambda d: a.wasserstein_critic(zero(d), d),
        "generator": a.wasserstein_generator,
    }
    return pair("Wasserstein", "Straight lines: only the critic's slope holds them.", "D, a score", f, over(-3, 3))


def relativistic() -> list[Panel]:
    """Pairs."""
    zero: Function = torch.zeros_like
    f: dict[str, Function] = {
        "critic": lambda d: a.relativistic_critic(d, zero(d)),
        "generator": lambda d: a.relativistic_generator(d, zero(d)),
    }
    return pair(
        "Of pairs", "Only the difference of the two scores counts.", "r, the difference D(x) - D(G(z))", f, over(-6, 6)
    )


def penalty() -> list[Panel]:
    """Penalties on a linear critic's slope, and what they do to its best slope."""
    w = over(0, 3)
    lines = {
        "two-sided": curve(a.slope_penalty, w),
        "one-sided": curve(penalties.one_sided_slope_penalty, w),
        "R1 (towards 0)": curve(lambda w: a.zero_slope_penalty(w[:, None]), w),
    }

    def whole(w: Tensor, weight: float) -> Tensor:
        return a.wasserstein_critic(w, 0 * w) + weight * a.slope_penalty(w)

    f = {f"lambda {weight:g}": partial(whole, weight=weight) for weight in (0.1, 1.0, 10.0)}
    at = over(0, 8)
    return [
        Panel(
            "Penalties on a linear critic D = w x",
            "0 at slope 1; the one-sided form allows less.",
            "slope |w|",
            "penalty",
            lines,
            (0, 3),
            (0, 4.2),
        ),
        Panel(
            "The critic's whole loss, two points at distance 1",
            "Least at 1 + 1/(2 lambda): the gap is W1 only after division by the slope.",
            "slope w",
            "-w + lambda (w - 1)²",
            {name: curve(g, at) for name, g in f.items()},
            (0, 8),
            (-5.5, 4),
        ),
    ]


def pull_away() -> list[Panel]:
    """Two codes at an angle."""

    def f(angle: Tensor) -> Tensor:
        one = torch.zeros_like(angle)
        codes = torch.stack([torch.stack([one + 1, one], 1), torch.stack([angle.cos(), angle.sin()], 1)], 1)
        return torch.stack([ebgan.pull_away(two).mean() for two in codes])

    return pair(
        "Pull-away term of two codes",
        "Least where they are at right angles. No data stands in it: it spreads codes apart.",
        "a, the angle between the codes",
        {"pull-away": f},
        over(0.01, 3.13, 61),
        of="term",
        below="Equal codes are a stationary point: there it has no slope.",
    )


def ebgan_losses() -> list[Panel]:
    """Energy of a fake under a margin."""

    def critic(e: Tensor, margin: float) -> Tensor:
        return ebgan.energy_critic(torch.zeros_like(e), e, margin)

    f: dict[str, Function] = {f"critic, margin {m:g}": partial(critic, margin=m) for m in (1.0, 2.0)}
    f["generator"] = ebgan.energy_generator
    return pair(
        "EBGAN: energy of a fake",
        "The critic pushes a fake's energy up to the margin and no farther.",
        "E, the energy of a fake",
        f,
        over(0, 3),
        below="Beyond the margin the critic does not move; the generator still does.",
    )


def cosine() -> list[Panel]:
    """Raw cosines as logits."""
    from ...losses.classification import binary_cross_entropy_with_logits

    def at(c: Tensor, target: float, scale: float = 1.0) -> Tensor:
        if scale != 1:
            return binary_cross_entropy_with_logits(scale * c, torch.full_like(c, target))
        a_, b_ = torch.zeros(len(c), 2).to(c), torch.stack([c, (1 - c**2).sqrt()], dim=1)
        a_[:, 0] = 1
        return contrastive.cosine_bce(a_, b_, torch.full_like(c, target))

    f: dict[str, Function] = {
        "same": lambda c: at(c, 1.0),
        "different": lambda c: at(c, 0.0),
        "same, cosine x 10": lambda c: at(c, 1.0, 10.0),
    }
    return pair(
        "Cosine as a logit",
        "A cosine ends at ±1, so the loss ends at log(1 + 1/e) = 0.313: it looks stuck, and is.",
        "c, the cosine of the pair",
        f,
        over(-0.995, 0.995),
        below="Even a perfect pair is pulled: it can give no more.",
        range=(0, 3),
    )


def info_nce() -> list[Panel]:
    """Temperature."""

    def at(c: Tensor, temperature: float) -> Tensor:
        out = []
        for each in c:
            side = (1 - each**2).clamp(min=0).sqrt()
            x, rest = torch.eye(8).to(c).chunk(2)  # wrong pairs have cosine 0
            y = x * each + rest * side
            out.append(contrastive.info_nce(x, y, temperature).mean())
        return torch.stack(out)

    f = {f"T = {t:g}": partial(at, temperature=t) for t in (0.07, 0.2, 1.0)}
    return pair(
        "InfoNCE of four pairs",
        "log 4 where nothing is known. A high temperature cannot come near 0.",
        "c, the cosine of the right pair",
        f,
        over(-0.9, 0.99, 40),
        below="A low temperature pulls only until the right pair leads; a high one pulls for ever, and weakly.",
        range=(0, 4),
        slopes=(-8, 0.5),
    )


OF = {
    "adversarial-bce": bce,
    "gan": bce,
    "gan-minimax": saturating,
    "adversarial-least-squares": least_squares,
    "lsgan": least_squares,
    "adversarial-hinge": hinge,
    "hinge-gan": hinge,
    "adversarial-wasserstein": wasserstein,
    "wgan": wasserstein,
    "adversarial-relativistic": relativistic,
    "r3gan": relativistic,
    "gradient-penalty": penalty,
    "wgan-gp": penalty,
    "pull-away": pull_away,
    "ebgan-losses": ebgan_losses,
    "ebgan": ebgan_losses,
    "cosine-bce-loss": cosine,
    "info-nce": info_nce,
    "clip": info_nce,
}
