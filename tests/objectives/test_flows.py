"""Flows, tilts of flows, latent energies and autoencoders: what each learns, against laws in closed form."""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch

from whichloss.data.toys import TOYS
from whichloss.metrics import mmd
from whichloss.nets import builder
from whichloss.objectives import Nets, find
from whichloss.objectives.autoencoder import Autoencoder
from whichloss.objectives.flow import Flow
from whichloss.objectives.flow_ebm import FlowEBM
from whichloss.objectives.latent_ebm import LatentEBM
from whichloss.rng import Rng
from whichloss.task import Batch, Task
from whichloss.train import Lanes, Loop, sampling_weights

MIDDLE, SPREAD = TOYS["ring8"].sample(8000, 100).mean(0), TOYS["ring8"].sample(8000, 100).std(0)


def rows_of(toy, seed):
    """Rows of a toy in units of the ring."""
    return torch.as_tensor((TOYS[toy].sample(8000, seed) - MIDDLE) / SPREAD).float()


@cache
def fitted(name, steps, data, **fields):
    """An objective trained alone for some steps: (objective, its networks, rows)."""
    x = {
        "ring8": lambda: rows_of("ring8", 101),
        "normal": lambda: 0.5 * Rng.of(101).normal("x", (8000, 1)) + 0.3,
    }[data]()
    objective = replace(find(name)(), **fields)
    task, one = Task("generate", x.shape[1], len(x)), torch.full((1,), len(x))
    lanes = Lanes(
        objective, task, builder(48, 2), Rng(Rng.of(101, 0).key[:-1]), x[None], one, torch.zeros(1, x.shape[1])
    )
    loop = Loop(lanes, lanes.start(), steps)
    while loop.state.step < steps:
        loop.step()
    weights = sampling_weights(lanes, loop.state)
    return objective, lanes.nets({role: w[0] for role, w in weights.items()}), x


@cache
def on_ring(name):
    return fitted(name, {"flow": 300, "flow-ebm": 450, "latent-ebm": 1000, "autoencoder": 500}[name], "ring8")


def grid(dim, far=4.0, points=400):
    axis = torch.linspace(-far, far, points)
    return torch.cartesian_prod(*[axis] * dim).reshape(-1, dim), dim * math.log(2 * far / (points - 1))


def log_density(x):
    """The ring's, in the units of the rows."""
    return torch.as_tensor(TOYS["ring8"].log_density(x.numpy() * SPREAD + MIDDLE)).float() + math.log(SPREAD.prod())


def kl(name):
    """KL(data || model) on new rows, the model's Z by a grid."""
    objective, nets, _ = on_ring(name)
    sign = 1 if objective.scores == "log density" else -1
    with torch.no_grad():
        cells, volume = grid(2)
        log_z = torch.logsumexp(sign * objective.score(nets, cells), 0) + volume
        x = rows_of("ring8", 900)
        return (log_density(x) - (sign * objective.score(nets, x) - log_z)).mean().item(), log_z.item()


def test_a_flow_learns_the_ring_and_its_density_is_normalised():
    far, log_z = kl("flow")
    assert far < 0.25 and abs(log_z) < 0.02


def test_a_tilted_flow_learns_the_ring_and_knows_its_log_z():
    far, log_z = kl("flow-ebm")
    assert far < 0.25 and abs(log_z) < 0.03


@pytest.mark.parametrize("name", ["flow", "flow-ebm"])
def test_samples_follow_the_score(name):
    """The mean of the score over samples is that over the density, by a grid; and so is |x|^2."""
    objective, nets, _ = on_ring(name)
    with torch.no_grad():
        cells, _ = grid(2)
        log_p = objective.score(nets, cells)
        p = torch.softmax(log_p, 0)
        x = objective.sample(nets, (20_000, 2), Rng.of(3))
        assert abs(objective.score(nets, x).mean() - p @ log_p) < 0.05
        assert abs(x.square().sum(1).mean() - p @ cells.square().sum(1)) < 0.03


def test_a_flow_of_one_column_learns_a_normal():
    """The least loss is the entropy log(s sqrt(2 pi e))."""
    objective, nets, x = fitted("flow", 200, "normal")
    with torch.no_grad():
        loss = objective.loss(nets, Batch(x), Rng.of(0)).item()
    assert loss == pytest.approx(math.log(0.5 * math.sqrt(2 * math.pi * math.e)), abs=0.03)


