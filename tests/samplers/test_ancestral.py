"""DDPM and DDIM against the exact linear recursions of normal data, and against each other."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from whichloss.errors import UserError
from whichloss.losses.diffusion import linear_schedule, posterior
from whichloss.rng import Rng
from whichloss.samplers import ancestral, ode

ABAR = np.array(linear_schedule(1000))
RNG = Rng.of(2)


def even(count, last=1000):
    return [round(last * k / count) for k in range(count, -1, -1)]


def normal_denoiser(s2, mean=0.0):
    def denoise(x, t):
        a = ABAR[t]
        width = a * s2 + 1 - a
        x0 = mean + a**0.5 * s2 / width * (x - a**0.5 * mean)
        return x0, torch.full_like(x, s2 / width)

    return denoise


# output variance / s^2 at evenly strided times, published to three digits for T = 1000; the last column is DDIM
TABLE = [
    (1.0, 10, {"small": 0.521, "large": 1.0, "learned": 1.0, "ddim": 0.664}),
    (1.0, 50, {"small": 0.855, "large": 1.0, "learned": 1.0, "ddim": 0.928}),
    (0.04, 10, {"small": 0.190, "large": 3.651, "learned": 0.998, "ddim": 0.239}),
    (0.04, 50, {"small": 0.628, "large": 1.269, "learned": 0.998, "ddim": 0.773}),
]


def variance_after(kind, s2, times):
    """Var(x_0) / s2 of the linear recursion, by pushing x = 1 through without noise and summing the noises."""
    variance, denoise = 1.0, normal_denoiser(s2)
    one = torch.ones(1, 1, dtype=torch.float64)
    for t, s in pairwise(times):
        a, a_s, (x0, share) = ABAR[t], ABAR[s], denoise(one, t)
        beta, (mean, small) = 1 - a / a_s, posterior(x0, one, a, a_s)
        noise = {"small": small, "large": beta, "learned": small + share * (beta - small)}
        if kind == "ddim":
            mean = a_s**0.5 * x0 + (1 - a_s) ** 0.5 * (one - a**0.5 * x0) / (1 - a) ** 0.5
        variance = float(mean**2) * variance
        if kind != "ddim" and s:
            variance += float(noise[kind])
    return variance / s2


@pytest.mark.parametrize(("s2", "count", "expected"), TABLE)
@pytest.mark.parametrize("kind", ["small", "large", "learned", "ddim"])
def test_output_variance_of_normal_data(s2, count, expected, kind):
    times = even(count)
    x, _ = ancestral(
        normal_denoiser(s2), torch.randn(100_000, 1), RNG, abar=ABAR, times=times,
        eta=0.0 if kind == "ddim" else 1.0, variance="small" if kind == "ddim" else kind,
    )  # fmt: skip
    exact = variance_after(kind, s2, times)
    assert x.var().item() / s2 == pytest.approx(exact, rel=0.02)  # standard error .45 %


def test_published_variances():
    """The table's times are evenly spread over 1 .. T, both ends in."""
    for s2, count, expected in [*TABLE, (0.04, 1000, {"small": 0.963, "large": 1.009, "ddim": 0.985})]:
        times = [1 + round(float(v)) for v in np.linspace(999, 0, count)] + [0]
        for kind, value in expected.items():
            found = variance_after(kind, s2, times)
            assert found == pytest.approx(value, abs=0.0011), (s2, count, kind)


def test_mean_is_found():
    times = even(25)
    x, _ = ancestral(normal_denoiser(1.0, 3.0), torch.randn(50_000, 1), RNG, abar=ABAR, times=times)
    assert x.mean().item() == pytest.approx(3.0, abs=0.05)


def test_small_variance_is_the_posterior():
    """eta = 1 with btilde is the posterior of the predicted x0, on strided times too."""
    x, t, s = torch.randn(5, 2).double(), 600, 350
    y, _ = ancestral(lambda x, t: (x.sin(), None), x, RNG, abar=ABAR, times=[t, s, 0])
    mean, var = posterior(x.sin(), x, ABAR[t], ABAR[s])
    step = mean + var**0.5 * RNG.normal(0, x.shape)
    torch.testing.assert_close(y, step.sin(), rtol=1e-12, atol=1e-12)


def test_ddim_is_euler_on_the_variance_exploding_flow():
    """With y = x / sqrt(abar), sigma = sqrt((1 - abar) / abar): dy/dsigma = eps_hat."""
    times = even(20)[:-1]

    def denoise(x, t):
        return (2 * x).tanh(), None

    sigma = [float(((1 - ABAR[t]) / ABAR[t]) ** 0.5) for t in times]
    at = dict(zip(sigma, times, strict=True))

    def eps(y, sigma):
        x = ABAR[at[sigma]] ** 0.5 * y
        return (x - ABAR[at[sigma]] ** 0.5 * (2 * x).tanh()) / (1 - ABAR[at[sigma]]) ** 0.5

    x = torch.randn(30, 2).double()
    y, _ = ode(eps, x / ABAR[times[0]] ** 0.5, times=sigma, method="euler")
    x, _ = ancestral(denoise, x, RNG, abar=ABAR, times=[*times, 0], eta=0.0)
    last = ABAR[times[-1]] ** 0.5 * y
    torch.testing.assert_close(x, denoise(last, times[-1])[0], rtol=1e-9, atol=1e-9)


def test_times_must_fall_to_zero():
    for times in ([10, 20, 0], [20, 10], [0]):
        with pytest.raises(UserError, match="must fall and end at 0"):
            ancestral(lambda x, t: (x, None), torch.zeros(1, 1), RNG, abar=ABAR, times=times)


def test_a_missing_share_is_named():
    with pytest.raises(UserError, match="needs denoise"):
        ancestral(lambda x, t: (x, None), torch.zeros(1, 1), RNG, abar=ABAR, times=[9, 5, 0], variance="learned")


def test_one_denoising_call_per_step():
    calls = []

    def denoise(x, t):
        calls.append(t)
        return x, None

    _, info = ancestral(denoise, torch.zeros(2, 1), RNG, abar=np.asarray(ABAR), times=[9, 5, 0])
    assert calls == [9, 5] and info["calls"] == 2
