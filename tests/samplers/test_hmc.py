"""Leapfrog and Hamiltonian Monte Carlo against the linear map that they are on a normal."""

import cmath
import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers import hmc, langevin, mala, nuts, split_rhat, tempering, traced_gradient
from whichloss.samplers.hmc import DIVERGENCE, Hamiltonian, State

RNG = Rng.of(1)
BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def normal(sd):
    return lambda x: ((x / sd) ** 2).reshape(len(x), -1).sum(dim=1) / 2


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def leaps(energy, x, q, length, count, **more):
    law = Hamiltonian("hmc", energy, None, more.pop("temperature", 1.0))
    state = law.start(x)
    new, q_new = law.leapfrog(state, q, length, count)
    return law, state, new, q_new


def quartic(x):
    """No column is by itself, and no second derivative constant."""
    return (x**4 / 4 + x * x.roll(1, 1) / 2 + x**2).sum(dim=1)


def slope_of_quartic(x):
    return x**3 + (x.roll(1, 1) + x.roll(-1, 1)) / 2 + 2 * x


@BOTH
@pytest.mark.parametrize("d", [1, 2, 5])
def test_leapfrog_has_order_two(d, dtype):
    """|dH| over a fixed time falls fourfold per halving of the step."""
    x, q, errors = draw(5, d, dtype=dtype), draw(5, d, seed=1, dtype=dtype), []
    finest, close = (10, 0.02) if dtype == torch.float64 else (6, 0.2)  # float32 rounds dH to 1e-6
    for k in (finest - 2, finest - 1, finest):
        law, a, b, p = leaps(quartic, x, q, 2.0**-k, 2**k)
        errors.append((law.total(b.e, p) - law.total(a.e, q)).abs().mean())
    assert float(errors[0] / errors[1]) == pytest.approx(4, abs=2 * close)
    assert float(errors[1] / errors[2]) == pytest.approx(4, abs=close)


@BOTH
@pytest.mark.parametrize("d", [1, 2, 5])
def test_leapfrog_goes_back_and_keeps_volume(d, dtype):
    """To 1e-15 per leap in float64, to 1e-7 in float32."""
    x, q = draw(4, d, dtype=dtype), draw(4, d, seed=1, dtype=dtype)
    law, _, b, p = leaps(quartic, x, q, 0.1, 25)
    back, p = law.leapfrog(b, -p, 0.1, 25)
    for again, start in ((back.x, x), (-p, q)):
        torch.testing.assert_close(again, start, rtol=0, atol=100 * torch.finfo(dtype).eps)

    def step(z):
        law = Hamiltonian("hmc", quartic, slope_of_quartic, 1.0)
        x, q = z[None, :d], z[None, d:]
        new, q = law.leapfrog(State(x, x[:, 0], law.gradient(x)), q, 0.3, 3)
        return torch.cat([new.x, q], dim=1)[0]

    jacobian = torch.autograd.functional.jacobian(step, torch.cat([x[0], q[0]]))
    assert float(torch.linalg.det(jacobian)) == pytest.approx(1, abs=1e3 * torch.finfo(dtype).eps)


@BOTH
@pytest.mark.parametrize("omega", [[0.5], [3.0], [0.5, 3.0], [1.0, 2.0, 3.0, 4.0, 4.9]])
def test_leapfrog_keeps_its_shadow(omega, dtype):
    """p^2 / 2 + omega^2 (1 - h^2 omega^2 / 4) x^2 / 2 per column, to rounding, on E = omega^2 x^2 / 2."""
    h, omega, d = 0.4, torch.tensor(omega, dtype=dtype), len(omega)
    x, q = draw(6, d, dtype=dtype), draw(6, d, seed=1, dtype=dtype)
    shadow = lambda x, q: q**2 / 2 + omega**2 * (1 - h**2 * omega**2 / 4) * x**2 / 2
    _, _, new, p = leaps(normal(1 / omega), x, q, h, 50)
    close = 2e3 * torch.finfo(dtype).eps
    torch.testing.assert_close(shadow(new.x, p), shadow(x, q), rtol=close, atol=close)


