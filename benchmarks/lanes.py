"""CPU seconds of a WGAN-GP step per seed: whichloss's lanes against a plain PyTorch loop of one seed.

MLPs of 3 x 64 and 3 x 128 units, batch 256, drawing and averaging included, rounds interleaved in one process.
First checks that both do the same work: equal parameters, equal numbers of updates, equal counted operations.

    python benchmarks/lanes.py [--rounds 7] [--out lanes.json]
"""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch
from measure import interleaved, keep, parser, settle, summary, table
from plain import Trained, wgan_gp

from whichloss.data import read
from whichloss.objectives import find
from whichloss.study.judge import Judge
from whichloss.study.plan import Run, settings
from whichloss.study.work import BATCH, make_lanes
from whichloss.train import Loop, count, flops_per_step

LANES, WIDTHS, TARGETS, ONE_LANE = 10, (64, 128), {64: 1.4, 128: 1.1}, 1.6
STEPS = 40  # of the plain loop in a round; a group of lanes takes fewer, to last about as long
WARM = 10


def loop(judge: Judge, lanes: int, width: int) -> Loop:
    """whichloss's training of this many seeds, as a study sets it up."""
    kind = find("wgan-gp")
    setting = settings(kind, 1)[0]
    runs = tuple(
        Run(data="", objective="wgan-gp", code="", setting=setting, seed=s, flops=0.0, width=width)
        for s in range(1, lanes + 1)
    )
    made = make_lanes(judge, runs, None)[1]
    return Loop(made, made.start(), steps=1 << 30)


def plain(x: torch.Tensor, width: int, *, average: bool, fused: bool) -> Iterator[Trained]:
    """The hand-written loop with the objective's defaults."""
    o: Any = find("wgan-gp")()
    decay = o.average if average else 0.0
    return wgan_gp(
        x, lr=o.lr, penalty=o.penalty, latent=o.latent, n_critic=o.n_critic,
        average=decay, width=width, batch=BATCH, fused=fused,
    )  # fmt: skip


def check(own: Loop, theirs: Iterator[Trained]) -> dict[str, float]:
    """Both after WARM steps: parameters, updates and operations must agree."""
    trained = next(theirs)
    for _ in range(WARM):
        own.step()
        next(theirs)
    found: dict[str, float] = {}
    for update, role in (("0:D", "D"), ("1:G", "G")):
        size = sum(shape.numel() for _, shape in own.lanes.layout[role])
        steps = int(own.state.slots[f"{update[0]}:{role}"]["t"])
        state = trained.optimisers[role].state.values()
        assert size == sum(p.numel() for p in trained.networks[role].parameters()), role
        assert {steps} == {int(slots["step"]) for slots in state}, role
        found |= {f"parameters {role}": size, f"updates {role} per step": steps / own.state.step}
    found["operations per step"] = flops_per_step(own.lanes)
    found["operations per step, plain"] = count(lambda: next(theirs))
    return found


def times(step: Callable[[], object], number: int) -> Callable[[], None]:
    def work() -> None:
        for _ in range(number):
            step()

    return work


def measured(judge: Judge, width: int, rounds: int) -> dict[str, Any]:
    """Seconds per seed-step of every way, their ratios, and the check."""
    torch.manual_seed(0)
    own = {n: loop(judge, n, width) for n in (1, 4, LANES)}
    x = own[1].lanes.data[0]
    hand = {
        "plain": plain(x, width, average=True, fused=False),
        "plain, fused Adam, no average": plain(x, width, average=False, fused=True),
    }
    same = check(own[1], hand["plain"])
    for work in (*(o.step for o in own.values()), *(lambda h=h: next(h) for h in hand.values())):
        times(work, WARM)()
    works = {name: times(lambda h=h: next(h), STEPS) for name, h in hand.items()}
    steps = dict.fromkeys(works, STEPS)
    for n, o in own.items():
        name = f"{n} lane{'s' * (n > 1)}"
        works[name], steps[name] = times(o.step, max(5, STEPS // n)), max(5, STEPS // n) * n
    raw = interleaved(works, rounds)
    seconds = {name: [s / steps[name] for s in raw[name]] for name in works}
    ratios = {name: summary([a / b for a, b in zip(seconds["plain"], seconds[name], strict=True)]) for name in seconds}
    return {"width": width, "check": same, "seconds per seed-step": seconds, "plain / this": ratios}


def main() -> None:
    settings_ = parser(__doc__ or "")
    settings_.add_argument("--rounds", type=int, default=7)
    given = settings_.parse_args()
    settle()
    judge = Judge(read("toy:ring8"))
    found = [measured(judge, width, given.rounds) for width in WIDTHS]
    rows, verdicts = [], []
    for entry in found:
        for name, seconds in entry["seconds per seed-step"].items():
            ratio = entry["plain / this"][name]
            rows.append({
                "way": f"3 x {entry['width']}, {name}", "ms, least": 1e3 * min(seconds),
                "ms, median": 1e3 * median(seconds), "x plain, least": ratio["min"],
                "x plain, median": ratio["median"], "x plain, most": ratio["max"],
            })  # fmt: skip
        ten, one = entry["plain / this"][f"{LANES} lanes"]["median"], entry["plain / this"]["1 lane"]["median"]
        target = TARGETS[entry["width"]]
        verdicts.append(f"3 x {entry['width']}: {LANES} lanes {ten:.2f} x (target {target}: {_met(ten >= target)}), "
                        f"one lane takes {1 / one:.2f} of plain (target {ONE_LANE}: {_met(one >= 1 / ONE_LANE)}); "
                        f"operations {entry['check']['operations per step']:.4g} "
                        f"against {entry['check']['operations per step, plain']:.4g} plain")  # fmt: skip
    print("CPU per seed-step; 'x plain' = how many times quicker than the plain loop, round by round")
    table(rows)
    print("\n".join(verdicts))
    keep(given.out, "lanes", {"rounds": given.rounds, "results": found, "verdicts": verdicts})


def _met(yes: bool) -> str:
    return "met" if yes else "MISSED"


if __name__ == "__main__":
    main()
