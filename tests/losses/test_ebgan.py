"""Energy-based GAN losses: per-sample hinge, value of the game, gradient of the energy, range of the pull-away term."""

import math

import numpy as np
import pytest
import torch

from whichloss.errors import UserError
from whichloss.losses.ebgan import energy_critic, energy_generator, pull_away, reconstruction_energy


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def naive_pull_away(codes):
    """The published double sum."""
    n, total = len(codes), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                cosine = codes[i] @ codes[j] / (codes[i].norm() * codes[j].norm())
                total = total + cosine**2
    return total / (n * (n - 1))


def test_energy_critic_is_the_float64_formula():
    e = np.array([0, 1e-3, 0.4999, 0.7, 3.0, 1e4], np.float32)
    grid = torch.cartesian_prod(torch.tensor(e), torch.tensor(e))
    real, fake = (c.clone().requires_grad_() for c in grid.unbind(1))
    value = energy_critic(real, fake, 0.5)
    d_real, d_fake = torch.autograd.grad(value.sum(), (real, fake))
    r, f = grid.double().numpy().T
    np.testing.assert_allclose(value.detach(), r + np.maximum(0, 0.5 - f), rtol=1e-6)
    assert (d_real == 1).all() and (d_fake.numpy() == -1.0 * (f < 0.5)).all()
    assert torch.equal(energy_generator(fake), fake)


def test_the_hinge_is_per_sample():
    """One far fake must not switch the others off: a hinge on the batch mean would give 0 here."""
    fake = torch.tensor([100.0, 0.0, 0.0, 0.0])
    assert energy_critic(torch.zeros(4), fake, 1.0).mean() == 0.75


def test_value_of_the_game_is_m_times_overlap():
    """min_D = m (1 - TV), reached by D* = m where q > p and 0 elsewhere; the loss is linear, so corners suffice."""
    m, p, q = 0.7, torch.tensor([0.5, 0.3, 0.2, 0.0]).double(), torch.tensor([0.1, 0.2, 0.3, 0.4]).double()

    def loss(energy):
        zero = torch.zeros(4).double()
        return (p * energy_critic(energy, zero + 10, m) + q * energy_critic(zero, energy, m)).sum().item()

    corners = torch.cartesian_prod(*[torch.tensor([0.0, m, 2 * m]).double()] * 4)
    best = min(map(loss, corners))
    assert best == pytest.approx(m * (1 - (p - q).abs().sum().item() / 2))
    assert loss(m * (q > p)) == pytest.approx(best)
    same = torch.full((4,), 0.3).double()
    assert energy_critic(same, same, m).tolist() == pytest.approx([m] * 4)  # p = q: m, at any level below it