@BOTH
@pytest.mark.parametrize("h", [0.5, 1.99, 2.01])
def test_leapfrog_is_stable_below_two(h, dtype):
    """x_n = cos(n theta) + h sin(n theta) / sin theta from x = p = 1, cos theta = 1 - h^2 / 2: complex from h = 2 on.

    Two columns with omega 1 and 1/2: the second is stable at all three steps.
    """
    one = torch.ones(1, 2, dtype=dtype)
    found = leaps(normal(torch.tensor([1.0, 2.0], dtype=dtype)), one, one, h, 200)[2].x[0]
    for x, omega in zip(found, (1.0, 0.5), strict=True):
        theta = cmath.acos(1 - (h * omega) ** 2 / 2)
        known = (cmath.cos(200 * theta) + h * cmath.sin(200 * theta) / cmath.sin(theta)).real
        assert float(x) == pytest.approx(known, rel=1e-10 if dtype == torch.float64 else 5e-3)
        assert (abs(known) > 1e17) == (h * omega > 2) and (abs(known) < 30) == (h * omega < 2)


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("h", [0.3, 1.0, 1.5])
def test_one_leap_from_the_middle_is_off_by_a_known_energy(h, d, dtype):
    """From x = 0, p = 1 on N(0, I_d): dH = d h^4 / 8, which is what the search for a step starts from."""
    x, q = torch.zeros(1, d, dtype=dtype), torch.ones(1, d, dtype=dtype)
    law, a, b, p = leaps(normal(1.0), x, q, h, 1)
    assert float(law.total(b.e, p) - law.total(a.e, q)) == pytest.approx(d * h**4 / 8, rel=1e-3, abs=1e-6)


def exact_acceptance(sd, h, count, rows=100_000):
    """E min(1, e^-dH) by drawing the linear map, written out here once more."""
    lam, g = 1 / sd.double() ** 2, torch.Generator().manual_seed(5)
    x = torch.randn(rows, len(sd), generator=g, dtype=torch.float64) * sd
    q = torch.randn(rows, len(sd), generator=g, dtype=torch.float64)
    start = (lam * x**2 + q**2).sum(1) / 2
    for _ in range(count):
        q = q - h / 2 * lam * x
        x = x + h * q
        q = q - h / 2 * lam * x
    return float((start - (lam * x**2 + q**2).sum(1) / 2).clamp(max=0).exp().mean())


