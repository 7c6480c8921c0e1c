"""Transport losses against closed forms, brute force, linear programmes, scipy, POT; invariances and extremes."""

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from scipy.integrate import quad
from scipy.optimize import linprog
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, jacrev, vmap

from whichloss.errors import UserError
from whichloss.losses import transport as T
from whichloss.metrics import directions

POWERS = (1, 1.5, 2, 3)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def masses(n, seed=0):
    """Weights of which a third are 0."""
    drawn = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn[::3] = 0
    return drawn if n > 1 else torch.ones(1, dtype=torch.float64)


def covariance(d, seed=0):
    a = normal(d, d + 2, seed=seed)
    return a @ a.T / d


def near(got, expected, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


def without_pot(patch):
    patch.setattr(T, "find_spec", lambda name: None)


@pytest.fixture(params=["scipy", "POT"])
def solver(request, monkeypatch):
    """Both ways to a plan at every size."""
    if request.param == "POT":
        pytest.importorskip("ot")
        monkeypatch.setattr(T, "LARGE", 1)
    else:
        without_pot(monkeypatch)
    return request.param


def transported(x, y, p=1, **weights):
    return T.earth_movers(x, y, p=p, **weights)[0]


def on_line(x, y, p=1, **weights):
    return T.wasserstein_1d(x[:, 0], y[:, 0], p=p, **weights)


def on_axis(x, y, p=1):
    return T.sliced_wasserstein(x, y, x.new_ones(1, 1), p=p)


LINE = pytest.mark.parametrize("loss", [on_line, transported, on_axis], ids=lambda f: f.__name__)


# --- on the line ---


@pytest.mark.parametrize("n, m", [(1, 1), (1, 4), (7, 7), (20, 13), (30, 60)])
def test_w1_is_scipys_with_and_without_weights(n, m):
    x, y, a, b = normal(n), 2 * normal(m, seed=1) + 1, masses(n), masses(m, seed=1)
    near(T.wasserstein_1d(x, y), stats.wasserstein_distance(x, y))
    near(T.wasserstein_1d(x, y, x_weights=a, y_weights=b), stats.wasserstein_distance(x, y, a, b))
    near(T.wasserstein_1d(x, y, y_weights=b), stats.wasserstein_distance(x, y, None, b))


def quantile(x, a):
    """The quantile function of weighted numbers, by its definition: the least x with F(x) >= u."""
    pairs = sorted(zip(x.tolist(), (a / a.sum()).tolist(), strict=True))
    return lambda u: next((v for v, c in zip((v for v, _ in pairs), np.cumsum([w for _, w in pairs])) if c >= u), pairs[-1][0])  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("p", POWERS)
def test_wp_is_the_integral_between_quantile_functions(p):
    x, y, a, b = normal(5), normal(4, seed=1), masses(5, seed=2) + 0.1, masses(4, seed=3) + 0.2
    f, g = quantile(x, a), quantile(y, b)
    jumps = [float(c) for w in (a, b) for c in (w / w.sum())[torch.argsort(x if len(w) == 5 else y)].cumsum(0)[:-1]]
    expected = quad(lambda u: abs(f(u) - g(u)) ** p, 0, 1, points=jumps, limit=200)[0]
    near(T.wasserstein_1d(x, y, p=p, x_weights=a, y_weights=b), expected, rtol=1e-7)


@LINE
@pytest.mark.parametrize("p", POWERS)
def test_the_line_agrees_whichever_way_it_is_solved(loss, p):
    x, y = normal(9, 1), normal(9, 1, seed=1)
    near(loss(x, y, p=p), ((x.sort(0).values - y.sort(0).values).abs() ** p).mean(), rtol=1e-9)
    near(loss(x, y + 3, p=1), loss(y + 3, x, p=1), rtol=1e-9)


@LINE
@pytest.mark.parametrize("p", POWERS)
def test_a_shift_costs_its_length_and_two_points_their_distance(loss, p):
    x = normal(8, 1)
    near(loss(x, x + 2.5, p=p), 2.5**p)
    near(loss(x[:1], x[:1] - 0.5, p=p), 0.5**p)
    near(loss(x[:1], torch.cat([x[:1] - 1, x[:1] + 3]), p=p), (1 + 3**p) / 2, rtol=1e-9)


def test_w1_of_uniforms_and_gaussians_by_their_quantiles():
    u = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    near(T.wasserstein_1d(u, u * 3), 1.0, rtol=1e-9)
    z = torch.special.ndtri(u)
    near(T.wasserstein_1d(z, 2 * z), math.sqrt(2 / math.pi), rtol=1e-3)
    near(T.wasserstein_1d(z, 2 * z + 0.5, p=2), 1 + 0.25, rtol=5e-3)
    near(T.wasserstein_1d(z, 2 * z + 0.5, p=2), T.gaussian_w2(*(torch.tensor(v) for v in ([0.0], [[1.0]], [0.5], [[4.0]]))), rtol=5e-3)  # fmt: skip  # noqa: E501


def test_weights_count_copies_and_need_no_sum():
    x, y = normal(4), normal(3, seed=1)
    a, b = torch.tensor([1, 3, 0, 2]), torch.tensor([2, 1, 3])
    copies = T.wasserstein_1d(x.repeat_interleave(a), y.repeat_interleave(b), p=2)
    near(T.wasserstein_1d(x, y, p=2, x_weights=a, y_weights=b), copies)
    near(T.wasserstein_1d(x, y, p=2, x_weights=7 * a.double(), y_weights=b.double() / 9), copies)
    near(T.earth_movers(x[:, None], y[:, None], p=2, x_weights=a, y_weights=b)[0], copies)


# --- plans ---


@pytest.mark.parametrize("p", POWERS)
def test_the_plan_is_the_best_of_all_permutations(solver, p):
    for seed in range(3):
        x, y = normal(6, 3, seed=seed), normal(6, 3, seed=seed + 9)
        cost = torch.cdist(x, y) ** p
        least = min(cost[range(6), list(order)].mean() for order in itertools.permutations(range(6)))
        near(transported(x, y, p), least, rtol=1e-9)


def programme(cost, a, b):
    """The least cost by a linear programme in full."""
    n, m = cost.shape
    sums = [[k // m == i for k in range(n * m)] for i in range(n)] + [
        [k % m == j for k in range(n * m)] for j in range(m)
    ]
    right = torch.cat([a / a.sum(), b / b.sum()]).numpy()
    return linprog(cost.ravel(), A_eq=np.array(sums, float), b_eq=right).fun


@pytest.mark.parametrize("n, m", [(1, 1), (1, 5), (5, 1), (6, 4), (5, 5)])
def test_weighted_plans_are_the_linear_programmes_and_keep_the_masses(solver, n, m):
    x, y, a, b = normal(n, 2), normal(m, 2, seed=1), masses(n), masses(m, seed=1)
    value, plan = T.earth_movers(x, y, x_weights=a, y_weights=b, p=2)
    cost = torch.cdist(x, y) ** 2
    near(value, programme(cost.numpy(), a, b), rtol=1e-7)
    assert plan.min() >= 0 and not plan.requires_grad
    near(plan.sum(1), a / a.sum(), atol=1e-9)
    near(plan.sum(0), b / b.sum(), atol=1e-9)
    near((plan * cost).sum(), value, rtol=1e-9)


@pytest.mark.parametrize("p", (1, 2))
@pytest.mark.parametrize("weighted", (False, True))
def test_the_dual_attains_the_primal(solver, p, weighted):
    x, y = normal(7, 2), normal(5, 2, seed=1) + 1
    a, b = (masses(7), masses(5, seed=1)) if weighted else (torch.ones(7).double(), torch.ones(5).double())
    value, plan = T.earth_movers(x, y, x_weights=a, y_weights=b, p=p)
    f, g = T.dual(x, y, x_weights=a, y_weights=b, p=p)
    slack = torch.cdist(x, y) ** p - f[:, None] - g
    assert slack.min() > -1e-9 and (plan * slack).abs().sum() < 1e-8
    near(f @ a / a.sum() + g @ b / b.sum(), value, rtol=1e-8)
    near(f @ a / a.sum(), g @ b / b.sum(), rtol=1e-8)
    if p == 1:  # f on x and -g on y: one function of slope at most 1
        points, critic = torch.cat([x, y]), torch.cat([f, -g])
        assert ((critic[:, None] - critic).abs() - torch.cdist(points, points)).max() < 1e-9


def test_the_price_of_a_column_without_mass_pulls_no_other_down(solver):
    """Whatever a solver says where there is no mass, the dual attains the primal, and weights have finite slopes."""
    x, y = normal(6, 2), torch.cat([normal(5, 2, seed=1), torch.tensor([[1e3, 1e3]])])
    b = torch.tensor([1.0, 2, 0, 1, 1, 0], dtype=torch.float64, requires_grad=True)
    value, _ = T.earth_movers(x, y, y_weights=b)
    (slope,) = torch.autograd.grad(value, b)
    assert slope.isfinite().all()
    f, g = T.dual(x, y, y_weights=b.detach())
    near(f.mean() + g @ b.detach() / 5, value.detach(), rtol=1e-8)
    more = b.detach() + 1e-4 * torch.eye(6)[2]  # mass for a column that had none costs its price
    near((transported(x, y, y_weights=more) - value.detach()) / 1e-4, slope[2], rtol=1e-3)


@pytest.mark.parametrize("p", (1, 2))
def test_pot_agrees(p):
    ot = pytest.importorskip("ot")
    x, y, a, b = normal(40, 3), normal(30, 3, seed=1) + 0.5, masses(40), masses(30, seed=1)
    a, b = a / a.sum(), b / b.sum()
    cost = ot.dist(x, y, metric="euclidean") ** p
    near(transported(x, y, p, x_weights=a, y_weights=b), ot.emd2(a, b, cost), rtol=1e-8)
    near(transported(x, y, p), ot.emd2([], [], cost), rtol=1e-8)
    near(T.wasserstein_1d(x[:, 0], y[:, 0], p=p, x_weights=a, y_weights=b), ot.wasserstein_1d(x[:, 0].numpy(), y[:, 0].numpy(), a.numpy(), b.numpy(), p=p), rtol=1e-10)  # fmt: skip  # noqa: E501
    along = directions(3, 7, 0)
    near(T.sliced_wasserstein(x, y, along, p=p), ot.sliced_wasserstein_distance(x, y, projections=along.T, p=p) ** p, rtol=1e-10)  # fmt: skip  # noqa: E501
    near(T.gaussian_w2(x.mean(0), x.T.cov(), y.mean(0), y.T.cov()), ot.gaussian.bures_wasserstein_distance(x.mean(0), y.mean(0), x.T.cov(), y.T.cov()) ** 2, rtol=1e-8)  # fmt: skip  # noqa: E501


def test_large_sets_are_solved_with_pot_and_without_it_say_what_to_install(monkeypatch):
    x, y = normal(T.LARGE, 2), normal(T.LARGE - 1, 2, seed=1)
    if T.find_spec("ot"):
        assert T._pot(T.LARGE, 3) is sys.modules["ot"] and T._pot(T.LARGE - 1, 3) is None
        value, plan = T.earth_movers(x, y)
        near(plan.sum(0), torch.full((T.LARGE - 1,), 1 / (T.LARGE - 1)), rtol=1e-6)
        f, g = T.dual(x, y)
        near(f.mean() + g.mean(), value, rtol=1e-8)
        matched = transported(x, normal(T.LARGE, 2, seed=1))
    without_pot(monkeypatch)
    if "ot" in sys.modules:
        near(transported(x, normal(T.LARGE, 2, seed=1)), matched, rtol=1e-10)
    monkeypatch.setattr(T, "MOST_PAIRS", 100)
    with pytest.raises(UserError, match=r"256 x 255 pairs.*pip install 'whichloss\[ot\]'"):
        T.earth_movers(x, y)
    assert transported(x, normal(T.LARGE, 2, seed=1)) > 0  # a matching needs no programme


# --- slices ---


@pytest.mark.parametrize("n, m", [(6, 6), (6, 4), (1, 3)])
@pytest.mark.parametrize("p", POWERS)
def test_slices_are_the_mean_over_directions(n, m, p):
    x, y, along = normal(n, 3), normal(m, 3, seed=1), directions(3, 5, 0)
    each = [T.wasserstein_1d(x @ u, y @ u, p=p) for u in along]
    near(T.sliced_wasserstein(x, y, along, p=p), torch.stack(each).mean())


def test_slices_of_gaussians_are_the_formula():
    u = directions(2, 3000, 0)
    points = directions(2, 2000, 1) * (-2 * torch.log((torch.arange(2000) + 0.5) / 2000)).sqrt()[:, None]
    shift = torch.tensor([3.0, -4.0], dtype=torch.float64)
    near(T.sliced_wasserstein(points, 2 * points + shift, u[:300]), 25 / 2 + 1, rtol=2e-2)
    near(T.sliced_wasserstein(points, points + shift, u[:2]), 25 / 2, rtol=1e-12)  # orthogonal: exact


@pytest.mark.parametrize("n, m", [(40, 40), (40, 30)])
def test_blocks_of_any_size_give_the_same(monkeypatch, n, m):
    x, y, along = (
        normal(n, 5).requires_grad_(),
        normal(m, 5, seed=1).requires_grad_(),
        directions(5, 23, 0).requires_grad_(),
    )
    whole = T.sliced_wasserstein(x, y, along)
    slopes = torch.autograd.grad(whole, (x, y, along))
    for block, tile in ((1, 1), (10 * n, 3 * n), (7 * n, 7 * n)):
        monkeypatch.setattr(T, "BLOCK", block)
        monkeypatch.setattr(T, "TILE", tile)
        again = T.sliced_wasserstein(x, y, along)
        near(again.detach(), whole.detach())
        for one, two in zip(torch.autograd.grad(again, (x, y, along)), slopes, strict=True):
            near(one, two, atol=1e-15)


def test_slices_need_little_memory():
    """20,000 x 16 along 400 directions: all projections at once would be 32 MB a set, their orders 64 MB more."""
    code = """
import resource, torch
from whichloss.losses.transport import sliced_wasserstein
torch.set_num_threads(1)
draw = torch.Generator().manual_seed(0)
x, y = torch.randn(20_000, 16, generator=draw), torch.randn(20_000, 16, generator=draw)
along = torch.nn.functional.normalize(torch.randn(400, 16, generator=draw))
sliced_wasserstein(x[:100].clone().requires_grad_(), y[:100], along).backward()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sliced_wasserstein(x.requires_grad_(), y.requires_grad_(), along).backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert int(run.stdout) < 40_000  # kilobytes; 27,000 where it was measured


# --- Gaussians ---


@pytest.mark.parametrize("d", (1, 2, 5))
def test_gaussian_w2_is_its_formula_by_scipys_root(d):
    m, q, a, b = normal(d), normal(d, seed=1), covariance(d), covariance(d, seed=1)
    half = linalg.sqrtm(a.numpy())
    expected = (m - q).square().sum() + (a + b).trace() - 2 * linalg.sqrtm(half @ b.numpy() @ half).real.trace()
    near(T.gaussian_w2(m, a, q, b), expected, rtol=1e-9)
    near(T.gaussian_w2(q, b, m, a), expected, rtol=1e-9)


def test_gaussian_w2_of_commuting_covariances_and_point_masses():
    zero, s, t = torch.zeros(3).double(), torch.tensor([1.0, 2, 3]).double(), torch.tensor([2.0, 0, 0.5]).double()
    near(T.gaussian_w2(zero, torch.diag(s**2), zero + 1, torch.diag(t**2)), 3 + (s - t).square().sum())
    nothing = torch.zeros(3, 3).double()
    near(T.gaussian_w2(zero, nothing, zero + 2, nothing), 12)
    near(T.gaussian_w2(zero, nothing, zero, covariance(3)), covariance(3).trace())


def test_gaussian_w2_is_the_cost_of_the_linear_map_between_them():
    """The best map x -> q + M (x - m), M = A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2, carries A to B and costs W2^2."""
    a, b = covariance(3), covariance(3, seed=1)
    half = torch.from_numpy(linalg.sqrtm(a.numpy()).real)
    M = half.inverse() @ torch.from_numpy(linalg.sqrtm((half @ b @ half).numpy()).real) @ half.inverse()
    near(M @ a @ M.T, b, rtol=1e-7)
    move = M - torch.eye(3)
    near(
        T.gaussian_w2(torch.zeros(3).double(), a, torch.ones(3).double(), b), 3 + (move @ a @ move.T).trace(), rtol=1e-8
    )
    a = a.requires_grad_()
    (slope,) = torch.autograd.grad(T.gaussian_w2(torch.zeros(3).double(), a, torch.zeros(3).double(), b), a)
    near(slope, torch.eye(3) - M, rtol=1e-7, atol=1e-9)


def test_gaussian_w2_is_one_value_per_leading_index_and_maps():
    m, a = (
        normal(4, 2, 3),
        torch.stack([torch.stack([covariance(3, seed=2 * i + j) for j in range(2)]) for i in range(4)]),
    )
    q, b = normal(4, 2, 3, seed=1), a.flip(0)
    whole = T.gaussian_w2(m, a, q, b)
    assert whole.shape == (4, 2)
    near(vmap(T.gaussian_w2)(m, a, q, b), whole)
    near(T.gaussian_w2(m[1, 0], a[1, 0], q[1, 0], b[1, 0]), whole[1, 0])


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_gaussian_w2_of_covariances_of_few_rows_is_finite(dtype):
    """Fewer rows than columns: eigenvalues that are 0 come out of rounding as small negative numbers."""
    x, y = normal(12, 40, dtype=dtype), normal(30, 40, seed=1, dtype=dtype)
    a = x.T.cov().requires_grad_()
    value = T.gaussian_w2(x.mean(0), a, y.mean(0), y.T.cov())
    value.backward()
    assert value.isfinite() and a.grad.isfinite().all()
    bad = torch.diag(torch.tensor([1.0, -1e-3])).to(dtype)
    assert T.gaussian_w2(x[0, :2], bad, x[0, :2], bad.abs()).isnan()


@pytest.mark.parametrize("d", (1, 3))
def test_gaussian_w2_has_no_slope_at_equal_laws_but_in_directions_without_spread(d):
    """There a little variance t of one law costs t, at slope 1."""
    for a in (covariance(d), torch.eye(d).double(), torch.zeros(d, d).double(), torch.ones(d, d).double()):
        without = torch.eye(d) - a @ torch.linalg.pinv(a, rtol=1e-9)
        m, a = normal(d).requires_grad_(), a.clone().requires_grad_()
        value = T.gaussian_w2(m, a, m.detach(), a.detach())
        value.backward()
        near(value.detach(), 0, atol=1e-13)
        near(m.grad, torch.zeros(d))
        near(a.grad, without, atol=1e-7)


# --- gradients ---


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("n, m", [(5, 5), (5, 3)])
def test_gradients_are_the_finite_differences(p, n, m, solver):
    x, y = normal(n, 2).requires_grad_(), normal(m, 2, seed=1).requires_grad_()
    u, v = normal(n, seed=2).requires_grad_(), normal(m, seed=3).requires_grad_()
    a, b = (torch.rand(k).double().add(0.5).requires_grad_() for k in (n, m))
    weighted = lambda loss: lambda x, y, a, b: loss(x, y, p=p, x_weights=a, y_weights=b)
    assert gradcheck(lambda u, v: T.wasserstein_1d(u, v, p=p), (u, v))
    assert gradcheck(lambda x, y: transported(x, y, p=p), (x, y))
    assert gradcheck(weighted(T.wasserstein_1d), (u, v, a, b))
    assert gradcheck(weighted(transported), (x, y, a, b))
    along = directions(2, 3, 0).requires_grad_()
    slices = lambda x, y, along: T.sliced_wasserstein(x, y, along, p=p)
    assert gradcheck(slices, (x, y, along))
    if p > 1 and solver == "scipy":
        assert gradgradcheck(slices, (x, y, along))


def test_gradients_of_gaussians_are_the_finite_differences_twice():
    arguments = [one.requires_grad_() for one in (normal(2), covariance(2), normal(2, seed=1), covariance(2, seed=1))]
    assert gradcheck(T.gaussian_w2, arguments) and gradgradcheck(T.gaussian_w2, arguments)
    arguments[1] = torch.eye(2).double().requires_grad_()  # eigenvalues that repeat
    assert gradcheck(T.gaussian_w2, arguments)


def test_the_gradient_of_w2_is_twice_the_step_home_over_n():
    x = normal(10, 3)
    y = (x + 0.1).requires_grad_()
    for loss in (lambda y: transported(x, y, p=2), lambda y: T.sliced_wasserstein(x, y, torch.eye(3).double()) * 3):
        near(torch.autograd.grad(loss(y), y)[0], torch.full((10, 3), 2 * 0.1 / 10).double(), rtol=1e-6)
    near(torch.autograd.grad(transported(x, y), y)[0], torch.full((10, 3), 1 / 10 / 3**0.5), rtol=1e-6)


@LINE
@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_gradients_are_0_where_points_coincide(loss, p, dtype):
    x = normal(6, 1, dtype=dtype)
    for same in (x, x.clone().fill_(3.0), x.flip(0), x[[0, 0, 0, 1, 1, 2]]):
        moving = same.clone().requires_grad_()
        value = loss(moving, same, p=p)
        value.backward()
        assert value == 0 and (moving.grad == 0).all()


def test_gradients_map_over_lanes():
    x, y, along = normal(4, 6, 3), normal(5, 3, seed=1), directions(3, 4, 0)
    for loss in (lambda x: T.sliced_wasserstein(x, y, along), lambda x: T.wasserstein_1d(x[:, 0], y[:, 0], p=2)):
        near(vmap(loss)(x), torch.stack([loss(one) for one in x]))
        near(vmap(grad(loss))(x), torch.stack([grad(loss)(one) for one in x]))
        moving = x.clone().requires_grad_()
        vmap(loss)(moving).sum().backward()
        near(moving.grad, vmap(grad(loss))(x))
        near(jacrev(grad(loss))(x[0]), torch.autograd.functional.hessian(loss, x[0]), atol=1e-13)
    # an outer derivative through a set that the inner one holds fixed
    inner = lambda y: grad(lambda x: T.sliced_wasserstein(x, y, along))(x[0]).square().sum()
    assert gradcheck(inner, y.clone().requires_grad_())


# --- invariances ---


def rotation(d, seed=5):
    return torch.linalg.qr(normal(d, d, seed=seed))[0]


@pytest.mark.parametrize("p", (1, 2))
@pytest.mark.parametrize("n, m", [(7, 7), (7, 4)])
def test_order_place_and_turn_do_not_matter_and_scale_is_a_power(p, n, m):
    x, y, along, turn = normal(n, 3), normal(m, 3, seed=1), directions(3, 5, 0), rotation(3)
    shuffle = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    slices = lambda x, y, along=along, p=p: T.sliced_wasserstein(x, y, along, p=p)
    for loss, value in ((transported, transported(x, y, p)), (slices, slices(x, y))):
        near(loss(x[shuffle], y, p=p), value, rtol=1e-9)
        near(loss(x + 5, y + 5, p=p), value, rtol=1e-9)
        near(loss(y, x, p=p), value, rtol=1e-9)
        near(loss(-3 * x, -3 * y, p=p), 3**p * value, rtol=1e-9)
    near(transported(x @ turn, y @ turn, p), transported(x, y, p), rtol=1e-9)
    near(slices(x @ turn, y @ turn, along @ turn), slices(x, y), rtol=1e-9)
    assert slices(x, y) <= transported(x, y, p) + 1e-12  # a projection shortens every way


def test_the_triangle_inequality_holds_for_roots():
    for seed in range(5):
        x, y, z = (normal(6, 2, seed=3 * seed + k) for k in range(3))
        for p in (1, 2):
            w = lambda x, y: transported(x, y, p) ** (1 / p)
            assert w(x, z) <= w(x, y) + w(y, z) + 1e-12
        assert transported(x, y, 1) ** 2 <= transported(x, y, 2) + 1e-12


def test_gaussian_w2_is_below_that_of_any_laws_with_these_moments():
    x, y = normal(30, 2) ** 3, normal(30, 2, seed=1) + 1
    moments = lambda x: (x.mean(0), x.T.cov(correction=0))
    assert T.gaussian_w2(*moments(x), *moments(y)) < transported(x, y, 2)  # Gelbrich (1990)
    turn = rotation(2)
    m, a, q, b = *moments(x), *moments(y)
    near(T.gaussian_w2(m @ turn, turn.T @ a @ turn, q @ turn, turn.T @ b @ turn), T.gaussian_w2(m, a, q, b), rtol=1e-9)
    near(T.gaussian_w2(3 * m, 9 * a, 3 * q, 9 * b), 9 * T.gaussian_w2(m, a, q, b), rtol=1e-9)


@pytest.mark.parametrize("scale", (1e4, 1e-8))
@pytest.mark.parametrize("p", (1, 2))
def test_extremes_lose_no_digits_in_float32(scale, p, solver):
    x, y = normal(40, 3, dtype=torch.float32) * scale, normal(30, 3, seed=1, dtype=torch.float32) * scale
    along = directions(3, 5, 0).float()
    losses = (
        lambda x, y: on_line(x, y, p=p),
        lambda x, y: transported(x, y, p),
        lambda x, y: T.sliced_wasserstein(x, y, along.to(x.dtype), p=p),
        lambda x, y: T.gaussian_w2(x.mean(0), x.T.cov(), y.mean(0), y.T.cov()),
    )
    for loss in losses:
        moving, exact = x.clone().requires_grad_(), x.double().requires_grad_()
        value, right = loss(moving, y), loss(exact, y.double())
        value.backward()
        right.backward()
        assert value.dtype == torch.float32
        near(value.detach().double() / right.detach(), 1, rtol=1e-5)
        near(moving.grad.double() / exact.grad.abs().max(), exact.grad / exact.grad.abs().max(), atol=1e-5)


def test_a_far_offset_is_exact_where_float32_holds_it():
    x = torch.arange(8, dtype=torch.float32)[:, None] + 1e6
    for loss in (on_line, transported, on_axis):
        near(loss(x, x + 2, p=2), 4, rtol=1e-6)


def test_values_take_the_dtype_of_x():
    x, y, a = normal(5, 1, dtype=torch.float32), normal(4, 1, seed=1), masses(5)
    for value in (on_line(x, y), on_line(x, y, x_weights=a), transported(x, y), transported(x, y, x_weights=a), on_axis(x, y)):  # fmt: skip  # noqa: E501
        assert value.dtype == torch.float32
    assert T.earth_movers(x, y)[1].dtype == torch.float32
    assert transported(y, x, y_weights=a.float().requires_grad_()).dtype == torch.float64


# --- what is refused ---


def test_nan_comes_out_as_nan_where_it_can_and_is_refused_where_a_plan_is_sought():
    x, y = normal(4, 1), normal(4, 1, seed=1)
    x[2] = math.nan
    assert on_line(x, y).isnan() and on_axis(x, y).isnan()
    for bad in (math.nan, math.inf):
        x[2] = bad
        with pytest.raises(UserError, match="a distance is not finite"):
            T.earth_movers(x, y)


LONG, FLAT = normal(4, 2), normal(4)
ALONG = torch.eye(2).double()


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: T.wasserstein_1d(LONG, LONG), "'x' must be (n,) and 'y' (m,)"),
        (lambda: T.wasserstein_1d(FLAT[:0], FLAT), "at least one number each; got (0,) and (4,)"),
        (lambda: T.wasserstein_1d(FLAT, FLAT[0]), "got (4,) and ()"),
        (lambda: T.wasserstein_1d(FLAT.int(), FLAT), "one holds torch.int32"),
        (lambda: T.wasserstein_1d(FLAT, FLAT, p=0.5), "p must be at least 1, and finite; got 0.5"),
        (lambda: T.wasserstein_1d(FLAT, FLAT, p=math.inf), "got inf"),
        (lambda: T.wasserstein_1d(FLAT, FLAT, p=math.nan), "got nan"),
        (lambda: T.wasserstein_1d(FLAT, FLAT, x_weights=FLAT), "'x_weights' must be finite, not negative"),
        (lambda: T.wasserstein_1d(FLAT, FLAT, y_weights=0 * FLAT), "not negative, and not all 0"),
        (lambda: T.wasserstein_1d(FLAT, FLAT, y_weights=FLAT.abs() * math.nan), "'y_weights' must be finite"),
        (lambda: T.wasserstein_1d(FLAT, FLAT, y_weights=FLAT.abs() + math.inf), "'y_weights' must be finite"),
        (lambda: T.wasserstein_1d(FLAT, FLAT, y_weights=torch.ones(3)), "must be (4,), one per point; got (3,)"),
        (lambda: T.earth_movers(FLAT, FLAT), "'x' must be (n, d) and 'y' (m, d)"),
        (lambda: T.earth_movers(LONG, LONG[:, :1]), "got (4, 2) and (4, 1)"),
        (lambda: T.earth_movers(LONG[:0], LONG), "got (0, 2) and (4, 2)"),
        (lambda: T.earth_movers(LONG[:, :0], LONG[:, :0]), "got (4, 0) and (4, 0)"),
        (lambda: T.earth_movers(LONG, LONG.int()), "one holds torch.int32"),
        (lambda: T.earth_movers(LONG, LONG, p=0), "earth_movers: p must be at least 1"),
        (lambda: T.earth_movers(LONG, LONG, x_weights=torch.tensor([-1.0, 3, 1, 1])), "'x_weights' must be finite"),
        (lambda: T.dual(LONG, FLAT), "dual: 'x' must be (n, d)"),
        (lambda: T.dual(LONG, LONG, p=0.9), "dual: p must be at least 1"),
        (lambda: T.sliced_wasserstein(FLAT, FLAT, ALONG), "'x' must be (n, d)"),
        (lambda: T.sliced_wasserstein(LONG, LONG, ALONG[0]), "'directions' must be (L, 2), L at least 1; got (2,)"),
        (lambda: T.sliced_wasserstein(LONG, LONG, ALONG[:0]), "got (0, 2)"),
        (lambda: T.sliced_wasserstein(LONG, LONG, torch.eye(3)), "got (3, 3)"),
        (lambda: T.sliced_wasserstein(LONG, LONG, ALONG, p=0.5), "sliced_wasserstein: p must"),
        (lambda: T.gaussian_w2(FLAT, ALONG, FLAT, ALONG), "means must be (..., d) and covariances (..., d, d)"),
        (lambda: T.gaussian_w2(FLAT[:2], ALONG, FLAT[:2], FLAT), "leading axes alike; got (2,), (2, 2), (2,), (4,)"),
        (lambda: T.gaussian_w2(FLAT[0], FLAT[0], FLAT[0], FLAT[0]), "got (), (), (), ()"),
        (lambda: T.gaussian_w2(FLAT[:2].int(), ALONG, FLAT[:2], ALONG), "torch.int32"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(call, says):
    with pytest.raises(UserError) as error:
        call()
    assert says in str(error.value)
