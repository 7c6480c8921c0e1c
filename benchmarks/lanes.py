"""CPU seconds of a WGAN-GP step per seed: whichloss's lanes against a plain PyTorch loop of one seed.

MLPs of 3 x 64 and 3 x 128 units, batch 256, drawing and averaging included, rounds interleaved in one process.
First checks that both do the same work: from equal first weights and draws they reach equal weights, with equal numbers
of parameters, updates and counted operations. Tracing, once a group, is timed apart.

    python benchmarks/lanes.py [--rounds 7] [--out lanes.json]
"""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch
from measure import cpu, interleaved, keep, parser, settle, summary, table
from plain import Trained, wgan_gp
from replay import same_draws, training
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from whichloss.data import read
from whichloss.objectives import find
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.plan import Run, settings
from whichloss.study.work import make_lanes
from whichloss.train import Loop, count, flops_per_step

LANES, WIDTHS, TARGETS, ONE_LANE = 10, (64, 128), {64: 1.4, 128: 1.1}, 1.6
STEPS = 40  # of the plain loop in a round; a group of lanes takes fewer, to last about as long
WARM = 10
CHECKED, SAME = 2, 1e-6  # weights may differ by SAME after CHECKED steps; Adam soon makes rounding errors grow


def loop(judge: SampleJudge, lanes: int, width: int) -> Loop:
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
        average=decay, width=width, batch=SampleJudge.batch, fused=fused,
    )  # fmt: skip


def check(judge: SampleJudge, width: int) -> dict[str, float]:
    """CHECKED steps of both from equal weights on equal draws: weights, parameters, updates, operations."""
    own = loop(judge, 1, width)
    theirs = plain(own.lanes.data[0], width, average=True, fused=False)
    trained, found = next(theirs), {"tracing, s": cpu(own.step)}
    own = Loop(own.lanes, own.lanes.start(), own.steps)
    for role, net in trained.networks.items():
        vector_to_parameters(own.state.weights[role][0].clone(), net.parameters())
    with same_draws(training("wgan-gp", own.lanes)):
        for _ in range(CHECKED):
            own.step()
            next(theirs)
    for update, role in (("0:D", "D"), ("1:G", "G")):
        ours, hand = own.state.weights[role][0], parameters_to_vector(trained.networks[role].parameters())
        assert ours.shape == hand.shape, role
        found |= {
            f"parameters {role}": len(ours),
            f"weights {role} differ by": float((ours - hand).detach().abs().max()),
        }
        updates = int(own.state.slots[update]["t"])
        assert {updates} == {int(slots["step"]) for slots in trained.optimisers[role].state.values()}, role
        found[f"updates {role} per step"] = updates / CHECKED
        assert found[f"weights {role} differ by"] < SAME, found
    found["operations per step"] = flops_per_step(own.lanes)
    found["operations per step, plain"] = count(lambda: next(theirs))
    return found


def times(step: Callable[[], object], number: int) -> Callable[[], None]:
    def work() -> None:
        for _ in range(number):
            step()

    return work


def measured(judge: SampleJudge, width: int, rounds: int) -> dict[str, Any]:
    """Seconds per seed-step of every way, their ratios, and the check."""
    torch.manual_seed(0)
    own = {n: loop(judge, n, width) for n in (1, 4, LANES)}
    x = own[1].lanes.data[0]
    hand = {
        "plain": plain(x, width, average=True, fused=False),
        "plain, fused Adam, no average": plain(x, width, average=False, fused=True),
    }
    same = check(judge, width)
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


def verdict(entry: dict[str, Any]) -> str:
    """The targets, and what the check found."""
    ratios, same, target = entry["plain / this"], entry["check"], TARGETS[entry["width"]]
    ten, one = ratios[f"{LANES} lanes"]["median"], ratios["1 lane"]["median"]
    apart = max(same[f"weights {role} differ by"] for role in "GD")
    return (
        f"3 x {entry['width']}: {LANES} lanes {ten:.2f} x (target {target}: {_met(ten >= target)}), one lane takes "
        f"{1 / one:.2f} of plain (target {ONE_LANE}: {_met(one >= 1 / ONE_LANE)}); {same['operations per step']:.4g} "
        f"operations against {same['operations per step, plain']:.4g}, weights within {apart:.1g} after {CHECKED} "
        f"steps of equal draws, tracing {same['tracing, s']:.1f} s once a group"
    )


def main() -> None:
    settings_ = parser(__doc__ or "")
    settings_.add_argument("--rounds", type=int, default=7)
    given = settings_.parse_args()
    settle()
    judge = SampleJudge(read("toy:ring8"))
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
        verdicts.append(verdict(entry))
    print("CPU per seed-step; 'x plain' = how many times quicker than the plain loop, round by round")
    table(rows)
    print("\n".join(verdicts))
    keep(given.out, "lanes", {"rounds": given.rounds, "results": found, "verdicts": verdicts})


def _met(yes: bool) -> str:
    return "met" if yes else "MISSED"


if __name__ == "__main__":
    main()
