"""The change of variables and the maps behind it: inverses, Jacobians, identities, closed forms."""

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from whichloss.losses.flows import change_of_variables
from whichloss.nets import builder
from whichloss.nets.flows import (
    conditioner_size,
    coupling,
    halves,
    rational_quadratic,
    to_data,
    to_noise,
)
from whichloss.rng import Rng

BINS, BOUND = 5, 3.0
DTYPES = {torch.float32: 1e-3, torch.float64: 1e-10}


@pytest.fixture(params=DTYPES)
def dtype(request):
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def networks(dim, layers=4, size=4.0):
    """Conditioners with large outputs, so that the map is far from the identity."""
    torch.manual_seed(dim)
    made = [builder(16, 2)("f", *conditioner_size(dim, k, BINS), smooth=True) for k in range(layers)]
    return [lambda x, net=net: size * net(x) for net in made]


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_the_inverse_undoes_the_map(dim, dtype):
    nets = networks(dim)
    with torch.no_grad():
        x = 2 * Rng.of(0).normal("x", (500, dim))  # a tenth lies beyond the bound
        z, _ = to_noise(nets, x, bins=BINS, bound=BOUND)
        assert (z - x).abs().max() > 0.5
        back = to_data(nets, z, bins=BINS, bound=BOUND)
        assert (back - x).abs().quantile(0.99) < DTYPES[dtype]


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_log_det_is_that_of_the_jacobian(dim, float64):
    nets = networks(dim)
    x = 1.5 * Rng.of(1).normal("x", (12, dim))
    _, log_det = to_noise(nets, x, bins=BINS, bound=BOUND)
    for row, value in zip(x, log_det, strict=True):
        full = jacobian(lambda r: to_noise(nets, r[None], bins=BINS, bound=BOUND)[0][0], row)
        assert torch.linalg.slogdet(full)[1].item() == pytest.approx(value.item(), abs=1e-9)


def test_the_inverse_has_the_opposite_slope(float64):
    raw, x = 3 * Rng.of(2).normal("raw", (400, 2, 3 * BINS - 1)), Rng.of(2).normal("x", (400, 2))
    y, there = rational_quadratic(x, raw, bound=BOUND)
    again, back = rational_quadratic(y, raw, bound=BOUND, inverse=True)
    torch.testing.assert_close(again, x)
    torch.testing.assert_close(back, -there, rtol=1e-7, atol=1e-7)


def test_a_spline_rises_fixes_the_bounds_and_is_the_identity_beyond(float64):
    x = torch.linspace(-5, 5, 4001)
    raw = (4 * Rng.of(3).normal("raw", (3 * BINS - 1,))).expand(len(x), -1)
    y, log_slope = rational_quadratic(x, raw, bound=BOUND)
    assert (y.diff() > 0).all()
    outside = x.abs() >= BOUND
    assert torch.equal(y[outside], x[outside]) and (log_slope[outside] == 0).all()
    slope = torch.gradient(y, spacing=(x,))[0]
    smooth = (log_slope.diff().abs() < 0.05)[:-1] & (log_slope.diff().abs() < 0.05)[1:]
    torch.testing.assert_close(slope[1:-1][smooth].log(), log_slope[1:-1][smooth], rtol=0, atol=0.02)
    for end in (-BOUND, BOUND):  # continuous with its slope
        near = torch.tensor([end - 1e-9, end + 1e-9])
        assert (rational_quadratic(near, raw[:2], bound=BOUND)[1]).abs().max() < 1e-2


def test_zeros_are_the_identity(dtype):
    x = Rng.of(4).normal("x", (50, 3))
    y, log_slope = rational_quadratic(x, torch.zeros(50, 3, 3 * BINS - 1), bound=BOUND)
    assert (y - x).abs().max() < 1e-5 and log_slope.abs().max() < 1e-5


def test_a_spline_is_differentiable_in_place_and_knots(float64):
    x, raw = Rng.of(5).normal("x", (6, 2)), Rng.of(5).normal("raw", (6, 2, 3 * BINS - 1))
    for inverse in (False, True):

        def work(x, raw, inverse=inverse):
            return rational_quadratic(x, raw, bound=BOUND, inverse=inverse)

        assert torch.autograd.gradcheck(work, (x.requires_grad_(), raw.requires_grad_()))