def linear(**maps):
    """Networks that are plain functions."""
    return Nets(maps)


def identity_flow(objective, dim):
    zeros = {
        f"f{k}": lambda x: torch.zeros(len(x), dim * (3 * objective.bins - 1))[
            :, : (-(-dim // 2) if dim > 1 else 1) * (3 * objective.bins - 1)
        ]
        for k in range(objective.layers)
    }
    return zeros


def test_the_tilt_of_a_normal_flow_is_exact():
    """q = N(0, I), E = a |x|^2 / 2: p = N(0, 1 / (1 + a)), its score with log Z, its samples."""
    objective, a = FlowEBM(), 3.0
    nets = linear(**identity_flow(objective, 2), E=lambda x: a * x.square().sum(1, keepdim=True) / 2)
    x = Rng.of(1).normal("x", (50, 2)) / 2
    truth = -((1 + a) * x.square().sum(1) / 2) + math.log((1 + a) / (2 * math.pi))
    assert (objective.score(nets, x) - truth).abs().max() < 0.06  # 4,096 draws for log Z
    rows = objective.sample(nets, (20_000, 2), Rng.of(1))
    assert rows.var().item() == pytest.approx(1 / (1 + a), rel=0.05)
    shifted = linear(**identity_flow(objective, 2), E=lambda x: a * x.square().sum(1, keepdim=True) / 2 + 5)
    torch.testing.assert_close(objective.score(shifted, x), objective.score(nets, x), rtol=1e-4, atol=1e-4)
    assert torch.equal(objective.sample(shifted, (9, 2), Rng.of(1)), objective.sample(nets, (9, 2), Rng.of(1)))


def test_the_best_tilt_is_the_log_ratio():
    """NCE against q is least where -E = log p - log q; its value there is 2 log 2 - 2 JS(p, q)."""
    objective, s = FlowEBM(), 0.5
    x = s * Rng.of(2).normal("x", (20_000, 1))
    losses = []
    for slope, level in ((1.0, 0.0), (1.2, 0.0), (0.8, 0.0), (1.0, 0.3), (1.0, -0.3)):

        def e(x, slope=slope, level=level):
            return slope * x**2 * (1 / s**2 - 1) / 2 + math.log(s) + level

        nets = linear(**identity_flow(objective, 1), E=e)
        losses.append(objective.tilt_loss(nets, Batch(x), Rng.of(2)).item())
    assert losses[0] == min(losses) and losses[0] < 2 * math.log(2)
    nets = linear(**identity_flow(objective, 1), E=lambda x: 0 * x)
    assert objective.tilt_loss(nets, Batch(x), Rng.of(2)).item() == pytest.approx(2 * math.log(2))


def test_latent_samples_decode_the_latent_law():
    """Dec = 2 z + 1 and E = a |z|^2 / 2: rows are N(1, 4 / (1 + a))."""
    objective, a = LatentEBM(), 3.0
    nets = linear(
        Enc=lambda x: (x - 1) / 2, Dec=lambda z: 2 * z + 1, E=lambda z: a * z.square().sum(1, keepdim=True) / 2
    )
    x = objective.sample(nets, (20_000, 2), Rng.of(0))
    assert x.mean().item() == pytest.approx(1, abs=0.03) and x.var().item() == pytest.approx(4 / (1 + a), rel=0.05)
    rows = torch.tensor([[1.0, 1.0], [3.0, 1.0]])
    torch.testing.assert_close(objective.score(nets, rows), torch.tensor([0.0, (1 + a) / 2]))
    blind = linear(Enc=nets.Enc, Dec=lambda z: 2 * z + 1.1, E=nets.E)  # misses every row by .1 in both columns
    added = objective.score(blind, rows) - objective.score(nets, rows)
    torch.testing.assert_close(added, torch.full((2,), 0.02 / (2 * objective.noise**2)), rtol=1e-4, atol=1e-4)


def test_the_whitening_of_codes_is_zero_at_a_standard_normal_and_their_loss_is_its_parts():
    objective = LatentEBM(jitter=0.0)
    x = Rng.of(4).normal("x", (400, 3)).double()
    x = x - x.mean(0)
    white = x @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov()).T)  # covariance I, exactly
    same = linear(Enc=lambda x: x, Dec=lambda z: z.double())
    assert objective.rebuild(same, Batch(white), Rng.of(0)).item() == pytest.approx(0, abs=1e-12)
    moved = objective.rebuild(same, Batch(white + 0.5), Rng.of(0)).item()
    assert moved == pytest.approx(objective.whiten * 0.25)
    spread = objective.rebuild(same, Batch(2 * white), Rng.of(0)).item()
    assert spread == pytest.approx(objective.whiten * 9)  # (4 - 1)^2 a column


