"""Penalties of a critic's slope: linear and quadratic critics, two point masses (gan.md O11 to O13), DRAGAN's rows."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.func import grad, jacrev

from whichloss.errors import UserError
from whichloss.losses.adversarial import slope_penalty, zero_slope_penalty
from whichloss.losses.penalties import interpolate, one_sided_slope_penalty, perturb


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slopes(critic, x):
    """|grad D| of each row."""
    return grad(lambda x: critic(x).sum())(x).flatten(1).norm(dim=1)


LINEAR = torch.tensor([1.2, -1.6], dtype=torch.float64)  # |w| = 2


# --- slopes ---


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
@pytest.mark.parametrize("scale", [0.25, 0.5, 1.5])
def test_a_linear_critic_costs_the_same_everywhere_at_any_batch_size(rows, scale):
    """(|w| - 1)^2, [|w| - 1]^+^2 and |w|^2 / 2, whatever the rows: any error of axis or norm shows here."""
    w = scale * LINEAR
    x_hat = interpolate(normal(rows, 2), 3 * normal(rows, 2, seed=1), uniform(rows))
    slope = slopes(lambda x: x @ w, x_hat)
    size = 2 * scale
    expected = torch.ones(rows, dtype=torch.float64)
    torch.testing.assert_close(slope_penalty(slope), (size - 1) ** 2 * expected)
    torch.testing.assert_close(one_sided_slope_penalty(slope), max(size - 1, 0) ** 2 * expected)
    gradient = grad(lambda x: (x @ w).sum())(x_hat)
    torch.testing.assert_close(zero_slope_penalty(gradient), size**2 / 2 * expected)


def test_a_quadratic_critic_costs_by_where_it_stands():
    a, x = 0.7, normal(50, 3)
    slope = slopes(lambda x: a / 2 * (x**2).sum(1), x)
    torch.testing.assert_close(slope_penalty(slope), (a * x.norm(dim=1) - 1) ** 2)
    torch.testing.assert_close(one_sided_slope_penalty(slope), (a * x.norm(dim=1) - 1).clamp(min=0) ** 2)


def test_one_sided_is_two_sided_above_one_and_free_below():
    slope = torch.tensor([0.0, 0.3, 1.0, 1.0 + 1e-3, 7.0], dtype=torch.float64, requires_grad=True)
    one, two = one_sided_slope_penalty(slope), slope_penalty(slope)
    assert one[:3].tolist() == [0, 0, 0] and torch.equal(one[3:], two[3:])
    (gradient,) = torch.autograd.grad(one.sum(), slope)
    torch.testing.assert_close(gradient, 2 * (slope.detach() - 1).clamp(min=0))
    assert gradcheck(one_sided_slope_penalty, (3 * uniform(6).requires_grad_() + 0.01,))
    assert one_sided_slope_penalty(torch.tensor([1e4])).item() == pytest.approx((1e4 - 1) ** 2)


@pytest.mark.parametrize("penalty", [slope_penalty, one_sided_slope_penalty])
@pytest.mark.parametrize(("lam", "d"), [(10.0, 4.0), (0.1, 1.0), (0.1, 4.0)])
def test_two_point_masses_have_slope_one_plus_d_over_two_lambda(penalty, lam, d):
    """Both penalties let the best linear critic be steeper than 1; its gap is d + d^2 / (2 lambda), not d."""
    w = torch.zeros((), dtype=torch.float64, requires_grad=True)
    real, fake = torch.full((8, 1), d, dtype=torch.float64), torch.zeros(8, 1, dtype=torch.float64)
    optimiser = torch.optim.LBFGS([w], lr=0.5, max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-15)

    def loss():
        optimiser.zero_grad()
        slope = slopes(lambda x: w * x[:, 0], interpolate(real, fake, uniform(8)))
        value = (w * fake - w * real).mean() + lam * penalty(slope).mean()
        value.backward()
        return value

    optimiser.step(loss)
    assert w.item() == pytest.approx(1 + d / (2 * lam), rel=1e-6)
    assert (w * (real - fake)).mean().item() == pytest.approx(d + d**2 / (2 * lam), rel=1e-6)


def test_r1_and_r2_agree_where_data_and_model_do_and_differ_elsewhere():
    critic = lambda x: torch.tanh(x @ LINEAR)
    real, fake = normal(500, 2), 4 * LINEAR + normal(500, 2, seed=1)
    r1, r2 = (zero_slope_penalty(grad(lambda x: critic(x).sum())(x)).mean() for x in (real, fake))
    same = zero_slope_penalty(grad(lambda x: critic(x).sum())(real.flip(0))).mean()
    torch.testing.assert_close(same, r1)
    assert r1 > 2 * r2
    slope = slopes(critic, real)  # R1 is half of the slope squared: no wish for slope 1
    torch.testing.assert_close(zero_slope_penalty(grad(lambda x: critic(x).sum())(real)), slope**2 / 2)


def test_batch_normalisation_in_a_critic_couples_rows():
    """dD(x_i)/dx_j = 0 for j != i, else the penalty of a row is not its own slope."""
    x = normal(5, 2)
    plain = lambda x: torch.tanh(x @ LINEAR)
    normed = lambda x: plain((x - x.mean(0)) / x.std(0))
    own = torch.eye(5, dtype=torch.bool)
    for critic, coupled in ((plain, False), (normed, True)):
        across = jacrev(critic)(x).norm(dim=2)
        assert bool(across[~own].max() > 1e-6) is coupled


# --- rows ---


def test_interpolated_rows_lie_on_the_line_between_their_two_rows():
    real, fake, eps = normal(9, 3, 4), normal(9, 3, 4, seed=1), uniform(9)
    x_hat = interpolate(real, fake, eps)
    assert x_hat.shape == real.shape
    for i in range(9):
        torch.testing.assert_close(x_hat[i] - fake[i], eps[i] * (real[i] - fake[i]))
    assert torch.equal(interpolate(real, fake, torch.ones(9)), real)
    assert torch.equal(interpolate(real, fake, torch.zeros(9)), fake)
    for shape in ((9, 1), (9, 1, 1)):
        assert torch.equal(interpolate(real, fake, eps.reshape(shape)), x_hat)
    assert gradcheck(interpolate, (real[:2].requires_grad_(), fake[:2], eps[:2].requires_grad_()))


def test_perturbed_rows_lie_round_the_data_at_the_scale_of_its_spread():
    real, noise, u = 3 * normal(2000, 2) + 7, normal(2000, 2, seed=1), uniform(2000)
    x_hat = perturb(real, noise, u)
    torch.testing.assert_close(x_hat - real, u[:, None] * 0.5 * real.std(correction=0) * noise)
    assert torch.equal(perturb(real, noise, torch.zeros(2000)), real)
    torch.testing.assert_close(perturb(10 * real - 4, noise, u), 10 * x_hat - 4)  # follows the data's units
    torch.testing.assert_close(perturb(real, noise, u[:, None], scale=1.0) - real, 2 * (x_hat - real))
    assert (x_hat - real).mean(0).abs().max() < 0.05 * real.std()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_sided_slope_penalty(torch.ones(3, 2)), "one number per sample"),
        (lambda: one_sided_slope_penalty(torch.tensor(1.0)), "one number per sample"),
        (lambda: interpolate(torch.ones(3, 2), torch.ones(3, 1), torch.ones(3)), r"\(3, 2\) and \(3, 1\)"),
        (lambda: interpolate(torch.ones(3), torch.ones(3), torch.ones(3)), r"must both be \(B, \*\)"),
        (lambda: interpolate(torch.ones(3, 2), torch.ones(3, 2), torch.ones(3, 2)), "one per entry leaves the line"),
        (lambda: interpolate(torch.ones(3, 2), torch.ones(3, 2), torch.tensor(0.5)), "one for the whole batch"),
        (lambda: interpolate(torch.ones(3, 2), torch.ones(3, 2), torch.ones(1, 3)), "one number per sample"),
        (lambda: perturb(torch.ones(3, 2), torch.ones(2), torch.ones(3)), "'real' and 'noise'"),
        (lambda: perturb(torch.ones(3, 2), torch.ones(3, 2), torch.ones(2)), "'u' must hold one number"),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(UserError, match=f"(?i){message}"):
        call()
