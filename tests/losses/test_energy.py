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


@pytest.mark.parametrize("steps", [1, 10, 1000])
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


def signs(d, dtype, size=1.0):
    """All rows of +-size: a normal law of sd `size` as far as second moments tell."""
    return size * torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=dtype)] * d).reshape(-1, d)


def nodes(d, count, dtype):
    """Rows and weights that stand for N(0, I_d), exact for polynomials of degree 2 count - 1 in every column."""
    z, w = hermite(count, dtype)
    places = torch.cartesian_prod(*[z] * d).reshape(-1, d)
    return places, torch.cartesian_prod(*[w] * d).reshape(-1, d).prod(dim=1)


@BOTH
@pytest.mark.parametrize("d", [1, 2, 5])
def test_score_matching_and_the_denoising_one_have_optima_that_do_not_depend_on_d(d, dtype):
    """1 / s2 and 1 / (s2 + sigma^2); least values -d / (2 s2) and s2 / (s2 + sigma^2); both slope down at 0."""
    x = signs(d, dtype, S2**0.5)

    def exact(lam):
        return score_matching(-lam * x, -lam * d * torch.ones(len(x), dtype=dtype)).mean()

    def sliced(lam):
        v = signs(d, dtype)
        return sliced_score_matching(-lam * x, -lam * (v**2).sum(dim=1)).mean()

    for loss in (exact, sliced):
        at = lambda lam: torch.func.grad(loss)(torch.tensor(lam, dtype=dtype)).item()
        assert at(1 / S2) == pytest.approx(0, abs=1e-5) and at(0.0) < 0 < at(1.1 / S2)
        assert loss(torch.tensor(1 / S2, dtype=dtype)).item() == pytest.approx(-d / (2 * S2), rel=1e-5)
    for sigma in (0.02, 0.5):
        n = signs(d, dtype)
        xs, ns = x.repeat_interleave(len(n), 0), n.repeat(len(x), 1)
        loss = lambda lam: denoising_score_matching(-lam * (xs + sigma * ns), ns, sigma).mean()
        best = 1 / (S2 + sigma**2)
        at = lambda lam: torch.func.grad(loss)(torch.tensor(lam, dtype=dtype)).item() / sigma**2
        assert at(best) == pytest.approx(0, abs=1e-4 / sigma) and at(0.0) < 0 < at(1.5 * best)
        least = loss(torch.tensor(best, dtype=dtype)).item()
        assert least == pytest.approx(S2 / (S2 + sigma**2), rel=1e-4)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize(("sigma", "known"), [(0.5, 2.61), (0.1, 13.0), (0.02, 65.2)])
def test_the_noise_of_the_denoising_gradient_grows_as_one_over_sigma(sigma, known, d, dtype):
    """At the optimum the gradient of |s + n / sigma|^2 / 2 in lam has sd sqrt(d s2) / sigma: exact by three nodes, as
    its square is of degree 4."""
    z, w = nodes(2 * d, 3, dtype)
    x, n = S2**0.5 * z[:, :d], z[:, d:]

    def rows(lam):
        return denoising_score_matching(-lam * (x + sigma * n), n, sigma) * d / (2 * sigma**2)

    slopes = torch.func.jacrev(rows)(torch.tensor(1 / (S2 + sigma**2), dtype=dtype))
    assert abs((w @ slopes).item()) < 1e-3 * known
    found = (w @ slopes**2).sqrt().item()
    assert found == pytest.approx((d * S2) ** 0.5 / sigma, rel=1e-3) == pytest.approx(d**0.5 * known, rel=0.01)


@BOTH
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("law", ["signs", "axes", "normal"])
def test_slices_may_follow_any_law_of_unit_covariance(law, d, dtype):
    """Signs, one of the axes times sqrt(d), normals: their mean is the exact loss for any Jacobian."""
    matrix = torch.arange(1.0, d * d + 1, dtype=dtype).reshape(d, d).sin()
    v, w = {
        "signs": (signs(d, dtype), torch.full((2**d,), 2.0**-d, dtype=dtype)),
        "axes": (d**0.5 * torch.eye(d, dtype=dtype), torch.full((d,), 1 / d, dtype=dtype)),
        "normal": nodes(d, 3, dtype),
    }[law]
    score = signs(d, dtype) @ matrix.T
    sliced = sum(
        p * sliced_score_matching(score, (one @ matrix @ one).expand(len(score))) for one, p in zip(v, w, strict=True)
    )
    torch.testing.assert_close(sliced, score_matching(score, matrix.trace().expand(len(score))))


