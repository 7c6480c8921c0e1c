"""Pictures of samplers with an accept-reject test, and of what is said about their draws, on laws that are known."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...rng import Rng
from ...samplers import (
    annealed,
    autocorrelation,
    ess,
    hmc,
    langevin,
    log_z,
    mala,
    nuts,
    tempering,
    tilted_normal,
)
from ...samplers.adapt import DualAveraging
from .draw import Panel, curve, histogram, over
from .sampling import AXIS, PLACES, SHOWN, WIDTH

Energy = Callable[[Tensor], Tensor]
Line = tuple[list[float], list[float]]
LONG = 0.2  # a Langevin step with h / WIDTH^2 = .8: without a test, variances 1 / (1 - .4)
LOG_Z = math.log(2 * WIDTH * (2 * math.pi) ** 0.5)  # of the humps' energy


def humps(x: Tensor) -> Tensor:
    """-log sum exp(-(x - m)^2 / (2 w^2)), (n, 1) -> (n,): Z is twice that of one hump."""
    return -torch.logsumexp(torch.cat([-((x - m) ** 2) / (2 * WIDTH**2) for m in PLACES], dim=1), dim=1)


def well(x: Tensor) -> Tensor:
    """Two wells at -1 and 1 with a barrier of 10 between them, (n, 1) -> (n,)."""
    return 10 * ((x**2 - 1) ** 2).sum(dim=1)


def normal(x: Tensor) -> Tensor:
    """Of N(0, I), (n, d) -> (n,)."""
    return (x**2).sum(dim=1) / 2


def _law(energy: Energy) -> Callable[[Tensor], Tensor]:
    """Its law on a line, by the trapezoid rule."""

    def at(x: Tensor) -> Tensor:
        p = torch.exp(-energy(x[:, None]))
        return p / torch.trapezoid(p, x)

    return at


def _rng(name: str) -> Rng:
    return Rng.of(0)["chains"][name]


def _drawn(info: dict[str, Tensor | float]) -> Tensor:
    return torch.as_tensor(info["draws"])


def _paths(draws: Tensor) -> list[tuple[list[int], list[float]]]:
    """Of (n, chains)."""
    return [(list(range(len(draws))), row) for row in draws.T.tolist()]


def _middles(bars: Sequence[tuple[float, float, float]]) -> Line:
    return [(a + b) / 2 for a, b, _ in bars], [height for *_, height in bars]


def _numbers(values: Sequence[float | None]) -> list[float]:
    """What is not known is not drawn."""
    return [math.nan if value is None else value for value in values]


def _spread(n: int) -> Tensor:
    """Starts (n, 1), half of them in each hump."""
    return torch.tensor(PLACES, dtype=torch.float64).repeat(n // 2)[:, None]


def metropolis() -> list[Panel]:
    """MALA beside the same chain without its test."""
    start = torch.linspace(*AXIS, SHOWN).double()[:, None]
    few = _drawn(mala(humps, start, _rng("mala"), draws=60, step=LONG)[1])
    tested = _drawn(mala(humps, _spread(1000), _rng("tested"), draws=60, step=LONG)[1])[20:]

    def score(x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return -torch.autograd.grad(humps(x).sum(), x)[0]

    untested, _ = langevin(score, _spread(40_000), _rng("untested"), steps=60, step=LONG)
    lines = {"the law": curve(_law(humps), over(*AXIS)), "Langevin": _middles(histogram(untested, *AXIS))}
    return [
        Panel(
            "MALA chains",
            f"{SHOWN} chains, step .2. A flat stretch is a refused proposal.",
            "step",
            "x",
            paths=_paths(torch.cat([start[None], few])[:, :, 0]),
            range=AXIS,
        ),
        Panel(
            "A long step, with and without the test",
            "Step .2. Bars: MALA, which follows the law. Langevin, without a test, makes a hump 1.3 times as wide.",
            "x",
            "density",
            lines,
            AXIS,
            bars=histogram(tested, *AXIS),
        ),
    ]


SLOPE = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / 2**0.5  # its rows: the long axis, the short one
WIDTHS = torch.tensor([2.0, 0.3], dtype=torch.float64)
LEAPS, LEAP = 20, 0.15


def stretched(x: Tensor) -> Tensor:
    """Of a normal law with deviations 2 along x = y and .3 across it, (n, 2) -> (n,)."""
    return ((x @ SLOPE.T / WIDTHS) ** 2).sum(dim=1) / 2


def trajectories() -> list[Panel]:
    """The way of HMC, and of MALA with as many gradients, from the same points."""
    start = _rng("start").normal("x", (6, 2)).double() * WIDTHS @ SLOPE
    turn = torch.linspace(0, 2 * math.pi, 121, dtype=torch.float64)
    ring = 2 * torch.stack([turn.cos(), turn.sin()], dim=1) * WIDTHS @ SLOPE
    # k leaps with the same momentum lead to the kth point of one trajectory
    leaps = [
        hmc(stretched, start, _rng("hmc"), draws=1, leaps=k, jitter=0, step=LEAP, keep=False)[0]
        for k in range(1, LEAPS + 1)
    ]
    walked = _drawn(mala(stretched, start, _rng("walk"), draws=LEAPS, step=LEAP**2 / 2)[1])

    def panel(title: str, note: str, ways: Tensor) -> Panel:
        paths = [(way[:, 0].tolist(), way[:, 1].tolist()) for way in ways.transpose(0, 1)]
        lines = {"two deviations": (ring[:, 0].tolist(), ring[:, 1].tolist())}
        return Panel(title, note, "x", "y", lines, AXIS, AXIS, paths=paths)

    return [
        panel(
            "Six moves of HMC",
            "20 leaps of .15 each, on a normal law with widths 2 and .3: a move goes along the law.",
            torch.stack([start, *leaps]),
        ),
        panel(
            "As many gradients of MALA",
            "20 leaps of .15 with a fresh momentum each: a random walk, which gets less far.",
            torch.cat([start[None], walked]),
        ),
    ]


def resonance() -> list[Panel]:
    """Four chains on N(0, 1) whose 10 leaps are a whole turn."""
    start = torch.tensor([[-1.5], [-0.5], [0.5], [1.5]], dtype=torch.float64)

    def panel(title: str, note: str, jitter: float) -> Panel:
        _, info = hmc(normal, start, _rng("resonance"), draws=120, leaps=10, step=0.62, jitter=jitter)
        return Panel(title, note, "draw", "x", paths=_paths(_drawn(info)[:, :, 0]), range=(-3.5, 3.5))

    return [
        panel(
            "Resonance: every length the same",
            "N(0, 1), 10 leaps of .62 are one whole turn: nothing is refused, nothing moves. R-hat is over 2.",
            0.0,
        ),
        panel("Lengths of 5 to 15 leaps", "The same step with jitter .5: the chains mix. R-hat is below 1.05.", 0.5),
    ]


def funnel(x: Tensor) -> Tensor:
    """Of v ~ N(0, 1), y ~ N(0, e^2v): rows (v, y), (n, 2) -> (n,)."""
    v, y = x.unbind(dim=1)
    return v**2 / 2 + (y * torch.exp(-v)) ** 2 / 2 + v


def no_u_turn() -> list[Panel]:
    """How far trajectories go, and where they lead on a funnel."""
    step, taken, sizes = 0.5, [], [1.0, 2.0, 4.0, 8.0, 16.0]
    for s in sizes:
        start = s * _rng("wide").normal("x", (24, 1)).double()

        def wide(x: Tensor, s: float = s) -> Tensor:
            return normal(x / s)

        _, info = nuts(wide, start, _rng("nuts"), draws=5, step=step, keep=False)
        taken.append(float(info["calls"]) / 5)
    begun = torch.zeros(250, 2, dtype=torch.float64)
    _, info = nuts(funnel, begun, _rng("funnel"), draws=30, step=0.5)
    v = _drawn(info)[5:, :, 0]
    return [
        Panel(
            "Leaps of a trajectory",
            "On N(0, s²) with step .5: twice the width, about twice the leaps. Nobody chose them.",
            "s",
            "leaps",
            {"NUTS": (sizes, taken), "half a turn, pi s / h": (sizes, [math.pi * s / step for s in sizes])},
            (1, 16),
            (3, 120),
            log="xy",
        ),
        Panel(
            "A funnel: its width is e^v",
            "Bars: v in draws of 250 chains. Line: its law, N(0, 1).",
            "v",
            "density",
            {"the law": curve(_law(normal), over(*AXIS))},
            AXIS,
            bars=histogram(v, *AXIS, 32),
        ),
    ]


def tempered() -> list[Panel]:
    """Chains that all start in the left well, alone and tempered."""
    start = torch.full((200, 1), -1.0, dtype=torch.float64)
    heat = [1.0, 2.0, 4.0, 8.0, 16.0]
    alone = _drawn(mala(well, start, _rng("alone"), draws=200, step=0.01)[1])[:, :, 0]
    mixed = _drawn(tempering(well, start, _rng("mixed"), draws=200, temperatures=heat, step=0.14)[1])[:, :, 0]
    share = {
        name: (list(range(200)), (draws > 0).double().mean(dim=1).tolist())
        for name, draws in (("alone", alone), ("tempered", mixed))
    }
    return [
        Panel(
            "Alone: all stay",
            f"{SHOWN} chains at a barrier of 10, all from the left well.",
            "draw",
            "x",
            paths=_paths(alone[:, :SHOWN]),
            range=(-2, 2),
        ),
        Panel(
            "Tempered: they cross",
            "The coldest of five levels, up to temperature 16: four of its chains.",
            "draw",
            "x",
            paths=_paths(mixed[:, :4]),
            range=(-2, 2),
        ),
        Panel(
            "The share in the right well",
            "200 chains of each kind. Half of the law is there.",
            "draw",
            "share",
            share,
            (0, 200),
            (-0.05, 1),  # the line of those that stay is at 0
        ),
    ]


def cooled() -> list[Panel]:
    """Rows of the laws between a wide normal law and the humps, and log Z of each."""
    sd, middle = 3.0, 0.2
    start = sd * _rng("cooled").normal("x", (4000, 1)).double()

    def between(beta: float) -> Energy:
        return lambda x: (1 - beta) * normal(x / sd) + beta * humps(x)

    def at(beta: float) -> tuple[Tensor, float]:
        x, info = annealed(between(beta), start, _rng("annealed"), sd=sd, temperatures=12)
        return x, float(info["log Z"])

    def panel(title: str, note: str, beta: float, x: Tensor) -> Panel:
        wide = (-8.0, 8.0)
        lines = {"the law": curve(_law(between(beta)), over(*wide))}
        return Panel(title, note, "x", "density", lines, wide, bars=histogram(x, *wide))

    betas = [0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0]
    found = [at(beta) for beta in betas]
    grid = over(-30, 30, 6001)[:, None]
    truth = [float(torch.trapezoid(torch.exp(-between(beta)(grid)), grid[:, 0]).log()) for beta in betas]
    return [
        panel("The start: a wide normal law", "Bars: 4,000 rows. Line: N(0, 9).", 0.0, start),
        panel("On the way", "beta = .2. Bars: the rows. Line: the law of E_beta, exactly.", middle, found[3][0]),
        panel("The end: the law", "beta = 1: half of the rows in each hump.", 1.0, found[-1][0]),
        Panel(
            "log Z on the way",
            "Every estimate, by 4,000 rows, is within .05 of the truth; at the end that is log(√(2π)) = .919.",
            "beta",
            "log Z of E_beta",
            {"truth": (betas, truth), "estimate": (betas, [z for _, z in found])},
            (0, 1),
        ),
    ]


def tilted() -> list[Panel]:
    """A normal law times exp(-U)."""
    u: Energy = lambda x: 2 * ((x**2 - 1) ** 2).sum(dim=1)
    x, _ = tilted_normal(u, (4000, 1), _rng("tilt"))
    lines = {
        "the law": curve(_law(lambda x: u(x) + normal(x)), over(*AXIS)),
        "N(0, 1)": curve(_law(normal), over(*AXIS)),
    }
    note = "U = 2 (x² - 1)². Bars: 4,000 rows after 4 levels of 2 moves. They began as N(0, 1)."
    return [Panel("N(0, 1) tilted by exp(-U)", note, "x", "density", lines, AXIS, bars=histogram(x, *AXIS))]


def warmed() -> list[Panel]:
    """A step in search of its acceptance."""
    target, x = 0.574, _rng("warm").normal("x", (100, 10)).double()
    first = torch.tensor(0.02, dtype=torch.float64)
    tuned = DualAveraging(first.log(), (10 * first).log())
    tried, kept, rates = [], [], []
    for t in range(150):
        tried.append(float(tuned.x.exp()))
        x, info = mala(normal, x, _rng("warm")[t], draws=1, step=tried[-1], keep=False)
        rates.append(float(info["acceptance"]))
        tuned.update(torch.tensor(target - rates[-1], dtype=torch.float64))
        kept.append(float(tuned.average.exp()))
    steps = list(range(150))
    return [
        Panel(
            "A step in search of itself",
            "MALA on N(0, I), 10 columns, from a step of .02. The average is what is used in the end.",
            "step of the warm-up",
            "h",
            {"tried": (steps, tried), "average": (steps, kept)},
            (0, 150),
            log="y",
        ),
        Panel(
            "Its acceptance",
            "It settles at the target, .574.",
            "step of the warm-up",
            "acceptance",
            {"measured": (steps, rates), "target": ([0, 150], [target] * 2)},
            (0, 150),
            (0, 1),
        ),
    ]


def judged() -> list[Panel]:
    """What is said about chains x' = rho x + noise, where all is known."""

    def autoregressive(rho: float) -> Tensor:
        noise = (1 - rho**2) ** 0.5 * _rng("judged").normal("xi", (1000, 20)).double()
        x = [_rng("judged").normal("x", (20,)).double()]
        for xi in noise:
            x.append(rho * x[-1] + xi)
        return torch.stack(x[1:])

    lags, rhos = list(range(31)), [0.0, 0.2, 0.4, 0.6, 0.8]
    measured = autocorrelation(autoregressive(0.8)).mean(dim=1)[:31].tolist()
    counted = [float(ess(autoregressive(rho), "mean")) for rho in rhos]
    return [
        Panel(
            "Autocorrelation",
            "x' = .8 x + noise, 20 chains of 1,000 draws: .8 to the power of the lag.",
            "lag",
            "correlation",
            {"exact": (lags, [0.8**k for k in lags]), "measured": (lags, measured)},
            (0, 30),
        ),
        Panel(
            "Effective sample size",
            "20,000 draws are worth (1 - rho) / (1 + rho) as many independent ones.",
            "rho",
            "ess",
            {"exact": (rhos, [20_000 * (1 - r) / (1 + r) for r in rhos]), "measured": (rhos, counted)},
            (0, 0.8),
        ),
    ]


