"""Does this installation compute what it claims? Every sampler and objective on normal data, where answers are known.

    check = |found - expected| <= tolerance

Samplers get the exact score, denoiser or velocity of N(m, s^2) and must give the law that their own recursion has in
closed form. Objectives train for seconds on N(0, S), S = [[1, .6], [.6, 1]]: samples must have its mean and covariance,
and the loss must reach the level that theory gives at the optimum. Tolerances of trained networks allow for their short
training; those of samplers are about five standard errors. The same on every run of one machine.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .. import samplers
from ..losses.diffusion import linear_schedule, posterior_weights
from ..nets import builder
from ..objectives import Generative, available, find
from ..objectives.autoencoder import Autoencoder
from ..objectives.ddpm import DDPM
from ..objectives.denoising_score_matching import DenoisingScoreMatching
from ..objectives.energy_discrepancy import EnergyDiscrepancy
from ..objectives.nce import NCE
from ..rng import Rng
from ..task import Batch, Task
from ..train import Lanes, flops_per_step, sampling_weights, train

ROWS, COVARIANCE, AXES = 4000, 0.6, torch.tensor([1.6, 0.4])  # AXES: the eigenvalues of S
FLOPS = 1.5e10  # of one objective's training
RNG = Rng.of(2024)["selftest"]


@dataclass(frozen=True)
class Check:
    """One known answer: what was expected, what was found, and whether they agree."""

    name: str
    expected: float
    found: float
    tolerance: float
    passed: bool
    says: str


def check(name: str, expected: float, found: Tensor | float, tolerance: float, says: str) -> Check:
    """The verdict on one number; a value that is not finite fails."""
    found = float(found)
    return Check(name, expected, found, tolerance, abs(found - expected) <= tolerance, says)


def selftest() -> tuple[Check, ...]:
    """All checks: samplers first, then every shipped objective that generates."""
    checks = [*langevin_checks(), *ancestral_checks(), *ode_checks()]
    for name in available():
        if issubclass(find(name), Generative):
            checks += objective_checks(name)
    return tuple(checks)


def langevin_checks() -> list[Check]:
    """Unadjusted: variance 1 / (lam (1 - step lam / 2)); averaged noise 1 / lam; T = noise^2 / (2 step)."""
    lam, step, x = 2.0, 0.3, RNG.normal("x", (20_000, 1))

    def run(noise: float | None = None, averaged: bool = False) -> Tensor:
        y, _ = samplers.langevin(lambda x: -lam * x, x, RNG, steps=40, step=step, noise=noise, averaged=averaged)
        return y.var()

    biased = 1 / (lam * (1 - step * lam / 2))
    sigmas = [4 * 0.7**k for k in range(16)]
    blurred, _ = samplers.annealed_langevin(
        lambda x, i: -(x - 1) / (1 + sigmas[i] ** 2), 1 + 4 * x, RNG, sigmas=sigmas, steps=4
    )
    return [
        check("langevin", biased, run(), 0.04, "variance 1 / (lam (1 - step lam / 2))"),
        check("langevin averaged", 1 / lam, run(averaged=True), 0.03, "variance 1 / lam"),
        check("langevin cold", biased / 4, run(noise=(step / 2) ** 0.5), 0.01, "variance falls with T"),
        check("annealed langevin mean", 1.0, blurred.mean(), 0.05, "mean of N(1, 1)"),
        check("annealed langevin", 1.0, blurred.var(), 0.06, "variance of N(1, 1)"),
    ]


def ancestral_checks() -> list[Check]:
    """Output variances of DDPM and DDIM on N(0, .04), 50 of 1000 linear steps: .628, 1.269, .998, .773 of the truth."""
    abar, s2 = linear_schedule(1000), 0.04
    times = [1 + round(999 * k / 49) for k in range(49, -1, -1)] + [0]

    def denoise(x: Tensor, t: int) -> tuple[Tensor, Tensor]:
        a = float(abar[t])
        width = a * s2 + 1 - a
        return a**0.5 * s2 / width * x, torch.full_like(x, s2 / width)

    known = (("small", 1.0, 0.628), ("large", 1.0, 1.269), ("learned", 1.0, 0.998), ("small", 0.0, 0.773))
    checks = []
    for variance, eta, value in known:
        x = RNG.normal("x_T", (20_000, 1))
        x, _ = samplers.ancestral(
            denoise,
            x,
            RNG,
            abar=abar,
            times=times,
            eta=eta,
            variance=variance,  # type: ignore[arg-type]
        )
        name = f"ancestral {variance}" if eta else "ddim"
        says = "output variance / s^2 of N(0, .04) in 50 steps"
        checks.append(check(name, value, x.var() / s2, 0.05 * value, says))
    c0, _, _ = posterior_weights(float(abar[500]), float(abar[400]))
    product = float(c0) * (1 - float(abar[500])) / (1 - float(abar[500] / abar[400]))
    checks.append(check("posterior", float(abar[400]) ** 0.5, product, 1e-9, "weight of x0 in q(x_s | x_t, x0)"))
    return checks


def ode_checks() -> list[Check]:
    """The flow from N(0, 1) to N(2, .09) maps z to 2 + .3 z; halving Heun's step divides its error by 4."""
    m, s, z = 2.0, 0.3, torch.linspace(-2, 2, 9)[:, None].double()

    def u(x: Tensor, t: float) -> Tensor:
        return m + (t * s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * s**2) * (x - t * m)

    def error(steps: int, method: str) -> float:
        times = [k / steps for k in range(steps + 1)]
        x, _ = samplers.ode(u, z, times=times, method=method)  # type: ignore[arg-type]
        return float((x - (m + s * z)).abs().max())

    back = [1 - k / 200 for k in range(201)]
    log = samplers.ode_log_density(u, m + s * z, times=back, log_prior=lambda x: -0.5 * (x**2).sum(1))
    exact = -0.5 * (z**2).sum(1) - math.log(s)
    return [
        check("ode order, Euler", 1.0, math.log2(error(40, "euler") / error(80, "euler")), 0.2, "order of the error"),
        check("ode order, Heun", 2.0, math.log2(error(40, "heun") / error(80, "heun")), 0.3, "order of the error"),
        check("ode log-density", 0.0, (log - exact).abs().max(), 2e-3, "largest error in nats on N(2, .09)"),
    ]


