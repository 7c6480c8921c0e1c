"""Curves of divergences and distances: how each sees two laws that move apart."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from ...losses import divergence, transport
from .draw import Panel, curve, over, pair

APART = "s, the distance of N(0, 1) and N(s, 1)"
AT = over(0, 6, 61).clamp(min=1e-6)  # where the laws are equal, W1 and TV have a kink and no slope


def _levels(n: int) -> Tensor:
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return torch.erfinv(2 * u - 1) * 2**0.5


def _on_grid(f: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """d -> the divergence of N(0, 1) from N(d, 1), both as tables on a fine grid."""
    grid = torch.linspace(-9, 15, 1201, dtype=torch.float64)

    def at(d: Tensor) -> Tensor:
        p = torch.softmax(-((grid - 0 * d[:, None]) ** 2) / 2, dim=1)
        q = torch.softmax(-((grid - d[:, None]) ** 2) / 2, dim=1)
        return f(p, q)

    return at


def _on_samples(f: Callable[[Tensor, Tensor], Tensor], n: int = 200, dims: int = 1) -> Callable[[Tensor], Tensor]:
    """d -> the distance of two samples, quantiles of N(0, 1) and the same moved by d."""
    x = _levels(n)[:, None] if dims else _levels(n)
    return lambda d: torch.stack([f(x, x + each) for each in d])


def _w1(x: Tensor, y: Tensor) -> Tensor:
    return transport.wasserstein_1d(x, y, p=1)


FOUR: Mapping[str, Callable[[Tensor], Tensor]] = {
    "KL": _on_grid(divergence.kl),
    "JS": _on_grid(divergence.js),
    "TV": _on_grid(divergence.total_variation),
    "W1": _on_samples(_w1, dims=0),
}


def four() -> list[Panel]:
    """KL, JS, TV and W1 against the distance of two normal laws, with gradients."""
    return pair(
        "Four ways to see two laws move apart",
        "JS ends at log 2 and TV at 1: far apart looks the same as farther.",
        APART,
        FOUR,
        AT,
        range=(0, 6),
        slopes=(0, 3),
        of="divergence",
        below="JS and TV give no direction to laws that hardly overlap; W1 always pulls with slope 1, KL ever harder.",
    )


def chi_squared() -> list[Panel]:
    """Chi-squared beside KL."""
    f = {"chi-squared": _on_grid(divergence.chi_squared), "KL": FOUR["KL"], "JS": FOUR["JS"]}
    return pair(
        "Chi-squared beside KL",
        "exp(s²) - 1: it punishes misplaced mass more than anything else here.",
        APART,
        f,
        over(0, 2.5, 61),
        range=(0, 10),
        slopes=(0, 10),
        of="divergence",
    )


def kernels() -> list[Panel]:
    """Energy distance and MMD."""
    f = {"energy distance": _on_samples(divergence.energy_distance)}
    for width in (0.5, 1.0, 3.0):
        f[f"MMD², width {width:g}"] = _on_samples(partial(divergence.mmd, widths=(width,)))
    return pair(
        "Distances of samples",
        "A kernel sees as far as its width; the energy distance has no width.",
        APART,
        f,
        AT,
        range=(0, 4),
        of="distance",
        below="Narrow kernels lose the pull of far samples.",
    )


def transports() -> list[Panel]:
    """W1 beside W2 squared, and the pull on a sample."""
    f = {
        "W1": FOUR["W1"],
        "W2²": _on_samples(lambda x, y: transport.wasserstein_1d(x, y, p=2), dims=0),
        "JS": FOUR["JS"],
    }
    return pair(
        "Transport beside JS",
        "Transport counts how far mass must go, so it keeps its slope.",
        APART,
        f,
        AT,
        range=(0, 6),
        slopes=(0, 6),
        of="distance",
    )


def plan() -> list[Panel]:
    """A plan between two laws on the line, as a heat map, after the four divergences."""
    at = torch.linspace(-3, 3, 25, dtype=torch.float64)[:, None]
    p = torch.softmax(-((at[:, 0] + 1.2) ** 2) / 0.5, dim=0)
    q = torch.softmax(
        torch.log(torch.exp(-((at[:, 0]) ** 2) / 0.15) + torch.exp(-((at[:, 0] - 1.8) ** 2) / 0.15)), dim=0
    )
    value, moved = transport.earth_movers(at, at, x_weights=p, y_weights=q, p=2)
    line = at[:, 0].tolist()
    cells = [(line[i], line[j], float(moved[i, j])) for i in range(25) for j in range(25)]
    says = f"A square is mass that moves from x to y; W2² is {float(value):.2f}. On a line the order is kept."
    heat = Panel(
        "The plan between two laws", says, "from x", "to y", cells=cells, across=(-3.2, 3.2), range=(-3.2, 3.2)
    )
    bars = [(x - 0.125, x + 0.125, h) for x, h in zip(line, (p / 0.25).tolist(), strict=True)]
    laws = Panel(
        "The two laws",
        "Grey: where the mass is. Blue: where it must go.",
        "x",
        "density",
        {"goal": (line, (q / 0.25).tolist())},
        bars=bars,
    )
    return [laws, heat]


def sinkhorn() -> list[Panel]:
    """Blur: what is left of a difference of widths."""
    from ...losses.sinkhorn import sinkhorn_divergence

    x, at = _levels(40)[:, None], over(0, 3, 13)

    def widened(s: Tensor, blur: float) -> Tensor:
        return torch.stack([sinkhorn_divergence(x, x * (1 + each), blur=blur) for each in s])

    lines = {f"blur {blur:g}": curve(partial(widened, blur=blur), at) for blur in (0.05, 3.0, 10.0)}
    says = "With little blur W2² = s²; the more blur, the more only the means count, and they are equal here."
    return [Panel("N(0, 1) against N(0, (1 + s)²)", says, "s", "divergence", lines)]


def gaussian() -> list[Panel]:
    """W2 of two normal laws: means apart, and widths apart."""

    def mean(d: Tensor) -> Tensor:
        one = torch.ones(len(d), 1, 1).double()
        return transport.gaussian_w2(0 * d[:, None], one, d[:, None], one)

    def width(d: Tensor) -> Tensor:
        one = torch.ones(len(d), 1, 1).double()
        return transport.gaussian_w2(0 * d[:, None], one, 0 * d[:, None], (1 + d)[:, None, None] ** 2)

    both = {"mean moved by d": mean, "width 1 + d": width}
    return pair("W2² of two normal laws", "d² either way.", "d", both, over(0, 3, 61), of="distance")


OF = {
    "kl-divergence": four,
    "js-divergence": four,
    "total-variation": four,
    "wasserstein-1d": transports,
    "chi-squared": chi_squared,
    "energy-distance-loss": kernels,
    "mmd-loss": kernels,
    "earth-movers": plan,
    "optimal-transport": lambda: [*plan(), *four()],
    "sliced-wasserstein": transports,
    "sinkhorn-divergence": sinkhorn,
    "gaussian-w2": gaussian,
}
