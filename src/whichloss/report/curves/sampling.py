"""Pictures of energies, schedules and samplers on a law that is known: two normal humps at -2 and 2, width 1/2."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ...losses import diffusion
from ...rng import Rng
from ...samplers import ancestral, langevin, ode
from .draw import Panel, curve, histogram, over

PLACES, WIDTH = (-2.0, 2.0), 0.5
ROWS, SHOWN = 4000, 14
AXIS = (-4.0, 4.0)


def _density(x: Tensor, scale: float = 1.0, var: float = WIDTH**2) -> Tensor:
    """The two humps, pulled together by `scale`, each of variance `var`."""
    parts = [torch.exp(-((x - scale * m) ** 2) / (2 * var)) / (2 * math.pi * var) ** 0.5 for m in PLACES]
    return torch.stack(parts).mean(dim=0)


def _score(x: Tensor, scale: float = 1.0, var: float = WIDTH**2) -> Tensor:
    """Its exact score."""
    weights = torch.softmax(torch.cat([-((x - scale * m) ** 2) / (2 * var) for m in PLACES], dim=1), dim=1)
    return (sum(weights[:, [k]] * scale * m for k, m in enumerate(PLACES)) - x) / var


def _score_line(x: Tensor, var: float) -> Tensor:
    return _score(x[:, None], 1.0, var)[:, 0]


def _noised(abar: float) -> tuple[float, float]:
    """Scale and variance of the humps where the signal's share is abar."""
    return abar**0.5, abar * WIDTH**2 + 1 - abar


def _rng(name: str) -> Rng:
    return Rng.of(0)[name]


def _against(title: str, note: str, drawn: Tensor, x: Tensor) -> Panel:
    lines = {"the law": curve(_density, x)}
    return Panel(title, note, "x", "density", lines, AXIS, bars=histogram(drawn, *AXIS))


def boltzmann() -> list[Panel]:
    """A double well and its law at three temperatures."""
    x = over(-2.2, 2.2)
    well: Callable[[Tensor], Tensor] = lambda x: 2 * (x**2 - 1) ** 2

    def law(temperature: float) -> Callable[[Tensor], Tensor]:
        def at(x: Tensor) -> Tensor:
            p = torch.exp(-well(x) / temperature)
            return p / torch.trapezoid(p, x)

        return at

    laws = {f"T = {t:g}": curve(law(t), x) for t in (0.3, 1.0, 5.0)}
    return [
        Panel(
            "An energy: two wells",
            "Only differences of energy matter.",
            "x",
            "E(x)",
            {"E": curve(well, x)},
            (-2.2, 2.2),
            (0, 8),
        ),
        Panel(
            "Its Boltzmann law exp(-E/T) / Z",
            "Cold: only the bottoms. Hot: nearly flat.",
            "x",
            "density",
            laws,
            (-2.2, 2.2),
        ),
    ]


def chains() -> list[Panel]:
    """Langevin chains and where 4,000 of them end."""
    start = torch.linspace(*AXIS, SHOWN).double()[:, None]
    paths, x = [start], start
    for k in range(60):
        x, _ = langevin(_score, x, _rng("chains")[k], steps=1, step=0.05)
        paths.append(x)
    lines = torch.cat(paths, dim=1)
    steps = list(range(lines.shape[1]))
    begun = _rng("start").normal("x", (ROWS, 1)).double() * 2
    ended, _ = langevin(_score, begun, _rng("long"), steps=300, step=0.05)
    return [
        Panel(
            "Langevin chains",
            f"{SHOWN} chains, step .05. Each finds a hump soon; few cross between them.",
            "step",
            "x",
            paths=[(steps, row.tolist()) for row in lines],
            range=AXIS,
        ),
        _against(
            "Where 4,000 chains are after 300 steps", "Bars: the chains. Line: the law, exactly.", ended, over(*AXIS)
        ),
    ]


def _denoise(abar: list[float]) -> Callable[[Tensor, int], tuple[Tensor, None]]:
    """The exact mean of x0 given x_t, by Tweedie's formula."""

    def f(x: Tensor, t: int) -> tuple[Tensor, None]:
        scale, var = _noised(abar[t])
        return (x + (1 - abar[t]) * _score(x, scale, var)) / abar[t] ** 0.5, None

    return f


def reverse() -> list[Panel]:
    """Ancestral sampling with the exact denoiser."""
    abar = diffusion.cosine_schedule(100)
    times = list(range(100, -1, -1))
    exact, seen = _denoise(abar), []

    def watched(x: Tensor, t: int) -> tuple[Tensor, None]:
        seen.append(x)
        return exact(x, t)

    few = _rng("few").normal("x", (SHOWN, 1)).double()
    ended, _ = ancestral(watched, few, _rng("few"), abar=abar, times=times)
    lines = torch.cat([*seen, ended], dim=1)
    many = _rng("many").normal("x", (ROWS, 1)).double()
    drawn, _ = ancestral(exact, many, _rng("many"), abar=abar, times=times)
    return [
        Panel(
            "Backwards from noise",
            "Ancestral steps with the exact denoiser: the choice of a hump falls early.",
            "step (t = 100 - step)",
            "x",
            paths=[(list(range(lines.shape[1])), row.tolist()) for row in lines],
            range=AXIS,
        ),
        _against("4,000 draws", "Bars: draws. Line: the law, exactly.", drawn, over(*AXIS)),
    ]


