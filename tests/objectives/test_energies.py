"""Objectives that learn an energy: optima on normals in closed form, invariances, and the KL they reach on ring8."""

import math
from dataclasses import replace

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
from whichloss.samplers.langevin import langevin
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
@pytest.mark.parametrize("nu", [1, 4])
def test_noise_contrastive_learns_minus_log_z(dtype, nu):
    """Data and noise alike: the level of (1 + nu) classes; elsewhere the truth, its constant too, is best."""
    objective = replace(find("nce")(), nu=nu, noise=S2**0.5, gain=1.0)
    x = rows(30_000, 2)
    zero = Nets({"E": lambda x: torch.zeros(len(x), 1)})
    level = (1 + nu) * math.log(1 + nu) - nu * math.log(nu)
    assert objective.loss(zero, Batch(x), Rng.of(0)).item() == pytest.approx(level, rel=1e-5)
    objective = replace(objective, noise=2.0)
    log_z = math.log(2 * math.pi * S2)

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


@pytest.mark.parametrize("name", ENERGIES)
def test_the_level_of_the_energy_changes_nothing_but_for_nce(name):
    """E + c: no value of the losses moves, nor any gradient; noise-contrastive estimation learns the level."""
    torch.set_default_dtype(torch.float64)
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.SiLU(), torch.nn.Linear(8, 1))
    objective, x = find(name)(), rows(64, 2)
    memory = objective.memory(Batch(x), Rng.of(0))
    losses, slopes = [], []
    for c in (0.0, 3.0):
        loss = objective.loss(Nets({"E": lambda x, c=c: net(x) + c}), Batch(x, memory), Rng.of(0))
        losses.append(loss.item())
        slopes.append(
            torch.cat(
                [
                    g.reshape(-1)
                    for g in torch.autograd.grad(loss, net.parameters(), allow_unused=True, materialize_grads=True)
                ]
            )
        )
    same = torch.allclose(slopes[0], slopes[1], atol=1e-9) and losses[0] == pytest.approx(losses[1], abs=1e-9)
    assert same == (name != "nce")


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
