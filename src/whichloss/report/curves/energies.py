"""Pictures of how energies and flows are fitted and judged, on normal laws where the answer is known."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...losses import ebgan, energy, flows
from ...metrics import equipartition, kernel_stein
from ...metrics.stein import stein_kernel
from ...rng import Rng
from ...samplers import mala
from .chains import SLOPE, WIDTHS, stretched, tilted
from .draw import Panel, curve, histogram, over
from .sampling import AXIS, PLACES, WIDTH, boltzmann

S2 = 1.7  # the data's variance: the best energy lam x^2 / 2 has lam = 1 / S2
BLUR = 1.0  # energy discrepancy's t
NOISE = 4.0  # variance of what noise-contrastive estimation tells data from
STEP = 0.1
LAMS = torch.cat([over(0.2, 1.4, 61), torch.tensor([1 / S2], dtype=torch.float64)]).sort().values
NODES = over(-8, 8, 41)  # the trapezoid rule for N(0, 1): as good as exact with steps of .4
MASS = torch.softmax(-(NODES**2) / 2, dim=0)


def _rng(name: str) -> Rng:
    return Rng.of(0)["energies"][name]


def _quantiles(n: int) -> Tensor:
    """Of N(0, 1), (n,)."""
    z: Tensor = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    return z


def _normal(x: Tensor, var: float | Tensor) -> Tensor:
    """log N(x; 0, var)."""
    return -(x**2 / var + math.log(2 * math.pi) + torch.as_tensor(var).log()) / 2


DATA = S2**0.5 * NODES


def _likelihood(lam: Tensor) -> Tensor:
    grid = over(-20, 20, 401)  # q = 1 / volume: log Z is a Riemann sum
    loss = energy.importance_likelihood(lam * DATA**2 / 2, lam * grid**2 / 2, torch.full_like(grid, -math.log(40.1)))
    return MASS @ loss


def _matching(lam: Tensor) -> Tensor:
    return MASS @ energy.score_matching(-lam * DATA[:, None], -lam.expand(len(DATA)))


def _sliced(lam: Tensor) -> Tensor:
    """With v = 1 and v = -1, which are all directions on a line."""
    slopes = [v * -lam.expand(len(DATA)) * v for v in (-1, 1)]
    return torch.stack([MASS @ energy.sliced_score_matching(-lam * DATA[:, None], slope) for slope in slopes]).mean()


def _contrastive(lam: Tensor) -> Tensor:
    noise = NOISE**0.5 * NODES
    of_data, of_noise = (_normal(x, 1 / lam) - _normal(x, NOISE) for x in (DATA, noise))
    return MASS @ energy.noise_contrastive(of_data, of_noise)


def _discrepancy(lam: Tensor) -> Tensor:
    x, n = DATA[:, None, None], BLUR**0.5 * NODES
    noised = lam * (x + n[:, None] + n) ** 2 / 2 - (len(MASS) * MASS).log()  # a mean by weights
    rows = (lam * x**2 / 2).expand(-1, len(n), 1)
    each = energy.energy_discrepancy(rows.reshape(-1), noised.flatten(0, 1), w=1e-12)
    return (MASS[:, None] * MASS).reshape(-1) @ each


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "likelihood": _likelihood,
    "noise contrastive": _contrastive,
    "energy discrepancy": _discrepancy,
    "score matching": _matching,
    "sliced": _sliced,
}


def losses() -> list[Panel]:
    """Five losses of the energy lam x^2 / 2."""
    lines = {}
    for name, loss in LOSSES.items():
        values = torch.stack([loss(lam) for lam in LAMS])
        lines[name] = (LAMS.tolist(), (values - values.min()).tolist())
    return [
        Panel(
            "Losses of one energy",
            "Data N(0, 1.7), E = lam x² / 2: all are least at .588 = 1 / 1.7. On a line, sliced is score matching.",
            "lam",
            "loss above its least",
            lines,
            (0.2, 1.4),
            (0, 0.6),
        )
    ]


def _log_humps(share: float) -> Callable[[Tensor], Tensor]:
    """log density of two humps, `share` of the rows in the left one."""
    return lambda x: torch.logsumexp(
        torch.stack([_normal(x - m, WIDTH**2) + math.log(w) for m, w in zip(PLACES, (share, 1 - share), strict=True)]),
        dim=0,
    )


def blind() -> list[Panel]:
    """Scores do not see the weights of modes."""
    x, laws, scores = over(*AXIS), {}, {}
    for share in (0.5, 0.9):
        name, log_p = f"weights {share:g}, {1 - share:.1g}", _log_humps(share)
        laws[name] = curve(log_p, x)
        at = x.clone().requires_grad_()
        scores[name] = (x.tolist(), torch.autograd.grad(log_p(at).sum(), at)[0].tolist())
    return [
        Panel(
            "Two laws with other weights",
            "log p of two humps: the right one holds half of the rows, or a tenth.",
            "x",
            "log p",
            laws,
            AXIS,
            (-10, 0),
        ),
        Panel(
            "Their scores are nearly the same",
            "They differ between the humps only, where hardly a row is: score matching hardly sees the weights.",
            "x",
            "d log p / d x",
            scores,
            AXIS,
            (-9, 9),
        ),
    ]


def short_chains() -> list[Panel]:
    """The mean gradient of contrastive divergence by the steps of a chain."""
    lams, lines = over(0.45, 0.75, 61), {}
    for k in (1, 10, 100):
        v = torch.full_like(lams, S2)
        for _ in range(k):
            v = (1 - STEP * lams) ** 2 * v + 2 * STEP
        lines[f"k = {k}"] = (lams.tolist(), ((S2 - v) / 2).tolist())
    start, few = S2**0.5 * _quantiles(20_000)[:, None], lams[::6]
    tested = []
    for lam in few:

        def e(x: Tensor, lam: Tensor = lam) -> Tensor:
            return lam * (x**2).sum(dim=1) / 2

        x, _ = mala(e, start, _rng("cd"), draws=10, step=STEP, keep=False)
        unit = torch.ones((), dtype=torch.float64)  # E is linear in lam: its slope is E at lam = 1
        tested.append(float(energy.contrastive_divergence(e(start, unit), e(x, unit)).mean()))
    lines["k = 10, with a test"] = (few.tolist(), tested)
    return [
        Panel(
            "The mean gradient of short chains",
            "Data N(0, 1.7), step .1. Without a test it is 0 at .607 for every k; with one, at 1 / 1.7 = .588.",
            "lam",
            "mean gradient",
            lines,
            (0.45, 0.75),
            (-0.2, 0.2),
        )
    ]


def stretch(z: Tensor) -> Tensor:
    """A rising map that pulls the middle apart."""
    return z + 1.5 * torch.tanh(2 * z)


def carried() -> list[Panel]:
    """Normal noise through a rising map, and its density by the change of variables."""
    z = over(-4, 4)
    f = stretch(z)
    slope = 1 + 3 / torch.cosh(2 * z) ** 2
    density = torch.exp(-flows.change_of_variables(z[:, None], -slope.log()))  # dz/dx = 1 / slope
    drawn = stretch(_rng("carried").normal("z", (4000,)).double())
    wide = (-5.0, 5.0)
    return [
        Panel(
            "A map of noise",
            "x = z + 1.5 tanh 2z. Steep in the middle: it pulls rows apart there.",
            "z",
            "x",
            {"f": (z.tolist(), f.tolist())},
            (-4, 4),
        ),
        Panel(
            "The density by change of variables",
            "Bars: 4,000 rows f(z). Line: N(z; 0, 1) / f'(z). Between the humps it is low, never 0.",
            "x",
            "density",
            {"density": (f.tolist(), density.tolist())},
            wide,
            bars=histogram(drawn, *wide),
        ),
    ]


def rebuilt() -> list[Panel]:
    """The error of the best linear autoencoder with one code on a stretched normal law."""
    side = over(*AXIS, 25)
    x = torch.cartesian_prod(side, side)
    law = (SLOPE.T * WIDTHS**2) @ SLOPE
    main = torch.linalg.eigh(law).eigenvectors[:, -1:]  # the best code is along the long axis
    error = ebgan.reconstruction_energy(x, x @ main @ main.T)
    turn = over(0, 2 * math.pi, 121)
    ring = 2 * torch.stack([turn.cos(), turn.sin()], dim=1) * WIDTHS @ SLOPE
    assert torch.allclose(stretched(ring), torch.full_like(turn, 2.0))
    cells = [(a, b, e) for (a, b), e in zip(x.tolist(), error.tolist(), strict=True)]
    return [
        Panel(
            "The error of an autoencoder with one code",
            "A linear one. Ring: two deviations of the law. Dark: large errors. The valley runs past the last row.",
            "x",
            "y",
            {"two deviations": (ring[:, 0].tolist(), ring[:, 1].tolist())},
            AXIS,
            AXIS,
            cells=cells,
        )
    ]


def stein() -> list[Panel]:
    """Kernel Stein discrepancy of a moved law, and equipartition at some temperatures."""
    moves, c = over(-2, 2, 41), 1.0
    squares = (NODES[:, None] - NODES) ** 2
    drawn = _rng("stein").normal("x", (300, 1)).double()
    exact, counted = [], []
    for m in moves:
        exact.append(float(MASS @ stein_kernel(NODES[:, None], m - NODES[:, None], squares, c) @ MASS))
        counted.append(kernel_stein(drawn, m - drawn, _rng("bootstrap"), width=c, draws=1).value)
    at = moves.tolist()
    grid, levels = over(-4, 4, 4001), (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    temperatures = over(0.2, 4, 20)
    measured = []
    for t in temperatures:
        below = torch.softmax(-2 * (grid**2 - 1) ** 2 / t, dim=0).cumsum(dim=0)
        x = grid[torch.searchsorted(below, levels).clamp(max=len(grid) - 1)][:, None]
        measured.append(equipartition(x, 8 * x * (x**2 - 1), temperature=float(t)).value)
    hot = temperatures.tolist()
    return [
        Panel(
            "KSD² of a law that is moved",
            "Rows of N(0, 1), the law N(m, 1): 0 at m = 0 only. The estimate from 300 rows is close.",
            "m",
            "KSD²",
            {"exact": (at, exact), "300 rows": (at, counted)},
            (-2, 2),
        ),
        Panel(
            "Equipartition: E[x E'(x)] = T",
            "Rows at the quantiles of exp(-E/T), E = 2 (x² - 1)²: the mean is a thermometer, whatever E.",
            "T",
            "E[x E'(x)]",
            {"T": (hot, hot), "rows": (hot, measured)},
            (0, 4),
            (0, 4),
        ),
    ]


OF = {
    "autoencoder": rebuilt,
    "cd": lambda: [*short_chains(), *boltzmann()],
    "change-of-variables": carried,
    "energy-discrepancy": losses,
    "flow": carried,
    "flow-ebm": lambda: [*carried(), *tilted()],
    "latent-ebm": lambda: [*tilted(), *boltzmann()],
    "ml": lambda: [*losses(), *boltzmann()],
    "nce": losses,
    "score-matching": lambda: [*losses(), *blind()],
    "sliced-score-matching": lambda: [*losses(), *blind()],
    "stein": stein,
}
