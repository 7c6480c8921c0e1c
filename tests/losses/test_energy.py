"""Energy-based losses against closed forms on Gaussians: optima, values, signs and gradients."""

import math

import numpy as np
import pytest
import torch

from whichloss.losses.energy import (
    contrastive_divergence,
    denoising_score_matching,
    energy_discrepancy,
    energy_penalty,
    importance_likelihood,
    log_partition,
    noise_contrastive,
    score_matching,
    sliced_score_matching,
)

S2 = 1.7
X = math.sqrt(S2) * torch.randn(400_000, 1, generator=torch.Generator().manual_seed(0)).double()
X = (X - X.mean()) / X.std(correction=0) * math.sqrt(S2)  # its second moment is S2 exactly


def slope(loss, at):
    lam = torch.tensor(at, dtype=torch.float64)
    return torch.func.grad(lambda lam: loss(lam).mean())(lam).item()


def test_contrastive_divergence_gradient_is_the_moment_difference():
    """E = lam x^2 / 2: dL/dlam = (E_data x^2 - E_model x^2) / 2, which is 0 at equal laws."""
    model = 0.5 * X

    def loss(lam):
        return contrastive_divergence(lam * X**2 / 2, lam * model**2 / 2)

    assert slope(loss, 0.8) == pytest.approx((S2 - S2 / 4) / 2, rel=1e-12)
    assert contrastive_divergence(X, X).abs().max() == 0
    torch.testing.assert_close(contrastive_divergence(X + 3, model + 3), X - model)


@pytest.mark.parametrize("steps", [1, 10])
def test_contrastive_divergence_fixed_point_of_unadjusted_langevin(steps):
    """Chains started at the data, step h: lam* = (1 - sqrt(1 - 2 h / s2)) / h for every number of steps."""
    h = 0.1
    best = (1 - math.sqrt(1 - 2 * h / S2)) / h

    def gap(lam):  # second moment of the chains, exactly
        moment = S2
        for _ in range(steps):
            moment = (1 - h * lam) ** 2 * moment + 2 * h
        e = torch.tensor([[lam]], dtype=torch.float64)
        return contrastive_divergence(e * S2 / 2, e * moment / 2).item()

    assert best == pytest.approx(0.60664, abs=1e-5)
    assert gap(best) == pytest.approx(0, abs=1e-12) and gap(best + 0.1) * gap(best - 0.1) < 0


def test_energy_penalty():
    e = torch.tensor([1.0, -2.0])
    assert energy_penalty(e).tolist() == [1.0, 4.0]


@pytest.mark.parametrize("d", [1, 4])
def test_score_matching_optimum(d):
    """s = -lam x on N(0, s2 I_d): least at lam = 1 / s2 for every d, where its mean is -d / (2 s2)."""
    x = X.expand(-1, d)

    def loss(lam):
        return score_matching(-lam * x, -lam * d * torch.ones(len(x), dtype=torch.float64))

    assert slope(loss, 1 / S2) == pytest.approx(0, abs=1e-9)
    assert slope(loss, 0.0) < 0
    assert loss(torch.tensor(1 / S2)).mean() == pytest.approx(-d / (2 * S2), rel=1e-6)


def test_sliced_score_matching_is_score_matching_on_average():
    """Over all sign vectors v the sliced loss is the full one, for any score with any Jacobian."""
    matrix, x = torch.randn(3, 3).double(), torch.randn(5, 3).double()
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3).double()
    score, quadratic = x @ matrix.T, torch.einsum("vi,ij,vj->v", signs, matrix, signs)
    sliced = torch.stack([sliced_score_matching(score, one.expand(5)) for one in quadratic])
    full = score_matching(score, matrix.trace().expand(5))
    torch.testing.assert_close(sliced.mean(0), full)


