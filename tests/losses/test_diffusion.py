"""Diffusion losses against float64 tables, conversions against each other, optima against closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whichloss.errors import UserError
from whichloss.losses import diffusion as q
from whichloss.losses.denoisers import (
    gaussian_denoiser,
    kernel_denoiser,
    loss_between,
    reference_denoisers,
)

torch.manual_seed(0)
X0, EPS = torch.randn(64, 3).double(), torch.randn(64, 3).double()
LINEAR, COSINE = np.array(q.linear_schedule(1000)), np.array(q.cosine_schedule(1000))


def close(a, b, rel=1e-12):
    torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=rel, atol=rel)


# t (1-based): abar, btilde, c0, ct, from an independent evaluation of the formulas in 50 digits
POSTERIOR = {
    2: (0.9997800921, 5.453187661e-5, 0.5452914995, 0.454708499),
    101: (0.8951415909, 2.05455353e-3, 0.01889545559, 0.9810761026),
    501: (0.07779665837, 0.01005133578, 0.003058057076, 0.9941043508),
    1000: (4.035829765e-5, 0.01999998353, 1.283514872e-4, 0.9899486783),
}


@pytest.mark.parametrize("t", POSTERIOR)
def test_linear_schedule_and_posterior(t):
    abar, btilde, c0, ct = POSTERIOR[t]
    weights = q.posterior_weights(LINEAR[t], LINEAR[t - 1])
    assert LINEAR[t] == pytest.approx(abar, rel=1e-9)
    assert weights == pytest.approx((c0, ct, btilde), rel=1e-8)


def test_cosine_schedule():
    beta = 1 - COSINE[1:] / COSINE[:-1]
    assert beta[[0, 500, 998, 999]] == pytest.approx([4.128422482e-5, 3.155691442e-3, 0.7499993929, 0.999], rel=1e-8)
    assert COSINE[501] == pytest.approx(0.4922851724, rel=1e-9)


@pytest.mark.parametrize("make", [q.linear_schedule, q.cosine_schedule])
def test_schedules_fall_from_one_to_the_prior(make):
    for steps in (21, 100, 1000):
        abar = make(steps)
        assert len(abar) == steps + 1 and abar[0] == 1
        assert (np.diff(abar) < 0).all() and 0 < abar[-1] < 1e-4


def test_too_few_steps_are_refused():
    with pytest.raises(UserError, match="steps > 20; got steps = 20"):
        q.linear_schedule(20)
    with pytest.raises(UserError, match="steps >= 1; got steps = 0"):
        q.cosine_schedule(0)


@given(st.floats(1e-4, 0.99), st.floats(0.3, 0.999))
def test_posterior_is_bayes(a_s, ratio):
    """q(x_s | x_t, x0) by conditioning the joint normal of (x_s, x_t) given x0."""
    a, (c0, ct, var) = a_s * ratio, q.posterior_weights(a_s * ratio, a_s)
    gain = ratio**0.5 * (1 - a_s) / (1 - a)
    assert ct == pytest.approx(gain, rel=1e-9)
    assert c0 == pytest.approx(a_s**0.5 - gain * a**0.5, rel=1e-6, abs=1e-12)
    assert var == pytest.approx((1 - a_s) - gain**2 * (1 - a), rel=1e-6, abs=1e-12)
    assert var == pytest.approx(1 / (1 / (1 - a_s) + ratio / (1 - ratio)), rel=1e-9)


@pytest.mark.parametrize("predict", ["eps", "x0", "mean", "v"])
def test_every_prediction_says_the_same(predict):
    a, a_s = 0.3, 0.5
    x_t = q.noised(X0, EPS, a)
    out = q.target(predict, X0, EPS, a, a_s)
    close(q.to_x0(predict, out, x_t, a, a_s), X0)
    close(q.eps_from_x0(X0, x_t, a), EPS)


def test_velocity_is_the_derivative_of_the_angle():
    angle = torch.tensor(0.7, dtype=torch.float64)
    slope = torch.func.jacrev(lambda p: p.cos() * X0 + p.sin() * EPS)(angle)
    close(q.velocity(X0, EPS, float(angle.cos() ** 2)), slope)


def test_score_is_the_gradient_of_the_log_density():
    a = 0.4
    x_t = q.noised(X0, EPS, a)

    def log_q(x_t):
        return torch.distributions.Normal(a**0.5 * X0, (1 - a) ** 0.5).log_prob(x_t).sum()

    close(q.score_from_eps(EPS, a), torch.func.grad(log_q)(x_t))


@pytest.mark.parametrize("predict", ["eps", "x0", "mean", "v"])
@pytest.mark.parametrize("weight", ["eps", "x0", "mean", "v"])
def test_parametrisation_and_weight_are_separate(predict, weight):
    """The loss of a wrong x0 depends on the weight alone, whatever the network predicts."""
    a, a_s = 0.3, 0.5
    x0_hat, x_t = X0 + 0.1 * EPS.roll(1, 0), q.noised(X0, EPS, a)

    def loss(kind, like):
        out = q.target(kind, x0_hat, q.eps_from_x0(x0_hat, x_t, a), a, a_s)
        error = q.squared_error(out, q.target(kind, X0, EPS, a, a_s))
        return q.error_weight(like, a, a_s) / q.error_weight(kind, a, a_s) * error

    close(loss(predict, weight), loss(weight, weight))


def test_bound_weight_is_half_the_fall_of_snr():
    a, a_s = LINEAR[2], LINEAR[1]
    x_t = q.noised(X0, EPS, a)
    x0_hat = X0 + 0.01 * EPS.roll(1, 0)
    one = torch.ones(len(X0), 1, dtype=torch.float64)
    term = q.bound_term(X0, x_t, x0_hat, 0 * X0, a * one, a_s * one)
    close(term, 0.5 * (q.snr(a_s) - q.snr(a)) * ((x0_hat - X0) ** 2).sum(1), 1e-9)
    beta = 1 - a / a_s
    small = q.posterior_weights(a, a_s)[2]
    assert beta**2 / (2 * small * (a / a_s) * (1 - a)) == pytest.approx(0.599672, rel=1e-5)


def test_optimal_losses_of_normal_data():
    """Mean over t of s^2 abar / (abar s^2 + 1 - abar): .27551 linear, .49558 cosine; v-loss 1."""
    assert LINEAR[1:].mean() == pytest.approx(0.27551, abs=5e-6)
    assert COSINE[1:].mean() == pytest.approx(0.49558, abs=5e-6)
    x0, eps = torch.randn(2, 200_000, 1).double()
    for a in (0.1, 0.9):
        x_t = q.noised(x0, eps, a)
        best = a**0.5 * x_t  # E[x0 | x_t] at s = 1
        error = q.squared_error(q.target("v", best, q.eps_from_x0(best, x_t, a), a, 1.0), q.velocity(x0, eps, a))
        assert error.mean() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("s2", [1.0, 0.04])
@pytest.mark.parametrize("abar", [q.linear_schedule(40), q.cosine_schedule(30)[:-1]])
def test_bound_is_the_entropy_at_the_best_mean_and_variance(s2, abar):
    """E[-ELBO] = H(x0) + KL(q(x_T) || prior) for N(0, s2), with shares Var(x0 | x_t) / (1 - abar_t)."""
    total, gauss = 0.0, torch.tensor([[1.0], [-1.0]], dtype=torch.float64)  # matches two moments
    for t in range(1, len(abar)):
        a, a_s = (torch.full((4, 1), float(abar[k]), dtype=torch.float64) for k in (t, t - 1))
        x0 = s2**0.5 * gauss.repeat_interleave(2, 0)
        x_t = q.noised(x0, gauss.repeat(2, 1), a)
        width = a * s2 + 1 - a
        total += q.bound_term(x0, x_t, a.sqrt() * s2 / width * x_t, s2 / width, a, a_s).mean()
    total += q.prior_kl(s2**0.5 * gauss, float(abar[-1])).mean()
    last = float(abar[-1]) * s2 + 1 - float(abar[-1])
    entropy = 0.5 * math.log(2 * math.pi * math.e * s2)
    assert total.item() == pytest.approx(entropy + 0.5 * (last - 1 - math.log(last)), rel=1e-10)


def test_learned_variance_runs_from_small_to_large():
    share = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert q.learned_variance(share, 0.3, 0.5).tolist() == pytest.approx([0.4 * 0.5 / 0.7, 0.4])


def test_normal_kl_and_nll_match_torch():
    mean, var = torch.randn(2, 5, 3).double()
    p, r = (torch.distributions.Normal(m, v.exp().sqrt()) for m, v in ((mean, var), (var, mean)))
    kl = torch.distributions.kl_divergence(p, r).sum(1)
    close(q.normal_kl(mean, var.exp(), var, mean.exp()), kl)
    close(q.normal_nll(X0[:5], mean, var.exp()), -p.log_prob(X0[:5]).sum(1))


def test_prior_distance():
    """Known: linear T = 1000 2e-5 nats; betas 1e-4 .. .02 not scaled at T = 50 .462; scaled 3.9e-6."""
    one = torch.ones(1, 1).double()
    raw = float(np.cumprod(1 - np.linspace(1e-4, 0.02, 50))[-1])
    assert q.prior_kl(one, LINEAR[-1]).item() == pytest.approx(2.02e-5, rel=1e-2)
    assert q.prior_kl(one, raw).item() == pytest.approx(0.462, abs=1e-3)
    assert q.prior_kl(one, q.linear_schedule(50)[-1]).item() == pytest.approx(3.9e-6, rel=2e-2)


def test_marginal_moments():
    x0 = 2 + 3 * torch.randn(400_000, 1).double()
    x_t = q.noised(x0, torch.randn_like(x0), 0.3)
    mean, var = q.marginal(2.0, 9.0, 0.3)
    assert (x_t.mean().item(), x_t.var().item()) == pytest.approx((mean, var), rel=0.02)


def test_flow_matching_least_loss_is_half_pi():
    """For N(m, 1) data: u* = m + (t - (1 - t)) / ((1 - t)^2 + t^2) (x - t m); its loss pi/2, whatever m."""
    t = q.spread_times(torch.tensor(0.3, dtype=torch.float64), 400_000)
    x0, x1 = torch.randn(400_000, 1).double(), 5 + torch.randn(400_000, 1).double()
    x_t = q.path(x0, x1, t)
    best = 5 + (2 * t - 1) / ((1 - t) ** 2 + t**2) * (x_t - 5 * t)
    assert q.flow_matching(best, x0, x1).mean() == pytest.approx(math.pi / 2, rel=0.01)
    close(q.flow_matching(x1 - x0, x0, x1), torch.zeros(400_000, dtype=torch.float64))


def test_path_goes_from_noise_to_data():
    close(q.path(EPS, X0, 0.0), EPS)
    close(q.path(EPS, X0, 1.0), X0)


def test_spread_times_cover_the_interval():
    t = q.spread_times(torch.tensor(0.9), 1000)
    assert t.shape == (1000, 1) and t.min() >= 0 and t.max() < 1
    assert torch.histc(t, 100, 0, 1).sub(10).abs().max() <= 2


def test_losses_are_per_row_and_differentiable():
    x = X0[:4].clone().requires_grad_()
    one = torch.full((4, 1), 0.5, dtype=torch.float64)
    share = torch.full((4, 3), 0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: q.squared_error(x, EPS[:4]), x)
    bound = lambda x, s: q.bound_term(X0[:4], X0[:4] + EPS[:4], x, s, one, one + 0.2)
    decode = lambda x, s: q.bound_term(X0[:4], X0[:4] + EPS[:4], x, s, one, one + 0.5)
    assert torch.autograd.gradcheck(bound, (x, share))
    assert torch.autograd.gradcheck(decode, (x, share))


# --- denoisers


def test_gaussian_denoiser_is_the_regression():
    x = torch.randn(500, 3).double() @ torch.randn(3, 3).double() + 1
    z = torch.randn(10, 3).double()
    alpha, sigma = torch.full((10, 1), 0.6, dtype=torch.float64), torch.full((10, 1), 0.5, dtype=torch.float64)
    cov, mean = torch.cov(x.T, correction=0), x.mean(0)
    gain = 0.6 * cov @ torch.linalg.inv(0.36 * cov + 0.25 * torch.eye(3))
    close(gaussian_denoiser(x)(z, alpha, sigma), mean + (z - 0.6 * mean) @ gain.T, 1e-9)


def test_kernel_denoiser_is_the_gradient_of_its_log_density():
    """Tweedie: E[x | z] = (z + sigma^2 grad log p(z)) / alpha, with p summed by hand."""
    x = torch.randn(40, 2).double()
    fit = kernel_denoiser(torch.cat([x - 3, x + 3]))
    centers = fit.centers @ fit.axes.T
    cov = fit.bandwidth**2 * fit.axes @ torch.diag(fit.values) @ fit.axes.T
    mixture = torch.distributions.MultivariateNormal(0.8 * centers, 0.64 * cov + 0.09 * torch.eye(2).double())
    z = torch.randn(5, 2).double() * 3
    score = torch.func.grad(lambda z: mixture.log_prob(z[:, None]).logsumexp(1).sum())(z)
    alpha, sigma = torch.full((5, 1), 0.8, dtype=torch.float64), torch.full((5, 1), 0.3, dtype=torch.float64)
    close(fit(z, alpha, sigma), (z + 0.09 * score) / 0.8, 1e-8)


def test_kernel_model_keeps_mean_and_covariance():
    x = torch.randn(300, 2).double() * torch.tensor([1.0, 3.0]) + 2
    fit = kernel_denoiser(x)
    centers = fit.centers @ fit.axes.T
    kernel = fit.bandwidth**2 * fit.axes @ torch.diag(fit.values) @ fit.axes.T
    close(centers.mean(0), x.mean(0))
    close(torch.cov(centers.T, correction=0) + kernel, torch.cov(x.T, correction=0), 1e-9)


def test_bandwidth_follows_the_data():
    normal, modes = torch.randn(1000, 2), torch.randint(0, 3, (1000, 2)) + 0.02 * torch.randn(1000, 2)
    assert kernel_denoiser(normal).bandwidth >= 0.2
    assert kernel_denoiser(modes).bandwidth <= 0.06


def test_loss_range_separates_modes_from_a_normal():
    alpha, sigma = torch.ones(2000, 1), torch.full((2000, 1), 0.3)

    def losses(x, x_new):
        z = x_new + 0.3 * torch.randn_like(x_new)
        return [q.squared_error(d(z, alpha, sigma), x_new) for d in reference_denoisers(x)]

    signs = [torch.randint(0, 2, (2000, 1)) * 2 - 1 + 0.1 * torch.randn(2000, 1) for _ in range(2)]
    assert loss_between(*losses(*signs)) is not None
    assert loss_between(*losses(torch.randn(2000, 1), torch.randn(2000, 1))) is None
