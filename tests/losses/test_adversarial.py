"""Adversarial losses against float64 formulas, their optima (gan.md O1-O6) and the Dirac-GAN's eigenvalues."""

import math

import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from scipy.spatial.distance import jensenshannon
from scipy.special import expit

from whichloss.errors import UserError
from whichloss.losses import adversarial as A

CRITICS = {  # (value, d/d real, d/d fake), float64
    A.bce_critic: (
        lambda r, f: np.logaddexp(0, -r) + np.logaddexp(0, f),
        lambda r, f: -expit(-r),
        lambda r, f: expit(f),
    ),
    A.least_squares_critic: (
        lambda r, f: ((r - 1) ** 2 + f**2) / 2,
        lambda r, f: r - 1,
        lambda r, f: f,
    ),
    A.hinge_critic: (
        lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f),
        lambda r, f: -1.0 * (r < 1),
        lambda r, f: 1.0 * (f > -1),
    ),
    A.wasserstein_critic: (lambda r, f: f - r, lambda r, f: 0 * r - 1, lambda r, f: 0 * f + 1),
    A.relativistic_critic: (
        lambda r, f: np.logaddexp(0, f - r),
        lambda r, f: -expit(f - r),
        lambda r, f: expit(f - r),
    ),
    A.relativistic_generator: (
        lambda r, f: np.logaddexp(0, r - f),
        lambda r, f: expit(r - f),
        lambda r, f: -expit(r - f),
    ),
}
GENERATORS = {  # (value, slope), float64
    A.bce_generator: (lambda f: np.logaddexp(0, -f), lambda f: -expit(-f)),
    A.minimax_generator: (lambda f: -np.logaddexp(0, f), lambda f: -expit(f)),
    A.least_squares_generator: (lambda f: (f - 1) ** 2 / 2, lambda f: f - 1),
    A.hinge_generator: (lambda f: -f, lambda f: 0 * f - 1),
    A.wasserstein_generator: (lambda f: -f, lambda f: 0 * f - 1),
}
SCORES = np.array([-1e4, -120.0, -30.0, -2.3, -0.7, 0.0, 0.4, 0.9, 8.0, 29.0, 1e4], np.float32)
name = lambda f: f.__name__


def near(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("loss", CRITICS, ids=name)
def test_critics_in_float32_are_the_float64_formula(loss):
    grid = torch.cartesian_prod(torch.tensor(SCORES), torch.tensor(SCORES))
    real, fake = (c.clone().requires_grad_() for c in grid.unbind(1))
    value = loss(real, fake)
    slopes = torch.autograd.grad(value.sum(), (real, fake), materialize_grads=True)
    wide = grid.numpy().astype(np.float64).T
    for got, formula in zip((value.detach(), *slopes), CRITICS[loss], strict=True):
        near(got, formula(*wide))


@pytest.mark.parametrize("loss", GENERATORS, ids=name)
def test_generators_in_float32_are_the_float64_formula(loss):
    fake = torch.tensor(SCORES, requires_grad=True)
    value = loss(fake)
    (slope,) = torch.autograd.grad(value.sum(), fake)
    formula, derivative = GENERATORS[loss]
    near(value.detach(), formula(SCORES.astype(np.float64)))
    near(slope, derivative(SCORES.astype(np.float64)))


def test_levels_at_equality():
    zero, half, log2 = torch.zeros(3, 1), torch.full((3, 1), 0.5), math.log(2)
    levels = [
        (A.bce_critic(zero, zero), 2 * log2),
        (A.bce_generator(zero), log2),
        (A.minimax_generator(zero), -log2),
        (A.least_squares_critic(half, half), 1 / 4),
        (A.least_squares_generator(half), 1 / 8),
        (A.hinge_critic(zero, zero), 2),
        (A.wasserstein_critic(half, half), 0),
        (A.relativistic_critic(half, half), log2),
        (A.relativistic_generator(half, half), log2),
    ]
    for value, level in levels:
        assert value.shape == (3, 1)
        assert value.flatten().tolist() == pytest.approx([level] * 3)


P, Q = (torch.tensor(np.random.default_rng(s).dirichlet(np.ones(6))) for s in (0, 1))
TV = (P - Q).abs().sum().item() / 2


def best(loss, score):
    """The expected critic loss on atoms of law P (data) and Q (model) at scores D, and its slope in D."""
    score = score.clone().requires_grad_()
    zero = torch.zeros_like(score)
    real, fake = loss(score, zero) - loss(zero, zero), loss(zero, score)  # the two terms
    value = (P * real + Q * fake).sum()
    (slope,) = torch.autograd.grad(value, score)
    return value.item(), slope.abs().max().item()


def test_bce_optimum_is_the_log_ratio_and_measures_js():
    value, slope = best(A.bce_critic, (P / Q).log())
    assert value == pytest.approx(2 * math.log(2) - 2 * jensenshannon(P, Q) ** 2, rel=1e-12)
    assert slope < 1e-15


def test_least_squares_optimum_is_the_posterior():
    value, slope = best(A.least_squares_critic, P / (P + Q))
    assert value == pytest.approx((P * Q / (P + Q)).sum().item() / 2) and slope < 1e-15


def test_hinge_optimum_is_the_sign_and_measures_tv():
    assert best(A.hinge_critic, (P - Q).sign())[0] == pytest.approx(2 * (1 - TV), rel=1e-12)
    draws = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)).double()
    assert all(best(A.hinge_critic, d)[0] >= 2 * (1 - TV) for d in draws)


