"""Langevin against the exact law of its linear recursion on a normal."""

import math

import numpy as np
import pytest
import torch

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers import annealed_langevin, langevin

RNG = Rng.of(1)


def settled(lam, step, averaged=False, noise=None, steps=60):
    x = torch.randn(40_000, 1) / math.sqrt(lam)
    x, info = langevin(lambda x: -lam * x, x, RNG, steps=steps, step=step, averaged=averaged, noise=noise)
    return x.var().item(), info


@pytest.mark.parametrize(("lam", "step"), [(1.0, 0.5), (2.0, 0.3), (0.5, 2.0)])
def test_unadjusted_variance(lam, step):
    """1 / (lam (1 - u / 2)), u = step lam; standard error .7 %."""
    u = step * lam
    assert settled(lam, step)[0] == pytest.approx(1 / (lam * (1 - u / 2)), rel=0.03)


@pytest.mark.parametrize("u", [0.5, 1.2])
def test_averaged_noise_has_no_bias(u):
    assert settled(2.0, u / 2, averaged=True)[0] == pytest.approx(0.5, rel=0.03)


def test_temperature_is_noise_squared_over_twice_the_step():
    variance, info = settled(1.0, 0.1, noise=0.1)
    assert info["temperature"] == pytest.approx(0.05)
    steps = 60  # from variance 1: 1 - (.9)^120 of the way to T / (1 - u / 2)
    rest = 0.9 ** (2 * steps)
    assert variance == pytest.approx(rest + (1 - rest) * 0.05 / 0.95, rel=0.03)


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
