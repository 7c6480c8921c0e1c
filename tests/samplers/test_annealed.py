"""Annealed sampling: log Z and moments in closed form, weights of modes, walls, lanes; resampling; adjusted steps."""

import math

import pytest
import torch
from torch.func import vmap

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers import langevin
from whichloss.samplers.annealed import adjusted, annealed, annealed_rows
from whichloss.samplers.tilt import effective_share, resample

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@pytest.fixture(autouse=True)
def default_dtype(request):
    given = getattr(request.node, "callspec", None)
    torch.set_default_dtype(given.params.get("dtype", torch.float32) if given else torch.float32)
    yield
    torch.set_default_dtype(torch.float32)


def start(n, d, sd, seed=0):
    return sd * Rng.of(seed).normal("start", (n, d))


def two_modes(x):
    """.8 N(-3, .2^2) + .2 N(3, .2^2) in the first column, N(0, 1) in the others; Z = 1."""
    a, b = (-((x[:, 0] - m) ** 2) / 0.08 - math.log(0.2) for m in (-3, 3))
    rest = (x[:, 1:] ** 2 / 2).sum(dim=1) + x.shape[1] / 2 * math.log(2 * math.pi)
    return rest - torch.logaddexp(a + math.log(0.8), b + math.log(0.2))


@BOTH
@pytest.mark.parametrize("d, lam", [(1, 9.0), (2, 0.5), (5, 9.0)])
def test_a_normal_has_its_constant_and_its_variance(dtype, d, lam):
    x, info = annealed(lambda x: lam / 2 * (x**2).sum(dim=1), start(4000, d, 1.5), Rng.of(1), sd=1.5)
    assert x.dtype == dtype and info["log Z"].item() == pytest.approx(d / 2 * math.log(2 * math.pi / lam), abs=0.08)
    assert (x.var() * lam).item() == pytest.approx(1, abs=0.1) and abs(x.mean()).item() < 0.1 / lam**0.5
    assert 0.4 < info["acceptance"] < 0.75 and info["ess"] > 0.85 and info["calls"] == 65


def test_where_the_energy_is_the_start_nothing_is_lost():
    x = start(500, 3, 2.0)
    y, info = annealed(lambda x: (x**2).sum(dim=1) / 8, x, Rng.of(1), sd=2.0, moves=0)
    assert torch.equal(x, y)  # equal weights keep every row
    assert info["log Z"].item() == pytest.approx(1.5 * math.log(8 * math.pi), rel=1e-5)
    assert info["ess"].item() == pytest.approx(1, abs=1e-4)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_modes_get_their_weights_where_langevin_fills_basins(dtype, d):
    x, info = annealed(two_modes, start(4000, d, 3.0), Rng.of(2), sd=3.0)
    assert (x[:, 0] < 0).double().mean().item() == pytest.approx(0.8, abs=0.04)
    assert info["log Z"].item() == pytest.approx(0, abs=0.1)
    plain, _ = langevin(
        torch.func.grad(lambda x: -two_modes(x).sum()), start(1000, d, 3.0), Rng.of(2), steps=65, step=0.01
    )
    assert (plain[:, 0] < 0).double().mean().item() == pytest.approx(0.5, abs=0.06)


def test_a_double_well_against_quadrature():
    u = torch.linspace(-4, 4, 8001, dtype=torch.float64)
    well = lambda x: 2 * (x**2 - 1) ** 2
    exact = 2 * torch.trapezoid(torch.exp(-well(u)), u).log().item()
    _, info = annealed(lambda x: well(x).sum(dim=1), start(8000, 2, 1.0), Rng.of(3), sd=1.0)
    assert info["log Z"].item() == pytest.approx(exact, abs=0.05)


@BOTH
@pytest.mark.parametrize("outside", [torch.inf, torch.nan])
def test_a_wall_leaves_no_atom(dtype, outside):
    """exp(-x^1.5), x > 0: mean .659455, E x^2 = .738488, Z = Gamma(5 / 3)."""
    wall = lambda x: torch.where(x > 0, x.clamp(min=1e-12) ** 1.5, outside)[:, 0]
    x = start(6000, 1, 1.0).abs()  # half the normal: log Z is then that of twice the weight
    x, info = annealed(wall, x, Rng.of(4), sd=1.0)
    assert (x > 0).all() and len(x.unique()) > 3000
    assert x.mean().item() == pytest.approx(0.659455, abs=0.03) and (x**2).mean().item() == pytest.approx(
        0.738488, abs=0.06
    )
    assert info["log Z"].item() - math.log(2) == pytest.approx(math.lgamma(5 / 3), abs=0.05)


def test_half_the_rows_may_lie_behind_the_wall():
    """No beta above 0 keeps them; the way goes on nevertheless."""
    wall = lambda x: torch.where(x > 0, 50 * x**2, torch.inf)[:, 0]
    x, info = annealed(wall, start(4000, 1, 1.0), Rng.of(5), sd=1.0)
    assert (x > 0).all() and info["ess"] > 0.4
    assert info["log Z"].item() == pytest.approx(math.log(2 * math.pi / 100) / 2 - math.log(2), abs=0.08)