def test_a_latent_energy_samples_the_ring():
    """Closer than a normal of the data's moments: MMD^2 x 1000 some 5 against 45."""
    objective, nets, _ = on_ring("latent-ebm")
    with torch.no_grad():
        rows = objective.sample(nets, (1500, 2), Rng.of(5))
    real, widths = rows_of("ring8", 900)[:1500], (0.25, 0.5, 1.0)
    plain = mmd(Rng.of(6).normal("x", (1500, 2)), real, widths).value
    assert mmd(rows, real, widths).value < 0.5 * plain


def test_the_denoising_autoencoder_of_a_normal_is_its_mean_given_the_noisy_row():
    """Data N(0, s^2) + noise of sd n: r(x) = x s^2 / (s^2 + n^2), loss s^2 n^2 / (s^2 + n^2), and no identity."""
    objective, s = Autoencoder(noise=0.5), 0.8
    x = s * Rng.of(7).normal("x", (100_000, 1))
    best = s**2 / (s**2 + 0.25)
    losses = {}
    for share in (best, 0.9 * best, 1.1 * best, 1.0):
        nets = linear(Enc=lambda x: x, Dec=lambda z, share=share: share * z)
        losses[share] = objective.loss(nets, Batch(x), Rng.of(7)).item()
    assert min(losses, key=losses.get) == best
    assert losses[best] == pytest.approx(s**2 * 0.25 / (s**2 + 0.25), rel=0.02)


def test_an_autoencoders_samples_follow_its_energy():
    """r(x) = (x_1, 0): E = x_2^2 / (2 noise^2) + |x|^2 / 2, a normal of variances 1 and 1 / (1 + 1 / noise^2)."""
    objective = Autoencoder(noise=0.2)
    nets = linear(Enc=lambda x: x[:, :1], Dec=lambda z: torch.cat([z, 0 * z], dim=1))
    x = objective.sample(nets, (20_000, 2), Rng.of(8))
    assert x[:, 0].var().item() == pytest.approx(1, rel=0.06)
    assert x[:, 1].var().item() == pytest.approx(1 / 26, rel=0.08)
    rows = torch.tensor([[2.0, 0.0], [0.0, 0.2]])
    torch.testing.assert_close(objective.score(nets, rows), torch.tensor([2.0, 0.52]))


@pytest.mark.parametrize(("dim", "code"), [(1, 1), (2, 1), (4, 3), (30, 4)])
def test_codes_are_narrower_than_rows_where_rows_have_several_columns(dim, code):
    made = Autoencoder().networks(Task("generate", dim, 10), builder(8, 1))
    assert made["Dec"][0].in_features == code
    wide = LatentEBM().networks(Task("generate", dim, 10), builder(8, 1))
    assert wide["E"][0].in_features == min(8, dim)


def test_an_autoencoder_scores_rows_off_the_data_higher():
    objective, nets, x = on_ring("autoencoder")
    with torch.no_grad():
        inside = objective.score(nets, x[:500])
        outside = objective.score(nets, 8 * (Rng.of(9).uniform("box", (500, 2)) - 0.5))
    assert (outside[:, None] > inside).float().mean() > 0.85  # area under the curve


def test_a_flow_moves_first_and_then_stays():
    """The flow's update ends where the energy's begins, so that E is a ratio to one fixed law."""
    for objective in (FlowEBM(), LatentEBM()):
        first, second = objective.updates()
        assert first.active == (0.0, objective.share) and second.active == (objective.share, 1.0)
        assert second.moves == ("E",) and "E" not in first.moves


def test_a_flow_is_as_many_networks_as_layers():
    made = Flow(layers=3).networks(Task("generate", 5, 10), builder(8, 1))
    assert list(made) == ["f0", "f1", "f2"]
    assert [net[0].in_features for net in made.values()] == [3, 2, 3]
