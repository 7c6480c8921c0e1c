"""The Sinkhorn divergence against the plain algorithm run to its end, closed forms, geomloss, POT; limits, memory."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.func import grad

from whichloss.errors import UserError
from whichloss.losses import sinkhorn as S
from whichloss.losses.sinkhorn import sinkhorn_divergence
from whichloss.losses.transport import earth_movers


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def uniform(n):
    return torch.full((n,), 1 / n, dtype=torch.float64)


def masses(n, seed=0):
    drawn = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    return drawn / drawn.sum()


def near(got, expected, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


def plain(x, y, a, b, blur, p):
    """OT_eps by the plain algorithm in logarithms on the whole matrix of costs, until all mass is where it belongs."""
    eps = p * blur**p
    cost = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist") ** p
    f, g, now = torch.zeros_like(a), torch.zeros_like(b), float(cost.max())
    for _ in range(40_000):
        now = max(0.8 * now, eps)
        f = -now * torch.logsumexp((g - cost) / now + b.log(), 1)
        after = -now * torch.logsumexp((f[:, None] - cost) / now + a.log()[:, None], 0)
        if now == eps and (b * torch.expm1((g - after) / eps)).abs().sum() < 1e-5:
            return a @ f + b @ after
        g = (g + f) / 2 if x is y else after  # of one law with itself, turns alone take thousands of sweeps
    raise AssertionError("the plain algorithm did not end")


def converged(x, y, blur, p=2, a=None, b=None):
    a, b = uniform(len(x)) if a is None else a, uniform(len(y)) if b is None else b
    own = plain(x, x, a, a, blur, p) + plain(y, y, b, b, blur, p)
    return plain(x, y, a, b, blur, p) - own / 2


@pytest.fixture
def exact(monkeypatch):
    """Sweeps until nothing moves."""
    monkeypatch.setattr(S, "CLOSE", 0)
    monkeypatch.setattr(S, "SETTLED", 1e-9)


def pair(n, m, d, shift=0.5, scale=1.3):
    return normal(n, d), scale * normal(m, d, seed=1) + shift


@pytest.mark.parametrize("scaling", (0.5, 0.9))
@pytest.mark.parametrize("p", (1, 1.5, 2))
@pytest.mark.parametrize(
    "n, m, d, shift, scale, blur",
    [(60, 60, 2, 0.5, 1.3, 0.3), (50, 30, 5, 0.0, 1.0, 0.5), (40, 25, 2, 5.0, 0.3, 0.3), (30, 40, 1, 0.0, 1.0, 0.2)],
)
def test_it_is_within_one_percent_of_the_converged_value(n, m, d, shift, scale, blur, p, scaling):
    x, y = pair(n, m, d, shift, scale)
    near(sinkhorn_divergence(x, y, blur=blur, p=p, scaling=scaling), converged(x, y, blur, p), rtol=2e-3)
    a, b = masses(n), masses(m, seed=1)
    got = sinkhorn_divergence(x, y, blur=blur, p=p, scaling=scaling, x_weights=5 * a, y_weights=b)
    near(got, converged(x, y, blur, p, a, b), rtol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("blur", (0.15, 0.1))
def test_small_blurs_are_within_one_percent_too(blur):
    for n, m, d, shift, scale in ((60, 50, 2, 0.5, 1.3), (60, 60, 2, 0.0, 1.0), (40, 50, 1, 0.0, 1.0)):
        x, y = pair(n, m, d, shift, scale)
        near(sinkhorn_divergence(x, y, blur=blur), converged(x, y, blur), rtol=1e-2)


def test_gaussians_have_a_closed_form(exact):
    """1-D normal laws of variances u, v, means m apart, blur s (Janati et al., 2020), on quantiles of equal mass."""
    u, v, m, s = 1.0, 2.25, 0.4, 0.5
    D = lambda a, b: math.sqrt(4 * a * b + s**4)
    logs = math.log(D(u, v) + s**2) - (math.log(D(u, u) + s**2) + math.log(D(v, v) + s**2)) / 2
    expected = m**2 - D(u, v) + (D(u, u) + D(v, v)) / 2 + s**2 * logs
    near(expected, 0.409137, rtol=1e-5)
    t = torch.linspace(-7, 7, 281, dtype=torch.float64)
    density = torch.exp(-(t**2) / 2)  # a grid with weights: the sum of a smooth function is its integral
    x, y = t[:, None], math.sqrt(v) * t[:, None] + m
    near(sinkhorn_divergence(x, y, blur=s, x_weights=density, y_weights=density), expected, rtol=1e-5)


def test_two_points_and_the_limits_of_the_blur():
    x, y = normal(1, 3), normal(1, 3, seed=1)
    for blur in (1e-3, 0.1, 10.0):
        near(sinkhorn_divergence(x, y, blur=blur), (x - y).square().sum(), rtol=1e-9)
    x, y = pair(20, 15, 2)
    near(sinkhorn_divergence(x, y, blur=1e3), (x.mean(0) - y.mean(0)).square().sum(), rtol=1e-4)
    for p in (1, 2):
        near(sinkhorn_divergence(x, y, blur=0.02, p=p), earth_movers(x, y, p=p)[0], rtol=2e-2)


@pytest.mark.parametrize("p", (1, 2))
def test_geomloss_agrees(p):
    geomloss = pytest.importorskip("geomloss")
    x, y = pair(80, 60, 2)
    other = p * geomloss.SamplesLoss("sinkhorn", p=p, blur=0.3, scaling=0.99, backend="tensorized")(x, y)
    near(sinkhorn_divergence(x, y, blur=0.3, p=p), other, rtol=3e-3)


def test_pot_agrees(exact):
    ot = pytest.importorskip("ot")
    (x, y), eps = pair(40, 30, 2), 2 * 0.5**2

    def entropic(x, y):  # POT's own objective: cost + eps KL(plan || product)
        cost, a, b = ot.dist(x.numpy(), y.numpy()), uniform(len(x)).numpy(), uniform(len(y)).numpy()
        plan = ot.bregman.sinkhorn_log(a, b, cost, eps, numItermax=3000, stopThr=1e-12, warn=False)
        return (plan * cost).sum() + eps * (plan * np.log(plan / np.outer(a, b))).sum()

    near(sinkhorn_divergence(x, y, blur=0.5), entropic(x, y) - (entropic(x, x) + entropic(y, y)) / 2, rtol=1e-6)


# --- gradients ---


@pytest.mark.parametrize("p", (1, 2, 3))
def test_gradients_are_the_finite_differences(exact, p):
    x, y = (one.requires_grad_() for one in pair(6, 4, 2))
    a, b = masses(6).requires_grad_(), masses(4, seed=1).requires_grad_()
    loss = lambda x, y, a, b: sinkhorn_divergence(x, y, blur=0.7, p=p, x_weights=a, y_weights=b)
    assert gradcheck(loss, (x, y, a, b), atol=1e-5)


@pytest.mark.parametrize("p", (1, 2))
def test_the_gradient_of_the_default_is_near_the_converged_one(p, monkeypatch):
    x, y = pair(80, 60, 2)
    slope = grad(lambda x: sinkhorn_divergence(x, y, blur=0.2, p=p))
    default = slope(x)
    monkeypatch.setattr(S, "CLOSE", 0)
    monkeypatch.setattr(S, "SETTLED", 1e-9)
    assert (default - slope(x)).norm() < 0.02 * slope(x).norm()


@pytest.mark.parametrize("p", (1, 1.5, 2))
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_equal_sets_have_value_0_and_gradient_0(p, dtype):
    x = normal(30, 2, dtype=dtype)
    for same, other in ((x, x), (x, x.flip(0)), (x[:1].expand(5, 2), x[:1]), (x[:1], x[:1])):
        moving = same.clone().requires_grad_()
        value = sinkhorn_divergence(moving, other, p=p, blur=0.3)
        value.backward()
        near(value.detach(), 0, atol=1e-6)
        assert moving.grad.isfinite().all()
        near(moving.grad, torch.zeros_like(moving), atol=1e-6)


def test_a_point_that_meets_one_of_the_other_set_has_a_finite_slope():
    x, y = pair(6, 5, 2)
    y[2] = x[1]
    x[3] = x[1]
    for p in (1, 1.5, 2):
        slope = grad(lambda x: sinkhorn_divergence(x, y, blur=0.1, p=p))(x)
        assert slope.isfinite().all() and slope.norm() > 0


def test_descent_carries_one_set_to_the_other():
    x, y = pair(20, 20, 2, shift=3)
    for _ in range(30):
        x = x - 10 * grad(lambda x: sinkhorn_divergence(x, y, blur=0.1))(x)
    assert sinkhorn_divergence(x, y, blur=0.1) < 1e-3


def test_a_second_derivative_is_refused():
    x, y = pair(4, 3, 2)
    with pytest.raises(UserError, match="no second derivative; use sliced_wasserstein"):
        torch.autograd.functional.hessian(lambda x: sinkhorn_divergence(x, y), x)


# --- invariances, extremes ---


@pytest.mark.parametrize("p", (1, 2))
def test_order_place_turn_and_side_do_not_matter_and_scale_is_a_power(exact, p):
    x, y = pair(12, 9, 3)
    loss = lambda x, y, blur=0.4: sinkhorn_divergence(x, y, blur=blur, p=p)
    value, turn = loss(x, y), torch.linalg.qr(normal(3, 3, seed=2))[0]
    for other in (loss(x.flip(0), y), loss(x + 5, y + 5), loss(x @ turn, y @ turn), loss(y, x), loss(-x, -y)):
        near(other, value, rtol=1e-7)
    for scale in (1e4, 1e-8):
        near(loss(scale * x, scale * y, 0.4 * scale), scale**p * value, rtol=1e-7)
        near(loss((scale * x).float(), (scale * y).float(), 0.4 * scale).double() / scale**p, value, rtol=1e-4)


def test_it_is_never_negative():
    for seed in range(8):
        x = normal(15, 2, seed=seed)
        for y in (x + 1e-3 * normal(15, 2, seed=99), x + 1e-6, normal(9, 2, seed=seed + 50)):
            assert sinkhorn_divergence(x, y, blur=0.3) > -1e-7


def test_points_without_mass_and_copies_change_nothing():
    x, y = pair(7, 5, 2)
    value = sinkhorn_divergence(x, y, blur=0.3)
    more = torch.cat([x, 50 + x[:2]])
    weights = torch.cat([torch.ones(7), torch.zeros(2)])
    near(sinkhorn_divergence(more, y, blur=0.3, x_weights=weights), value, rtol=2e-3)
    near(sinkhorn_divergence(x.repeat(3, 1), y, blur=0.3), value, rtol=2e-3)
    double = torch.tensor([2, 1, 1, 1, 1, 1, 1])
    near(sinkhorn_divergence(x, y, blur=0.3, x_weights=double), sinkhorn_divergence(torch.cat([x[:1], x]), y, blur=0.3), rtol=2e-3)  # fmt: skip  # noqa: E501


def test_extremes_in_float32_are_finite():
    x, y = normal(20, 2, dtype=torch.float32), normal(15, 2, seed=1, dtype=torch.float32)
    for scale, blur in ((1e4, 500.0), (1e4, 1e6), (1e-8, 0.05), (1e-8, 1e-9)):
        moving = (scale * x).requires_grad_()
        value = sinkhorn_divergence(moving, scale * y, blur=blur)
        value.backward()
        assert value.dtype == torch.float32 and value.isfinite() and moving.grad.isfinite().all()


# --- blocks ---


@pytest.mark.parametrize("p", (1, 2))
def test_blocks_of_any_size_give_the_same(monkeypatch, p):
    x, y = (one.requires_grad_() for one in pair(23, 17, 2))
    loss = lambda: sinkhorn_divergence(x, y, blur=0.3, p=p)
    value, slopes = loss(), torch.autograd.grad(loss(), (x, y))
    for block in (1, 50, 17 * 5):
        monkeypatch.setattr(S, "BLOCK", block)
        near(loss().detach(), value.detach(), rtol=1e-7)
        for one, two in zip(torch.autograd.grad(loss(), (x, y)), slopes, strict=True):
            near(one, two, rtol=1e-6, atol=1e-10)


def test_it_never_holds_all_pairs():
    """4,000 x 4,000 pairs are 128 MB in float64, and a plain step holds several such matrices."""
    code = """