def test_lanes_equal_runs_alone():
    rng = Rng.of(1, 2, 3)
    scale = torch.tensor([1.0, 4.0, 9.0])

    def one(key, lam):
        rng = Rng(key)
        x, info = annealed_rows(lambda x: lam / 2 * (x**2).sum(dim=1), (50, 2), rng, sd=1.0, particles=200)
        return x, info["log Z"]

    together = vmap(one)(rng.key, scale)
    for k, seed in enumerate((1, 2, 3)):
        x, log_z = one(Rng.of(seed).key, scale[k])
        torch.testing.assert_close(together[0][k], x, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(together[1][k], log_z, rtol=1e-4, atol=1e-4)


def test_few_rows_come_from_a_crowd():
    rows = torch.cat([annealed_rows(two_modes, (1, 1), Rng.of(k), sd=3.0, particles=200)[0] for k in range(60)])
    assert rows.shape == (60, 1) and abs((rows < 0).float().mean() - 0.8) < 0.16
    alone, _ = annealed_rows(two_modes, (300, 1), Rng.of(0), sd=3.0, particles=100)
    assert alone.shape == (300, 1)


def test_rows_kept_of_a_crowd_are_no_copies_of_each_other():
    """The share of a mode among 16 rows varies like .8 (1 - .8) / 16 = .01; among neighbours it would be .024."""
    draws = [annealed_rows(two_modes, (16, 1), Rng.of(k), sd=3.0, particles=512, temperatures=12)[0] for k in range(24)]
    share = torch.stack([(x < 0).float().mean() for x in draws])
    assert share.var() < 0.016 and share.mean().item() == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("sample", [annealed_rows, None])
def test_the_same_key_the_same_rows(sample):
    energy = lambda x: (x**2).sum(dim=1)
    draw = (
        (lambda k: annealed_rows(energy, (20, 2), Rng.of(k), sd=1.0)[0])
        if sample
        else (lambda k: adjusted(energy, torch.ones(20, 2), Rng.of(k), steps=3, step=0.1)[0])
    )
    assert torch.equal(draw(0), draw(0)) and not torch.equal(draw(0), draw(1))


@BOTH
def test_an_adjusted_step_keeps_the_law_and_is_accepted_as_often_as_the_closed_form_says(dtype):
    """N(0, I_d): E[dH] = d h^3 / 4 and acceptance erfc(sqrt(d h^3 / 4) / 2) for many columns."""
    d, h = 100, 0.2
    x = Rng.of(7).normal("x", (4000, d))
    y, info = adjusted(lambda x: (x**2).sum(dim=1) / 2, x, Rng.of(8), steps=3, step=h)
    assert info["acceptance"].item() == pytest.approx(math.erfc(math.sqrt(d * h**3 / 4) / 2), abs=0.012)
    assert y.var().item() == pytest.approx(1, abs=0.01)
    wide, _ = adjusted(lambda x: (x**2).sum(dim=1) / 2, x[:, :1], Rng.of(8), steps=20, step=1.0)
    assert wide.var().item() == pytest.approx(1, abs=0.09)  # where the plain step has variance 2


@pytest.mark.parametrize("outside", [torch.inf, -torch.inf, torch.nan])
def test_proposals_without_an_energy(outside):
    """Infinite and undefined energies are refused; minus infinity is a fault of the energy and is taken."""
    energy = lambda x: torch.where(x.abs() < 1, x * 0, outside)[:, 0]
    x, _ = adjusted(energy, torch.zeros(500, 1), Rng.of(0), steps=20, step=0.1)
    assert (x.abs() < 1).all() == (outside != -torch.inf)


def test_systematic_counts_are_rounded_shares():
    for seed in range(5):
        log_w = 2 * Rng.of(seed).normal("w", (40,)).double()
        share = 40 * torch.softmax(log_w, 0)
        count = torch.bincount(resample(log_w, Rng.of(seed).uniform("u", ()).double(), len(log_w)), minlength=40)
        assert (count >= share.floor()).all() and (count <= share.ceil()).all()
    log_w = torch.tensor([0.0, 1.0, -torch.inf]).double()
    over = torch.stack(
        [torch.bincount(resample(log_w, u, len(log_w)), minlength=3) for u in torch.linspace(0, 0.999, 1000).double()]
    )
    torch.testing.assert_close(over.double().mean(0), 3 * torch.softmax(log_w, 0), atol=4e-3, rtol=0)


def test_effective_share():
    assert effective_share(torch.zeros(7)).item() == pytest.approx(1)
    assert effective_share(torch.tensor([3.0, -torch.inf, 3.0, -torch.inf])).item() == pytest.approx(0.5)
    w = torch.tensor([1.0, 2.0, 5.0])
    assert effective_share(w.log() + 50).item() == pytest.approx(64 / (3 * 30), rel=1e-5)


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"sd": 0.0}, "sd > 0"),
        ({"temperatures": 0}, "temperatures >= 1"),
        ({"moves": -1}, "moves >= 0"),
        ({"share": 1.0}, "share"),
    ],
)
def test_bad_numbers_are_refused(wrong, words):
    with pytest.raises(UserError, match=words):
        annealed(lambda x: x.sum(dim=1), torch.zeros(3, 1), Rng.of(0), **({"sd": 1.0} | wrong))


@pytest.mark.parametrize("wrong", [{"steps": 0, "step": 0.1}, {"steps": 1, "step": 0.0}])
def test_bad_steps_are_refused(wrong):
    with pytest.raises(UserError, match="adjusted needs"):
        adjusted(lambda x: x.sum(dim=1), torch.zeros(3, 1), Rng.of(0), **wrong)