def wells(x):
    """2 (x_j^2 - 1)^2 over all columns; log Z = .34424 a column."""
    return 2 * ((x**2 - 1) ** 2).sum(dim=1)


def cells(d, dtype, far=4.0, count=200):
    """Midpoints of a grid and the log of a cell's volume."""
    axis = ((torch.arange(count) + 0.5) * 2 / count - 1).to(dtype) * far
    return torch.cartesian_prod(*[axis] * d).reshape(-1, d), d * math.log(2 * far / count)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("nu", [1, 3])
def test_noise_contrastive_learns_the_constant_of_a_double_well(nu, d, dtype):
    """f = -E - c - log q against q = N(0, 1.5^2 I), the means by a grid: c is best at log Z = .34424 d, where every
    slope is 0, and for nu = 1 the value there is 2 log 2 - 2 JS(p, q)."""
    x, volume = cells(d, dtype)
    log_q = -(x**2).sum(dim=1) / 4.5 - d / 2 * math.log(2 * math.pi * 2.25)
    log_p = -wells(x) - 0.34424 * d
    p, q = (log_p + volume).exp(), (log_q + volume).exp()
    assert p.sum().item() == pytest.approx(1, abs=2e-5)

    def loss(f):
        sure = torch.full_like(f, torch.inf)
        return p @ noise_contrastive(f, -sure, nu) + q @ noise_contrastive(sure, f, nu)

    c = lambda c: torch.func.grad(lambda c: loss(-wells(x) - c - log_q))(torch.tensor(c, dtype=dtype)).item()
    assert c(0.34424 * d) == pytest.approx(0, abs=2e-5) and c(0.34424 * d - 0.02) < -1e-3 < 1e-3 < c(0.34424 * d + 0.02)
    best = log_p - log_q
    slope = torch.func.grad(loss)(best)
    assert slope.abs().sum() < 1e-5  # of p and q, which sum to 1
    if nu == 1:
        mean = torch.logaddexp(log_p, log_q) - math.log(2)
        js = (p @ (log_p - mean) + q @ (log_q - mean)).item() / 2
        lost = 1 - q.sum().item()  # noise beyond the grid, where its loss is 0
        assert loss(best).item() == pytest.approx(2 * math.log(2) - 2 * js, abs=1e-5 + lost)
        assert js > 0.05


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_the_log_partition_s_derivatives_are_the_energy_s_moments(d, dtype):
    """d log Z / d beta = -E[E], d^2 = Var(E): both d / 2 for a normal, the wells' own by quadrature; d / d lam is
    -E[dE / d lam]."""
    x, volume = cells(d, dtype, far=7.0, count=400)
    flat = torch.full_like(x[:, 0], -volume - math.log(len(x)))
    for e, mean, variance in ((x.square().sum(dim=1) / 2, 0.5, 0.5), (wells(x), *moments_of_a_well())):

        def log_z(beta, e=e):
            return log_partition(beta * e, flat)

        one = torch.ones((), dtype=dtype)
        assert -torch.func.grad(log_z)(one).item() == pytest.approx(d * mean, rel=1e-4)
        assert torch.func.grad(torch.func.grad(log_z))(one).item() == pytest.approx(d * variance, rel=1e-3)
    for lam in (0.5, 2.0):
        loss = lambda lam: importance_likelihood(lam * x[:1, 0] * 0, lam / 2 * x.square().sum(dim=1), flat).mean()
        found = torch.func.grad(loss)(torch.tensor(lam, dtype=dtype)).item()
        assert found == pytest.approx(-d / (2 * lam), rel=1e-3)