@BOTH
@pytest.mark.parametrize(
    ("sd", "h", "count", "chains", "draws", "known"),
    [
        (torch.tensor([1.0, 0.35]), 0.3, 7, 10_000, 30, None),
        (1 / torch.linspace(1, 10, 100), 0.11, 20, 1000, 15, 0.5734),
    ],
    ids=["d=2", "d=100"],
)
def test_the_law_is_kept_and_the_acceptance_exact(sd, h, count, chains, draws, known, dtype):
    """From exact draws every later state has the same law: mean, variance, acceptance."""
    sd = sd.to(dtype)
    x = sd * draw(chains, len(sd), dtype=dtype)
    x, info = hmc(normal(sd), x, RNG, draws=draws, step=h, leaps=count, jitter=0.0, keep=False)
    exact = exact_acceptance(sd, h, count, 2_000_000 // len(sd) + 10_000)
    if known:
        assert exact == pytest.approx(known, abs=0.01)
    assert info["acceptance"] == pytest.approx(exact, abs=0.012)
    z = x / sd
    assert float(z.mean(0).square().mean() * chains) == pytest.approx(1, abs=6 * (2 / len(sd)) ** 0.5)
    assert float(z.var()) == pytest.approx(1, abs=5 * (2 / z.numel()) ** 0.5)
    assert info["calls"] == 1 + draws * count  # one gradient a leap, and the first


def mean_error(h, count, omega=1.0):
    """E dH of one column: sin^2(L theta) (h omega)^4 / (32 (1 - h^2 omega^2 / 4)), cos theta = 1 - h^2 omega^2 / 2."""
    u = (h * omega) ** 2
    return math.sin(count * math.acos(1 - u / 2)) ** 2 * u**2 / (32 * (1 - u / 4))


@BOTH
@pytest.mark.parametrize(("h", "count"), [(0.5, 3), (1.2, 1), (1.2, 3), (0.9, 10)])
@pytest.mark.parametrize("omega", [[1.0], [1.0, 1.5]])
def test_the_mean_error_of_energy_is_known(omega, h, count, dtype):
    """E dH by formula and E e^-dH = 1, both without chance: over all signs, of which a quadratic dH sees no more than
    second moments, and by quadrature."""
    d, omega = len(omega), torch.tensor(omega, dtype=dtype)
    energy = normal(1 / omega)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=dtype)] * (2 * d))
    law, a, b, p = leaps(energy, signs[:, :d] / omega, signs[:, d:], h, count)
    found = float((law.total(b.e, p) - law.total(a.e, signs[:, d:])).mean())
    known = sum(mean_error(h, count, float(w)) for w in omega)
    assert found == pytest.approx(known, rel=1e-4, abs=1e-12 if dtype == torch.float64 else 1e-6)
    at, weight = np.polynomial.hermite_e.hermegauss(50 if d == 1 else 20)
    z = torch.cartesian_prod(*[torch.tensor(at, dtype=dtype)] * (2 * d))
    w = torch.cartesian_prod(*[torch.tensor(weight / weight.sum(), dtype=dtype)] * (2 * d)).prod(dim=1)
    law, a, b, p = leaps(energy, z[:, :d] / omega, z[:, d:], h, count)
    assert float(w @ (law.total(a.e, z[:, d:]) - law.total(b.e, p)).exp()) == pytest.approx(1, abs=2e-3)


@BOTH
@pytest.mark.parametrize(("d", "h", "count"), [(50, 0.5, 3), (200, 0.5, 7), (200, 0.3, 4)])
def test_acceptance_in_many_dimensions(d, h, count, dtype):
    """erfc(sqrt(sum of E dH) / 2): dH is nearly normal, its variance twice its mean."""
    _, info = hmc(normal(1.0), draw(2000, d, dtype=dtype), RNG, draws=8, step=h, leaps=count, jitter=0.0, keep=False)
    known = math.erfc(math.sqrt(d * mean_error(h, count)) / 2)
    assert 0.5 < known < 0.95 and info["acceptance"] == pytest.approx(known, abs=0.012)


@BOTH
def test_resonance_is_seen_by_rhat_and_cured_by_jitter(dtype):
    """100 dimensions, sd 1 .. 1/10, L h fixed: some coordinates return to where they were, or to its mirror image."""
    sd = 1 / torch.linspace(1, 10, 100)
    x, found = 3 + draw(16, 100, dtype=dtype), {}
    for jitter in (0.0, 0.5):
        _, info = hmc(normal(sd), x, RNG, draws=250, step=0.11, leaps=20, jitter=jitter)
        late = info["draws"][50:]
        variance = late.double().square().mean(dim=(0, 1)) / sd**2
        found[jitter] = float(split_rhat(late).max()), float(variance.max()), info["acceptance"]
    assert found[0.0][0] > 1.3 and found[0.0][1] > 3
    assert found[0.5][0] < 1.06 and found[0.5][1] < 1.3
    assert min(found[0.0][2], found[0.5][2]) > 0.45  # acceptance sees nothing


@pytest.mark.parametrize("temperature", [0.25, 4.0])
def test_temperature_scales_the_variance(temperature):
    x, info = hmc(normal(1.0), draw(4000, 2), RNG, draws=40, step=0.7 * temperature**0.5, temperature=temperature)
    assert float(x.var()) == pytest.approx(temperature, rel=0.06)
    assert info["temperature"] == temperature


