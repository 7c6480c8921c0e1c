"""Energy-based losses against closed forms on Gaussians: optima, values, signs and gradients."""

import math

import pytest
import torch

from whichloss.losses.energy import (
    contrastive_divergence,
    denoising_score_matching,
    energy_penalty,
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
