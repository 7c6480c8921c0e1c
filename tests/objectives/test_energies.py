"""Objectives that learn an energy: optima on normals in closed form, invariances, and the KL they reach on ring8."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.func import grad

from whichloss.data.toys import TOYS
from whichloss.losses import energy
from whichloss.nets import builder
from whichloss.objectives import find
from whichloss.objectives.base import Nets
from whichloss.rng import Rng
from whichloss.samplers import hmc, langevin, mala
from whichloss.task import Batch, Task
from whichloss.train import Lanes, Loop, sampling_weights

ENERGIES = ("cd", "ml", "score-matching", "sliced-score-matching", "nce", "energy-discrepancy")
FLAT = {"gain": 1.0, "base": math.inf}  # the network alone is the energy
S2 = 1.7
BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@pytest.fixture(autouse=True)
def default_dtype(request):
    given = getattr(request.node, "callspec", None)
    torch.set_default_dtype(given.params.get("dtype", torch.float32) if given else torch.float32)
    yield
    torch.set_default_dtype(torch.float32)


def rows(n, d, s2=S2):
    """N(0, s2 I), the second moment exact."""
    x = Rng.of(5).normal("rows", (n, d))
    return x * (s2 / (x**2).mean()) ** 0.5


def quadratic(lam):
    return Nets({"E": lambda x: lam / 2 * (x**2).sum(dim=1, keepdim=True)})


def slope_of(objective, x, memory=None, seeds=1):
    """lam -> d loss / d lam for E = lam |x|^2 / 2, the mean over some keys."""

    def loss(lam, k):
        return objective.loss(quadratic(lam), Batch(x, memory or {}), Rng.of(k))

    return lambda lam: torch.stack([grad(loss)(torch.tensor(lam), k) for k in range(seeds)]).mean().item()


@BOTH
@pytest.mark.parametrize("name", ["score-matching", "sliced-score-matching"])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_score_matching_is_least_at_the_inverse_variance_for_every_d(dtype, name, d):
    """Also its value, -d / (2 s2): random signs see the divergence of a quadratic exactly."""
    x, objective = rows(400, d), replace(find(name)(), blur=0.0, **FLAT)
    slope = slope_of(objective, x)
    assert slope(1 / S2) == pytest.approx(0, abs=1e-5 * d) and slope(0.0) < 0 < slope(1.0)
    value = objective.loss(quadratic(1 / S2), Batch(x), Rng.of(0)).item()
    assert value == pytest.approx(-d / (2 * S2), rel=1e-5)


@BOTH
@pytest.mark.parametrize("d", [1, 2, 5])
def test_denoising_over_a_ladder_is_least_at_the_blurred_score(dtype, d):
    """s = -c x / (s2 + sigma^2), sigma .1 or 1: least at c = 1, where it is the mean of s2 / (s2 + sigma^2)."""
    objective = replace(find("denoising-score-matching")(), sigma_max=d**-0.5, sigma_min=0.1, levels=2)

    def loss(c):
        s = lambda x, sigma, clock: -c * x / (S2 + sigma**2)
        return objective.errors(rows(60_000, d), Rng.of(0), s).mean()

    slope = lambda c: grad(loss)(torch.tensor(c)).item()
    assert abs(slope(1.0)) < 0.01 and slope(0.9) < -0.02 < 0.02 < slope(1.1)
    known = (S2 / (S2 + 1) + S2 / (S2 + 0.01)) / 2
    assert loss(torch.tensor(1.0)).item() == pytest.approx(known, rel=0.02)


def test_slices_have_the_mean_and_less_of_the_noise():
    """On an energy whose Hessian is not diagonal: the exact loss on average, less noise with more slices."""
    net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).double()
    torch.nn.utils.vector_to_parameters(torch.linspace(-2, 2, 41).double().sin() * 2, net.parameters())
    x, nets = rows(20, 3).double(), Nets({"E": net})
    exact = find("score-matching")().errors(nets, x)
    few, many = (
        torch.stack([replace(find("sliced-score-matching")(), slices=k).errors(nets, x, Rng.of(s)) for s in range(200)])
        for k in (1, 8)
    )
    assert ((many.mean(0) - exact).abs() < 5 * many.std(0) / 200**0.5 + 1e-9).all()
    assert (many.var(0).mean() / few.var(0).mean()).item() == pytest.approx(1 / 8, rel=0.4)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("steps", [1, 10])
def test_contrastive_divergence_with_exact_steps_settles_at_the_truth(dtype, d, steps):
    """lam* = 1 / s2 for an adjusted step, however long; .60664 for a plain one (s2 = 1.7, h = .1)."""
    x = rows(20_000, d)
    slope = slope_of(replace(find("cd")(), langevin_steps=steps, step=0.6, **FLAT), x, seeds=4)
    assert abs(slope(1 / S2)) < 0.02 * d
    assert slope(0.8 / S2) < -0.02 and slope(1.3 / S2) > 0.02

    def plain(lam):
        y, _ = langevin(lambda x: -lam * x, x, Rng.of(0), steps=steps, step=0.1)
        return ((x**2).sum(1) - (y**2).sum(1)).mean().item() / 2

    best = (1 - math.sqrt(1 - 0.2 / S2)) / 0.1
    assert best == pytest.approx(0.60664, abs=1e-5) and abs(plain(best)) < 0.02 * d


def plain_slope(lam, x, start, steps):
    """d / d lam of the contrastive divergence of E = lam |x|^2 / 2 to plain Langevin chains, h = .1."""
    y, _ = langevin(lambda x: -lam * x, start, Rng.of(0), steps=steps, step=0.1)
    loss = lambda lam: energy.contrastive_divergence(lam * (x**2).sum(1) / 2, lam * (y**2).sum(1) / 2).mean()
    return grad(loss)(torch.tensor(lam)).item()


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize(("steps", "from_noise"), [(1, 3.876), (10, 0.849), (1000, 0.607)])
def test_short_runs_from_noise_fit_a_sampler_and_from_the_data_the_same_law_however_long(dtype, d, steps, from_noise):
    """s2 = 1.7, truth .588. Plain chains from the data: lam* = .60664 for every number of steps. From N(0, 4): where
    `steps` steps end at variance 1.7."""
    n = 3000 if steps == 1000 else 20_000
    x = rows(n, d)
    moment = lambda lam: (
        4 * (1 - 0.1 * lam) ** (2 * steps) + 0.2 * sum((1 - 0.1 * lam) ** (2 * k) for k in range(steps))
    )
    assert moment(from_noise) == pytest.approx(S2, abs=2e-3)
    best = (1 - math.sqrt(1 - 0.2 / S2)) / 0.1
    assert best == pytest.approx(0.60664, abs=1e-5)
    for at, start in ((best, x), (from_noise, 2 * Rng.of(6).normal("start", (n, d)))):
        assert plain_slope(at, x, start, steps) == pytest.approx(0, abs=0.07 * d)
        assert plain_slope(0.8 * at, x, start, steps) < -0.01 * d < 0.01 * d < plain_slope(1.25 * at, x, start, steps)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kernel", [partial(mala, step=0.5, draws=3), partial(hmc, step=0.6, leaps=2, draws=2)])
def test_any_exact_kernel_settles_at_the_truth(dtype, d, kernel):
    x = rows(20_000, d)
    for lam, sign in ((1 / S2, 0), (0.8 / S2, -1), (1.3 / S2, 1)):
        y, _ = kernel(lambda x, lam=lam: lam * (x**2).sum(1) / 2, x, Rng.of(0), keep=False)
        gap = ((x**2).sum(1) - (y**2).sum(1)).mean().item() / 2
        assert sign * gap > 0.05 * d if sign else abs(gap) < 0.03 * d


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_likelihood_by_grid_and_by_proposal(dtype, d):
    x = rows(2000, d)
    centred = {"rows": x[:500]}
    for grid, points in ((d, 4096), (0, 8192)):
        objective = replace(find("ml")(), grid=grid, points=points, gain=1.0, base=1e6 if grid else 2.0)
        nets = quadratic(1 / S2 - (0.0 if grid else 0.25))  # the base is part of the energy
        y, log_q = objective.places(centred["rows"], Rng.of(0))
        e = objective.energy(nets, y)
        log_z = energy.log_partition(e, log_q).item()
        assert log_z == pytest.approx(d / 2 * math.log(2 * math.pi * S2), abs=0.002 if grid else 0.06)
        shift = 0.0 if grid else 0.25
        slope = slope_of(objective, x, centred, seeds=4)
        assert slope(1 / S2 - shift) == pytest.approx(0, abs=0.08 * d)
        assert slope(0.7 / S2 - shift) < 0 < slope(1.4 / S2 - shift)
        # grad log Z = -E_p[grad E]; E_p[E] = d / 2, Var_p(E) = d / 2
        w = torch.softmax(-e - log_q, 0)
        mean = (w * e).sum()
        assert mean.item() == pytest.approx(d / 2, abs=0.06 * d)
        assert (w * (e - mean) ** 2).sum().item() == pytest.approx(d / 2, abs=0.15 * d)


@pytest.mark.parametrize("d", [1, 3])
def test_the_proposal_is_a_density(d):
    """log q against the mixture written out, and its mass where a grid can tell."""
    objective = replace(find("ml")(), centres=4, points=64, grid=0)
    kept = rows(4, d, 1.0)
    y, log_q = objective.places(kept, Rng.of(0))
    chosen = kept[Rng.of(0).integers("centres", (4,), 4)]
    normal = torch.distributions.MultivariateNormal
    near = torch.stack([normal(c, objective.bandwidth**2 * torch.eye(d)).log_prob(y) for c in chosen]).logsumexp(0)
    far = normal(torch.zeros(d), objective.base**2 * torch.eye(d)).log_prob(y)
    exact = torch.logaddexp(near + math.log((1 - objective.broad) / 4), far + math.log(objective.broad))
    torch.testing.assert_close(log_q, exact, rtol=1e-4, atol=2e-3)
    assert y.shape == (64, d)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("nu", [1, 4])
def test_noise_contrastive_learns_minus_log_z(dtype, d, nu):
    """Data and noise alike: the level of (1 + nu) classes; elsewhere the truth, its constant too, is best."""
    objective = replace(find("nce")(), nu=nu, noise=S2**0.5, gain=1.0)
    x = rows(60_000 // d, d)
    zero = Nets({"E": lambda x: torch.zeros(len(x), 1)})
    level = (1 + nu) * math.log(1 + nu) - nu * math.log(nu)
    assert objective.loss(zero, Batch(x), Rng.of(0)).item() == pytest.approx(level, rel=1e-5)
    objective = replace(objective, noise=2.0)
    log_z = d / 2 * math.log(2 * math.pi * S2)

    def loss(at):
        f = lambda x: objective.noise_energy(x)[:, None] - at[0] / 2 * (x**2).sum(1, keepdim=True) - at[1]
        return objective.loss(Nets({"E": f}), Batch(x), Rng.of(0))

    truth = torch.tensor([1 / S2, log_z])
    assert grad(loss)(truth).abs().max() < 0.02
    for k, by in ((0, 0.1), (1, 0.2)):
        for sign in (-1, 1):
            moved = truth.clone()
            moved[k] += sign * by
            assert sign * grad(loss)(moved)[k] > 0.005
    exact = Nets({"E": lambda x: objective.noise_energy(x)[:, None] - (x**2).sum(1, keepdim=True) / 2 / S2 - log_z})
    watched = objective.watch(exact, Batch(x), Rng.of(0))
    assert watched["log Z"].item() == pytest.approx(0, abs=0.06)  # E is -log p, its constant learned


@BOTH
@pytest.mark.parametrize("t", [0.1, 1.0])
@pytest.mark.parametrize("d", [1, 2])
def test_energy_discrepancy_is_least_at_the_truth_and_t_is_a_variance(dtype, t, d):
    objective = replace(find("energy-discrepancy")(), t=t, M=128, w=1e-3, **FLAT)
    slope = slope_of(objective, rows(8000, d), seeds=2)
    assert abs(slope(1 / S2)) < 0.06 * d * t / (1 + t)
    assert slope(0.6 / S2) < 0 < slope(1.6 / S2)
    linear = Nets({"E": lambda x: x.sum(1, keepdim=True)})
    e, noised = objective.energies(linear, torch.zeros(4000, d), Rng.of(0))
    gaps = noised - e[:, None]
    assert gaps.var().item() == pytest.approx(2 * t * d, rel=0.1)  # both noises
    assert gaps.var(dim=1).mean().item() == pytest.approx(t * d, rel=0.1)  # n_j alone


def level_moves(objective, x, c=3.0, memory=None):
    """Do the loss's value, and its gradient, change where c is added to the network?"""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 8), torch.nn.SiLU(), torch.nn.Linear(8, 1))
    batch = Batch(x, objective.memory(Batch(x), Rng.of(0)) if memory is None else memory)
    weights = list(net.parameters())[:3]  # of the last one, a level itself, CD's gradient is 0 but for rounding
    found = []
    for level in (0.0, c):
        loss = objective.loss(Nets({"E": lambda x, c=level: net(x) + c}), batch, Rng.of(0))
        slopes = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        found.append((loss.detach(), torch.cat([g.reshape(-1) for g in slopes])))
    close = 1e-9 if x.dtype == torch.float64 else 1e-4
    return tuple(not torch.allclose(one, two, rtol=close, atol=close) for one, two in zip(*found, strict=True))