def test_energy_has_a_gradient_through_both_arguments():
    """R(x) = 0.3 x at x = 2: dE/dx = 2 (J - I) (R(x) - x) = 1.96; without the -I it is -0.84, uphill."""
    x = torch.tensor([[2.0]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(reconstruction_energy(x, 0.3 * x).sum(), x)
    assert slope.item() == pytest.approx(1.96)
    x, matrix = normal(5, 3).requires_grad_(), normal(3, 3, seed=1)
    (slope,) = torch.autograd.grad(reconstruction_energy(x, x @ matrix.T).sum(), x)
    residual = x @ matrix.T - x
    torch.testing.assert_close(slope, 2 / 3 * residual @ (matrix - torch.eye(3)))


def test_energy_is_per_sample_and_per_dimension():
    x = normal(6, 4)
    energy = reconstruction_energy(x, torch.zeros_like(x))
    torch.testing.assert_close(energy, (x**2).mean(1))
    torch.testing.assert_close(reconstruction_energy(x.view(6, 2, 2), torch.zeros(6, 2, 2).double()), energy)
    jacobian = torch.func.jacrev(lambda x: reconstruction_energy(x, x.tanh()))(x)
    assert torch.equal(jacobian.ne(0).any(-1), torch.eye(6, dtype=torch.bool))
    assert reconstruction_energy(torch.full((2, 3), 1e4), torch.full((2, 3), -1e4)).isfinite().all()


@pytest.mark.parametrize("shape", [(2, 1), (5, 3), (7, 12)])
def test_pull_away_is_the_double_sum(shape):
    codes = normal(*shape).requires_grad_()
    got, expected = pull_away(codes).mean(), naive_pull_away(codes)
    torch.testing.assert_close(got, expected)
    slopes = [torch.autograd.grad(v, codes)[0] for v in (got, expected)]
    torch.testing.assert_close(*slopes)


def test_pull_away_of_known_codes():
    one, eye = normal(1, 5), torch.eye(4).double()
    exact = [
        (one.expand(6, 5), 1.0),
        (one * torch.tensor([[1.0], [-1.0], [2.0], [-3.0]]), 1.0),  # it cannot tell S from -S
        (eye, 0.0),
        (eye.repeat(8, 1), (32 / 4 - 1) / 31),  # K = 4 orthogonal clusters of N = 32: the least possible
    ]
    for codes, value in exact:
        assert pull_away(codes).tolist() == pytest.approx([value] * len(codes), abs=1e-12)


def test_pull_away_of_random_codes_is_one_over_their_size():
    codes = normal(4000, 6)
    assert pull_away(codes).mean().item() == pytest.approx(1 / 6, abs=2e-3)


def test_pull_away_lies_between_the_welch_bound_and_one():
    for seed in range(20):
        value = pull_away(normal(24, 3, seed=seed)).mean().item()
        assert (24 - 3) / (3 * 23) <= value <= 1


def test_pull_away_ignores_scale_and_order():
    codes = normal(9, 4)
    order = torch.randperm(9)
    torch.testing.assert_close(pull_away(codes * normal(9, 1, seed=1)), pull_away(codes))
    torch.testing.assert_close(pull_away(codes[order]), pull_away(codes)[order])


def test_pull_away_cannot_part_codes_that_are_parallel():
    """It is 1 there, its largest value, so its slope is 0; of two codes at an angle t it is -sin 2t."""
    codes = torch.tensor([[1.0, 0.0], [2.0, 0.0], [-3.0, 0.0]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(pull_away(codes).sum(), codes)
    assert slope.abs().max() < 1e-15
    t = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    pair = torch.stack([torch.tensor([1.0, 0.0]).double(), torch.stack([t.cos(), t.sin()])])
    (slope,) = torch.autograd.grad(pull_away(pair).mean(), t)
    assert slope.item() == pytest.approx(-math.sin(0.6))


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e4])
def test_pull_away_stays_finite(size):
    codes = (size * torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])).requires_grad_()
    value = pull_away(codes)
    (slope,) = torch.autograd.grad(value.mean(), codes)
    assert value.isfinite().all() and slope.isfinite().all()


def test_wrong_shapes_are_refused():
    with pytest.raises(UserError, match=r"energy_critic: .*\(5, 1\) and \(5,\)"):
        energy_critic(torch.zeros(5, 1), torch.zeros(5), 1.0)
    with pytest.raises(UserError, match=r"reconstruction_energy: .*\(5, 2\) and \(5, 3\)"):
        reconstruction_energy(torch.zeros(5, 2), torch.zeros(5, 3))
    for codes in (torch.zeros(5), torch.zeros(1, 3)):
        with pytest.raises(UserError, match="pull_away: 'codes'"):
            pull_away(codes)


def test_a_margin_of_every_lane_is_welcome():
    m = torch.tensor(0.5)
    loss = energy_critic(torch.zeros(3), torch.tensor([0.0, 0.2, 0.9]), m)
    assert loss.tolist() == pytest.approx([0.5, 0.3, 0.0]) and math.isfinite(loss.sum().item())
