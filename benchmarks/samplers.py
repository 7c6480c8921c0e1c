"""What a step of a chain costs: whichloss against torchebm and, where they can be imported, JAX's blackjax.

Prints CPU time and ratios, all from one run, in interleaved rounds: unadjusted Langevin and Hamiltonian Monte Carlo (10
leaps, fixed) on normals in 2 and 100 dimensions with 100 and 10,000 chains, and on a network 2-128-128-1; then
what an effective draw costs with a warm-up, where the others have fixed settings.

    pip install --target PEERS torchebm --no-deps; pip install --target JAX jax blackjax   (development only)
    python benchmarks/samplers.py --peers PEERS [--jax JAX] [--rounds 5] [--out samplers.json]
"""

import sys
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from measure import interleaved, keep, parser, settle, table
from torch import Tensor, nn

from whichloss.rng import Rng
from whichloss.samplers import ess, hmc, langevin, mala, nuts, traced_gradient

CASES = ((2, 100), (2, 10_000), (100, 100), (100, 10_000), ("network", 100), ("network", 10_000))
LEAPS, STEP = 10, 0.05
WORK = 3e7  # numbers that one round of a work moves, about
TARGETS = {"langevin": 1.25, "hmc": 1.9}


def precision(d: int) -> Tensor:
    return torch.linspace(1, 10, d) ** 2


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 1))
    return nn.Sequential(layers, nn.Flatten(0))


def energy(case: int | str) -> tuple[nn.Module, int]:
    """The same module for everyone: E(x) (B,), and its dimension."""
    if case == "network":
        return network(), 2

    class Normal(nn.Module):
        lam = precision(int(case))

        def forward(self, x: Tensor) -> Tensor:
            return 0.5 * (x * x * self.lam).sum(dim=1)

    return Normal(), int(case)


