"""Divergences against closed forms, their inequalities, scipy, scikit-learn, POT and geomloss."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import mutual_info_score
from sklearn.metrics.pairwise import rbf_kernel
from torch.autograd import gradcheck
from torch.func import vmap

from whichloss import metrics
from whichloss.errors import UserError
from whichloss.losses import divergence as D
from whichloss.losses.adversarial import bce_critic
from whichloss.losses.diffusion import normal_kl

PAIRS = (D.kl, D.js, D.total_variation, D.chi_squared, D.cross_entropy_of)
DIVERGENCES = PAIRS[:4]
DENSITIES = (D.kl_of_densities, D.reverse_kl_of_densities, D.total_variation_of_densities, D.chi_squared_of_densities)
SAMPLES = {D.energy_distance: D.energy_distance, D.mmd: lambda x, y: D.mmd(x, y, (0.7, 2.0))}
name = lambda f: f.__name__


def laws(*shape, seed=0, dtype=torch.float64):
    """Random laws over the last axis, some of them nearly certain."""
    generator = torch.Generator().manual_seed(seed)
    return (4 * torch.randn(*shape, generator=generator, dtype=torch.float64)).softmax(-1).to(dtype)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariance(d, seed=0):
    a = normal(d, d + 2, seed=seed)
    return a @ a.T / d


def near(got, expected, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


# --- tables ---


def test_tables_are_scipys():
    p, q = laws(50, 7), laws(50, 7, seed=1)
    near(D.entropy(p), stats.entropy(p, axis=-1))
    near(D.kl(p, q), stats.entropy(p, q, axis=-1), rtol=1e-10)
    near(D.js(p, q), jensenshannon(p, q, axis=-1) ** 2, rtol=1e-10)
    near(D.cross_entropy_of(p, q), stats.entropy(p, axis=-1) + stats.entropy(p, q, axis=-1), rtol=1e-10)
    near(D.chi_squared(p, q), (p**2 / q).sum(-1) - 1, rtol=1e-10)
    near(D.total_variation(p, q), 1 - torch.minimum(p, q).sum(-1), rtol=1e-10)


def test_pearsons_statistic_is_n_times_chi_squared():
    p, q, n = laws(6), laws(6, seed=1), 40
    near(n * D.chi_squared(p, q), stats.chisquare(n * p, n * q).statistic, rtol=1e-10)


def test_mutual_information_is_scikit_learns():
    counts = torch.randint(0, 9, (4, 5), generator=torch.Generator().manual_seed(0)).double()
    joint = counts / counts.sum()
    independent = joint.sum(1, keepdim=True) * joint.sum(0)
    near(D.kl(joint.flatten(), independent.flatten()), mutual_info_score(None, None, contingency=counts), rtol=1e-10)


def test_total_variation_is_the_largest_gap_of_any_event():
    p, q = laws(5), laws(5, seed=3)
    events = torch.tensor(list(itertools.product((0.0, 1.0), repeat=5)), dtype=torch.float64)
    near(D.total_variation(p, q), (events @ (p - q)).max())


def test_information_content_and_its_mean():
    assert D.information_content(torch.tensor([1.0, 0.5, 0.0])).tolist() == pytest.approx([0, math.log(2), math.inf])
    p = laws(3, 6)
    near((p * D.information_content(p)).sum(-1), D.entropy(p))
    near(D.information_content(p[:, 0] * p[:, 1]), D.information_content(p[:, :2]).sum(-1))


def test_the_certain_the_uniform_and_the_disjoint():
    certain, other = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.5, 0.5])
    uniform = torch.full((4,), 0.25)
    assert (D.entropy(certain), D.entropy(uniform)) == (0, pytest.approx(math.log(4)))
    assert D.kl(certain, uniform) == D.cross_entropy_of(certain, uniform) == pytest.approx(math.log(4))
    assert D.kl(uniform, certain) == D.chi_squared(uniform, certain) == D.cross_entropy_of(uniform, certain) == math.inf
    assert D.chi_squared(certain, uniform) == 3
    assert (D.js(certain, other), D.total_variation(certain, other)) == (pytest.approx(math.log(2)), 1)


@pytest.mark.parametrize("f", DIVERGENCES, ids=name)
def test_zero_at_equality_and_only_there(f):
    p, q = laws(20, 5), laws(20, 5, seed=1)
    p[0] = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
    assert (f(p, p) == 0).all()
    assert (f(p, q) > 0).all()


@pytest.mark.parametrize("f", PAIRS, ids=name)
def test_order_of_outcomes_and_absent_outcomes_do_not_matter(f):
    p, q = laws(3, 4, 6), laws(3, 4, 6, seed=1)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    near(f(p[..., order], q[..., order]), f(p, q), rtol=1e-10)
    wider = lambda t: torch.cat([t, torch.zeros_like(t[..., :2])], dim=-1)
    near(f(wider(p), wider(q)), f(p, q), rtol=1e-10)
    near(f(p[1, 2], q[1, 2]), f(p, q)[1, 2])  # each law by itself
    near(vmap(f)(p, q), f(p, q))


@pytest.mark.parametrize("f", DIVERGENCES, ids=name)
def test_merging_outcomes_brings_laws_closer(f):
    p, q = laws(100, 6), laws(100, 6, seed=1)
    merged = lambda t: torch.stack([t[:, :2].sum(1), t[:, 2:5].sum(1), t[:, 5]], dim=1)
    assert (f(merged(p), merged(q)) <= f(p, q) + 1e-14).all()


def test_symmetric_where_they_should_be():
    p, q = laws(9, 5), laws(9, 5, seed=1)
    near(D.js(p, q), D.js(q, p))
    near(D.total_variation(p, q), D.total_variation(q, p))
    assert not torch.allclose(D.kl(p, q), D.kl(q, p))


def test_inequalities():
    p, q = laws(500, 6), laws(500, 6, seed=1)
    kl, js, tv, chi2 = (f(p, q) for f in DIVERGENCES)
    slack = 1 + 1e-9
    assert (2 * tv**2 <= kl * slack).all()  # Pinsker
    assert (tv <= torch.sqrt(1 - torch.exp(-kl)) * slack).all()  # Bretagnolle and Huber
    assert (kl <= chi2.log1p() * slack).all() and (4 * tv**2 <= chi2 * slack).all()
    assert (tv**2 / 2 <= js * slack).all() and (js <= tv * math.log(2) * slack).all()
    r = laws(500, 6, seed=2)
    assert (D.js(p, r).sqrt() <= (D.js(p, q).sqrt() + D.js(q, r).sqrt()) * slack).all()  # a distance


@pytest.mark.parametrize("eps", [1e-3, 1e-6])
def test_near_equality_all_are_half_the_fisher_quadratic_form(eps):
    q = laws(5, seed=4)
    delta = q * (normal(5) - (q * normal(5)).sum())  # sums to 0
    p, chi2 = q + eps * delta, (eps**2 * delta**2 / q).sum()
    near(D.kl(p, q), chi2 / 2, rtol=10 * eps + 1e-4)
    near(D.js(p, q), chi2 / 8, rtol=10 * eps + 1e-4)
    near(D.chi_squared(p, q), chi2, rtol=10 * eps + 1e-4)


@pytest.mark.parametrize("f", (*PAIRS, D.entropy), ids=name)
def test_gradcheck_of_tables(f):
    p, q = (t.mul(0.5).softmax(-1) for t in (normal(3, 4), normal(3, 4, seed=1)))
    given = (p,) if f is D.entropy else (p, q)
    assert gradcheck(f, [t.requires_grad_() for t in given])


@pytest.mark.parametrize("f", (*PAIRS, D.entropy), ids=name)
def test_gradients_through_a_softmax_whose_entries_underflow(f):
    """Entries 0 by underflow must give the gradient of the law without them."""
    z = torch.tensor([0.3, -1e4, 1.1, -0.4], requires_grad=True)
    kept = torch.tensor([0.3, 1.1, -0.4], requires_grad=True)
    q = torch.tensor([0.2, 0.0, 0.5, 0.3])
    assert z.softmax(0)[1] == 0
    for other in (q, torch.tensor([0.2, 0.1, 0.4, 0.3])):
        loss = f(z.softmax(0)) if f is D.entropy else f(z.softmax(0), other)
        (found,) = torch.autograd.grad(loss, z)
        assert found.isfinite().all() and found[1] == 0
    if f is D.entropy:
        (expected,) = torch.autograd.grad(f(kept.softmax(0)), kept)
    else:
        (found,) = torch.autograd.grad(f(z.softmax(0), q), z)
        (expected,) = torch.autograd.grad(f(kept.softmax(0), q[[0, 2, 3]]), kept)
    near(found[[0, 2, 3]], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("f", PAIRS, ids=name)
def test_gradients_are_finite_where_an_outcome_is_absent(f):
    p = torch.tensor([0.0, 0.5, 0.5, 0.0], requires_grad=True)
    q = torch.tensor([0.0, 0.2, 0.5, 0.3], requires_grad=True)
    assert all(g.isfinite().all() for g in torch.autograd.grad(f(p, q), (p, q)))


@pytest.mark.parametrize("f", PAIRS, ids=name)
@pytest.mark.parametrize("gap", [10.0, 1e-1, 1e-2])
def test_float32_is_the_float64_formula(f, gap):
    p = laws(200, 8)
    q = (p.log() + gap * normal(200, 8)).softmax(-1)
    p, q = p.float(), q.float()
    wide = [t.double() for t in (p, q)]
    conditioning = float(D.total_variation(*wide).max())  # terms of this size cancel
    near(f(p, q), f(*wide), rtol=1e-6, atol=1e-7 * conditioning)


def test_extreme_tables_in_float32():
    p, q = torch.tensor([1 - 1e-7, 1e-38, 1e-7]), torch.tensor([1e-38, 1.0, 0.0])
    assert D.kl(p, p) == 0 and D.js(p, q).isfinite() and D.kl(q, p).isfinite()
    assert D.kl(q, p) == pytest.approx(-math.log(1e-38), rel=1e-6)
    assert D.kl(torch.tensor([-0.1, 1.1]), torch.tensor([0.5, 0.5])).isnan()  # no law: not repaired


# --- densities and Gaussians ---


def gaussians(n=400_000):
    """Two Gaussians, samples of each, and all their log-densities."""
    p, q = torch.distributions.Normal(*torch.tensor([0.0, 1.0])), torch.distributions.Normal(0.5, 1.2)
    x, y = normal(n).float(), 0.5 + 1.2 * normal(n, seed=1).float()
    return p, q, *(law.log_prob(at).double() for at in (x, y) for law in (p, q))


def grid(p, q):
    """Both laws as fine tables."""
    at = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    return ((law.log_prob(at).exp() * (at[1] - at[0])) for law in (p, q))


def test_means_over_samples_are_the_divergences_of_the_densities():
    p, q, p_x, q_x, p_y, q_y = gaussians()
    a, b = grid(p, q)
    estimates = {
        D.kl(a, b): D.kl_of_densities(p_x, q_x),
        D.kl(b, a): D.reverse_kl_of_densities(p_x, q_x),
        D.js(a, b): D.js_of_densities(p_x, q_x, p_y, q_y),
        D.total_variation(a, b): D.total_variation_of_densities(p_x, q_x),
        D.chi_squared(a, b): D.chi_squared_of_densities(p_x, q_x),
    }
    for truth, values in estimates.items():
        assert values.shape == p_x.shape
        assert abs(values.mean() - truth) < 4 * values.std() / len(values) ** 0.5
    near(D.kl(a, b), math.log(1.2) + 1.25 / 2.88 - 0.5, rtol=1e-6)


@pytest.mark.parametrize("f", DENSITIES, ids=name)
def test_exact_on_a_table(f):
    """The expectation under p, summed exactly."""
    p, q = laws(7, seed=5), laws(7, seed=6)
    expected = {
        D.kl_of_densities: D.kl(p, q),
        D.reverse_kl_of_densities: D.kl(q, p),
        D.total_variation_of_densities: D.total_variation(p, q),
        D.chi_squared_of_densities: D.chi_squared(p, q),
    }
    near((p * f(p.log(), q.log())).sum(), expected[f], rtol=1e-10)
    assert (f(p.log(), p.log()) == 0).all()
    if f is not D.kl_of_densities and f is not D.chi_squared_of_densities:
        assert (f(p.log(), q.log()) >= 0).all()


def test_js_of_densities_is_the_gans_optimum():
    p, q = laws(7, seed=5), laws(7, seed=6)
    a, b = p.log(), q.log()
    joint = p[:, None] * q  # every pair x, y
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7)).T
    x, y = pairs
    values = D.js_of_densities(a[x], b[x], a[y], b[y])
    near((joint.flatten() * values).sum(), D.js(p, q), rtol=1e-10)
    near(values, math.log(2) - bce_critic((a - b)[x], (a - b)[y]) / 2)


def test_bounded_densities_are_finite_at_extremes():
    far = torch.tensor([-1e4, 0.0, 1e4])
    zero = torch.zeros(3)
    assert D.total_variation_of_densities(zero, far).tolist() == [1, 0, 0]
    near(D.js_of_densities(zero, far, far, zero), [math.log(2), 0, math.log(2) - 1e4], rtol=1e-6)
    assert D.kl_of_densities(zero, far).isfinite().all()


@pytest.mark.parametrize("f", DENSITIES, ids=name)
def test_gradcheck_of_densities(f):
    assert gradcheck(f, (normal(5).requires_grad_(), normal(5, seed=1).requires_grad_()))


def test_gaussian_closed_forms_are_torchs():
    d, law = 3, torch.distributions.MultivariateNormal
    m, m_q = normal(2, d), normal(2, d, seed=1)
    cov, cov_q = (torch.stack([covariance(d, s), covariance(d, s + 1)]) for s in (0, 5))
    p, q = law(m, cov), law(m_q, cov_q)
    near(D.gaussian_kl(m, cov, m_q, cov_q), torch.distributions.kl_divergence(p, q), rtol=1e-9)
    near(D.gaussian_entropy(cov), p.entropy(), rtol=1e-10)
    near(D.gaussian_entropy(cov[0]), stats.multivariate_normal(cov=cov[0]).entropy(), rtol=1e-10)
    near(D.gaussian_kl(m, cov, m, cov), [0, 0], atol=1e-12)
    var, var_q = cov.diagonal(dim1=1, dim2=2), cov_q.diagonal(dim1=1, dim2=2)
    found = D.gaussian_kl(m, torch.diag_embed(var), m_q, torch.diag_embed(var_q))
    near(found, normal_kl(m, var, m_q, var_q), rtol=1e-10)


def test_gaussian_kl_does_not_depend_on_units():
    m, m_q, cov, cov_q = normal(3), normal(3, seed=1), covariance(3), covariance(3, 1)
    a, shift = normal(3, 3, seed=2), normal(3, seed=3)
    move = lambda m, c: (a @ m + shift, a @ c @ a.T)
    near(D.gaussian_kl(*move(m, cov), *move(m_q, cov_q)), D.gaussian_kl(m, cov, m_q, cov_q), rtol=1e-9)
    near(D.gaussian_entropy(a @ cov @ a.T), D.gaussian_entropy(cov) + torch.linalg.det(a).abs().log(), rtol=1e-9)


def test_gradcheck_of_gaussians():
    given = [t.requires_grad_() for t in (normal(2), covariance(2), normal(2, seed=1), covariance(2, 1))]
    even = lambda c: (c + c.T) / 2
    assert gradcheck(lambda m, c, n, e: D.gaussian_kl(m, even(c), n, even(e)), given)
    assert gradcheck(lambda c: D.gaussian_entropy(even(c)), (given[1],))


# --- samples ---


def naive(x, y, k):
    """Mean over all pairs i != j of k, written out."""
    n, m = len(x), len(y)
    own = lambda a: sum(k(a[i], a[j]) for i in range(len(a)) for j in range(len(a)) if i != j)
    cross = sum(k(a, b) for a in x for b in y) / (n * m)
    return 2 * cross - own(x) / (n * (n - 1)) - own(y) / (m * (m - 1))


def test_sample_forms_are_their_definition():
    x, y = normal(7, 3), 1.5 * normal(5, 3, seed=1) + 0.3
    near(D.energy_distance(x, y), naive(x, y, lambda a, b: (a - b).norm()), rtol=1e-12)
    k = lambda a, b: -sum(torch.exp(-((a - b) ** 2).sum() / (2 * h * h)) for h in (0.7, 2.0)) / 2
    near(D.mmd(x, y, (0.7, 2.0)), naive(x, y, k), rtol=1e-12)


@pytest.mark.parametrize("d", [1, 20])
def test_sample_forms_are_the_metrics(d):
    x, y = normal(90, d), 1.3 * normal(70, d, seed=1) + 0.2
    near(D.energy_distance(x, y), metrics.energy_distance(x, y), rtol=1e-9)
    near(D.mmd(x, y, (0.5, 1.5)), metrics.mmd(x, y, (0.5, 1.5)).value, rtol=1e-9)


def test_samples_against_scipy_and_scikit_learn():
    x, y = normal(40, 1), normal(60, 1, seed=1) + 0.5
    own = lambda a: float(torch.cdist(a, a).sum()) / len(a) ** 2 / (len(a) - 1)
    near(D.energy_distance(x, y), stats.energy_distance(x[:, 0], y[:, 0]) ** 2 - own(x) - own(y), rtol=1e-9)
    k, gamma = rbf_kernel, 1 / (2 * 0.8**2)
    off = lambda a: (k(a, a, gamma).sum() - len(a)) / (len(a) * (len(a) - 1))
    near(D.mmd(x, y, (0.8,)), off(x) + off(y) - 2 * k(x, y, gamma).mean(), rtol=1e-9)


def test_samples_against_geomloss():
    geomloss = pytest.importorskip("geomloss")
    x, y = normal(40, 3), normal(50, 3, seed=1) + 0.5
    n, m = len(x), len(y)
    own = lambda a: float(torch.cdist(a, a).sum()) / len(a) ** 2 / (len(a) - 1)
    v_form = 2 * geomloss.SamplesLoss("energy")(x, y)
    near(D.energy_distance(x, y), v_form - own(x) - own(y), atol=2e-4 * (1 / n + 1 / m))  # its |0| is 1e-4
    v_form = 2 * geomloss.SamplesLoss("gaussian", blur=0.9)(x, y)
    k = lambda a: float((-(torch.cdist(a, a) ** 2) / (2 * 0.81)).exp().sum())
    unbias = lambda a: (k(a) - len(a)) / (len(a) * (len(a) - 1)) - k(a) / len(a) ** 2
    near(D.mmd(x, y, (0.9,)), v_form + unbias(x) + unbias(y), rtol=1e-7)


def test_means_over_draws_are_the_closed_forms():
    """MMD^2 of N(0, I) and N(D, I), and 0 for equal laws."""
    h, shift, d, draws = 1.3, 0.6, 3, 300
    c = lambda gap: (h * h / (h * h + 2)) ** (d / 2) * math.exp(-gap / (2 * (h * h + 2)))
    x, y = normal(draws, 60, d), normal(draws, 40, d, seed=1)
    for moved, truth in ((y, 0.0), (y + shift, 2 * c(0) - 2 * c(d * shift**2))):
        found = torch.stack([D.mmd(a, b, (h,)) for a, b in zip(x, moved, strict=True)])
        assert abs(found.mean() - truth) < 4 * found.std() / draws**0.5
    found = torch.stack([D.energy_distance(a, b) for a, b in zip(x, y, strict=True)])
    assert abs(found.mean()) < 4 * found.std() / draws**0.5
    assert 0.2 < (found < 0).double().mean() < 0.8


def test_energy_distance_in_one_dimension_is_twice_the_squared_gap_of_the_distribution_functions():
    x, y = normal(300, 1), normal(300, 1, seed=1) + 1
    at = torch.cat([x, y])[:, 0].sort().values
    gap = (x <= at).double().mean(0) - (y <= at).double().mean(0)
    v_form = 2 * (gap[:-1] ** 2 * at.diff()).sum()
    own = lambda a: torch.cdist(a, a).sum() / len(a) ** 2 / (len(a) - 1)
    near(D.energy_distance(x, y), v_form - own(x) - own(y), rtol=1e-9)


@pytest.mark.parametrize("f", SAMPLES, ids=name)
def test_samples_symmetry_order_motion_and_scale(f):
    loss = SAMPLES[f]
    x, y = normal(9, 3), normal(6, 3, seed=1)
    rotation = torch.linalg.qr(normal(3, 3, seed=2))[0]
    near(loss(y, x), loss(x, y), rtol=1e-10)
    near(loss(x.flip(0), y), loss(x, y), rtol=1e-10)
    near(loss(x @ rotation + 5, y @ rotation + 5), loss(x, y), rtol=1e-9)
    if f is D.energy_distance:
        near(loss(3 * x, 3 * y), 3 * loss(x, y), rtol=1e-10)
    else:
        near(D.mmd(3 * x, 3 * y, (2.1, 6.0)), loss(x, y), rtol=1e-10)


@pytest.mark.parametrize("f", SAMPLES, ids=name)
def test_samples_gradcheck_and_vmap(f):
    x, y = normal(5, 2).requires_grad_(), normal(4, 2, seed=1).requires_grad_()
    assert gradcheck(SAMPLES[f], (x, y))
    lanes = normal(3, 5, 2)
    near(vmap(SAMPLES[f])(lanes, lanes + 1), [SAMPLES[f](a, a + 1) for a in lanes], rtol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("f", SAMPLES, ids=name)
def test_samples_gradient_is_finite_where_points_coincide(f, dtype):
    x = torch.tensor([[0.0, 1.0], [0.0, 1.0], [2.0, 0.5]], dtype=dtype, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    for g in torch.autograd.grad(SAMPLES[f](x, y), (x, y)):
        assert g.isfinite().all()
    (g,) = torch.autograd.grad(SAMPLES[f](x, torch.zeros(2, 2, dtype=dtype)), x)
    assert g.isfinite().all() and g[0].tolist() == g[1].tolist()


@pytest.mark.parametrize("f", SAMPLES, ids=name)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e4, 0.0), (1.0, 100.0)])
def test_samples_in_float32_are_the_float64_formula(f, scale, shift):
    x, y = ((scale * t + shift).float() for t in (normal(60, 5), normal(50, 5, seed=1) + 0.5))
    near(SAMPLES[f](x, y), SAMPLES[f](x.double(), y.double()), rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("f", SAMPLES, ids=name)
def test_descent_on_samples_moves_one_set_onto_the_other(f):
    y = normal(64, 2, seed=1) + torch.tensor([1.0, -0.5])
    x = normal(64, 2).requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        SAMPLES[f](x, y).backward()
        optimiser.step()
    assert SAMPLES[f](x, y) < 0.01
    near(x.detach().mean(0), y.mean(0), rtol=0, atol=0.25)


# --- refusals ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: D.kl(torch.ones(3, 2), torch.ones(2)), r"'p' \(3, 2\), 'q' \(2,\)"),
        (lambda: D.entropy(torch.tensor(1.0)), r"must be \(\.\.\., K\)"),
        (lambda: D.kl_of_densities(torch.ones(3, 1), torch.ones(3)), "one shape"),
        (lambda: D.energy_distance(torch.ones(5), torch.ones(5)), r"x\[:, None\]"),
        (lambda: D.mmd(torch.ones(5, 2), torch.ones(1, 2), (1.0,)), "two rows or more"),
        (lambda: D.mmd(torch.ones(5, 2), torch.ones(5, 2), (0.0,)), "positive and finite"),
        (lambda: D.gaussian_kl(torch.ones(2), torch.eye(2), torch.ones(3), torch.eye(3)), "alike"),
        (lambda: D.gaussian_entropy(torch.ones(2, 2)), "not positive definite"),
        (lambda: D.gaussian_entropy(torch.ones(2, 3)), "must be a covariance"),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize("f", PAIRS, ids=name)
def test_every_pair_refuses_shapes_that_would_broadcast(f):
    with pytest.raises(UserError, match=f"{f.__name__}: all arguments"):
        f(torch.ones(4, 3), torch.ones(1, 3))