@dataclass(frozen=True)
class Trained:
    """An objective after its short training: mean losses and samples of the last half.

    Two players circle the equilibrium (gradient descent on a game), so it is the average over 16 moments of that half
    that must sit there; the others are looked at once, at the end.
    """

    lanes: Lanes
    weights: dict[str, Tensor]
    losses: dict[str, float]
    samples: Tensor  # (moments, n, d)

    def loss(self, objective: Generative, x: Tensor) -> float:
        """The first update's loss on rows x, with the sampling weights."""
        nets = self.lanes.nets({role: w[0] for role, w in self.weights.items()})
        with torch.no_grad():
            batch = Batch(x, objective.memory(Batch(x), RNG["memory"]))
            return float(objective.updates()[0].loss(nets, batch, RNG["loss"]))


def normal_rows(n: int, name: str) -> Tensor:
    """n rows of N(0, S)."""
    z = RNG.normal(name, (n, 2))
    return torch.stack([z[:, 0], COVARIANCE * z[:, 0] + (1 - COVARIANCE**2) ** 0.5 * z[:, 1]], dim=1)


def trained(objective: Generative, flops: float = FLOPS) -> Trained:
    """The objective after `flops` operations on 3 x 32 networks."""
    x = normal_rows(ROWS, "rows")
    x = (x - x.mean(dim=0)) / x.std(dim=0)
    lanes = Lanes(
        objective, Task("generate", 2, ROWS), builder(32, 3), Rng(RNG.key[None], RNG.path), x[None],
        torch.tensor([ROWS]), torch.zeros(1, 2), batch=128,
    )  # fmt: skip
    steps = int(flops / flops_per_step(lanes))
    sums: dict[str, list[float]] = {}
    samples, state, game = [], lanes.start(), len(objective.updates()) > 1
    for _, losses in train(lanes, steps, state):
        if state.step > steps // 2:
            for name, value in losses.items():
                sums.setdefault(name, []).append(float(value))
            if game and (steps - state.step) % (steps // 32) == 0:
                samples.append(lanes.sample(state.weights, ROWS // 16, str(state.step))[0])
    weights = sampling_weights(lanes, state)
    if not game:
        samples = [lanes.sample(weights, ROWS, "selftest")[0]]
    means = {name: sum(values) / len(values) for name, values in sums.items()}
    return Trained(lanes, weights, means, torch.stack(samples))


def objective_checks(name: str, objective: Generative | None = None) -> list[Check]:
    """Mean, covariance and loss level of one objective, by its name; `objective` replaces the shipped one."""
    kind = objective or find(name)(**SMOOTH.get(name, {}))
    assert isinstance(kind, Generative)
    run = trained(kind)
    mean = run.samples.mean(dim=(0, 1))
    cov = torch.stack([torch.cov(x.T) for x in run.samples]).mean(dim=0)
    near, says = 0.15, "of samples of N(0, S)"
    if name in CRITIC_LEVELS:  # two players circle the answer, one walks to it
        near = 0.4  # a collapse to a point fails all the same
    variance, covariance = _surface(kind) if isinstance(kind, Autoencoder) else (1.0, COVARIANCE)
    checks = [
        check(f"{name} mean", 0.0, mean.abs().max(), near, f"largest mean {says}"),
        check(f"{name} variance", variance, cov.diag().mean(), near, f"variance {says}"),
        check(f"{name} covariance", covariance, cov[0, 1], near, f"covariance {says}"),
    ]
    if name in CRITIC_LEVELS:
        level, tolerance, says = CRITIC_LEVELS[name](kind)
        checks.append(check(f"{name} loss", level, next(iter(run.losses.values())), tolerance, says))
    if name in LEAST_LOSSES:
        checks.append(LEAST_LOSSES[name](run))
    return checks


def _surface(objective: Autoencoder) -> tuple[float, float]:
    """Variance and covariance of exp(-E), E of the best autoencoder of N(0, S) with one code: no density of the data.

    It rebuilds r(x) = k x along the long axis, k = s^2 / (s^2 + noise^2), and 0 along the short one.
    """
    kept = torch.tensor([float(AXES[0] / (AXES[0] + objective.noise**2)), 0.0])
    long, short = (1 / (1 + (1 - kept) ** 2 / objective.noise**2)).tolist()
    return (long + short) / 2, (long - short) / 2


def _ddpm_loss(run: Trained) -> Check:
    """eps-MSE without the bound: mean over t and axes of s^2 abar / (abar s^2 + 1 - abar)."""
    objective = run.lanes.objective
    assert isinstance(objective, DDPM)
    a = torch.tensor(linear_schedule(objective.steps), dtype=torch.float64)[1:, None]
    least = float((AXES * a / (AXES * a + 1 - a)).mean())
    found = run.loss(replace(objective, variance="small"), normal_rows(20_000, "new"))
    return check("ddpm loss", least, found, 0.03 * least, "least eps error of N(0, S) (.27551 for S = I)")


def _flow_loss(run: Trained) -> Check:
    least = math.pi / 2 * float(AXES.sqrt().mean())
    found = run.loss(run.lanes.objective, normal_rows(20_000, "new"))  # type: ignore[arg-type]
    return check("flow-matching loss", least, found, 0.03 * least, "pi/2 x mean sd along the axes")


def _score_loss(run: Trained) -> Check:
    objective = run.lanes.objective
    assert isinstance(objective, DenoisingScoreMatching)
    sigma = objective.sigma(torch.linspace(0, 1, objective.levels)[:, None], 2)
    least = float((AXES / (AXES + sigma**2)).mean())
    found = run.loss(objective, normal_rows(20_000, "new"))
    says = "mean over the ladder of s^2 / (s^2 + sigma^2)"
    return check("denoising-score-matching loss", least, found, 0.03 * least, says)


def _likelihood(name: str) -> Callable[[Trained], Check]:
    """The least -log-likelihood: the entropy of N(0, S)."""
    least = math.log(2 * math.pi * math.e) + float(AXES.log().sum()) / 2
    return lambda run: check(f"{name} loss", least, _new(run), 0.03 * least, "entropy of N(0, S)")


def _matching_loss(name: str) -> Callable[[Trained], Check]:
    least = -float((1 / AXES).sum()) / 2
    return lambda run: check(f"{name} loss", least, _new(run), 0.05 * -least, "-tr(S^-1) / 2")


def _telling_loss(name: str) -> Callable[[Trained], Check]:
    """The last update's loss where the first part has left nothing to the energy."""
    least, says = 2 * math.log(2), "2 log 2: the energy cannot tell"
    return lambda run: check(f"{name} loss", least, run.losses["1:E"], 0.05, says)


def _nce_loss(run: Trained) -> Check:
    """By quadrature: E_p log(1 + nu q / p) + nu E_q log(1 + p / (nu q)), p = N(0, S) along its axes."""
    objective = run.lanes.objective
    assert isinstance(objective, NCE)
    line = torch.linspace(-8, 8, 401, dtype=torch.float64)
    at = torch.cartesian_prod(line, line)

    def density(variances: Tensor) -> Tensor:
        return torch.exp(-(at**2 / (2 * variances)).sum(dim=1)) / (2 * math.pi * variances.prod().sqrt())

    p, q = density(AXES.double()), objective.nu * density(torch.full((2,), objective.noise**2, dtype=torch.float64))
    least = float((-torch.xlogy(p, p / (p + q)) - torch.xlogy(q, q / (p + q))).sum() * 0.04**2)
    return check("nce loss", least, _new(run), 0.03 * least, "least loss of telling N(0, S) from the noise")


def _discrepancy_loss(run: Trained) -> Check:
    """By draws of its own: gaps of E = x' S^-1 x / 2 between rows and their copies, along the axes."""
    objective = run.lanes.objective
    assert isinstance(objective, EnergyDiscrepancy)
    m, n = objective.M, 100_000
    x = AXES.sqrt() * RNG.normal("axes", (n, 1, 2))
    moved = x + objective.t**0.5 * (RNG.normal("shared", (n, 1, 2)) + RNG.normal("own", (n, m, 2)))
    gaps = ((x**2 - moved**2) / (2 * AXES)).sum(dim=2)
    level = float(((objective.w + gaps.exp().sum(dim=1)) / m).log().mean())
    return check("energy-discrepancy loss", level, _new(run), 0.05, "the loss of the energy of N(0, S)")


def _rebuilding_loss(run: Trained) -> Check:
    objective = run.lanes.objective
    assert isinstance(objective, Autoencoder)
    noise = objective.noise**2
    least = float(AXES[0] * noise / (AXES[0] + noise) + AXES[1]) / 2
    return check("autoencoder loss", least, _new(run), 0.05 * least, "least error of one code on N(0, S)")


def _new(run: Trained) -> float:
    """The loss on rows that were not trained on."""
    return run.loss(run.lanes.objective, normal_rows(20_000, "new"))  # type: ignore[arg-type]


# the exact losses follow a narrow energy (gain) into single rows: N(0, S) is smooth, and so is the energy asked for
SMOOTH: dict[str, dict[str, float]] = {"score-matching": {"gain": 1.0}, "sliced-score-matching": {"gain": 1.0}}
LEAST_LOSSES: dict[str, Callable[[Trained], Check]] = {
    "ddpm": _ddpm_loss,
    "flow-matching": _flow_loss,
    "denoising-score-matching": _score_loss,
    "flow": _likelihood("flow"),
    "ml": _likelihood("ml"),
    "score-matching": _matching_loss("score-matching"),
    "sliced-score-matching": _matching_loss("sliced-score-matching"),
    "nce": _nce_loss,
    "energy-discrepancy": _discrepancy_loss,
    "flow-ebm": _telling_loss("flow-ebm"),
    "latent-ebm": _telling_loss("latent-ebm"),
    "autoencoder": _rebuilding_loss,
}


def _level(value: float, tolerance: float, says: str) -> Callable[[Generative], tuple[float, float, str]]:
    return lambda objective: (value, tolerance, says)


# the first update's loss at equality of data and model, each critic at its best (losses/adversarial.py)
CRITIC_LEVELS: dict[str, Callable[[Generative], tuple[float, float, str]]] = {
    "gan": _level(2 * math.log(2), 0.05, "2 log 2: the critic cannot tell"),
    "gan-minimax": _level(2 * math.log(2), 0.05, "2 log 2: the critic cannot tell"),
    "lsgan": _level(0.25, 0.02, "1/4: the critic says 1/2 everywhere"),
    "hinge-gan": _level(2.0, 0.1, "2 (1 - TV) = 2: the critic cannot tell"),
    "wgan": _level(0.0, 0.05, "the distance at equality"),
    "wgan-gp": _level(0.0, 0.3, "the distance at equality"),
    "r3gan": _level(math.log(2), 0.05, "log 2, with slopes of 0: the critic cannot tell"),
    "ebgan": lambda objective: (objective.margin, 0.5 * objective.margin, "the margin m"),  # type: ignore[attr-defined]
}


def failed(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Those that did not pass."""
    return tuple(c for c in checks if not c.passed)