def test_saturating_generator_at_the_optimum_is_2_js_minus_log_4():
    """Goodfellow et al. (2014), theorem 1: the game's value at D*, of which G moves the second term."""
    logit = (P / Q).log()
    value = -(P * A.bce_generator(logit)).sum() + (Q * A.minimax_generator(logit)).sum()
    assert value.item() == pytest.approx(2 * jensenshannon(P, Q) ** 2 - math.log(4))


@pytest.mark.parametrize(
    ("modes", "covered", "level"),
    [(8, 1, 0.3924), (8, 2, 0.6255), (8, 4, 0.9548), (8, 7, 1.2955), (8, 8, 1.3863), (25, 12, 0.9325)],
)
def test_bce_level_tells_the_modes_covered(modes, covered, level):
    """K of M equal modes, no spill: logit log(K / M) on the covered ones, infinite on the others."""
    seen = torch.full((modes,), math.log(covered / modes))
    real = torch.where(torch.arange(modes) < covered, seen, 1e4)
    assert A.bce_critic(real, seen).mean().item() == pytest.approx(level, abs=1e-4)


def test_bce_linear_logit_between_two_normals():
    """N(a, s) against N(b, s): the best logit has slope (a - b) / s^2; its gradient vanishes there."""
    a, b, s = 1.0, -0.4, 0.8
    nodes, weights = (torch.tensor(v) for v in hermegauss(60))
    weights = weights / weights.sum()
    w = torch.tensor([(a - b) / s**2, -(a * a - b * b) / (2 * s**2)], dtype=torch.float64, requires_grad=True)
    logit = lambda x: w[0] * x + w[1]
    loss = (weights * A.bce_critic(logit(a + s * nodes), logit(b + s * nodes))).sum()
    (slope,) = torch.autograd.grad(loss, w)
    assert slope.abs().max() < 1e-9


def test_a_constant_added_to_a_wasserstein_or_relativistic_critic_changes_nothing():
    real, fake = torch.randn(2, 9).double()
    for loss in (A.wasserstein_critic, A.relativistic_critic, A.relativistic_generator):
        torch.testing.assert_close(loss(real + 3, fake + 3), loss(real, fake))


@pytest.mark.parametrize("loss", [A.bce_critic, A.hinge_critic, A.wasserstein_critic, A.relativistic_critic], ids=name)
def test_swapping_the_labels_is_swapping_the_sign(loss):
    real, fake = torch.randn(2, 9).double()
    torch.testing.assert_close(loss(real, fake), loss(-fake, -real))


