"""Euler and Heun against exact flows; log-densities against exact laws."""

import math

import numpy as np
import pytest
import torch

from whichloss.errors import UserError
from whichloss.samplers import ode, ode_log_density, with_divergence
from whichloss.samplers.ode import signs, standard_normal


def grid(count, start=0.0, end=1.0):
    return [float(t) for t in np.linspace(start, end, count + 1)]


def flow(m, s):
    """Velocity of (1 - t) N(0, 1) + t N(m, s^2), independent ends; its map is m + s z."""
    return lambda x, t: m + (t * s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * s**2) * (x - t * m)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2)])
def test_order(method, order):
    """Halving the step divides the error by 2^order."""
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    errors = [
        (ode(flow(1.0, 0.3), z, times=grid(n), method=method)[0] - (1 + 0.3 * z)).abs().max().item()
        for n in (40, 80, 160)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize(("count", "euler", "heun"), [(64, -5.28e-2, 5.35e-3), (256, -1.35e-2, 3.24e-4)])
def test_published_errors_on_the_variance_exploding_flow(count, euler, heun):
    """s = .7, sigma 80 -> 0 on the rho = 7 grid: relative error of x0 against x_T s / sqrt(s^2 + sigma_T^2)."""
    sigma = [float(v) for v in np.linspace(80 ** (1 / 7), 0, count + 1) ** 7]
    x = torch.full((1, 1), 80.0, dtype=torch.float64)
    exact = 80 * 0.7 / math.sqrt(0.49 + 6400)
    for method, error in (("euler", euler), ("heun", heun)):
        y = ode(lambda x, t: t / (0.49 + t**2) * x, x, times=sigma, method=method)[0].item()
        assert y / exact - 1 == pytest.approx(error, rel=0.02)


def test_heun_calls_twice():
    assert ode(flow(0.0, 1.0), torch.zeros(1, 1), times=grid(7))[1]["calls"] == 14
    with pytest.raises(UserError, match="'euler' or 'heun'; got 'rk4'"):
        ode(flow(0.0, 1.0), torch.zeros(1, 1), times=grid(2), method="rk4")


def test_divergence_is_the_trace_of_the_jacobian():
    def field(x, t):
        return torch.stack([x[:, 0] * x[:, 1], x[:, 1].sin() * x[:, 2], x.prod(1)], dim=1)

    x = torch.randn(6, 3).double()
    u, divergence = with_divergence(field, x, 0.0)
    jacobians = torch.vmap(torch.func.jacrev(lambda x: field(x[None], 0.0)[0]))(x)
    torch.testing.assert_close(u, field(x, 0.0))
    torch.testing.assert_close(divergence, torch.vmap(torch.trace)(jacobians))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_signs_estimate_the_trace_of_a_linear_field(dtype):
    d = 4
    a = torch.tensor([[1.0, 3.0, 0.0, -2.0], [0.5, -2.0, 1.0, 0.0], [4.0, 0.0, 0.25, 1.0], [0.0, 2.0, -1.0, 3.0]]).to(
        dtype
    )
    every = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * d)  # their mean is the expectation
    x = torch.randn(3, d, dtype=dtype)
    u, estimates = with_divergence(lambda x, t: x @ a.T, x, 0.0, every)
    torch.testing.assert_close(u, x @ a.T)
    assert estimates.shape == (3, 16) and estimates.dtype == dtype and estimates.std(dim=1).min() > 1
    torch.testing.assert_close(estimates.mean(dim=1), a.trace().expand(3))
    one = torch.stack([v @ a @ v for v in every.to(dtype)])
    torch.testing.assert_close(estimates, one.expand(3, -1))


def test_signs_are_exact_where_the_jacobian_is_diagonal_and_always_the_same():
    v = signs(5, 7)
    assert v.shape == (5, 7) and (v.abs() == 1).all() and torch.equal(v, signs(5, 7)) and signs(0, 7) is None
    assert (
        abs(signs(400, 50).mean()) < 0.02
        and (signs(400, 50).T @ signs(400, 50) / 400).fill_diagonal_(0).abs().max() < 0.25
    )
    x = torch.randn(6, 7).double()

    def field(x, t):
        return x.sin() + t * x**3

    _, exact = with_divergence(field, x, 0.5)
    torch.testing.assert_close(with_divergence(field, x, 0.5, v)[1], exact[:, None].expand(-1, 5))
    for method in ("heun", "rk4"):
        options = {"times": grid(9, 1.0, 0.0), "log_prior": standard_normal, "method": method}
        found = ode_log_density(lambda x, t: field(x, t) / 5, x, **options, probes=v)
        whole = ode_log_density(lambda x, t: field(x, t) / 5, x, **options)
        torch.testing.assert_close(found, whole[:, None].expand(-1, 5))


@pytest.mark.parametrize(("m", "s"), [(0.0, 1.0), (2.0, 0.5)])
def test_log_density_of_a_normal(m, s):
    x = m + s * torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None].expand(-1, 2)
    log = ode_log_density(flow(m, s), x, times=grid(400, 1.0, 0.0), log_prior=standard_normal)
    exact = torch.distributions.Normal(m, s).log_prob(x).sum(1)
    torch.testing.assert_close(log, exact, rtol=0, atol=2e-4)


def test_log_density_carries_a_wrong_prior():
    """Variance-exploding flow from N(0, sigma_T^2): the exact model law is N(m (1 - k), k^2 sigma_T^2)."""
    m, s, top = 1.0, 0.7, 3.0
    k = s / math.sqrt(s**2 + top**2)
    x = torch.linspace(-1, 2, 7, dtype=torch.float64)[:, None]

    def prior(x):
        return torch.distributions.Normal(0.0, top).log_prob(x).sum(1)

    log = ode_log_density(lambda x, t: t / (s**2 + t**2) * (x - m), x, times=grid(400, 0.0, top), log_prior=prior)
    exact = torch.distributions.Normal(m * (1 - k), k * top).log_prob(x)[:, 0]
    torch.testing.assert_close(log, exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("steps", "intervals"), [(8, 8), (9, 9)])
def test_log_density_by_runge_and_kutta_is_of_order_4(steps, intervals):
    """Halving the intervals: a 16th of the error; an odd last interval, left to Heun, has the path's least of it."""
    m, s, top = 1.0, 0.7, 3.0
    x = torch.linspace(-1, 2, 7, dtype=torch.float64)[:, None]
    ends = math.log(0.05), math.log(top)

    def flow(x, u):
        t = math.exp(u)
        return t**2 / (s**2 + t**2) * (x - m)

    def error(n):
        times = [ends[0] + (ends[1] - ends[0]) * k / n for k in range(n + 1)]
        prior = lambda x: torch.distributions.Normal(m, math.sqrt(s**2 + top**2)).log_prob(x).sum(1)
        log = ode_log_density(flow, x, times=times, log_prior=prior, method="rk4")
        exact = torch.distributions.Normal(m, math.sqrt(s**2 + 0.05**2)).log_prob(x)[:, 0]
        return (log - exact).abs().max().item()

    coarse, fine = error(intervals), error(2 * intervals)
    assert fine < coarse / 10 and coarse < 0.1 and error(16 * intervals) < 1e-6