import resource, torch
from whichloss.losses.sinkhorn import sinkhorn_divergence
torch.set_num_threads(1)
draw = torch.Generator().manual_seed(0)
x, y = torch.randn(4000, 2, generator=draw), torch.randn(4000, 2, generator=draw) + 2
sinkhorn_divergence(x[:100].clone().requires_grad_(), y[:100], blur=2.0).backward()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sinkhorn_divergence(x.requires_grad_(), y.requires_grad_(), blur=2.0, scaling=0.3).backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert int(run.stdout) < 40_000  # kilobytes


# --- what is refused ---

X, Y = pair(4, 3, 2)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: sinkhorn_divergence(X[:, 0], Y[:, 0]), "'x' must be (n, d) and 'y' (m, d)"),
        (lambda: sinkhorn_divergence(X, Y[:, :1]), "got (4, 2) and (3, 1)"),
        (lambda: sinkhorn_divergence(X[:0], Y), "got (0, 2) and (3, 2)"),
        (lambda: sinkhorn_divergence(X.int(), Y), "one holds torch.int32"),
        (lambda: sinkhorn_divergence(X, Y, p=0.5), "p must be at least 1"),
        (lambda: sinkhorn_divergence(X, Y, blur=0), "blur must be positive"),
        (lambda: sinkhorn_divergence(X, Y, blur=math.nan), "got nan and 0.9"),
        (lambda: sinkhorn_divergence(X, Y, blur=math.inf), "got inf and 0.9"),
        (lambda: sinkhorn_divergence(X, Y, scaling=1), "scaling between 0 and 1; got 0.05 and 1"),
        (lambda: sinkhorn_divergence(X * math.nan, Y), "a point is nan or infinite"),
        (lambda: sinkhorn_divergence(X, Y / 0), "a point is nan or infinite"),
        (lambda: sinkhorn_divergence(X, Y, x_weights=-X[:, 0].abs()), "'x_weights' must be finite, not negative"),
        (lambda: sinkhorn_divergence(X, Y, y_weights=torch.zeros(3)), "not negative, and not all 0"),
        (lambda: sinkhorn_divergence(X, Y, y_weights=torch.ones(4)), "must be (3,), one per point; got (4,)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(call, says):
    with pytest.raises(UserError) as error:
        call()
    assert says in str(error.value)


def test_what_does_not_converge_says_so(monkeypatch):
    monkeypatch.setattr(S, "MOST_SWEEPS", 2)
    with pytest.raises(UserError, match=r"not within 1 % after 2 sweeps at blur 0\.01"):
        sinkhorn_divergence(*pair(60, 60, 2), blur=0.01)
