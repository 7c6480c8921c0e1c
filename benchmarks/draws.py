"""What keyed draws cost: `whichloss.rng` against torch.randn with one torch.Generator, and whether they are random.

Prints CPU microseconds for the draws of one lane and of ten, the share of drawing in the smallest steps, and p-values
of simple tests over many keys, names and steps, where a counter-based scheme could go wrong.

    python benchmarks/draws.py [--rounds 7] [--out draws.json]
"""

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from measure import interleaved, keep, parser, settle, table
from scipy import stats

from whichloss.data import read
from whichloss.objectives import find
from whichloss.rng import Rng
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.plan import Run, settings
from whichloss.study.work import make_lanes
from whichloss.train import Loop

SHAPES = ((256, 1), (256, 2), (256, 8), (256, 64), (256, 784), (2000, 64))
LANES = (1, 10)
STEP_MOST = 0.25  # of the smallest step, at most
KEYS, LENGTH = 1000, 512  # of the statistical tests
STEPS = 50  # in a round


def keyed(lanes: int) -> Rng:
    rng = Rng.of(*range(1, lanes + 1))
    return Rng(rng.key.reshape(-1), rng.path)


def repeated(draw: Callable[[], object], times: int) -> Callable[[], None]:
    def work() -> None:
        for _ in range(times):
            draw()

    return work


def costs(rounds: int) -> list[dict[str, Any]]:
    """Microseconds of one draw for all lanes, keyed and plain."""
    rows = []
    for shape in SHAPES:
        numbers = shape[0] * shape[1]
        times = max(20, 400_000 // numbers)
        for lanes in LANES:
            rng, generator = keyed(lanes), torch.Generator().manual_seed(0)
            works = {
                "keyed": repeated(lambda rng=rng, s=shape: rng.normal("z", s), times // lanes + 1),
                "plain": repeated(
                    lambda g=generator, s=(lanes, *shape): torch.randn(s, generator=g), times // lanes + 1
                ),
            }
            seconds = interleaved(works, rounds)
            each = {k: 1e6 * median(v) / (times // lanes + 1) for k, v in seconds.items()}
            ratio = median([a / b for a, b in zip(seconds["keyed"], seconds["plain"], strict=True)])
            rows.append({
                "normal": f"{lanes} x {shape[0]} x {shape[1]}", "keyed, us": each["keyed"], "randn, us": each["plain"],
                "keyed / randn": ratio, "extra us per lane": (each["keyed"] - each["plain"]) / lanes,
            })  # fmt: skip
    return rows


def shares(rounds: int) -> list[dict[str, Any]]:
    """The part of a step that draws: batches, keys of the step and the objective's own normals."""
    judge, rows = SampleJudge(read("toy:ring8")), []
    for name, normals in (("gan", [(256, 8), (256, 8)]), ("flow-matching", [(256, 2), ()])):
        for lanes in LANES:
            setting = settings(find(name), 1)[0]
            runs = tuple(
                Run(data="", objective=name, code="", setting=setting, seed=s, flops=0.0, width=64)
                for s in range(1, lanes + 1)
            )
            made = make_lanes(judge, runs, None)[1]
            loop = Loop(made, made.start(), steps=1 << 30)

            def draws(loop: Loop = loop, normals: Any = normals) -> None:
                for i, _ in enumerate(loop.updates):
                    loop.lanes.rows(loop.state.step)
                    rng = loop.lanes.draws.at(loop.state.step, i, 0)
                    for shape in normals[: 1 if len(loop.updates) > 1 else 2]:
                        rng.normal("z", shape)

            for _ in range(5):
                loop.step()
            times = max(5, STEPS // lanes)
            seconds = interleaved({"draws": repeated(draws, times), "step": repeated(loop.step, times)}, rounds)
            share = median([a / b for a, b in zip(seconds["draws"], seconds["step"], strict=True)])
            rows.append({
                "step": f"{name}, 3 x 64, {lanes} lane{'s' * (lanes > 1)}",
                "draws, us": 1e6 * median(seconds["draws"]) / times,
                "step, us": 1e6 * median(seconds["step"]) / times, "share": share,
            })  # fmt: skip
    return rows


def series() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(normals, uniforms), each (KEYS, LENGTH): neighbouring seeds, steps and names, one key a line."""
    seeds = keyed(KEYS)
    one = keyed(1)
    by_step = [one.at(k) for k in range(KEYS)]
    draws = {
        "seeds": (seeds.normal("z", (LENGTH,)), seeds.uniform("u", (LENGTH,))),
        "steps": (
            torch.cat([r.normal("z", (LENGTH,)) for r in by_step]),
            torch.cat([r.uniform("u", (LENGTH,)) for r in by_step]),
        ),
        "names": (
            torch.cat([one.normal(k, (LENGTH,)) for k in range(KEYS)]),
            torch.cat([one.uniform(f"u{k}", (LENGTH,)) for k in range(KEYS)]),
        ),
    }
    return {k: (z.double().numpy(), u.double().numpy()) for k, (z, u) in draws.items()}


def tests() -> list[dict[str, Any]]:
    """p-values; small ones are as rare as their number says if the draws are random."""
    rows = []
    for name, (z, u) in series().items():
        means = z.mean(0) * KEYS**0.5  # over keys, at each place of the series
        neighbours = (z[:-1] * z[1:]).mean(1) * LENGTH**0.5
        bins = np.bincount((u * 256).astype(int).ravel(), minlength=256)
        rows.append({
            "over": f"{KEYS} {name}",
            "normal law": float(stats.kstest(z.ravel(), "norm").pvalue),
            "uniform law": float(stats.kstest(u.ravel(), "uniform").pvalue),
            "means per place": float(stats.kstest(means, "norm").pvalue),
            "neighbours' correlation": float(stats.kstest(neighbours, "norm").pvalue),
            "bins": float(stats.chisquare(bins).pvalue),
            "first numbers": float(stats.kstest(u[:, 0], "uniform").pvalue),
        })  # fmt: skip
    return rows


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    settle()
    cost, share, random = costs(given.rounds), shares(given.rounds), tests()
    print("One draw of standard normals for all lanes, CPU time, medians:")
    table(cost)
    print(f"\nDrawing within a step, allowed {STEP_MOST:.0%} of the smallest:")
    table(share)
    values = [float(v) for row in random for v in row.values() if isinstance(v, float)]
    print(f"\np-values of {len(values)} tests (fixed keys); the least should exceed about {0.01 / len(values):.1g}:")
    table(random)
    worst = max(row["share"] for row in share)
    says = (
        f"largest share {worst:.1%} ({'within' if worst <= STEP_MOST else 'ABOVE'} {STEP_MOST:.0%}), "
        f"least p {min(values):.3g}"
    )
    print(says)
    keep(given.out, "draws", {"costs": cost, "shares": share, "tests": random, "verdict": says})


if __name__ == "__main__":
    main()
