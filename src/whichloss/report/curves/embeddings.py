"""Curves of losses of embeddings, against a cosine, a distance, or how much a number of the embedding varies."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ...losses import contrastive, metric_learning, redundancy
from .draw import Panel, over, pair

Function = Callable[[Tensor], Tensor]


def scaled_cosine() -> list[Panel]:
    """A cosine above a threshold, scaled."""

    def at(c: Tensor, same: bool, scale: float = 10.0) -> Tensor:
        logit = scale * (c - 0.5)
        return softplus(-logit) if same else softplus(logit)

    f: dict[str, Function] = {
        "same": partial(at, same=True),
        "different": partial(at, same=False),
        "same, scale 1": partial(at, same=True, scale=1.0),
    }
    return pair(
        "A scaled cosine above a threshold",
        "Scale 10, threshold 1/2: a settled pair costs next to nothing, which a raw cosine cannot reach.",
        "c, the cosine of the pair",
        f,
        over(-0.99, 0.99),
        below="The pull ends where the pair is settled.",
        range=(0, 8),
    )


def sigmoid_pairs() -> list[Panel]:
    """SigLIP's question for one pair."""

    def at(c: Tensor, sign: float, bias: float) -> Tensor:
        return softplus(-sign * (10 * c + bias))

    near = contrastive.siglip_bias(256)
    f: dict[str, Function] = {
        "belongs, bias -log 255": partial(at, sign=1.0, bias=near),
        "does not, bias -log 255": partial(at, sign=-1.0, bias=near),
        "belongs, bias -10": partial(at, sign=1.0, bias=-10.0),
    }
    return pair(
        "SigLIP's two kinds of pairs, scale 10",
        "One of 256 pairs belongs: the bias says so from the start, and -10 says one of 22,000.",
        "c, the cosine of the pair",
        f,
        over(-0.99, 0.99),
        below="At a cosine of 0 the pairs that do not belong hardly pull: there are 255 of them.",
        range=(0, 15),
    )


def views() -> list[Panel]:
    """NT-Xent of four pairs of views."""

    def at(c: Tensor, temperature: float) -> Tensor:
        out = []
        for each in c:
            side = (1 - each**2).clamp(min=0).sqrt()
            x, rest = torch.eye(8).to(c).chunk(2)  # other views have cosine 0
            out.append(contrastive.nt_xent(x, x * each + rest * side, temperature).mean())
        return torch.stack(out)

    f: dict[str, Function] = {f"T = {t:g}": partial(at, temperature=t) for t in (0.1, 0.2, 0.5)}
    return pair(
        "Four pairs of views",
        "log 7 where all views are alike: the other view is one of seven. Other views have cosine 0 here.",
        "c, the cosine of two views of a row",
        f,
        over(-0.9, 0.99, 40),
        below="A low temperature pulls until the other view leads, and then lets go.",
    )


def distances() -> list[Panel]:
    """Pairs and triplets against distances."""

    def two(d: Tensor, same: float) -> Tensor:
        here = torch.stack([d, torch.zeros_like(d)], dim=1)
        return metric_learning.pair_contrastive(torch.zeros_like(here), here, torch.full_like(d, same))

    def three(gap: Tensor, margin: float | None) -> Tensor:
        return softplus(gap) if margin is None else torch.relu(gap + margin)

    f: dict[str, Function] = {"alike": partial(two, same=1.0), "not alike, margin 1": partial(two, same=0.0)}
    g: dict[str, Function] = {
        "margin .2": partial(three, margin=0.2),
        "margin .5": partial(three, margin=0.5),
        "soft margin": partial(three, margin=None),
    }
    return [
        *pair(
            "Pairs by their distance",
            "Alike rows are drawn together, the farther the more; others are pushed until the margin.",
            "d, the distance of the pair",
            f,
            over(0.01, 2),
            below="Beyond the margin nothing pulls.",
        ),
        *pair(
            "A triplet by its gap",
            "0 once the row of another kind is farther by the margin; the soft margin never quite ends.",
            "d(a, p) - d(a, n), the gap",
            g,
            over(-2, 2),
            below="All triplets that count pull alike: the hard ones decide by being counted.",
        ),
    ]


def statistics() -> list[Panel]:
    """What keeps numbers of an embedding apart."""

    def spread(s: Tensor) -> Tensor:
        x = torch.tensor([-1.0, 1.0]).to(s) / 2**0.5  # standard deviation 1
        return torch.stack([25 * redundancy.vicreg_parts(x[:, None] * v, x[:, None] * v).variance for v in s])

    def own(c: Tensor) -> Tensor:
        return (1 - c).square()

    def other(c: Tensor) -> Tensor:
        return 0.02 * c.square()

    return [
        *pair(
            "VICReg's variance",
            "24.75 where a number is the same for all rows; 0 from a standard deviation of 1 on.",
            "s, the standard deviation of a number of the embedding",
            {"25 max(0, 1 - s)": spread},
            over(0.001, 2),
            below="A steady pull up to 1, and none beyond.",
        ),
        *pair(
            "Barlow Twins by a correlation",
            "A number should correlate with itself in the other view, and with no other number.",
            "C, the correlation",
            {"with itself": own, "with another, weight .02": other},
            over(-1, 1),
            below="There are many more pairs of numbers than numbers: the small weight evens them out.",
        ),
    ]


def fixed_code() -> list[Panel]:
    """Regression onto a fixed code."""
    f: dict[str, Function] = {"2 - 2 c": lambda c: 2 - 2 * c}
    return pair(
        "Regression onto a fixed direction",
        "Only the right code is looked at: no other pair is pushed away.",
        "c, the cosine with the code",
        f,
        over(-1, 1),
        below="The same pull everywhere.",
    )


OF = {
    "cosine-bce": scaled_cosine,
    "siglip-loss": sigmoid_pairs,
    "siglip": sigmoid_pairs,
    "nt-xent": views,
    "simclr": views,
    "supcon": views,
    "metric-learning-losses": distances,
    "pair-contrastive": distances,
    "triplet": distances,
    "triplet-align": distances,
    "redundancy-losses": statistics,
    "vicreg": statistics,
    "barlow-twins": statistics,
    "regress": fixed_code,
}