@BOTH
@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize("name", ENERGIES)
def test_the_level_of_the_energy_changes_nothing_but_for_nce(dtype, d, name):
    """E + c: no value of the losses moves, nor any gradient; noise-contrastive estimation learns the level."""
    assert level_moves(find(name)(), rows(64, d)) == (name == "nce", name == "nce")


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_a_penalty_alone_makes_the_level_count(dtype, d):
    x = rows(64, d)
    for name in ("cd", "pcd"):
        for penalty, moves in ((0.0, False), (0.1, True)):
            objective = replace(find(name)(), penalty=penalty)
            memory = {"chains": rows(32, d, 2.0)} if name == "pcd" else None
            assert level_moves(objective, x, memory=memory) == (moves, moves)


STRETCHED = {  # fields that are lengths, and steps or variances, squares of lengths
    "cd": (("base",), ("step",)), "ml": (("base", "bandwidth", "edge"), ()), "nce": (("noise",), ()),
    "energy-discrepancy": (("base",), ("t",)), "score-matching": (("base", "blur"), ()),
    "sliced-score-matching": (("base", "blur"), ()),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("a", [0.5, 3.0])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("name", ENERGIES)
def test_rows_a_times_as_long_have_an_optimum_smaller_by_a_squared(dtype, name, d, a):
    """E of lam / a^2 at a x is E of lam at x, and so are chains, copies, proposals with all lengths a times as long:
    the slope in lam is a^2 times that at x, and once that for the score's losses, whose value is 1 / a^2 as large."""
    x, objective = rows(200, d), replace(find(name)(), gain=1.0)
    lengths, squares = STRETCHED[name]
    longer = {k: getattr(objective, k) * a for k in lengths} | {k: getattr(objective, k) * a**2 for k in squares}

    def slope(objective, x, lam):
        def loss(lam):
            f = lambda x: lam / 2 * (x**2).sum(1, keepdim=True)
            log_z = d / 2 * (2 * math.pi / lam).log()
            of_ratio = lambda x: objective.noise_energy(x)[:, None] - f(x) - log_z
            nets = Nets({"E": of_ratio if name == "nce" else f})
            return objective.loss(nets, Batch(x, {"rows": x[:100]}), Rng.of(0))

        return grad(loss)(torch.tensor(lam)).item()

    scale = 1 if "score" in name else a**2
    close = 1e-9 if dtype == torch.float64 else 2e-3
    for lam in (0.3, 1.2):
        found = slope(replace(objective, **longer), a * x, lam / a**2)
        assert found == pytest.approx(scale * slope(objective, x, lam), rel=close, abs=close * scale)


@pytest.mark.parametrize("name", ENERGIES)
def test_scores_rise_without_end_and_faster_than_any_network(name):
    """exp(-E) has a finite integral whatever the weights: far out E grows as the square of the length."""
    objective, far = find(name)(), 1e4 * torch.eye(2)
    steep = Nets({"E": lambda x: 50 * x.sum(dim=1, keepdim=True) * (-1) ** (name != "nce")})  # as steep as a network's
    e = objective.score(steep, torch.cat([far, 2 * far]))
    assert (e[:2] > 0).all() and (e[2:] > 3 * e[:2]).all()


def test_exact_score_matching_refuses_many_columns():
    assert find("score-matching")().unfit(Task("generate", 20, 100)) is None
    assert "sliced-score-matching" in find("score-matching")().unfit(Task("generate", 21, 100))
    assert find("sliced-score-matching")().unfit(Task("generate", 500, 100)) is None


def ring(n):
    x = TOYS["ring8"].sample(n, seed=100)
    return x.mean(0), x.std(0), torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)


