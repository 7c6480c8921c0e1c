"""Are whichloss's models as good as those of plain hand-written PyTorch loops at equal compute?

Same training rows, networks, hyperparameters, batch, number of updates and moving average; the last weights of both;
as many samples, judged on the same test rows by the unbiased MMD^2 of a study, the mean of four draws of samples.
Seeds are compared in pairs:

    d = MMD^2 of the plain loop - MMD^2 of whichloss     (above 0: whichloss is better)

Not inferior: the lower end of the two-sided 95 % t interval of mean d lies above minus one standard deviation of
MMD^2 between real rows and real rows (as the samples: equally many). Seeds begin with equal weights.

--draws own: the plain loops draw from torch, so that the pairs share rows and first weights only. --draws same: they
get the very rows and noise that whichloss draws (not for ddpm, whose plain loop draws other things), which takes the
luck of the draw out of the difference for as long as rounding errors do not grow.

    python benchmarks/quality.py [--objectives gan,wgan-gp,flow-matching] [--toys ring8,grid25,swissroll]
                                 [--seeds 8] [--share 0.5] [--updates N] [--width 64] [--draws own|same]
                                 [--out quality.json]
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from statistics import median
from typing import Any

import numpy as np
import plain
import torch
from measure import cpu, keep, parser, settle, table
from replay import same_draws, sampling, training
from scipy import stats

from whichloss.data import Encoder, read
from whichloss.objectives import find
from whichloss.study.budget import BUDGETS
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.plan import LANES, Run, settings
from whichloss.study.work import make_lanes
from whichloss.train import Lanes, Loop, flops_per_step, sampling_weights

TIMES = 4  # every model is sampled and scored so often; its score is the mean

LOOPS: dict[str, Callable[..., Iterator[plain.Trained]]] = {
    "gan": plain.gan, "wgan-gp": plain.wgan_gp, "flow-matching": plain.flow_matching, "ddpm": plain.ddpm,
}  # fmt: skip


def lanes_of(judge: SampleJudge, name: str, seeds: list[int], width: int) -> tuple[list[Encoder], Lanes]:
    """The lanes of these seeds at the objective's defaults, as a study makes them."""
    setting = settings(find(name), 1)[0]
    made = [Run(data="", objective=name, code="", setting=setting, seed=s, flops=0.0, width=width) for s in seeds]
    return make_lanes(judge, tuple(made), None)


def score(judge: SampleJudge, encoder: Encoder, x: torch.Tensor, seed: int) -> float:
    """MMD^2 on the test rows, as a study scores a run; infinite if the samples are."""
    if not torch.isfinite(x).all():
        return float("inf")
    return judge.score(encoder.decode(x.numpy()), seed, "test").value


def own(judge: SampleJudge, encoders: list[Encoder], lanes: Lanes, seeds: list[int], steps: int) -> list[float]:
    """whichloss's scores, seed by seed."""
    loop = Loop(lanes, lanes.start(), steps)
    while loop.state.step < steps:
        loop.step()
    weights, n = sampling_weights(lanes, loop.state), max(judge.size(s) for s in seeds)
    scores = []
    for k in range(TIMES):
        drawn = lanes.sample(weights, n, f"judge {k}")
        scores.append([score(judge, e, x[: judge.size(s)], s) for e, x, s in zip(encoders, drawn, seeds, strict=True)])
    return [float(np.mean(lane)) for lane in zip(*scores, strict=True)]


def hyperparameters(name: str) -> dict[str, Any]:
    """The objective's defaults that its plain loop takes."""
    objective = find(name)()
    known = inspect.signature(LOOPS[name]).parameters
    return {k: getattr(objective, k) for k in known if hasattr(objective, k)}


def by_hand(
    judge: SampleJudge, name: str, encoder: Encoder, lanes: Lanes, lane: int, seed: int, steps: int, draws: str
) -> float:
    """The plain loop's score of one seed, from the same first weights."""
    torch.manual_seed(seed)
    rows = lanes.data[lane, : int(lanes.sizes[lane])]
    width = lanes.layout[next(iter(lanes.layout))][0][1][0]
    loop = LOOPS[name](rows, width=width, batch=SampleJudge.batch, **hyperparameters(name))
    trained = next(loop)
    begin_alike(trained, lanes, lane)
    alone, n = lanes.alone(lane), judge.size(seed)
    same = draws == "same"
    with same_draws(training(name, alone)) if same else nullcontext():
        for _ in range(steps):
            next(loop)
    scores = []
    for k in range(TIMES):
        with same_draws(sampling(name, alone, n, f"judge {k}")) if same else nullcontext():
            scores.append(score(judge, encoder, trained.sample(n), seed))
    return float(np.mean(scores))


