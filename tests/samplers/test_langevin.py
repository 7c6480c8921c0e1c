"""Langevin against the exact law of its linear recursion on a normal."""

import math

import numpy as np
import pytest
import torch

from whichloss.errors import UserError
from whichloss.metrics.density import kl_to_density
from whichloss.rng import Rng
from whichloss.samplers import annealed_langevin, ess, langevin

RNG = Rng.of(1)


@pytest.fixture(autouse=True)
def default_dtype(request):
    given = getattr(request.node, "callspec", None)
    torch.set_default_dtype(given.params.get("dtype", torch.float32) if given else torch.float32)
    yield
    torch.set_default_dtype(torch.float32)


def settled(lam, step, averaged=False, noise=None, steps=60, score=None, d=1):
    """Variance of every row's numbers after `steps` from 1 / lam on, and what they are."""
    x = torch.randn(40_000, d, generator=torch.Generator().manual_seed(0)) / torch.as_tensor(lam) ** 0.5
    score = score or (lambda x: -lam * x)
    x, info = langevin(score, x, RNG, steps=steps, step=step, averaged=averaged, noise=noise)
    assert x.dtype == torch.get_default_dtype()
    return x.var(dim=0), info, x


BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
WIDTHS = pytest.mark.parametrize("lam", [[1.0], [2.0, 0.5], [0.5, 1.0, 3.0]])


@BOTH
@WIDTHS
@pytest.mark.parametrize("step", [0.1, 0.5])
def test_unadjusted_variance(lam, step, dtype):
    """1 / (lam (1 - u / 2)), u = step lam, in every column; standard error .7 %."""
    lam = torch.tensor(lam)
    found, _, _ = settled(lam, step, d=len(lam))
    torch.testing.assert_close(found, 1 / (lam * (1 - step * lam / 2)), rtol=0.03, atol=0)


@BOTH
@WIDTHS
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_averaged_noise_has_no_bias_at_any_stable_step_and_the_same_cost(lam, share, dtype):
    """1 / lam in every column, up to the edge step max(lam) = 2 of stability; one score a step."""
    lam, calls = torch.tensor(lam), []
    score = lambda x: calls.append(0) or -lam * x
    found, _, _ = settled(lam, share * 2 / lam.max().item(), averaged=True, score=score, d=len(lam), steps=80)
    torch.testing.assert_close(found, 1 / lam, rtol=0.04, atol=0)
    assert len(calls) == 80


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("u", [0.4, 1.0])
def test_a_drift_of_higher_order_is_no_cure(u, d, dtype):
    """The mean of the slopes at both ends of a plain step: 2 h / (1 - (1 - u + u^2 / 2)^2), further from 1 than 1 /
    (1 - u / 2)."""
    heun = lambda x: -(x + (x - u * x)) / 2
    found, known = settled(1.0, u, score=heun, d=d)[0], 2 * u / (1 - (1 - u + u**2 / 2) ** 2)
    torch.testing.assert_close(found, torch.full_like(found, known), rtol=0.03, atol=0)
    assert known > 1 / (1 - u / 2) > 1


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("u", [0.3, 1.4])
def test_the_step_s_autocorrelation_and_divergence(u, d, dtype):
    """At its own law: lag k has (1 - u)^k, and n / ess is (2 - u) / u; per column KL to the truth is
    [1 / (1 - u / 2) - 1 + log(1 - u / 2)] / 2."""
    *_, x = settled(1.0, u, d=d)
    for k in (1, 2, 3):
        y, _ = langevin(lambda x: -x, x, Rng.of(k), steps=k, step=u)
        assert ((x * y).mean() / (x * x).mean()).item() == pytest.approx((1 - u) ** k, abs=0.03)
    log_p = lambda x: -(x**2).sum(axis=1) / 2 - d / 2 * math.log(2 * math.pi)
    known = d * (1 / (1 - u / 2) - 1 + math.log(1 - u / 2)) / 2
    assert kl_to_density(x[:10_000], log_p) == pytest.approx(known, abs=0.05)
    draws, x = [], x[:8]
    for k in range(2000):
        x, _ = langevin(lambda x: -x, x, Rng.of(9)[k], steps=1, step=u)
        draws.append(x)
    share = ess(torch.stack(draws), "mean") / (2000 * 8)
    assert share.tolist() == pytest.approx([u / (2 - u)] * d, rel=0.15)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("averaged", [False, True])
def test_temperature_is_noise_squared_over_twice_the_step(d, dtype, averaged):
    """T = .1^2 / (2 * .1): the variance at T = 1 times T, the averaged one's exactly T / lam."""
    steps, start = 60, 1.0 if averaged else 1 / 0.95
    variance, info, _ = settled(1.0, 0.1, noise=0.1, steps=steps, d=d, averaged=averaged)
    assert info["temperature"] == pytest.approx(0.05)
    rest = 0.9 ** (2 * steps)  # from variance 1 to T, or to T / (1 - u / 2)
    known = rest + (1 - rest) * 0.05 * start
    torch.testing.assert_close(variance, torch.full_like(variance, known), rtol=0.03, atol=0)


