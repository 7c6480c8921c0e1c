"""Every objective of the goal generate against densities that are known exactly, at equal compute.

For each objective, law and seed one model is trained at its defaults with the quick budget's operations (or --share of
them), on 2,000 rows. Then

    KL          KL(p || q) in nats, the integral over a grid that holds all but 1e-6 of p, for models that score rows;
                an energy is normalised on the same grid
    weights     how uneven the modes' masses came out: their standard deviation over their mean, each against its own,
                from q on the grid; 0 = right
    samples     KL(samples || p) by nearest neighbours, 2,000 samples, minus that of as many real rows

Medians over seeds, least to most.

    python benchmarks/known_truth.py [--objectives all] [--laws ring8,grid25,moons,uneven] [--seeds 8] [--share 1]
                                     [--out known_truth.json]
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from measure import keep, parser, settle, table

from whichloss.data import find_toy, read
from whichloss.metrics import kl_to_density
from whichloss.objectives import Generative, available, find
from whichloss.study.budget import BUDGETS
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.plan import LANES, Run, settings
from whichloss.study.work import make_lanes
from whichloss.train import Loop, flops_per_step, sampling_weights

ROWS, SAMPLES, CELLS = 2000, 2000, 300
WEIGHTS, CENTRES, STD = np.array([0.7, 0.2, 0.1]), np.array([[-2.0, 0.0], [2.0, 1.5], [1.0, -2.0]]), 0.3


@dataclass(frozen=True)
class Law:
    """A density, rows drawn from it, its modes and their weights if it has some, and a box that holds it."""

    log_density: Callable[[np.ndarray], np.ndarray]
    rows: Callable[[int, int], np.ndarray]
    centres: np.ndarray | None
    weights: np.ndarray | None
    box: float


def uneven_log_density(x: np.ndarray) -> np.ndarray:
    squares = ((x[:, None] - CENTRES) ** 2).sum(-1) / STD**2
    return np.log(np.exp(-squares / 2) @ WEIGHTS + 1e-300) - np.log(2 * np.pi * STD**2)


def uneven_rows(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return CENTRES[rng.choice(3, n, p=WEIGHTS)] + STD * rng.normal(size=(n, 2))


def law(name: str) -> Law:
    """One of the toys, or three modes with weights .7, .2 and .1."""
    if name == "uneven":
        return Law(uneven_log_density, uneven_rows, CENTRES, WEIGHTS, 4.5)
    toy = find_toy(name)[0]
    centres = toy.centers
    weights = None if centres is None else np.full(len(centres), 1 / len(centres))
    return Law(toy.log_density, toy.sample, centres, weights, {"grid25": 5.5, "moons": 3.0}.get(name, 3.5))


@dataclass(frozen=True)
class Grid:
    """Cells of equal size over a law's box: their middles (n, 2), their size, p there, and the mode nearest to each."""

    points: np.ndarray
    cell: float
    log_p: np.ndarray
    mode: np.ndarray | None

    @classmethod
    def of(cls, known: Law) -> "Grid":
        side = (np.arange(CELLS) + 0.5) / CELLS * 2 * known.box - known.box
        points = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
        log_p = known.log_density(points)
        cell = (2 * known.box / CELLS) ** 2
        assert abs(np.exp(log_p).sum() * cell - 1) < 1e-3
        mode = None
        if known.centres is not None:
            mode = ((points[:, None] - known.centres) ** 2).sum(-1).argmin(1)
        return cls(points, cell, log_p, mode)


def judged(grid: Grid, known: Law, log_q: np.ndarray) -> dict[str, float]:
    """KL(p || q) and the modes' masses, q normalised on the grid."""
    log_q = log_q - np.logaddexp.reduce(log_q) - np.log(grid.cell)
    p = np.exp(grid.log_p) * grid.cell
    found = {"KL": float((p * (grid.log_p - log_q))[p > 0].sum())}
    if grid.mode is not None:
        mass = np.bincount(grid.mode, np.exp(log_q) * grid.cell, len(known.weights))
        found["weights"] = float(np.std(mass / known.weights))
    return found


def trained(name: str, law_name: str, known: Law, seeds: list[int], share: float) -> list[dict[str, float]]:
    """What came of some seeds."""
    out: list[dict[str, float]] = []
    grid = Grid.of(known)
    setting = settings(find(name), 1)[0]
    for start in range(0, len(seeds), LANES):
        for seed in seeds[start : start + LANES]:
            out.append({"seed": seed})
        group = seeds[start : start + LANES]
        judges = SampleJudge(read(known.rows(ROWS, 0)))
        runs = [Run(data="", objective=name, code="", setting=setting, seed=s, flops=0.0, width=64) for s in group]
        encoders, lanes = make_lanes(judges, tuple(runs), None)
        steps = max(4, int(share * BUDGETS["quick"].flops / flops_per_step(lanes)))
        loop, spent = Loop(lanes, lanes.start(), steps), time.process_time()
        while loop.state.step < steps:
            loop.step()
        spent = (time.process_time() - spent) / len(group)
        weights = sampling_weights(lanes, loop.state)
        drawn = lanes.sample(weights, SAMPLES, "judge")
        for lane, (encoder, x) in enumerate(zip(encoders, drawn, strict=True)):
            one = out[start + lane]
            one["CPU s"] = spent
            finite = torch.isfinite(x).all()
            rows = encoder.decode(x.numpy()) if finite else np.full((SAMPLES, 2), np.nan)
            one["samples"] = kl_to_density(torch.from_numpy(rows), known.log_density) if finite else float("inf")
            objective, nets = lanes.trained(weights, lane)
            if isinstance(objective, Generative) and objective.scores:
                with torch.no_grad():
                    x = torch.from_numpy(encoder.encode(grid.points))
                    log_q = (
                        -torch.cat([objective.unlike(nets, part) for part in torch.split(x, 10_000)]).double().numpy()
                    )
                one |= judged(grid, known, log_q) if np.isfinite(log_q).all() else {"KL": float("inf")}
    return out


def spread(values: list[float], digits: int = 3) -> str:
    """Median (least to most)."""
    if not values:
        return "-"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--objectives", default="all")
    options.add_argument("--laws", default="ring8,grid25,moons,uneven")
    options.add_argument("--seeds", type=int, default=8)
    options.add_argument("--share", type=float, default=1.0, help="of the quick budget's compute per run")
    given = options.parse_args()
    settle()
    names = available("generate") if given.objectives == "all" else given.objectives.split(",")
    results: list[dict[str, Any]] = []
    for law_name in given.laws.split(","):
        known = law(law_name)
        real = kl_to_density(torch.from_numpy(known.rows(SAMPLES, 1)), known.log_density)
        rows = []
        for name in names:
            found = trained(name, law_name, known, list(range(1, given.seeds + 1)), given.share)
            results.append({"law": law_name, "objective": name, "real": real, "seeds": found})
            rows.append({
                "objective": name,
                **{k: spread([f[k] for f in found if k in f]) for k in ("KL", "weights")},
                "samples": spread([f["samples"] - real for f in found]),
                "CPU s": f"{median(f['CPU s'] for f in found):.0f}",
            })  # fmt: skip
            print(law_name, rows[-1], flush=True)
        print(f"\n{law_name}: {given.seeds} seeds, {given.share * BUDGETS['quick'].flops:.2g} operations each")
        table(sorted(rows, key=lambda row: (row["KL"] == "-", row["KL"])))
        keep(given.out, "known truth", {"options": {k: str(v) for k, v in vars(given).items()}, "results": results})


if __name__ == "__main__":
    main()