@pytest.mark.parametrize("far", [1e4, 3.0, -3.0, 0.0])
def test_extremes_are_finite_with_finite_gradients(far, dtype):
    raw = (1e3 * Rng.of(6).normal("raw", (8, 1, 3 * BINS - 1))).requires_grad_()
    x = torch.full((8, 1), far).requires_grad_()
    for inverse in (False, True):
        y, log_slope = rational_quadratic(x, raw, bound=BOUND, inverse=inverse)
        assert torch.isfinite(y).all() and torch.isfinite(log_slope).all()
        slopes = torch.autograd.grad((y + log_slope).sum(), (x, raw))
        assert all(torch.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize("dim", range(1, 10))
def test_halves_part_the_columns_and_any_two_meet(dim):
    layers = 2 * max(1, (dim - 1).bit_length())
    met = set()
    for layer in range(layers):
        kept, moved = halves(dim, layer)
        assert sorted(kept + moved) == list(range(dim)) and moved
        met |= {(a, b) for a in kept for b in moved}
    assert met == {(a, b) for a in range(dim) for b in range(dim) if a != b}


def test_a_coupling_keeps_its_columns_and_their_order(float64):
    x = Rng.of(7).normal("x", (20, 5))
    for layer, net in enumerate(networks(5)):
        y, _ = coupling(net, x, layer, bins=BINS, bound=BOUND)
        kept, moved = halves(5, layer)
        assert torch.equal(y[:, kept], x[:, kept]) and (y[:, moved] != x[:, moved]).any(dim=0).all()
        other = x.clone()
        other[:, moved[0]] += 0.1
        changed = coupling(net, other, layer, bins=BINS, bound=BOUND)[0] != y
        assert changed.any(dim=0).nonzero().flatten().tolist() == [moved[0]]


@pytest.mark.parametrize("dim", [1, 2])
def test_the_density_integrates_to_one(dim, float64):
    nets, points = networks(dim), 4000 if dim == 1 else 500
    axis = torch.linspace(-8, 8, points)
    x = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    with torch.no_grad():
        loss = change_of_variables(*to_noise(nets, x, bins=BINS, bound=BOUND))
    total = torch.logsumexp(-loss, 0) + dim * (axis[1] - axis[0]).log()
    assert abs(total.item()) < (1e-3 if dim == 1 else 5e-3)


def test_the_loss_is_the_normals_through_a_linear_map(dtype):
    """z = A (x - m) is normal: -log p(x) is that of N(m, (A'A)^-1)."""
    d = 3
    a = torch.eye(d) + 0.3 * Rng.of(8).normal("a", (d, d))
    m, x = Rng.of(8).normal("m", (d,)), Rng.of(8).normal("x", (40, d))
    loss = change_of_variables((x - m) @ a.T, torch.linalg.slogdet(a)[1].expand(40))
    law = torch.distributions.MultivariateNormal(m, precision_matrix=a.T @ a)
    torch.testing.assert_close(loss, -law.log_prob(x), rtol=1e-4, atol=1e-4)


def test_its_least_value_is_the_entropy_and_scaling_the_data_adds_a_constant(float64):
    """Data N(0, s^2): through z = x / c the mean loss is log c + s^2 / (2 c^2) + log(2 pi) / 2, least at c = s."""
    s, x = 1.7, Rng.of(9).normal("x", (200_000, 1))
    x = 1.7 * (x - x.mean()) / x.std(correction=0)
    for c in (1.0, 1.7, 2.5):
        loss = change_of_variables(x / c, torch.full((len(x),), -math.log(c))).mean().item()
        assert loss == pytest.approx(math.log(c) + s**2 / (2 * c**2) + math.log(2 * math.pi) / 2, abs=1e-9)
        assert loss >= math.log(s) + (1 + math.log(2 * math.pi)) / 2 - 1e-9
    doubled = change_of_variables(x / c, torch.full((len(x), 1), -math.log(2 * c))).mean().item()
    assert doubled - loss == pytest.approx(math.log(2))  # the same noise for rows in other units