def test_a_mass_is_a_change_of_units():
    sd = torch.tensor([10.0, 0.1])
    z, info = hmc(normal(1.0), draw(50, 2), RNG, draws=5, step=0.4)
    x, scaled = hmc(normal(sd), sd * draw(50, 2), RNG, draws=5, step=0.4, inverse_mass=sd**2)
    torch.testing.assert_close(x / sd, z, rtol=1e-3, atol=1e-4)
    assert scaled["acceptance"] == pytest.approx(info["acceptance"], abs=1e-4)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 2), (6, 2, 3), (6, 1, 4, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_shape_and_precision(shape, dtype):
    x, info = hmc(normal(1.0), draw(*shape, dtype=dtype), RNG, draws=9, warmup=25)
    assert x.shape == shape and x.dtype == dtype and not x.requires_grad
    assert info["draws"].shape == (9, *shape) and info["draws"].dtype == dtype
    assert torch.equal(info["draws"][-1], x) and info["inverse_mass"].shape == shape[1:]
    same, _ = hmc(normal(1.0), draw(*shape, dtype=dtype), RNG, draws=9, warmup=25)
    assert torch.equal(same, x)
    flat, _ = hmc(normal(1.0), draw(*shape, dtype=dtype).reshape(6, -1), Rng.of(2), draws=9, warmup=25)
    assert not torch.equal(flat.reshape(shape), x)


def test_a_gradient_of_ones_own_gives_the_same_chains():
    x = draw(30, 3)
    a, one = hmc(normal(1.0), x, RNG, draws=20, step=0.5)
    b, two = hmc(
        normal(1.0), x, RNG, draws=20, step=0.5, grad=lambda x: x
    )  # the same object: it must not be written to
    torch.testing.assert_close(a, b)
    assert one["calls"] == two["calls"]


SAMPLERS = {
    "mala": partial(mala, step=0.1),
    "hmc": partial(hmc, step=0.4, leaps=3),
    "nuts": partial(nuts, step=0.4),
    "tempering": partial(tempering, step=0.1, temperatures=[1, 1.5]),
}


@BOTH
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("name", SAMPLERS)
def test_walls_are_refused_and_hold_no_atoms(name, d, dtype):
    """Each column exp(-x^1.5) on x > 0, nan below: mean .659455, mean square .738488, nothing at 0 nor piled up there;
    each column N(0, 1) on [-1, 1], infinite beyond: variance .29112, nothing piled up at the ends."""
    g, n, late = np.random.default_rng(d), 2500, 4 if name != "tempering" else 12

    def last(energy, x):
        y, info = SAMPLERS[name](energy, torch.tensor(x, dtype=dtype), RNG, draws=2 * late)
        assert y.dtype == dtype and info["refused"] > 100 and info["divergences"] == 0
        assert len(y.unique()) > 0.99 * y.numel()
        return info["draws"][late:].double()

    # a draw is nearly as good as a start: d n numbers; 5 standard errors
    x = last(lambda x: (x**1.5).sum(dim=1), g.gamma(2 / 3, size=(n, d)) ** (2 / 3))
    assert float(x.min()) > 0
    assert float(x.mean()) == pytest.approx(0.659455, abs=5 * (0.738488 - 0.659455**2) ** 0.5 / (n * d) ** 0.5)
    assert float(x.square().mean()) == pytest.approx(0.738488, abs=5 * 1.05 / (n * d) ** 0.5)
    low = float(special.gammainc(2 / 3, 0.05**1.5))  # P(x < .05)
    assert float((x < 0.05).double().mean()) == pytest.approx(low, abs=5 * (low / (n * d)) ** 0.5)
    below = special.ndtr(-1)
    x = last(
        lambda x: torch.where(x.abs() < 1, x**2 / 2, torch.inf).sum(dim=1),
        special.ndtri(below + (1 - 2 * below) * g.random((n, d))),
    )
    assert float(x.abs().max()) < 1
    assert float(x.square().mean()) == pytest.approx(0.29112, abs=5 * 0.27 / (n * d) ** 0.5)
    edge = float(2 * (special.ndtr(1) - special.ndtr(0.97)) / (1 - 2 * below))
    assert float((x.abs() > 0.97).double().mean()) == pytest.approx(edge, abs=5 * (edge / (n * d)) ** 0.5)


def test_an_infinite_wall_and_a_bottomless_hole_are_refused():
    def box(x):
        return torch.where(x[:, 0].abs() < 1, x[:, 0] ** 2 / 2, torch.inf)

    _, info = hmc(box, draw(3000, 1).clamp(-0.9, 0.9), RNG, draws=60, step=0.4, leaps=3)
    assert info["refused"] > 1000
    assert float(info["draws"][20:].var()) == pytest.approx(0.29112, abs=0.01)
    hole = lambda x: torch.where(x[:, 0].abs() < 0.1, -torch.inf, x[:, 0] ** 2 / 2)
    x, info = hmc(hole, 1 + draw(500, 1).abs(), RNG, draws=30, step=0.3)
    assert info["refused"] > 0 and float(x.abs().min()) >= 0.1


def test_divergences_are_counted():
    x, info = hmc(normal(0.01), 0.01 * draw(20, 1), RNG, draws=10, step=0.1, leaps=5, jitter=0.0)
    assert info["divergences"] == 200 and info["refused"] == 0 and info["acceptance"] == 0
    torch.testing.assert_close(x, 0.01 * draw(20, 1))


@BOTH
@pytest.mark.parametrize("d", [1, 2])
def test_a_proposal_is_taken_with_the_probability_that_is_counted(d, dtype):
    """min(1, e^-dH) is what counts as acceptance, not the share that moved, and a uniform below it moves."""
    law, x = Hamiltonian("hmc", quartic, None, 1.0), draw(300, d, dtype=dtype)
    start, q = law.start(x), RNG.normal("momentum", x.shape).to(dtype)
    end, p = law.leapfrog(start, q.clone(), 0.6, 2)
    rate = (law.total(start.e, q) - law.total(end.e, p)).clamp(max=0).exp()
    kept, moved = law.propose(start, RNG, 0.6, 2)
    torch.testing.assert_close(moved.acceptance, rate)
    takes = RNG.uniform("accept", rate.shape) < rate
    torch.testing.assert_close(kept.x, torch.where(takes[:, None], end.x, x))
    assert 20 < int(takes.sum()) < 290


@BOTH
def test_an_error_above_a_thousand_is_a_divergence_and_none_below(dtype):
    """One leap of 10 from x = 0 on N(0, I_2): dH = 1250 |p|^2."""
    law, x = Hamiltonian("hmc", normal(1.0), None, 1.0), torch.zeros(500, 2, dtype=dtype)
    _, moved = law.propose(law.start(x), RNG, 10.0, 1)
    error = 1250 * RNG.normal("momentum", x.shape).square().sum(dim=1)
    assert DIVERGENCE == 1000 and torch.equal(moved.diverged, error > 1000)
    assert 100 < int(moved.diverged.sum()) < 490 and not moved.refused.any()


def test_networks_come_back_as_they_were():
    net = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1), nn.Flatten(0))
    net[0].bias.requires_grad_(False)
    seen = []

    def energy(x):
        seen.append(net[0].weight.requires_grad)
        return net(x) + x.square().sum(dim=1)

    hmc(energy, draw(5, 2), RNG, draws=3, step=0.1)
    assert not any(seen) and net[0].weight.requires_grad and not net[0].bias.requires_grad
    assert all(p.grad is None for p in net.parameters())
    with pytest.raises(UserError):
        hmc(net, torch.full((5, 2), math.nan), RNG, draws=3, step=0.1)
    assert net[0].weight.requires_grad