def moments_of_a_well():
    x = np.linspace(-4, 4, 100_001)
    e = 2 * (x**2 - 1) ** 2
    p = np.exp(-e) / np.exp(-e).sum()
    return p @ e, p @ e**2 - (p @ e) ** 2


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_energy_discrepancy_is_score_matching_at_little_noise(d, dtype):
    """L / t -> mean of |s|^2 / 2 + div s, on an energy that is not quadratic; all noises by quadrature."""
    t = 1e-4 if dtype == torch.float64 else 1e-2  # float32 has no digits for less
    z, w = nodes(d, 3, dtype)
    energy = lambda x: (0.4 * x**2 + x**4 / 20 + x.roll(1, -1) * x / 10).sum(dim=-1)
    x = signs(d, dtype, 1.3)
    shared = x[:, None] + t**0.5 * z  # (rows, n, d)
    copies = energy(shared[:, :, None] + t**0.5 * z) - (len(z) * w).log()
    e = energy(x)[:, None].expand(copies.shape[:2])
    found = energy_discrepancy(e.reshape(-1), copies.reshape(-1, len(z)), 1e-30).reshape(len(x), -1) @ w / t
    slope = torch.func.vmap(torch.func.grad(energy))(x)
    trace = torch.func.vmap(lambda x: torch.func.jacrev(torch.func.grad(energy))(x).trace())(x)
    torch.testing.assert_close(found, score_matching(-slope, -trace), rtol=0, atol=20 * t)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_energy_discrepancy_is_the_likelihood_at_much_noise(d, dtype):
    """L + d log(2 pi t) / 2 + d / 2 -> mean of E + log Z, the copies' mean by a grid over the wells."""
    t, z, w = 1e4, *nodes(d, 4, dtype)
    x, volume = cells(d, dtype, count=80)
    rows = torch.tensor([[0.5] * d, [-1.2] * d, [1.0] * d], dtype=dtype)
    middle = rows[:, None] + t**0.5 * z
    log_n = -(middle[:, :, None] - x).square().sum(dim=-1) / (2 * t) - d / 2 * math.log(2 * math.pi * t)
    copies = wells(x) - log_n - volume - math.log(len(x))
    e = wells(rows)[:, None].expand(copies.shape[:2])
    found = energy_discrepancy(e.reshape(-1), copies.reshape(-1, len(x)), 1e-30).reshape(len(rows), -1) @ w
    found = found + d / 2 * math.log(2 * math.pi * t) + d / 2
    torch.testing.assert_close(found, wells(rows) + 0.34424 * d, rtol=0, atol=2e-3)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("t", [0.1, 1.0, 10.0])
def test_energy_discrepancy_has_its_optimum_at_the_truth_for_any_noise(d, t, dtype):
    """As above for a normal, sharper: copies on a grid around 0, where the energy is low, whatever t is."""
    z, w = nodes(d, 8, dtype)
    x, volume = cells(d, dtype, far=9.0, count=400 if d == 1 else 60)
    middle = (S2 + t) ** 0.5 * z
    log_n = -(middle[:, None] - x).square().sum(dim=-1) / (2 * t) - d / 2 * math.log(2 * math.pi * t)

    def mean(lam):
        copies = lam / 2 * x.square().sum(dim=1) - log_n - volume - math.log(len(x))
        return w @ energy_discrepancy(lam / 2 * S2 * z.square().sum(dim=1), copies, 1e-30)

    close = 1e-4 if dtype == torch.float32 or d == 2 else 1e-6
    for lam in (0.4, 1 / S2, 1.2):
        known = d * (lam * S2 / 2 - math.log(1 + t * lam) / 2 - lam * (S2 + t) / (2 * (1 + t * lam)))
        assert mean(torch.tensor(lam, dtype=dtype)).item() == pytest.approx(known, abs=close)
    slope = lambda lam: torch.func.grad(mean)(torch.tensor(lam, dtype=dtype)).item()
    assert slope(1 / S2) == pytest.approx(0, abs=close) and slope(0.9 / S2) < -close < close < slope(1.1 / S2)