def begin_alike(trained: plain.Trained, lanes: Lanes, lane: int) -> None:
    """Give the loop's networks the first weights of the lane, where their shapes agree."""
    first = lanes.start().weights
    for role, net in trained.networks.items():
        if sum(p.numel() for p in net.parameters()) == first[role].shape[1]:
            torch.nn.utils.vector_to_parameters(first[role][lane], net.parameters())


def noise(judge: SampleJudge) -> float:
    """Standard deviation of MMD^2 of real rows against real rows at a study's n: the spread that the estimator
    states for equal laws, the mean over a few draws (smaller than the rope a study uses, so stricter)."""
    generator = np.random.default_rng(0)
    drawn = [generator.permutation(judge.rest)[: judge.size(1)] for _ in range(6)]
    return float(np.mean([judge.score(judge.table.values[rows], 1, "test").null_se for rows in drawn]))


def compared(judge: SampleJudge, toy: str, name: str, given: Any) -> dict[str, Any]:
    """One objective on one toy."""
    seeds, mine, theirs, seconds = list(range(1, given.seeds + 1)), [], [], [0.0, 0.0]
    steps = given.updates or int(
        given.share * BUDGETS["quick"].flops / flops_per_step(lanes_of(judge, name, [1], given.width)[1])
    )
    for start in range(0, len(seeds), LANES):
        group = seeds[start : start + LANES]
        encoders, lanes = lanes_of(judge, name, group, given.width)
        seconds[0] += cpu(lambda g=group, e=encoders, x=lanes: mine.extend(own(judge, e, x, g, steps)))
        for k, seed in enumerate(group):
            work = (judge, name, encoders[k], lanes, k, seed, steps, given.draws)
            seconds[1] += cpu(lambda w=work: theirs.append(by_hand(*w)))
    d = np.array(theirs) - np.array(mine)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / len(d) ** 0.5
    sd = noise(judge)
    low, high = float(d.mean() - half), float(d.mean() + half)
    verdict = "not inferior" if low > -sd else "INFERIOR" if high < -sd else "undecided"
    return {
        "toy": toy, "objective": name, "steps": steps, "scores": mine, "plain scores": theirs, "mean": float(d.mean()),
        "low": low, "high": high, "real against real": sd, "verdict": verdict, "seconds": seconds,
    }  # fmt: skip


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--objectives", default="gan,wgan-gp,flow-matching")
    options.add_argument("--toys", default="ring8,grid25,swissroll")
    options.add_argument("--seeds", type=int, default=8)
    options.add_argument("--share", type=float, default=0.5, help="of the quick budget's compute per run")
    options.add_argument("--updates", type=int, help="steps of every run, instead of --share")
    options.add_argument("--width", type=int, default=64)
    options.add_argument("--draws", choices=("own", "same"), default="own", help="of the plain loops")
    given = options.parse_args()
    settle()
    found = []
    for toy in given.toys.split(","):
        judge = SampleJudge(read(f"toy:{toy}"))
        for name in given.objectives.split(","):
            found.append(compared(judge, toy, name, given))
            print(f"  {toy}, {name}: {found[-1]['verdict']}", flush=True)
    print(f"MMD^2 x 1000 over {given.seeds} seeds; difference = plain - whichloss with its 95 % interval")
    table([
        {
            "data, objective": f"{f['toy']}, {f['objective']}", "steps": f["steps"],
            "whichloss": f"{1e3 * np.mean(f['scores']):.2f} (median {1e3 * median(f['scores']):.2f})",
            "plain": f"{1e3 * np.mean(f['plain scores']):.2f} (median {1e3 * median(f['plain scores']):.2f})",
            "difference": f"{1e3 * f['mean']:+.2f} [{1e3 * f['low']:+.2f}, {1e3 * f['high']:+.2f}]",
            "limit": f"{-1e3 * f['real against real']:.2f}", "verdict": f["verdict"],
            "CPU s": f"{f['seconds'][0]:.0f} / {f['seconds'][1]:.0f}",
        }
        for f in found
    ])  # fmt: skip
    keep(given.out, "quality", {"options": {k: str(v) for k, v in vars(given).items()}, "results": found})


if __name__ == "__main__":
    main()
