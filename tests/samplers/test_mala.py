"""MALA: its error of energy in closed form, its scaling, and that the test makes Langevin exact."""

import inspect
import math
from importlib import import_module

import pytest
import torch

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers import hmc, langevin, mala, tempering
from whichloss.samplers.hmc import Hamiltonian

annealed, partition = (import_module(f"whichloss.samplers.{name}") for name in ("annealed", "partition"))
RNG = Rng.of(2)
BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def square(x):
    return x.square().flatten(1).sum(dim=1) / 2


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@BOTH
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("step", [0.05, 0.6, 1.5])
def test_the_mean_error_of_energy_is_known_at_any_step(step, d, dtype):
    """E dH = d h^3 / 4 on N(0, I_d), without chance: dH is quadratic, so all signs stand for the normal law."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=dtype)] * (2 * d))
    law = Hamiltonian("mala", square, None, 1.0)
    start = law.start(signs[:, :d])
    end, q = law.leapfrog(start, signs[:, d:], (2 * step) ** 0.5, 1)
    error = law.total(end.e, q) - law.total(start.e, signs[:, d:])
    assert float(error.mean()) == pytest.approx(d * step**3 / 4, rel=1e-4, abs=10 * torch.finfo(dtype).eps)


@BOTH
@pytest.mark.parametrize(("d", "step"), [(100, 0.17), (400, 0.1), (1000, 0.1)])
def test_acceptance_in_many_dimensions(d, step, dtype):
    """erfc(sqrt(d h^3 / 4) / 2) on N(0, I), .7237 at d h^3 = 1: Roberts & Rosenthal (1998)."""
    x, info = mala(square, draw(1000, d).to(dtype), RNG, draws=20, step=step, keep=False)
    assert info["acceptance"] == pytest.approx(math.erfc(math.sqrt(d * step**3 / 4) / 2), abs=0.012)
    assert info["step"] == pytest.approx(step) and info["calls"] == 21
    assert float(x.var()) == pytest.approx(1, abs=0.02) and x.dtype == dtype


def test_the_best_acceptance_is_the_target():
    """Steps go furthest at .574 where E dH grows as h^3 (Langevin: h erfc(sqrt(dH) / 2) is largest), at .651 where it
    grows as h^4 (Hamilton), and at .234 in a random walk (h^2 erfc(h / 8^.5))."""
    h = torch.linspace(0.2, 4, 100_001).double()
    for power, rate, best in (
        (1, torch.erfc(h**1.5 / 2), 0.5742),
        (1, torch.erfc(h**2 / 2), 0.6513),
        (2, torch.erfc(h / 8**0.5), 0.2338),
    ):
        assert float(rate[(h**power * rate).argmax()]) == pytest.approx(best, abs=1e-4)
    for sampler in (mala, tempering):
        assert inspect.signature(sampler).parameters["target"].default == pytest.approx(0.5742, abs=5e-4)
    assert annealed.TARGET == partition.TARGET == 0.574
    found = inspect.signature(hmc).parameters["target"].default
    assert found > 0.6513  # an adapted step is rather too short than too long


def test_an_accepted_step_is_a_langevin_step():
    """With its own noise: x' = x - h grad E + sqrt(2 h) xi, to rounding."""
    x, h = draw(200, 3), 0.01
    new, info = mala(square, x, RNG, draws=1, step=h)
    xi = RNG["draws"][0].normal("momentum", x.shape)
    moved = (new != x).any(dim=1)
    assert 0.9 < moved.float().mean() < 1.0 or info["acceptance"] > 0.99
    torch.testing.assert_close(new[moved], (x - h * x + (2 * h) ** 0.5 * xi)[moved])


def test_the_ratio_is_that_of_metropolis_and_hastings():
    """e^-dH = p(x') q(x | x') / (p(x) q(x' | x)), q the normal that a Langevin step draws from, on any energy."""
    energy = lambda x: (x**4 / 4 + x.sin()).sum(dim=1)
    slope = lambda x: x**3 + x.cos()
    x, h = draw(50, 2).double(), 0.2
    xi = draw(50, 2, seed=1).double()
    new = x - h * slope(x) + (2 * h) ** 0.5 * xi
    log_q = lambda to, at: -((to - at + h * slope(at)) ** 2).sum(1) / (4 * h)
    ratio = energy(x) - energy(new) + log_q(x, new) - log_q(new, x)
    law = Hamiltonian("mala", energy, None, 1.0)
    start = law.start(x)
    end, q = law.leapfrog(start, xi, (2 * h) ** 0.5, 1)
    torch.testing.assert_close(end.x, new)
    torch.testing.assert_close(law.total(start.e, xi) - law.total(end.e, q), ratio)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_the_test_takes_the_bias_of_the_step_away(d, dtype):
    """h = 1 on N(0, I): Langevin's variance settles at 2, MALA's at 1."""
    x = draw(20_000, d).to(dtype)
    plain, _ = langevin(lambda x: -x, x, RNG, steps=40, step=1.0)
    exact, _ = mala(square, x, RNG, draws=40, step=1.0, keep=False)
    assert float(plain.var()) == pytest.approx(2, rel=0.05)
    assert float(exact.var()) == pytest.approx(1, rel=0.04)


def test_nan_walls_temperature_and_any_shape():
    x, info = mala(lambda x: x[:, 0, 0] ** 1.5, 0.3 + draw(4000, 1, 1).abs(), RNG, draws=120, step=0.3)
    late = info["draws"][40:]
    assert late.shape == (80, 4000, 1, 1) and info["refused"] > 1000 and float(late.min()) > 0
    assert float(late.mean()) == pytest.approx(0.659455, abs=0.012)
    x, info = mala(square, draw(8000, 1), RNG, draws=30, step=0.8, temperature=0.5, keep=False)
    assert float(x.var()) == pytest.approx(0.5, rel=0.05)
    x, _ = mala(lambda x: x**2 / 2, draw(9), RNG, draws=2, step=0.1)
    assert x.shape == (9,)


@pytest.mark.parametrize("step", [0.0, -1.0, math.nan])
def test_a_step_is_positive(step):
    with pytest.raises(UserError, match=f"mala needs a positive step; got step = {step}"):
        mala(square, draw(2, 2), RNG, draws=1, step=step)