def dirac(critic, generator, gamma=0.0, sides=0):
    """Eigenvalues of the Dirac-GAN's vector field at (theta, psi) = 0: data at 0, fakes at theta, D(x) = psi x."""

    def field(v):
        def loss_d(psi):
            slopes = psi.expand(1, 1)
            return critic(psi * 0, psi * v[0]) + gamma * sides * A.zero_slope_penalty(slopes)[0]

        loss_g = lambda theta: generator(v[1] * 0, v[1] * theta)
        return -torch.stack([torch.func.grad(loss_g)(v[0]), torch.func.grad(loss_d)(v[1])])

    jacobian = torch.func.jacrev(field)(torch.zeros(2, dtype=torch.float64))
    return sorted(np.linalg.eigvals(jacobian.numpy()), key=lambda e: (e.real, e.imag))


LOSSES = {
    "gan": (A.bce_critic, lambda r, f: A.bce_generator(f), 0.5),
    "minimax": (A.bce_critic, lambda r, f: A.minimax_generator(f), 0.5),
    "wgan": (A.wasserstein_critic, lambda r, f: A.wasserstein_generator(f), 1.0),
    "hinge": (A.hinge_critic, lambda r, f: A.hinge_generator(f), 1.0),
    "relativistic": (A.relativistic_critic, A.relativistic_generator, 0.5),
}


@pytest.mark.parametrize("game", LOSSES)
def test_dirac_gan_without_a_penalty_only_rotates(game):
    critic, generator, slope = LOSSES[game]
    np.testing.assert_allclose(dirac(critic, generator), [-1j * slope, 1j * slope], atol=1e-12)


@pytest.mark.parametrize("game", LOSSES)
@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("gamma", [0.3, 1.7])
def test_dirac_gan_with_r1_or_r1_and_r2_converges(game, sides, gamma):
    """-g/2 +- sqrt(g^2/4 - f'^2); both penalties double g (Mescheder et al., 2018)."""
    critic, generator, slope = LOSSES[game]
    g = gamma * sides
    root = np.sqrt(complex(g * g / 4 - slope**2))
    expected = sorted([-g / 2 - root, -g / 2 + root], key=lambda e: (e.real, e.imag))
    np.testing.assert_allclose(dirac(critic, generator, gamma, sides), expected, atol=1e-9)


def test_penalties_of_a_linear_critic():
    """Slope w everywhere: (|w| - 1)^2 and |w|^2 / 2, for any rows; R1 takes pictures too."""
    w = torch.tensor([3.0, 4.0]).double()
    rows = w.expand(7, 2)
    assert A.slope_penalty(rows.norm(dim=1)).tolist() == [16.0] * 7
    assert A.zero_slope_penalty(rows).tolist() == [12.5] * 7
    assert A.zero_slope_penalty(rows.reshape(7, 1, 2, 1)).tolist() == [12.5] * 7
    assert torch.autograd.gradcheck(A.zero_slope_penalty, rows.clone().requires_grad_())
    assert torch.autograd.gradcheck(A.slope_penalty, torch.rand(5).double().requires_grad_())


@pytest.mark.parametrize("loss", CRITICS, ids=name)
def test_shapes_that_would_broadcast_are_refused(loss):
    with pytest.raises(UserError, match=rf"{loss.__name__}: .*\(5, 1\) and \(5,\)"):
        loss(torch.zeros(5, 1), torch.zeros(5))


def test_slopes_of_a_wrong_shape_are_refused():
    with pytest.raises(UserError, match=r"slope_penalty: .*\(5, 2\)"):
        A.slope_penalty(torch.zeros(5, 2))
    with pytest.raises(UserError, match=r"zero_slope_penalty: .*\(5,\)"):
        A.zero_slope_penalty(torch.zeros(5))