def _velocity(x: Tensor, t: float) -> Tensor:
    """The exact velocity of x_t = (1 - t) x0 + t x1 from N(0, 1) at t = 0 to the law at t = 1."""
    var = (1 - t) ** 2 + (t * WIDTH) ** 2
    weights = torch.softmax(torch.cat([-((x - t * m) ** 2) / (2 * var) for m in PLACES], dim=1), dim=1)
    slope = (t * WIDTH**2 - (1 - t)) / var
    return sum(weights[:, [k]] * (m + slope * (x - t * m)) for k, m in enumerate(PLACES))  # type: ignore[return-value]


def flow() -> list[Panel]:
    """The flow of flow matching, exactly."""
    u = (torch.arange(SHOWN, dtype=torch.float64) + 0.5) / SHOWN
    x = torch.erfinv(2 * u - 1)[:, None] * 2**0.5
    times = [k / 40 for k in range(41)]
    paths = [x]
    for k in range(40):
        x, _ = ode(_velocity, x, times=times[k : k + 2])
        paths.append(x)
    lines = torch.cat(paths, dim=1)
    drawn, _ = ode(_velocity, _rng("flow").normal("x", (ROWS, 1)).double(), times=times)
    return [
        Panel(
            "The flow from N(0, 1) to the law",
            "Paths of an ODE never cross: the order on the line is kept.",
            "t",
            "x",
            paths=[(times, row.tolist()) for row in lines],
            range=AXIS,
        ),
        _against(
            "4,000 rows carried along", "Bars: rows after 40 Heun steps. Line: the law, exactly.", drawn, over(*AXIS)
        ),
    ]


def schedules() -> list[Panel]:
    """The signal's share over time."""
    at = [k / 200 for k in range(201)]
    shares = {"linear": diffusion.linear_schedule(200), "cosine": diffusion.cosine_schedule(200)}
    ratios = {name: (at[1:-1], [math.log10(diffusion.snr(a)) for a in abar[1:-1]]) for name, abar in shares.items()}
    return [
        Panel(
            "What is left of the signal",
            "The cosine schedule destroys it evenly, the linear one early.",
            "t / T",
            "share of variance",
            {n: (at, a) for n, a in shares.items()},
            (0, 1),
            (0, 1),
        ),
        Panel("Signal to noise", "In powers of ten.", "t / T", "log10 of abar / (1 - abar)", ratios, (0, 1), (-5, 4)),
    ]


def forward() -> list[Panel]:
    """The law at some noise levels."""
    x = over(*AXIS)
    laws = {}
    for abar in (1.0, 0.7, 0.3, 0.01):
        scale, var = _noised(abar)
        laws[f"share {abar:g}"] = curve(partial(_density, scale=scale, var=var), x)
    says = "Two humps melt into N(0, 1) as the signal's share of variance falls."
    return [Panel("Forward: data into noise", says, "x", "density", laws, AXIS), *schedules()]


def smoothed() -> list[Panel]:
    """The score at some noise levels: what denoising score matching learns."""
    x = over(*AXIS)
    lines, laws = {}, {}
    for sigma in (0.1, 0.7, 2.0):
        var = WIDTH**2 + sigma**2
        lines[f"sigma {sigma:g}"] = curve(partial(_score_line, var=var), x)
        laws[f"sigma {sigma:g}"] = curve(partial(_density, var=var), x)
    return [
        Panel(
            "The law with noise added",
            "What denoising score matching can see at each sigma.",
            "x",
            "density",
            laws,
            AXIS,
        ),
        Panel(
            "Its score",
            "Little noise: steep round each hump. Much: one gentle pull to the middle.",
            "x",
            "d log p / d x",
            lines,
            AXIS,
            (-9, 9),
        ),
    ]


OF = {
    "energy": lambda: [*boltzmann(), *chains()],
    "energy-losses": boltzmann,
    "pcd": lambda: [*boltzmann(), *chains()],
    "langevin": chains,
    "ancestral": reverse,
    "ode": flow,
    "flow-matching": flow,
    "flow-matching-loss": flow,
    "diffusion": lambda: [*forward(), *reverse()],
    "diffusion-losses": schedules,
    "ddpm": lambda: [*forward()[:1], *schedules(), *reverse()],
    "denoising-score-matching": smoothed,
    "score-matching-losses": smoothed,
}