def kl_to_ring(score, mean, sd):
    """KL(p | exp(-E) / Z) by a grid over [-4, 4]^2, and log Z."""
    axis = torch.linspace(-4, 4, 200)
    x, cell = torch.cartesian_prod(axis, axis), (8 / 199) ** 2
    log_p = torch.tensor(TOYS["ring8"].log_density(x.numpy() * sd + mean) + np.log(sd).sum())
    e = score(x).double()
    log_z = torch.logsumexp(-e, 0).item() + math.log(cell)
    return (log_p.exp() * (log_p + e + log_z)).sum().item() * cell, log_z


REACHED = {  # name -> (steps, KL in nats); one normal has 1.03, a ring without modes .65
    "cd": (250, 0.3), "ml": (250, 0.5), "nce": (350, 0.3), "energy-discrepancy": (250, 0.35),
    "score-matching": (250, 0.4), "sliced-score-matching": (300, 0.4),
}  # fmt: skip


@pytest.mark.parametrize("name", ENERGIES)
def test_it_learns_ring8_to_a_stated_divergence(name):
    mean, sd, x = ring(4000)
    steps, most = REACHED[name]
    rng, objective = Rng(Rng.of(100).key[None]), find(name)()
    lanes = Lanes(
        objective, Task("generate", 2, len(x)), builder(64, 3), rng, x[None], torch.tensor([len(x)]), torch.zeros(1, 2)
    )
    loop = Loop(lanes, lanes.start(), steps)
    while loop.state.step < steps:
        loop.step()
    weights = sampling_weights(lanes, loop.state)
    nets = lanes.nets({role: w[0] for role, w in weights.items()})
    with torch.no_grad():
        kl, log_z = kl_to_ring(lambda x: objective.score(nets, x), mean, sd)
    assert -0.01 < kl < most
    drawn = torch.linalg.norm(
        lanes.sample(weights, 1000, "test")[0] * torch.tensor(sd).float() + torch.tensor(mean).float(), dim=1
    )
    assert abs(drawn.mean() - 2) < 0.15
    if name == "nce":
        assert abs(log_z) < 0.4  # E is nearly -log p itself
