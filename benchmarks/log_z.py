"""log Z by annealed importance sampling on laws where it is known: does the bracket hold it, how wide, at what cost?

Forward chains from a normal law, reverse ones from exact rows of the law, as `log_z` does at its defaults; the grid
where there are at most 3 dimensions. Several seeds of everything.

    python benchmarks/log_z.py [--seeds 20] [--chains 500] [--levels 100] [--out log_z.json]
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import Any

import torch
from measure import keep, parser, settle, table
from torch import Tensor

from whichloss.rng import Rng
from whichloss.samplers import grid_log_z, log_z

torch.set_default_dtype(torch.float64)

CENTRES, SDS, WEIGHTS = (
    torch.tensor([[-3.0, 0.0], [3.0, 1.0], [0.0, 4.0]]),
    torch.tensor([1.0, 0.5, 0.7]),
    [0.6, 0.3, 0.1],
)


@dataclass(frozen=True)
class Law:
    """An energy, its log Z, exact rows, and the normal law to start from; a box for the grid."""

    energy: Callable[[Tensor], Tensor]
    truth: float
    rows: Callable[[int, Rng], Tensor]
    mean: Tensor
    sd: Tensor
    box: float | None = None


def well(d: int) -> Law:
    """2 (x^2 - 1)^2 in every coordinate, its log Z by quadrature."""
    axis = torch.linspace(-3, 3, 60_001)
    e = 2 * (axis**2 - 1) ** 2
    truth = float(torch.logsumexp(-e, 0)) + math.log(6 / 60_000)
    share = torch.softmax(-e, 0).cumsum(0)
    rows = lambda n, rng: axis[torch.searchsorted(share, rng.uniform("rows", (n, d))).clamp(max=60_000)]
    energy = lambda x: 2 * ((x**2 - 1) ** 2).sum(1)
    return Law(energy, d * truth, rows, torch.zeros(d), torch.ones(d), 3.0 if d <= 3 else None)


def normal(d: int, widest: float) -> Law:
    """Variances from 1 to widest^2, from a start of variance 1."""
    sd = torch.logspace(0, math.log10(widest), d)
    truth = d / 2 * math.log(2 * math.pi) + float(sd.log().sum())
    energy = lambda x: ((x / sd) ** 2).sum(1) / 2
    return Law(energy, truth, lambda n, rng: sd * rng.normal("rows", (n, d)), torch.zeros(d), torch.ones(d))


def funnel(d: int) -> Law:
    """v of sd 3, then d - 1 columns of sd exp(v / 2)."""

    def energy(x: Tensor) -> Tensor:
        v, rest = x[:, 0], x[:, 1:]
        steep = v**2 / 18 + math.log(3) + (rest**2).sum(1) * torch.exp(-v) / 2 + (d - 1) * v / 2
        return steep + d / 2 * math.log(2 * math.pi)

    def rows(n: int, rng: Rng) -> Tensor:
        v = 3 * rng.normal("v", (n, 1))
        return torch.cat([v, torch.exp(v / 2) * rng.normal("rest", (n, d - 1))], dim=1)

    return Law(energy, 0.0, rows, torch.zeros(d), torch.tensor([3.0] + [1.0] * (d - 1)))


def mixture(d: int) -> Law:
    """Three normals of weights .6, .3 and .1 in the first two coordinates, N(0, 1) in the rest."""

    def energy(x: Tensor) -> Tensor:
        square = (x[:, None, :2] - CENTRES).square().sum(2) / SDS**2
        near = torch.logsumexp(torch.tensor(WEIGHTS).log() - square / 2 - 2 * SDS.log(), dim=1)
        return (x[:, 2:] ** 2).sum(1) / 2 - near + d / 2 * math.log(2 * math.pi)

    def rows(n: int, rng: Rng) -> Tensor:
        which = torch.searchsorted(torch.tensor(WEIGHTS).cumsum(0), rng.uniform("which", (n,))).clamp(max=2)
        z = rng.normal("z", (n, d))
        return torch.cat([CENTRES[which] + SDS[which][:, None] * z[:, :2], z[:, 2:]], dim=1)

    return Law(energy, 0.0, rows, torch.zeros(d), torch.tensor([3.0, 2.0] + [1.0] * (d - 2)), 9.0 if d <= 3 else None)


LAWS = {
    "double well, d = 2": well(2),
    "double well, d = 10": well(10),
    "normal, sd 1 to 3, d = 5": normal(5, 3),
    "normal, sd 1 to 3, d = 20": normal(20, 3),
    "three normals, d = 2": mixture(2),
    "three normals, d = 10": mixture(10),
    "funnel, d = 10": funnel(10),
}


def measured(name: str, law: Law, seeds: int, chains: int, levels: int) -> dict[str, Any]:
    """Over seeds: how often the bracket holds the truth, its width, the error of the value, the label, the cost."""
    found, spent = [], process_time()
    for seed in range(seeds):
        rows = law.rows(chains, Rng.of(seed)["exact"])
        found.append(
            log_z(law.energy, Rng.of(seed), mean=law.mean, sd=law.sd, samples=rows, chains=chains, levels=levels)
        )
    held = sum(f.lower <= law.truth <= f.upper for f in found if f.lower is not None and f.upper is not None)
    row = {
        "law": name,
        "truth": law.truth,
        "held": f"{held} of {seeds}",
        "trusted": f"{sum('bracketed' in f.label for f in found)} of {seeds}",
        "width": median(f.upper - f.lower for f in found),
        "error": median(abs(f.value - law.truth) for f in found),
        "worst": max(abs(f.value - law.truth) for f in found),
        "CPU s": (process_time() - spent) / seeds,
    }
    d, box = len(law.mean), law.box
    row["error of a grid"] = "-" if box is None else grid_log_z(law.energy, [-box] * d, [box] * d).value - law.truth
    return row


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--chains", type=int, default=500)
    options.add_argument("--levels", type=int, default=100)
    given = options.parse_args()
    settle()
    rows = [measured(name, law, given.seeds, given.chains, given.levels) for name, law in LAWS.items()]
    table(rows)
    keep(given.out, "log Z", {"options": {k: str(v) for k, v in vars(given).items()}, "laws": rows})


if __name__ == "__main__":
    main()
