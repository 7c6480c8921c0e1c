"""NUTS: the law kept from exact starts, turns against a plain recursion, hard laws, one chain against many."""

import math

import pytest
import torch

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers import nuts
from whichloss.samplers.nuts import Span, _join

RNG = Rng.of(3)


def square(x):
    return x.square().reshape(len(x), -1).sum(dim=1) / 2


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(("step", "depth"), [(0.3, 10), (1.3, 10), (0.1, 2)])
def test_the_law_is_kept(step, depth):
    """From exact draws of N(0, 1) x N(0, 1/4) the law stays, also where steps are coarse or trajectories cut."""
    sd = torch.tensor([1.0, 0.5])
    energy = lambda x: square(x / sd)
    x, info = nuts(energy, sd * draw(20_000, 2), RNG, draws=6, step=step * 0.5, depth=depth, keep=False)
    z = x / sd
    assert z.mean(0).abs().max() < 4.5 / 20_000**0.5
    assert (z.var(0) - 1).abs().max() < 4.5 * (2 / 20_000) ** 0.5
    assert float((z**4).mean()) == pytest.approx(3, abs=0.16)
    assert float((z[:, 0] * z[:, 1]).mean()) == pytest.approx(0, abs=0.03)
    assert (info["cut"] > 0.9) == (depth == 2)


def test_a_law_that_is_not_normal_is_kept():
    """E = |x|^1.5 on the positive half-line: from its own draws, x^1.5 being a Gamma(2/3) variable."""
    g = torch.distributions.Gamma(2 / 3, 1.0)
    torch.manual_seed(0)
    x = g.sample((20_000, 1)) ** (2 / 3)
    x, info = nuts(lambda x: x[:, 0] ** 1.5, x, RNG, draws=6, step=0.4, keep=False)
    assert float(x.mean()) == pytest.approx(0.659455, abs=4.5 * 0.55 / 20_000**0.5)
    assert float(x.square().mean()) == pytest.approx(0.738488, abs=0.04)
    assert float(x.min()) > 0 and info["refused"] > 1000 and len(x.unique()) > 19_900
    assert info["cut"] == 0 and info["depth"] < 4  # a refused leap ends its trajectory


def test_a_correlated_normal():
    cov = torch.tensor([[1.0, 0.95, 0.0], [0.95, 1.0, 0.0], [0.0, 0.0, 25.0]])
    precision = torch.linalg.inv(cov)
    _, info = nuts(lambda x: (x @ precision * x).sum(dim=1) / 2, draw(100, 3), RNG, draws=60, warmup=150)
    found = info["draws"].flatten(0, 1).T.cov()
    torch.testing.assert_close(found, cov, rtol=0.1, atol=0.25)
    assert info["rhat"] < 1.06 and info["divergences"] == 0 and info["ess_bulk"] > 1000
    assert info["inverse_mass"][2] / info["inverse_mass"][0] == pytest.approx(25, rel=0.4)
    assert info["ebfmi"] > 0.3


def test_a_funnel():
    """v ~ N(0, 1), x_j | v ~ N(0, e^v), five of them: v keeps its law, though widths differ by e^2 and more."""

    def energy(x):
        v, rest = x[:, 0], x[:, 1:]
        return v**2 / 2 + (rest**2 * (-v)[:, None].exp() + v[:, None]).sum(dim=1) / 2

    v = draw(1500, 1)
    x = torch.cat([v, (v / 2).exp() * draw(1500, 5, seed=1)], dim=1)
    x, info = nuts(energy, x, RNG, draws=10, step=0.15)
    assert float(x[:, 0].mean()) == pytest.approx(0, abs=4 / 1500**0.5)
    assert float(x[:, 0].var()) == pytest.approx(1, abs=0.17)
    assert info["depth"] > 2


def reference_turn(momenta):
    """Does a trajectory of 2^k momenta turn, as a recursion over halves: the whole, and across the gap?"""
    n = len(momenta)
    if n == 1:
        return False
    dots = lambda first, last, total: bool((first * total).sum() <= 0 or (last * total).sum() <= 0)
    a, b = momenta[: n // 2], momenta[n // 2 :]
    here = (
        dots(a[0], b[-1], momenta.sum(0)) or dots(a[0], b[0], a.sum(0) + b[0]) or dots(a[-1], b[-1], a[-1] + b.sum(0))
    )
    return here or reference_turn(a) or reference_turn(b)


def test_turns_agree_with_a_recursion():
    """Spans joined as leaves come, for rows at once, against the recursion for each row; both answers occur."""
    steps = 1.0 + draw(60, 16, 2, seed=4)
    stack, turned = [], torch.zeros(60, dtype=torch.bool)
    for leaf in range(16):
        span = Span(*[steps[:, leaf]] * 3)
        while leaf & 1:
            span, now = _join(stack.pop(), span)
            turned, leaf = turned | now, leaf >> 1
        stack.append(span)
    expected = [reference_turn(row) for row in steps]
    assert turned.tolist() == expected and 5 < sum(expected) < 55


def test_a_trajectory_ends_where_it_turns():
    """On N(0, I) a half turn takes time pi: with steps of .05 some 63 leaps, so 5 to 7 doublings."""
    _, info = nuts(square, draw(200, 3), RNG, draws=5, step=0.05, keep=False)
    assert 4.5 < info["depth"] < 7 and info["cut"] == 0
    _, info = nuts(square, draw(200, 3), RNG, draws=5, step=0.05, depth=3, keep=False)
    assert info["depth"] > 3.9 and info["cut"] > 0.99 and info["calls"] == pytest.approx(36, abs=0.2)


@pytest.mark.parametrize("shape", [(7,), (7, 2), (7, 2, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_shape_and_precision_and_the_same_seed(shape, dtype):
    found = [nuts(square, draw(*shape, dtype=dtype), RNG, draws=5, warmup=25) for _ in range(2)]
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][0].shape == shape and found[0][0].dtype == dtype
    assert found[0][1]["draws"].shape == (5, *shape) and found[0][1]["inverse_mass"].shape == shape[1:]


def test_temperature_and_own_gradient():
    x, _ = nuts(square, 2 * draw(4000, 2), RNG, draws=8, step=1.0, temperature=4.0, keep=False)
    assert float(x.var()) == pytest.approx(4, rel=0.06)
    y, _ = nuts(square, 2 * draw(4000, 2), RNG, draws=8, step=1.0, temperature=4.0, keep=False, grad=lambda x: x)
    torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-4)


def test_divergences_are_counted_and_keep_the_chain():
    x = 0.001 * draw(20, 1)
    y, info = nuts(lambda x: square(x / 0.001), x, RNG, draws=4, step=1.0)
    assert info["divergences"] == 80 and torch.equal(x, y) and info["acceptance"] == 0


@pytest.mark.parametrize("depth", [0, 21])
def test_depth_is_bounded(depth):
    with pytest.raises(UserError, match=f"got depth = {depth}"):
        nuts(square, draw(2, 2), RNG, draws=1, step=0.1, depth=depth)


def test_a_start_without_density_is_refused():
    with pytest.raises(UserError, match="nuts: chain 1 starts at energy nan"):
        nuts(square, torch.tensor([[0.0], [math.nan]]), RNG, draws=1, step=0.1)
