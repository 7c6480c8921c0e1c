"""Kernel Stein discrepancy and equipartition: known kernels, levels, powers, identities."""

import math

import pytest
import torch

from whichloss.errors import UserError
from whichloss.metrics import equipartition, kernel_stein
from whichloss.metrics.stein import stein_kernel
from whichloss.rng import Rng
from whichloss.samplers import hmc, langevin

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def test_the_stein_kernel_is_its_definition_by_autograd(normal):
    """u = s.s' k + s.grad_y k + s'.grad_x k + tr grad_x grad_y k, all derivatives taken by machine."""
    x, c = normal(5, 3), 1.3
    s = torch.sin(x) - x
    u = stein_kernel(x, s, torch.cdist(x, x) ** 2, c)

    def k(x, y):
        return (c**2 + (x - y).square().sum()) ** -0.5

    for i in range(5):
        for j in range(5):
            if i == j:
                continue
            a, b = x[i], x[j]
            da, db = torch.func.grad(k, 0)(a, b), torch.func.grad(k, 1)(a, b)
            trace = torch.func.jacrev(torch.func.grad(k, 0), 1)(a, b).trace()
            want = s[i] @ s[j] * k(a, b) + s[i] @ db + s[j] @ da + trace
            assert u[i, j].item() == pytest.approx(want.item(), rel=1e-9)


def test_its_mean_over_the_law_is_zero():
    """E_x u(x, y) = 0 for every y: on a grid, in one dimension."""
    x = torch.linspace(-12, 12, 2401, dtype=torch.float64)[:, None]
    p = torch.exp(-(x[:, 0] ** 2) / 2) / math.sqrt(2 * math.pi) * 0.01
    for s, law in ((-x, p), (-2 * x, torch.exp(-(x[:, 0] ** 2)) / math.sqrt(math.pi) * 0.01)):
        u = stein_kernel(x, s, (x - x.T) ** 2, 0.8)
        near = x[:, 0].abs() < 4
        assert (law @ u)[near].abs().max() < 1e-9
    assert (p @ u)[near].abs().max() > 0.1  # the score of another law


def test_the_value_is_unbiased_and_its_p_value_has_its_level():
    values, ps = [], []
    for seed in range(80):
        x = Rng.of(seed).normal("x", (120, 2))
        found = kernel_stein(x, -x, Rng.of(seed), width=1.0, draws=199)
        values.append(found.value)
        ps.append(found.p)
    v = torch.tensor(values)
    assert abs(v.mean()) < 3.5 * v.std() / 80**0.5 and (v < 0).any()
    level = sum(p <= 0.1 for p in ps) / 80
    assert 0.01 <= level <= 0.2  # .1 +- 3 standard errors
    assert min(ps) >= 1 / 200


@pytest.mark.parametrize("wrong", ["shift", "spread", "mode"])
def test_another_law_is_seen(wrong):
    x = Rng.of(3).normal("x", (400, 2))
    if wrong == "mode":  # rows at one of two wells that nearly touch
        centre = torch.tensor([1.5, 0.0])
        both = torch.where(Rng.of(3).uniform("side", (400, 1)) < 0.5, x + centre, x - centre)

        def score(x):
            return -x + centre * torch.tanh(x @ centre)[:, None]

        assert kernel_stein(both, score(both), Rng.of(0)).p > 0.05
        assert kernel_stein(x + centre, score(x + centre), Rng.of(0)).p < 0.01
    else:
        y = x + 0.4 if wrong == "shift" else 1.3 * x
        assert kernel_stein(x, -x, Rng.of(0)).p > 0.05
        assert kernel_stein(y, -y, Rng.of(0)).p < 0.01