def score(e: nn.Module) -> Callable[[Tensor], Tensor]:
    """-grad E by autograd, weights frozen, as `langevin` takes it."""
    ones: dict[int, Tensor] = {}

    def at(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        minus = ones.setdefault(len(x), -torch.ones(len(x)))
        return torch.autograd.grad(e(x), x, minus)[0]

    return at


def ours(case: int | str, chains: int, count: int) -> dict[str, Callable[[], object]]:
    e, d = energy(case)
    x, frozen = torch.randn(chains, d) / 3, energy(case)[0].requires_grad_(False)
    s, step = score(frozen), STEP**2 / 2
    return {
        "langevin": lambda: langevin(s, x, Rng.of(0), steps=LEAPS * count, step=step),
        "hmc": lambda: hmc(e, x, Rng.of(0), draws=count, step=STEP, leaps=LEAPS, jitter=0.0, keep=False),
    }


def traced(case: int | str, chains: int, count: int) -> dict[str, Callable[[], object]]:
    """Ours, with the gradient recorded and replayed."""
    e, d = energy(case)
    x = torch.randn(chains, d) / 3
    slope, step = traced_gradient(e, x), STEP**2 / 2
    return {
        "langevin": lambda: langevin(lambda x: -slope(x), x, Rng.of(0), steps=LEAPS * count, step=step),
        "hmc": lambda: hmc(e, x, Rng.of(0), draws=count, step=STEP, leaps=LEAPS, jitter=0.0, keep=False, grad=slope),
    }


def torchebm(case: int | str, chains: int, count: int) -> dict[str, Callable[[], object]]:
    from torchebm.core import BaseModel
    from torchebm.samplers import HamiltonianMonteCarlo, LangevinDynamics

    e, d = energy(case)
    x = torch.randn(chains, d) / 3

    class Model(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.e = e

        def forward(self, x: Tensor) -> Tensor:
            return self.e(x)

    model = Model()
    walk = LangevinDynamics(model, step_size=STEP**2 / 2)
    jump = HamiltonianMonteCarlo(model, step_size=STEP, n_leapfrog_steps=LEAPS)
    return {
        "langevin": lambda: walk.sample(x=x.clone(), n_steps=LEAPS * count),
        "hmc": lambda: jump.sample(x=x.clone(), n_steps=count),
    }


def blackjax(case: int | str, chains: int, count: int) -> dict[str, Callable[[], object]]:
    """Compiled once, outside the timing; the loop over draws is compiled, too."""
    import blackjax as bj
    import jax
    import jax.numpy as jnp

    e, d = energy(case)
    if case == "network":
        weights = [(jnp.array(m.weight.detach().numpy()), jnp.array(m.bias.detach().numpy())) for m in e[0][::2]]

        def log_density(x: Any) -> Any:
            for w, b in weights[:-1]:
                x = jax.nn.silu(w @ x + b)
            return -(weights[-1][0] @ x + weights[-1][1])[0]
    else:
        lam = jnp.array(precision(d).numpy())
        log_density = lambda x: -0.5 * (x * x * lam).sum()
    x = jnp.array((torch.randn(chains, d) / 3).numpy())
    gradient, h = jax.vmap(jax.grad(log_density)), STEP**2 / 2
    kernel = bj.hmc(log_density, STEP, jnp.ones(d), LEAPS)

    @jax.jit
    def walk(x: Any, key: Any) -> Any:
        def one(x: Any, key: Any) -> tuple[Any, None]:
            return x + h * gradient(x) + (2 * h) ** 0.5 * jax.random.normal(key, x.shape), None

        return jax.lax.scan(one, x, jax.random.split(key, LEAPS * count))[0]

    @jax.jit
    def jump(x: Any, key: Any) -> Any:
        def one(state: Any, key: Any) -> tuple[Any, None]:
            return jax.vmap(kernel.step)(jax.random.split(key, chains), state)[0], None

        return jax.lax.scan(one, jax.vmap(kernel.init)(x), jax.random.split(key, count))[0].position

    key = jax.random.PRNGKey(0)
    return {
        "langevin": lambda: walk(x, key).block_until_ready(),
        "hmc": lambda: jump(x, key).block_until_ready(),
    }


def steps(rounds: int, peers: dict[str, Any]) -> list[dict[str, Any]]:
    """CPU microseconds of a Langevin step and of a leap, and how many times longer the others take."""
    rows = []
    for case, chains in CASES:
        size = chains * (2_000 if case == "network" else 40 + int(case)) + 60_000
        count = max(1, round(WORK / size / LEAPS))
        makers = {"ours": ours, **peers}
        works = {name: make(case, chains, count) for name, make in makers.items()}
        for sampler in ("langevin", "hmc"):
            mine = {name: work[sampler] for name, work in works.items()}
            for work in mine.values():
                work()
            seconds = interleaved(mine, rounds)
            row = {"sampler": sampler, "energy": str(case) if case == "network" else f"normal, d = {case}"}
            row |= {"chains": chains, "us a gradient": 1e6 * median(seconds["ours"]) / count / LEAPS}
            for name in peers:
                each = [a / b for a, b in zip(seconds[name], seconds["ours"], strict=True)]
                row[f"{name} / ours"] = median(each)
            rows.append(row)
    return rows


def worth(rounds: int, peers: dict[str, Any]) -> list[dict[str, Any]]:
    """CPU milliseconds per effective draw (bulk, worst coordinate) of 4 normals with sd 1 .. 1/10, 100 chains."""
    d, chains = 4, 100
    sd = torch.logspace(0, -1, d)
    e = lambda x: 0.5 * ((x / sd) ** 2).sum(dim=1)
    x = sd * torch.randn(chains, d, generator=torch.Generator().manual_seed(0))
    works: dict[str, Callable[[], Tensor]] = {
        "mala, warmed up": lambda: mala(e, x, Rng.of(0), draws=400, warmup=150)[1]["draws"],
        "hmc, warmed up": lambda: hmc(e, x, Rng.of(0), draws=200, leaps=3, warmup=150)[1]["draws"],
        "nuts, warmed up": lambda: nuts(e, x, Rng.of(0), draws=100, warmup=150)[1]["draws"],
        "hmc, fixed": lambda: hmc(e, x, Rng.of(0), draws=200, step=0.1, leaps=LEAPS)[1]["draws"],
    }
    if "torchebm" in peers:
        from torchebm.core import BaseModel
        from torchebm.samplers import HamiltonianMonteCarlo

        class Model(BaseModel):
            def forward(self, x: Tensor) -> Tensor:
                return e(x)

        jump = HamiltonianMonteCarlo(Model(), step_size=0.1, n_leapfrog_steps=LEAPS)
        works["torchebm hmc, fixed"] = lambda: jump.sample(x=x.clone(), n_steps=200, return_trajectory=True).transpose(
            0, 1
        )
    draws = {name: work() for name, work in works.items()}
    seconds = interleaved(works, rounds)
    rows = []
    for name, found in draws.items():
        least = float(ess(found).min())
        each = 1e3 * median(seconds[name]) / least
        rows.append({"per effective draw": name, "draws": len(found) * chains, "ESS bulk": least, "ms": each})
    return rows


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--peers", help="folder with torchebm")
    options.add_argument("--jax", help="folder with jax and blackjax")
    given = options.parse_args()
    settle()
    sys.path[:0] = [folder for folder in (given.peers,) if folder]
    sys.path += [folder for folder in (given.jax,) if folder]  # behind the numpy that is in use
    peers: dict[str, Any] = {"traced": traced}
    for name, make in (("torchebm", torchebm), ("blackjax", blackjax)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                __import__(name)
            peers[name] = make
        except ImportError as error:
            print(f"without {name}: {error}")
    found = steps(given.rounds, peers)
    print("CPU time of one Langevin step or leap (a gradient each), medians; above 1: ours is faster")
    table(found)
    effective = worth(given.rounds, peers)
    table(effective)
    verdict = {}
    for sampler, least in TARGETS.items() if "torchebm" in peers else ():
        mine = [row for row in found if row["sampler"] == sampler]
        plain = [row["torchebm / ours"] for row in mine]
        replayed = [row["torchebm / ours"] / row["traced / ours"] for row in mine]
        says = (f"{min(each):.2f} to {max(each):.2f} x" for each in (plain, replayed))
        verdict[sampler] = f"{next(says)} faster than torchebm, traced {next(says)} (wanted {least})"
        print(f"{sampler}: {verdict[sampler]}")
    keep(given.out, "samplers", {"steps": found, "effective": effective, "verdict": verdict})


if __name__ == "__main__":
    main()