def bracketed() -> list[Panel]:
    """log Z of the humps between its two bounds."""
    mean, sd = torch.zeros(1, dtype=torch.float64), torch.full((1,), 3.0, dtype=torch.float64)
    exact = _spread(300) + WIDTH * _rng("exact").normal("x", (300, 1)).double()
    levels = [4, 8, 16, 32, 64]
    at = [float(k) for k in levels]
    found = [log_z(humps, _rng("z"), mean=mean, sd=sd, samples=exact, chains=300, levels=k) for k in levels]
    lines: dict[str, Line] = {
        "truth": ([4, 64], [LOG_Z] * 2),
        "estimate": (at, _numbers([z.value for z in found])),
        "lower end": (at, _numbers([z.lower for z in found])),
        "upper end": (at, _numbers([z.upper for z in found])),
    }
    note = "Two humps, 300 chains each way. More levels, a narrower bracket; the truth is in every one."
    return [Panel("log Z between two bounds", note, "levels", "log Z", lines, log="x")]


OF = {
    "adapt": warmed,
    "annealed": cooled,
    "diagnostics": judged,
    "hmc": lambda: [*trajectories(), *resonance()],
    "mala": metropolis,
    "nuts": no_u_turn,
    "partition": bracketed,
    "tempering": tempered,
    "tilt": tilted,
}