def test_one_step_is_the_formula():
    x = torch.randn(6, 3)
    y, info = langevin(torch.sin, x, RNG, steps=1, step=0.2)
    torch.testing.assert_close(y, x + 0.2 * x.sin() + 0.4**0.5 * RNG.normal(1, x.shape))
    torch.testing.assert_close(info["score"], x.sin().norm(dim=1).mean())


def test_unstable_steps_grow():
    """step lam < 2 is the limit: 1.9 stays, 2.1 does not."""
    assert settled(1.0, 1.9)[0] < 50 and settled(1.0, 2.1)[0] > 1e4


@pytest.mark.parametrize("step", [0.0, -0.1, math.nan])
def test_a_step_must_lead_forward(step):
    with pytest.raises(UserError, match=f"step > 0; got step = {step}"):
        langevin(torch.sin, torch.zeros(1, 1), RNG, steps=3, step=step)


def test_no_steps_are_refused():
    with pytest.raises(UserError, match="steps >= 1"):
        langevin(torch.sin, torch.zeros(1, 1), RNG, steps=0, step=0.1)


def annealed_variance(s2, sigmas, steps, step, averaged):
    """The linear recursion of (x, xi) on N(0, s2) blurred, then the last denoising step: the exact law."""
    variance = sigmas[0] ** 2
    for sigma in sigmas:
        k, c = step * sigma**2 / (s2 + sigma**2), math.sqrt(2 * step) * sigma
        move, kick = np.array([[1 - k, c / 2], [0, 0]]), np.array([c / 2, 1])
        if not averaged:
            move, kick = np.array([[1 - k, 0], [0, 0]]), np.array([c, 1])
        law = np.diag([variance, 1.0])
        for _ in range(steps):
            law = move @ law @ move.T + np.outer(kick, kick)
        variance = law[0, 0]
    return variance * (s2 / (s2 + sigmas[-1] ** 2)) ** 2


@pytest.mark.parametrize(("step", "averaged"), [(0.8, True), (0.4, False)])
def test_annealed_langevin_on_a_normal(step, averaged):
    """With the exact scores of N(m, s2) blurred, mean and variance are the recursion's."""
    m, s2, sigmas = 1.5, 0.3, [6 * 0.7**k for k in range(16)]

    def score(x, i):
        return -(x - m) / (s2 + sigmas[i] ** 2)

    x = m + sigmas[0] * torch.randn(40_000, 1)
    x, info = annealed_langevin(score, x, RNG, sigmas=sigmas, steps=4, step=step, averaged=averaged)
    exact = annealed_variance(s2, sigmas, 4, step, averaged)
    assert info["calls"] == 65
    assert x.mean().item() == pytest.approx(m, abs=0.02)
    assert x.var().item() == pytest.approx(exact, rel=0.03)
    if averaged:
        assert exact == pytest.approx(s2, rel=0.03)  # the defaults' own bias on a normal


def test_levels_must_fall():
    with pytest.raises(UserError, match="must fall"):
        annealed_langevin(lambda x, i: -x, torch.zeros(1, 1), RNG, sigmas=[1.0, 2.0], steps=1)


def test_lanes_and_single_runs_agree():
    rng = Rng.of(3, 4)
    x = torch.randn(2, 5, 2)

    def walk(key, x):
        return langevin(lambda x: -x, x, Rng(key), steps=3, step=0.1)[0]

    together = torch.vmap(walk)(rng.key, x)
    for k in range(2):
        torch.testing.assert_close(together[k], walk(rng.key[k], x[k]))


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("limit", [None, 0.7])
def test_any_shape_is_the_same_walk(averaged, limit):
    """Rows of (2, 3) numbers walk as rows of 6: the drift's length is over all of a row."""

    def walk(x):
        return langevin(lambda x: -3 * x, x, RNG, steps=4, step=0.3, averaged=averaged, limit=limit)

    x = 3 * torch.randn(5, 2, 3)
    (y, info), (flat, of_flat) = walk(x), walk(x.reshape(5, 6))
    assert torch.equal(y.reshape(5, 6), flat)
    assert info["score"] == of_flat["score"] and info["shortened"] == of_flat["shortened"]
    assert (info["shortened"] > 0) == (limit is not None)
    assert walk(torch.randn(4))[0].shape == (4,)


def test_four_steps_are_the_formula():
    """Written out once more: drift, shortened to `limit` noise lengths, and (averaged) noise."""
    x = y = 2 * torch.randn(6, 3)
    scale, xi = 0.6**0.5, [RNG.normal(k, x.shape) for k in range(5)]
    for k in range(4):
        size = (2 * y).norm(dim=1, keepdim=True)
        drift = -2 * y * (0.5 * scale * 3**0.5 / 0.3 / size).clamp(max=1)
        y = y + 0.3 * drift + scale * (xi[k] + xi[k + 1]) / 2
    z, info = langevin(lambda x: -2 * x, x, RNG, steps=4, step=0.3, averaged=True, limit=0.5)
    torch.testing.assert_close(z, y)
    torch.testing.assert_close(info["score"], size.mean())
