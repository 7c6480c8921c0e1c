"""MALA: its error of energy in closed form, its scaling, and that the test makes Langevin exact."""

import math

import pytest
import torch

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers import langevin, mala

RNG = Rng.of(2)


def square(x):
    return x.square().flatten(1).sum(dim=1) / 2


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("d", "step"), [(100, 0.17), (400, 0.1)])
def test_acceptance_in_many_dimensions(d, step):
    """E dH = d h^3 / 4 on N(0, I), acceptance erfc(sqrt(d h^3 / 4) / 2): Roberts & Rosenthal (1998)."""
    x, info = mala(square, draw(2000, d), RNG, draws=20, step=step, keep=False)
    assert info["acceptance"] == pytest.approx(math.erfc(math.sqrt(d * step**3 / 4) / 2), abs=0.015)
    assert info["step"] == pytest.approx(step) and info["calls"] == 21
    assert float(x.var()) == pytest.approx(1, abs=0.02)


def test_the_best_acceptance_is_the_target():
    """h erfc(sqrt(h^3) / 2) is largest where the acceptance is .574."""
    h = torch.linspace(0.5, 3, 100_001).double()
    rate = torch.erfc(h**1.5 / 2)
    assert float(rate[(h * rate).argmax()]) == pytest.approx(0.574, abs=5e-4)


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
    from whichloss.samplers.hmc import Hamiltonian

    law = Hamiltonian("mala", energy, None, 1.0)
    start = law.start(x)
    end, q = law.leapfrog(start, xi, (2 * h) ** 0.5, 1)
    torch.testing.assert_close(end.x, new)
    torch.testing.assert_close(law.total(start.e, xi) - law.total(end.e, q), ratio)


def test_the_test_takes_the_bias_of_the_step_away():
    """h = 1 on N(0, 1): Langevin's variance settles at 2, MALA's at 1."""
    x = draw(20_000, 1)
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