def test_denoising_score_matching_optimum():
    """s = -lam (x + sigma n): least at 1 / (s2 + sigma^2), value s2 / (s2 + sigma^2) per dimension."""
    n = torch.randn(len(X), 1, generator=torch.Generator().manual_seed(1)).double()
    n = n - (n * X).mean() / S2 * X
    n, sigma = n / (n**2).mean().sqrt(), 0.6  # uncorrelated with X, second moment 1: no Monte Carlo error

    def loss(lam):
        return denoising_score_matching(-lam * (X + sigma * n), n, sigma)

    best = 1 / (S2 + sigma**2)
    assert slope(loss, best) == pytest.approx(0, abs=1e-9)
    assert slope(loss, 0.0) < 0  # the sign: an inverted target would push the other way
    assert loss(torch.tensor(best)).mean() == pytest.approx(S2 / (S2 + sigma**2), rel=1e-9)


def test_denoising_score_matching_is_zero_for_the_kernel_itself():
    n = torch.randn(7, 3).double()
    assert denoising_score_matching(-n / 0.3, n, 0.3).abs().max() < 1e-24
    assert denoising_score_matching(0 * n, n, 0.3) == pytest.approx((n**2).mean(1).numpy())


def test_noise_contrastive_levels():
    """f = log p - log q: 2 log 2 at equal laws; minus twice JS below it, by quadrature."""
    assert noise_contrastive(torch.zeros(1), torch.zeros(1)).item() == pytest.approx(2 * math.log(2))
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    p, r = (torch.distributions.Normal(m, 1.0).log_prob(x) for m in (-1.0, 1.0))
    h, mix = (x[1] - x[0]).item(), torch.logaddexp(p, r) - math.log(2)
    js = h * 0.5 * (p.exp() * (p - mix) + r.exp() * (r - mix)).sum()
    f = p - r
    zero = noise_contrastive(f, torch.full_like(f, -torch.inf)), noise_contrastive(torch.full_like(f, torch.inf), f)
    value = h * (p.exp() * zero[0] + r.exp() * zero[1]).sum()
    assert value.item() == pytest.approx(2 * math.log(2) - 2 * js.item(), abs=1e-9)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_losses_stay_finite(size):
    e = torch.tensor([size])
    assert noise_contrastive(e, -e).isfinite() and contrastive_divergence(e, -e).isfinite()


BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@BOTH
@pytest.mark.parametrize("nu", [1, 3, 10])
def test_noise_contrastive_with_several_noise_rows_is_a_classifier_with_unequal_classes(dtype, nu):
    """A row is real with the odds e^f / nu; at p = q: (1 + nu) log(1 + nu) - nu log nu, and f = log p / q is best."""
    zero = torch.zeros(1, dtype=dtype)
    least = (1 + nu) * math.log(1 + nu) - nu * math.log(nu)
    assert noise_contrastive(zero, zero, nu).item() == pytest.approx(least, rel=1e-6)
    p, q = torch.tensor([0.6, 0.3, 0.1], dtype=dtype), torch.tensor([0.2, 0.3, 0.5], dtype=dtype)
    f = (p / q).log().requires_grad_()
    terms = p * noise_contrastive(f, -1e9 + 0 * f, nu) + q * noise_contrastive(1e9 + 0 * f, f, nu)
    (slope,) = torch.autograd.grad(terms.sum(), f)
    assert slope.abs().max() < 1e-6
    rows = noise_contrastive(f[:, None], f[None, :].expand(3, 3), nu)
    assert rows.shape == (3, 3) and rows[0, 1] == noise_contrastive(f[0], f[1], nu)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_log_partition_of_a_normal_by_grid_and_by_importance(dtype, d):
    lam, log_z = 2.3, d / 2 * math.log(2 * math.pi / 2.3)
    axis = (torch.arange(400, dtype=dtype) + 0.5) / 400 * 12 - 6
    y = torch.cartesian_prod(*[axis] * d).reshape(-1, d)
    grid = log_partition(lam / 2 * (y**2).sum(1), torch.full_like(y[:, 0], -d * math.log(12)))
    assert grid.item() == pytest.approx(log_z, abs=2e-5)
    y = torch.randn(100_000, d, generator=torch.Generator().manual_seed(0)).to(dtype)
    log_q = -(y**2).sum(1) / 2 - d / 2 * math.log(2 * math.pi)
    assert log_partition(lam / 2 * (y**2).sum(1), log_q).item() == pytest.approx(log_z, abs=0.01)


