"""Adaptation: dual averaging on a parabola, Stan's windows, one pass variances, the search for a step."""

import math

import pytest
import torch

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers import hmc, mala, nuts
from whichloss.samplers.adapt import DualAveraging, Welford, reasonable_step, windows


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 3])
def test_dual_averaging_finds_the_foot_of_a_parabola(count, dtype):
    """(x + 1)^2 from 0, gamma .5: within .001 of -1 after 10 steps, as numpyro's tests demand of its own."""
    zero = torch.zeros(count, dtype=dtype)
    found = DualAveraging(zero, zero, gamma=0.5)
    for _ in range(10):
        found.update(2 * (found.x + 1))
    assert found.average.tolist() == pytest.approx([-1] * count, abs=1e-3) and found.average.dtype == dtype


def test_dual_averaging_written_out():
    """x_t = centre - sqrt(t) / (gamma (t + t0)) sum g, averaged with weights t^-kappa: t0 10, kappa .75, gamma .05."""
    found, slopes = DualAveraging(torch.zeros(()).double(), torch.ones(()).double()), [0.3, -0.2, 0.5, 0.1, -0.4]
    average = 0.0
    for t, g in enumerate(slopes, 1):
        found.update(torch.tensor(g).double())
        x = 1 - t**0.5 / (0.05 * (t + 10)) * sum(slopes[:t])
        average = t**-0.75 * x + (1 - t**-0.75) * average
        assert float(found.x) == pytest.approx(x) and float(found.average) == pytest.approx(average)


def test_the_windows_of_stan():
    assert windows(150) == [(0, 74), (75, 99), (100, 149)]
    assert windows(200) == [(0, 74), (75, 99), (100, 149), (150, 199)]
    assert windows(280) == [(0, 74), (75, 99), (100, 229), (230, 279)]
    assert windows(1000)[1:] == [(75, 99), (100, 149), (150, 249), (250, 449), (450, 949), (950, 999)]
    assert windows(19) == [(0, 18)] and windows(0) == []


@pytest.mark.parametrize("warmup", range(1, 400, 7))
def test_windows_follow_each_other_to_the_end(warmup):
    found = windows(warmup)
    assert [k for first, last in found for k in range(first, last + 1)] == list(range(warmup))


def test_welford_is_the_variance_in_one_pass_far_from_zero():
    x = torch.randn(40, 3, 2, generator=torch.Generator().manual_seed(0)).double()
    seen = Welford(x[0])
    for part in (x + 1e8).split([1, 9, 30]):
        seen.add(part)
    torch.testing.assert_close(seen.mean, x.mean(0) + 1e8)
    stan = 40 / 45 * x.var(dim=0) + 1e-3 * 5 / 45
    torch.testing.assert_close(seen.variance(), stan, rtol=1e-6, atol=0)
    assert float(Welford(torch.zeros(())).variance()) == pytest.approx(1e-3)


@pytest.mark.parametrize("start", [1e-6, 0.3, 1.0, 40.0])
def test_the_search_ends_where_acceptance_crosses(start):
    """One leap on N(0, 1) from x = 0, p = 1: dH = h^4 / 8, so .8 is crossed at (-8 log .8)^(1/4)."""
    crossing = (-8 * math.log(0.8)) ** 0.25
    step = float(reasonable_step(lambda h: (-(h**4) / 8).exp(), torch.tensor([start]).double()))
    assert (crossing <= step < 2 * crossing) if start < crossing else (crossing / 2 < step <= crossing)
    assert math.log2(step / start) == pytest.approx(round(math.log2(step / start)))


def test_a_search_without_end_says_why():
    with pytest.raises(UserError, match="the energy is flat"):
        reasonable_step(torch.ones_like, torch.ones(1))
    with pytest.raises(UserError, match="no step is accepted"):
        reasonable_step(torch.zeros_like, torch.ones(1))


@pytest.mark.parametrize(("sampler", "power"), [(hmc, 1), (nuts, 1), (mala, 2)])
def test_the_first_step_of_a_warm_up_aims_ten_times_as_far(sampler, power):
    """At acceptance 1: log(10 leap) + (1 - target) / (.05 (1 + 10)); a step of mala is the square of a leap."""
    x, small = torch.ones(3, 2).double(), 1e-3
    _, info = sampler(lambda x: x.square().sum(1) / 2, x, Rng.of(0), draws=1, warmup=1, step=small**power, target=0.7)
    assert info["step"] / small**power == pytest.approx((10 * math.exp(0.3 / 0.55)) ** power, rel=1e-3)


@pytest.mark.parametrize(("sampler", "target"), [(mala, 0.574), (hmc, 0.8), (nuts, 0.8), (hmc, 0.6)])
def test_warm_up_reaches_the_target_and_learns_the_variances(sampler, target):
    sd = torch.tensor([5.0, 1.0, 0.2])
    x = sd * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    more = {"jitter": 0.0, "leaps": 1} if sampler is hmc else {}  # more of one length resonate on a normal law
    _, info = sampler(
        lambda x: ((x / sd) ** 2).sum(1) / 2, x, Rng.of(0), draws=40, warmup=220, target=target, keep=False, **more
    )
    assert target - 0.05 < info["acceptance"] < target + 0.2  # the average of 50 last steps is a little short
    torch.testing.assert_close(
        info["inverse_mass"].sqrt() / sd, torch.ones(3), rtol=0, atol=0.8 if sampler is mala else 0.25
    )
