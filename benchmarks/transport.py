"""What do the transport losses cost, and how near are they, against POT, scipy and geomloss?

Each contestant runs in a process of its own (its peak memory is its own, and nothing is warm but what it warmed); a
round runs all of them, so that a slow minute slows all alike. CPU seconds, and the process's peak memory above
what it held just before the work, gradients included (Linux). Ratios are taken within a round: median, least and most.

    python benchmarks/transport.py [--rounds 5] [--threads 1] [--only sliced] [--out transport.json]
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import cpu, keep, parser, summary, table

Work = Callable[[], float]


def normal(n: int, d: int, seed: int, dtype: str = "float32") -> Any:
    import torch

    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=getattr(torch, dtype))


def pair(n: int, d: int, dtype: str, scale: float = 1.3, shift: float = 0.5) -> tuple[Any, Any]:
    return normal(n, d, 0, dtype).requires_grad_(), (scale * normal(n, d, 1, dtype) + shift).requires_grad_()


def with_gradient(loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], float]:
    def run(x: Any, y: Any) -> float:
        value = loss(x, y)
        value.backward()
        return float(value.detach())

    return run


def sliced(who: str, dtype: str, n: int = 50_000) -> Work:
    """50,000 x 64, 100 directions, gradients to both sets."""
    import torch

    along = torch.nn.functional.normalize(normal(100, 64, 2, dtype))
    if who == "whichloss":
        from whichloss.losses.transport import sliced_wasserstein

        run = with_gradient(lambda x, y: sliced_wasserstein(x, y, along))
    else:
        import ot

        run = with_gradient(lambda x, y: ot.sliced_wasserstein_distance(x, y, projections=along.T) ** 2)
    run(*pair(50, 64, dtype))  # imports and first calls are not in the figures
    x, y = pair(n, 64, dtype)
    return lambda: run(x, y)


def line(who: str, n: int = 1_000_000) -> Work:
    """W1 of 1,000,000 numbers and as many, without a gradient (scipy has none)."""
    from scipy.stats import wasserstein_distance

    from whichloss.losses.transport import wasserstein_1d

    run = wasserstein_1d if who == "whichloss" else wasserstein_distance
    x, y = normal(n, 1, 0, "float64")[:, 0], 2 * normal(n, 1, 1, "float64")[:, 0]
    x, y = (x, y) if who == "whichloss" else (x.numpy(), y.numpy())
    run(x[:50], y[:50])
    return lambda: float(run(x, y))


def sinkhorn(who: str, scaling: float, n: int = 2000) -> Work:
    """Blur .1, 2,000 x 2 and as many, with gradients."""
    if who == "whichloss":
        from whichloss.losses.sinkhorn import sinkhorn_divergence

        run = with_gradient(lambda x, y: sinkhorn_divergence(x, y, blur=0.1, scaling=scaling))
    else:
        from geomloss import SamplesLoss

        loss = SamplesLoss("sinkhorn", p=2, blur=0.1, scaling=scaling, backend="tensorized")
        run = with_gradient(lambda x, y: 2 * loss(x, y))
    run(*pair(50, 2, "float64"))
    x, y = pair(n, 2, "float64")
    return lambda: run(x, y)


def plans(who: str, n: int, m: int) -> Work:
    """W2^2 between n x 2 and m x 2: `whichloss alone` is without POT."""
    import numpy as np
    import ot
    from scipy.optimize import linear_sum_assignment

    from whichloss.losses import transport

    if who == "whichloss alone":
        transport.find_spec = lambda name: None  # type: ignore[attr-defined]
    x, y = normal(n, 2, 0, "float64"), normal(m, 2, 1, "float64") + 0.5

    def run(x: Any, y: Any) -> float:
        if who.startswith("whichloss"):
            return with_gradient(lambda x, y: transport.earth_movers(x, y, p=2)[0])(x, y)
        if who == "POT":
            return with_gradient(lambda x, y: ot.emd2(x.new_tensor([]), x.new_tensor([]), ot.dist(x, y)))(x, y)
        cost = ot.dist(x.detach().numpy(), y.detach().numpy())
        return float(np.mean(cost[linear_sum_assignment(cost)]))

    run(x[:20].requires_grad_(), y[:20].requires_grad_())
    return lambda: run(x.detach().requires_grad_(), y.detach().requires_grad_())


RACES: dict[str, dict[str, tuple[str, tuple[Any, ...]]]] = {
    **{
        f"sliced W2, 50,000 x 64, 100 directions, gradient, {dtype}": {
            who: ("sliced", (who, dtype)) for who in ("whichloss", "POT")
        }
        for dtype in ("float32", "float64")
    },
    "line W1, 1,000,000 numbers": {who: ("line", (who,)) for who in ("whichloss", "scipy")},
    **{
        f"sinkhorn, 2,000 x 2, blur .1, scaling {scaling}, gradient": {
            who: ("sinkhorn", (who, scaling)) for who in ("whichloss", "geomloss")
        }
        for scaling in (0.5, 0.9)
    },
    "plans W2, 1,000 x 2 and as many": {
        who: ("plans", (who, 1000, 1000)) for who in ("whichloss", "POT", "whichloss alone", "scipy")
    },
    "plans W2, 400 x 2 and 300 x 2": {
        who: ("plans", (who, 400, 300)) for who in ("whichloss", "POT", "whichloss alone")
    },
}


def held(line: str) -> int:
    """Kilobytes that this process holds (VmRSS) or has held at most (VmHWM)."""
    return int(
        next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(line)).split()[1]
    )


def contest(what: str, arguments: list[Any], threads: int) -> None:
    """In a process of its own: prints CPU seconds, megabytes and the value."""
    import torch

    torch.set_num_threads(threads)
    work, found = globals()[what](*arguments), []
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of imports and first calls
    before = held("VmRSS")
    seconds = cpu(lambda: found.append(work()))
    print(json.dumps([seconds, (held("VmHWM") - before) / 1024, found[0]]))


def measured(what: str, arguments: tuple[Any, ...], threads: int) -> list[float]:
    count = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    waiting = {"OMP_WAIT_POLICY": "PASSIVE"}  # a thread that waits by spinning would count as work
    command = [sys.executable, __file__, "--contest", json.dumps([what, arguments, threads])]
    run = subprocess.run(command, env=os.environ | count | waiting, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(run.stdout)
    return found


def converged() -> float:
    """The Sinkhorn divergence of the race, swept until no mass is misplaced."""
    from whichloss.losses import sinkhorn

    sinkhorn.CLOSE, sinkhorn.SETTLED = 0, 1e-7
    x, y = pair(2000, 2, "float64")
    return float(sinkhorn.sinkhorn_divergence(x.detach(), y.detach(), blur=0.1))


def spread(values: list[float]) -> str:
    found = summary(values)
    return f"{found['median']:.3g} ({found['min']:.3g} to {found['max']:.3g})"


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--only", default="", help="races whose name contains this")
    options.add_argument("--contest", help="(used by the benchmark itself)")
    asked = options.parse_args()
    if asked.contest:
        contest(*json.loads(asked.contest))
        return
    kept: dict[str, Any] = {}
    for race, contestants in RACES.items():
        if asked.only not in race:
            continue
        found: dict[str, list[list[float]]] = {who: [] for who in contestants}
        for k in range(asked.rounds):
            order = list(contestants)
            for who in order[k % len(order) :] + order[: k % len(order)]:
                found[who].append(measured(*contestants[who], asked.threads))
        own, rows = found["whichloss"], []
        right = converged() if race.startswith("sinkhorn") else own[0][2]
        for who, rounds in found.items():
            pairs = list(zip(rounds, own, strict=True))
            rows.append(
                {
                    "": who,
                    "CPU s": spread([one[0] for one in rounds]),
                    "times ours": spread([a[0] / b[0] for a, b in pairs]),
                    "MB": spread([one[1] for one in rounds]),
                    "times our MB": spread([a[1] / max(b[1], 1) for a, b in pairs]),
                    "off by": f"{rounds[0][2] / right - 1:+.1e}",
                }
            )
        print(f"\n{race}; {asked.threads} thread(s), {asked.rounds} rounds")
        table(rows)
        kept[race] = found
    keep(asked.out, "transport", {"threads": asked.threads, "rounds": kept})


if __name__ == "__main__":
    main()