def test_it_does_not_change_with_place_order_and_units():
    x = Rng.of(4).normal("x", (150, 3))
    one = kernel_stein(x, -1.2 * x, Rng.of(0))
    turned = kernel_stein(x.flip(0) + 100, -1.2 * x.flip(0), Rng.of(0))
    assert turned.value == pytest.approx(one.value, rel=1e-4)
    scaled = kernel_stein(10 * x, -0.12 * x, Rng.of(0))  # k falls by 10, s.s by 100
    assert scaled.value == pytest.approx(one.value / 1000, rel=1e-4) and scaled.p == one.p
    assert scaled.width == pytest.approx(10 * one.width, rel=1e-5)
    twice = kernel_stein(x.double(), -1.2 * x.double(), Rng.of(0))
    assert twice.value == pytest.approx(one.value, rel=1e-3)


def test_bad_rows_are_refused():
    x = Rng.of(0).normal("x", (10, 2))
    with pytest.raises(UserError, match="score of every row"):
        kernel_stein(x, x[:9], Rng.of(0))
    with pytest.raises(UserError, match="columns"):
        kernel_stein(x, x[:, :1], Rng.of(0))
    with pytest.raises(UserError, match="not finite"):
        kernel_stein(x, x / 0, Rng.of(0))
    with pytest.raises(UserError, match="at most 5000"):
        kernel_stein(torch.zeros(5001, 1), torch.zeros(5001, 1), Rng.of(0))
    for width in (0.0, -1.0, math.nan):
        with pytest.raises(UserError, match="width > 0"):
            kernel_stein(x, x, Rng.of(0), width=width)
    with pytest.raises(UserError, match="coincide"):
        kernel_stein(torch.ones(9, 2), torch.ones(9, 2), Rng.of(0))
    with pytest.raises(UserError, match="every row"):
        equipartition(x, x[:9])
    with pytest.raises(UserError, match="temperature > 0"):
        equipartition(x, x, temperature=0.0)


@BOTH
@pytest.mark.parametrize("d", [1, 3])
def test_equipartition_of_a_normal_is_exact(d, dtype):
    """E = |x|^2 / 2: the mean is the second moment and its error that of chi squared, sqrt(2 d / n)."""
    x = Rng.of(5).normal("x", (20_000, d)).to(dtype)
    found = equipartition(x, x)
    assert found.value == pytest.approx(x.double().square().sum(dim=1).mean().item(), rel=1e-6)
    assert found.expected == d
    assert found.se == pytest.approx((2 * d / 20_000) ** 0.5, rel=0.05) and abs(found.z) < 4
    torch.testing.assert_close(found.each.sum().item(), found.value)
    correlated = equipartition(x, x, effective=200)
    assert correlated.se == pytest.approx(10 * found.se)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_equipartition_holds_for_a_quartic_at_any_temperature(d, dtype):
    """E = x^4 at T: x = (T g)^(1/4), g of a Gamma(1/4), so that E[4 x^4] = T."""
    torch.manual_seed(0)
    for T in (0.5, 1.0, 3.0):
        x = (T * torch.distributions.Gamma(0.25, 1.0).sample((40_000, d))).to(dtype) ** 0.25
        found = equipartition(x, 4 * x**3, temperature=T)
        assert found.expected == d * T and abs(found.z) < 4
        assert equipartition(x, 4 * x**3, temperature=1.1 * T).z < -4  # a wrong temperature


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_equipartition_finds_a_sampler_s_bias_without_its_law(d, dtype):
    """Double wells at T: d T from Hamiltonian Monte Carlo; d / (1 - u / 2) from plain Langevin on N(0, I), step u."""
    well, slope = (lambda x: 2 * ((x**2 - 1) ** 2).sum(1)), (lambda x: 8 * x * (x**2 - 1))
    start = 0.6 * Rng.of(6).normal("x", (8000, d)).to(dtype)
    for T in (0.5, 2.0):
        x, _ = hmc(well, start, Rng.of(7), draws=25, step=0.17 * T**0.5, temperature=T, keep=False)
        assert abs(equipartition(x, slope(x), temperature=T).z) < 4.5
    y, _ = langevin(lambda x: -x, start, Rng.of(7), steps=20, step=0.5)
    found = equipartition(y, y)
    assert found.value == pytest.approx(d / 0.75, abs=4.5 * found.se) and found.z > 8
