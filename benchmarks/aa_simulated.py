"""How often does a study of equal objectives name a winner? 100 simulated A/A studies a row.

Every finalist has the same mean score unless the row says that one is worse, so every winner is
false. Prints winners per 100 studies, over several master seeds, for two ways of choosing the
candidate under the same two-sided 95 % interval (the leader of the fresh seeds, which `judge`
uses; the leader of a separate screen of 4 seeds), and how often the interval of the first two
covers their true difference. The last rows compute real MMD^2 of Gaussian samples.

    python benchmarks/aa_simulated.py [--studies 100] [--masters 10]
"""

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from whichloss.study.rank import Scores, difference
from whichloss.study.verdict import judge

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[list[Scores], float]]
SCREEN = 4
BASELINE = 6.0  # a failed run's score, in standard deviations of a run that did not fail


def simulated(
    rng: np.random.Generator, n: int, *, means: tuple[float, ...], fail: tuple[float, ...],
    rows: int = 400, row_sd: float = 6.0, overlap: float = 0.0,
) -> tuple[list[Scores], float]:  # fmt: skip
    """Finalists with seed noise of sd 1, test-row noise of sd row_sd / sqrt(rows), failed runs.

    Returns them with the true difference of the first two, baseline scores of failures included.
    With overlap, seeds are correlated as Nadeau and Bengio assume: overlap / (1 + overlap).
    """
    total = n + SCREEN
    correlation = overlap / (1 + overlap)
    made, truth = [], []
    for number, (mean, share) in enumerate(zip(means, fail, strict=True)):
        own, shared = rng.normal(size=total), rng.normal()
        values = mean + np.sqrt(1 - correlation) * own + np.sqrt(correlation) * shared
        values = np.where(rng.random(total) < share, BASELINE, values)
        row_noise = rng.normal(size=rows) * row_sd
        values = values + row_noise.mean()
        made.append(Scores(f"o{number}", tuple(values), -row_noise / 2, 0, 1.0, 1.0))
        truth.append((1 - share) * mean + share * BASELINE)
    return made, truth[0] - truth[1]


def kernel(x: Array, y: Array) -> Array:
    """exp(-|x - y|^2 / 2) for (n, 2) and (m, 2): (n, m)."""
    gap = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    result: Array = np.exp(-gap / 2)
    return result


def measured(
    rng: np.random.Generator, n: int, *, count: int, shift: float, spread: float, rows: int = 100
) -> tuple[list[Scores], float]:
    """Equal finalists: N(shift + one per seed, I), scored by MMD^2 on shared rows of N(0, I)."""
    y = rng.normal(size=(rows, 2))
    own = (kernel(y, y).sum() - rows) / (rows * (rows - 1))
    made = []
    for number in range(count):
        values, influence = [], np.zeros(rows)
        for seed in range(n + SCREEN):
            x = rng.normal(size=(rows, 2)) + shift + spread * rng.normal(size=2)
            inside, w = (kernel(x, x).sum() - rows) / (rows * (rows - 1)), kernel(x, y).mean(0)
            values.append(inside + own - 2 * w.mean())
            influence += -2 * w / n * (seed < n)
        made.append(Scores(f"o{number}", tuple(values), influence, 0, 1.0, 1.0))
    return made, 0.0


def fresh(s: Scores, n: int) -> Scores:
    """The same finalist on its first n seeds; the rest are the screen."""
    return Scores(s.name, s.values[:n], s.influence, 0, s.use_cost, s.training_cost)


def studies(draw: Draw, n: int, count: int, master: int, overlap: float) -> tuple[float, ...]:
    """Winners of `count` studies by the fresh leader and by the screen's, and the coverage."""
    rng = np.random.default_rng([master, n])
    winners = screened = covered = 0
    for _ in range(count):
        made, truth = draw(rng, n)
        final = [fresh(s, n) for s in made]
        verdict = judge(final, rope=0.0, overlap=overlap)
        winners += verdict.kind == "better"
        candidate = min(made, key=lambda s: float(np.mean(s.values[n:])))
        screened += verdict.kind == "better" and verdict.leader == candidate.name
        d = difference(final[0], final[1], overlap=overlap)
        covered += d.low <= truth <= d.high
    return winners, screened, covered / count


CONFIGURATIONS: dict[str, tuple[Draw, float]] = {
    "2 equal": (partial(simulated, means=(0, 0), fail=(0, 0)), 0.0),
    "3 equal": (partial(simulated, means=(0, 0, 0), fail=(0, 0, 0)), 0.0),
    "2 equal, 1 worse by 1.5 sd": (partial(simulated, means=(0, 0, 1.5), fail=(0, 0, 0)), 0.0),
    "3 equal, all fail in 20 %": (partial(simulated, means=(0, 0, 0), fail=(0.2, 0.2, 0.2)), 0.0),
    "2 equal means, 1 fails in 20 %": (partial(simulated, means=(1.2, 0), fail=(0, 0.2)), 0.0),
    "3 equal, five folds": (
        partial(simulated, means=(0, 0, 0), fail=(0, 0, 0), overlap=0.25), 0.25),
    "2 equal, real MMD^2": (partial(measured, count=2, shift=0, spread=0.2), 0.0),
    "3 equal, real MMD^2": (partial(measured, count=3, shift=0, spread=0.2), 0.0),
    "3 equal, real MMD^2, sampling noise": (
        partial(measured, count=3, shift=0.3, spread=0), 0.0,
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="False winners in simulated A/A studies.")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--masters", type=int, default=10)
    given = parser.parse_args()
    scale = 100 / given.studies
    print(f"winners per 100 studies: mean (most) of {given.masters} master seeds")
    print(f"{'truth':36s} {'n':>3s}  {'fresh leader':>14s}  {'screen leader':>14s}  covered")
    for name, (draw, overlap) in CONFIGURATIONS.items():
        for n in (8, 16, 24):
            runs = [studies(draw, n, given.studies, m, overlap) for m in range(given.masters)]
            best, screened, covered = np.array(runs, dtype=float).T
            cells = [f"{scale * x.mean():.1f} ({scale * x.max():.0f})" for x in (best, screened)]
            print(f"{name:36s} {n:3d}  {cells[0]:>14s}  {cells[1]:>14s}  {covered.mean():.3f}")


if __name__ == "__main__":
    main()