def test_importance_likelihood_is_the_negative_log_likelihood_and_its_gradient():
    """Three states, the proposal's rows all of them, equally likely: exactly -log p, and gradient data - model."""
    e, log_q = torch.tensor([0.3, -2.0, 1.0]).double().requires_grad_(), torch.full((3,), -math.log(3)).double()
    p = torch.tensor([0.5, 0.25, 0.25]).double()
    nll = importance_likelihood(e, e, log_q)
    torch.testing.assert_close(nll, -torch.log_softmax(-e, 0))
    (slope,) = torch.autograd.grad((p * nll).sum(), e)
    torch.testing.assert_close(slope, p - torch.softmax(-e, 0))
    shifted = importance_likelihood(e + 7, e + 7, log_q)
    torch.testing.assert_close(shifted, nll)


def hermite(count, dtype=torch.float64):
    """Nodes and weights of N(0, 1)."""
    at, weight = np.polynomial.hermite_e.hermegauss(count)
    return torch.tensor(at, dtype=dtype), torch.tensor(weight / weight.sum(), dtype=dtype)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("t", [0.1, 1.0, 10.0])
def test_energy_discrepancy_of_a_normal(d, t):
    """lam d s2 / 2 - d log(1 + t lam) / 2 - lam d (s2 + t) / (2 (1 + t lam)), least at 1 / s2 for every t.

    M copies by quadrature: their weights enter as energies, -log(M weight), since the loss takes an equal mean.
    """
    z, w = hermite(100 if d == 1 else 40)
    places = torch.cartesian_prod(*[z] * d).reshape(-1, d)
    log_w = torch.cartesian_prod(*[w.log()] * d).reshape(-1, d).sum(1)

    def mean(lam):
        x, y = S2**0.5 * places, (S2 + t) ** 0.5 * places  # the loss is linear in E(x): any coupling does
        copies = lam / 2 * ((y[:, None] + t**0.5 * places) ** 2).sum(-1) - log_w - math.log(len(places))
        return log_w.exp() @ energy_discrepancy(lam / 2 * (x**2).sum(1), copies, 1e-300)

    def formula(lam):
        return d * (lam * S2 / 2 - math.log(1 + t * lam) / 2 - lam * (S2 + t) / (2 * (1 + t * lam)))

    best, close = torch.tensor(1 / S2, dtype=torch.float64), 2e-2 if t > 1 else 1e-6  # few nodes for a narrow law
    for lam in (0.3, 1 / S2, 1.2):
        assert mean(torch.tensor(lam).double()).item() == pytest.approx(formula(lam), abs=close)
    assert torch.func.grad(mean)(best).item() == pytest.approx(0, abs=close)
    assert torch.func.grad(mean)(0.7 * best) < 0 < torch.func.grad(mean)(1.4 * best)


@BOTH
def test_energy_discrepancy_formula_bound_and_level(dtype):
    e, noised = torch.randn(5, dtype=dtype), torch.randn(5, 3, dtype=dtype)
    direct = torch.log(0.5 / 3 + torch.exp(e[:, None] - noised).mean(1))
    torch.testing.assert_close(energy_discrepancy(e, noised, 0.5), direct)
    torch.testing.assert_close(energy_discrepancy(e + 9, noised + 9, 0.5), direct)
    low = energy_discrepancy(torch.full((1,), -1e4, dtype=dtype), torch.zeros(1, 3, dtype=dtype), 2.0)
    assert low.item() == pytest.approx(math.log(2 / 3), rel=1e-6)  # w keeps it from falling without end
    assert energy_discrepancy(-low * 1e4, torch.zeros(1, 3, dtype=dtype)).isfinite()


@pytest.mark.parametrize("w", [1.0, 1e-3])
def test_gradients_of_the_likelihood_and_the_discrepancy(w):
    draw = torch.Generator().manual_seed(0)
    e, noised, log_q = (torch.randn(*s, generator=draw).double() for s in ((4,), (4, 3), (6,)))
    y = torch.randn(6, generator=draw).double().requires_grad_()
    inputs = e.requires_grad_(), noised.requires_grad_()
    assert torch.autograd.gradcheck(lambda e, n: energy_discrepancy(e, n, w), inputs)
    assert torch.autograd.gradcheck(lambda e, y: importance_likelihood(e, y, log_q), (e, y))