def test_info_without_draws():
    _, info = hmc(normal(1.0), draw(5, 2), RNG, draws=3, step=0.1, keep=False)
    assert not {"draws", "rhat", "ess_bulk"} & set(info)
    _, info = hmc(normal(1.0), draw(5, 2), RNG, draws=3, step=0.1)
    assert math.isnan(info["rhat"]) and info["draws"].shape == (3, 5, 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_start_without_density_names_the_chain(bad):
    x = draw(5, 2)
    x[3, 1] = bad
    with pytest.raises(UserError, match="hmc: chain 3 starts at energy (nan|inf)"):
        hmc(normal(1.0), x, RNG, draws=3, step=0.1)


@pytest.mark.parametrize(
    ("says", "more"),
    [
        ("needs a step, or a warm-up", {}),
        ("positive step; got step = -1", {"step": -1.0}),
        ("positive step; got step = nan", {"step": math.nan}),
        ("positive temperature; got temperature = 0", {"step": 0.1, "temperature": 0}),
        ("leaps >= 1", {"step": 0.1, "leaps": 0}),
        ("0 <= jitter <= 1", {"step": 0.1, "jitter": 1.5}),
        ("draws >= 1", {"step": 0.1, "draws": 0}),
        ("0 < target < 1", {"warmup": 30, "target": 1.0}),
        (r"inverse_mass must be .* shape \(2,\)", {"step": 0.1, "inverse_mass": torch.ones(3)}),
        ("inverse_mass must be positive", {"step": 0.1, "inverse_mass": torch.zeros(2)}),
    ],
)
def test_bad_arguments_are_refused(says, more):
    with pytest.raises(UserError, match=says):
        hmc(normal(1.0), draw(5, 2), RNG, **{"draws": 3, **more})


def test_an_energy_of_the_wrong_shape_is_refused_with_the_fix():
    with pytest.raises(UserError, match=r"squeeze\(1\)"):
        hmc(lambda x: x[:, :1] ** 2, draw(5, 2), RNG, draws=3, step=0.1)


def test_a_traced_gradient_gives_the_same_chains():
    net = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1), nn.Flatten(0))
    energy = lambda x: net(x) + x.square().sum(dim=1)
    x = draw(20, 2)
    slope = traced_gradient(energy, x)
    assert all(p.requires_grad for p in net.parameters())
    plain, one = hmc(energy, x, RNG, draws=10, warmup=30)
    again, two = hmc(energy, x, RNG, draws=10, warmup=30, grad=slope)
    torch.testing.assert_close(again, plain, rtol=1e-4, atol=1e-5)
    assert one["calls"] == two["calls"]
    y, _ = nuts(energy, x, RNG, draws=5, step=0.3, grad=slope)  # fewer rows than were recorded
    torch.testing.assert_close(y, nuts(energy, x, RNG, draws=5, step=0.3)[0], rtol=1e-4, atol=1e-5)
    walked, _ = langevin(lambda x: -slope(x), x, RNG, steps=5, step=0.1)
    assert not walked.requires_grad
    with torch.no_grad():
        net[0].weight.mul_(2)  # trained on: the replay sees it
    x = x.requires_grad_()
    torch.testing.assert_close(slope(x.detach()), torch.autograd.grad(energy(x).sum(), x)[0])


def test_energies_that_cannot_be_recorded_are_refused():
    def branches(x):
        return x.square().sum(dim=1) * (2 if x.sum() > 0 else 1)

    class Outside(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.from_numpy(x.detach().numpy().astype("float32") ** 2).sum(dim=1)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g[:, None] * torch.from_numpy(2 * x.detach().numpy())

    for energy in (branches, Outside.apply):
        with pytest.raises(UserError, match="traced_gradient: the energy cannot be recorded"):
            traced_gradient(energy, draw(5, 2))
