"""log Z where it is known: normals, double wells, mixtures, a funnel."""

import math

import pytest
import torch
from scipy import integrate

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers.partition import (
    annealed_importance,
    bennett,
    grid_log_z,
    log_z,
    pilot_steps,
)

RNG = Rng.of(3)
WELL = 0.34424  # log of the integral of exp(-2 (x^2 - 1)^2)


BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@pytest.fixture(autouse=True)
def default_dtype(request):
    given = getattr(request.node, "callspec", None)
    torch.set_default_dtype(given.params.get("dtype", torch.float64) if given else torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def well(x):
    return 2 * ((x**2 - 1) ** 2).sum(1)


def mixture(x):
    """-log p of .7 N((-3, 0), I) + .3 N((3, 1), I / 4)."""
    a = math.log(0.7) - (x - torch.tensor([-3.0, 0.0])).square().sum(1) / 2 - math.log(2 * math.pi)
    b = math.log(0.3) - 2 * (x - torch.tensor([3.0, 1.0])).square().sum(1) - math.log(2 * math.pi / 4)
    return -torch.logaddexp(a, b)


def rows_of_mixture(n):
    z, left = RNG.normal("z", (n, 2)), RNG.uniform("left", (n, 1)) < 0.7
    return torch.where(left, z + torch.tensor([-3.0, 0.0]), z / 2 + torch.tensor([3.0, 1.0]))


def funnel(x):
    """-log p: v of sd 3, then nine columns of sd exp(v / 2)."""
    v, rest = x[:, 0], x[:, 1:]
    normal = v**2 / 18 + math.log(3) + (rest**2).sum(1) * torch.exp(-v) / 2 + 9 * v / 2
    return normal + 5 * math.log(2 * math.pi)


def rows_of_funnel(n, rng):
    v = 3 * rng.normal("v", (n, 1))
    return torch.cat([v, torch.exp(v / 2) * rng.normal("rest", (n, 9))], dim=1)


def unit(d):
    return {"mean": torch.zeros(d), "sd": torch.ones(d)}


def correlated(d):
    """A precision matrix, and log Z = d/2 log 2 pi - log det / 2 of exp(-x' A x / 2)."""
    a = 0.4 * torch.ones(d, d) + torch.diag(torch.linspace(0.6, 3, d))
    return a, d / 2 * math.log(2 * math.pi) - torch.logdet(a).item() / 2


@BOTH
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_grid_knows_wells_and_normals(d, dtype):
    found = grid_log_z(well, [-3.0] * d, [3.0] * d, points=60)
    assert found.label == "exact" and found.value == pytest.approx(d * WELL, abs=1e-5)
    assert found.lower == found.value == found.upper
    sd = torch.tensor([0.5, 1.0, 2.0][:d])
    normal = grid_log_z(lambda x: (x / sd).square().sum(1) / 2, [-9.0] * d, [12.0] * d, points=70)
    assert normal.value == pytest.approx(d / 2 * math.log(2 * math.pi) + sd.log().sum().item(), abs=1e-5)
    a, log_z = correlated(d)
    turned = grid_log_z(lambda x: (x @ a * x).sum(1) / 2, [-9.0] * d, [9.0] * d, points=70)
    assert turned.value == pytest.approx(log_z, abs=1e-5)
    assert grid_log_z(lambda x: well(x)[:, None] + 7, [-3.0] * d, [3.0] * d, points=60).value == pytest.approx(
        found.value - 7
    )


@BOTH
def test_the_grid_knows_a_mixture_and_a_wall(dtype):
    assert grid_log_z(mixture, [-9.0, -6.0], [7.0, 6.0]).value == pytest.approx(0, abs=1e-6)
    wall = grid_log_z(lambda x: torch.where(x[:, 0] > 0, x[:, 0] ** 1.5, math.inf), [0.0], [40.0], points=20_000)
    assert wall.value == pytest.approx(math.lgamma(2 / 3) + math.log(2 / 3), abs=1e-4)


def test_a_box_or_grid_that_is_too_small_is_not_trusted():
    tight = grid_log_z(lambda x: x.square().sum(1) / 2, [-1.0], [1.0])
    assert tight.label == "not trustworthy" and tight.lower is None and tight.info["wider box"] > 0.1
    coarse = grid_log_z(lambda x: 1e6 * (x - 0.003).square().sum(1), [-9.0], [9.0])
    assert coarse.label == "not trustworthy"
    flat = grid_log_z(lambda x: 0 * x[:, 0], [-5.0], [5.0])  # no law at all: its integral grows with the box
    assert flat.label == "not trustworthy"


@pytest.mark.parametrize(
    ("low", "high", "points", "says"),
    [([0.0] * 4, [1.0] * 4, 9, "1 to 3"), ([0.0], [0.0], 9, "low < high"), ([0.0], [1.0], 3, "points >= 4")],
)
def test_a_grid_that_cannot_be_is_refused(low, high, points, says):
    with pytest.raises(UserError, match=says):
        grid_log_z(well, low, high, points=points)


def test_energies_that_are_no_numbers_are_refused():
    with pytest.raises(UserError, match="nan or -inf"):
        grid_log_z(lambda x: x[:, 0] * math.nan, [0.0], [1.0])


def test_the_constant_of_a_well_is_its_integral():
    found = integrate.quad(lambda x: math.exp(-2 * (x**2 - 1) ** 2), -5, 5, epsabs=1e-12)[0]
    assert pytest.approx(math.log(found), abs=5e-6) == WELL


def weights(levels, direction, seed=0, n=2000, d=5, moves=1):
    """Log-weights from N(0, I) to exp(-9 |x|^2 / 2) and back; log Z - log Z_0 is -5.4931 for d = 5."""
    betas = [k / levels for k in range(levels + 1)]
    steps = [0.5 / (1 + 8 * b) for b in betas]
    x = Rng.of(seed).normal("x", (n, d)) / (1 if direction == "forward" else 3)
    energy = lambda x: 4.5 * x.square().sum(1)
    given = unit(d) | {"betas": betas, "steps": steps, "moves": moves, "direction": direction}
    x, info = annealed_importance(energy, x, Rng.of(seed), **given)
    return x, info["log_w"] - d / 2 * math.log(2 * math.pi)


@BOTH
@pytest.mark.parametrize("d", [2, 5])
def test_annealed_weights_are_unbiased_and_bound_the_truth_ever_closer(d, dtype):
    """N(0, I_d) to N(0, I_d / 9), log of the ratio of the Z's -d log 3, -5.4931 for d = 5."""
    truth, gaps = -d * math.log(3), []
    for levels in (2, 10, 40):
        (_, there), (_, back) = weights(levels, "forward", d=d), weights(levels, "reverse", d=d)
        w = (there - truth).exp()
        assert abs(w.mean() - 1) < 4 * w.std() / 2000**0.5
        lower, upper = there.mean().item(), back.mean().item()
        assert lower < truth < upper
        gaps.append(upper - lower)
        if levels == 40:  # with fewer 1 / w has heavy tails
            v = (truth - back).exp()
            assert abs(v.mean() - 1) < 4 * v.std() / 2000**0.5
            assert bennett(there, back) == pytest.approx(truth, abs=0.1)
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]


@BOTH
@pytest.mark.parametrize("d", [2, 5])
@pytest.mark.parametrize("levels", [2, 10])
def test_the_mean_log_weight_is_known_where_moves_forget(d, levels, dtype):
    """Level b is N(0, I / (1 + 8 b)) and each gap weighs -4 |x|^2 / K: the mean is the sum of -4 d / (K (1 + 8 b)) over
    the levels left, forward (-12 at d = 5, K = 2), or arrived at, reverse (-3.11)."""
    for direction, first in (("forward", 0), ("reverse", 1)):
        _, log_w = weights(levels, direction, d=d, n=10_000, moves=6)
        known = -sum(4 * d / (levels + 8 * k) for k in range(first, first + levels))
        assert abs(log_w.mean().item() - known) < 4.5 * log_w.std().item() / 100


def test_one_level_is_plain_importance_sampling():
    """log w = E_0(x) - E(x) at the start, no moves."""
    x, log_w = weights(1, "forward", n=50)
    start = Rng.of(0).normal("x", (50, 5))
    torch.testing.assert_close(x, start)
    torch.testing.assert_close(log_w, (0.5 - 4.5) * start.square().sum(1))


@pytest.mark.parametrize("d", [1, 4])
def test_a_normal_with_its_own_start_is_known_at_once(d):
    """q = p: every weight is Z, in any units and at any place."""
    sd, mean = torch.arange(1.0, d + 1), torch.full((d,), 40.0)
    found = log_z(
        lambda x: ((x - mean) / sd).square().sum(1) / 2 + 3,
        RNG,
        mean=mean,
        sd=sd,
        samples=mean + sd * RNG.normal("samples", (50, d)),
        chains=50,
        levels=5,
    )
    truth = d / 2 * math.log(2 * math.pi) + sd.log().sum().item() - 3
    assert found.value == pytest.approx(truth, abs=1e-9) and found.upper - found.lower < 1e-5
    assert found.info["forward ess"] == pytest.approx(50)


@BOTH
@pytest.mark.parametrize("d", [2, 10])
def test_double_wells_lie_in_their_bracket(d, dtype):
    axis = torch.linspace(-3, 3, 20_001)
    law = torch.softmax(-well(axis[:, None]), 0).cumsum(0)
    rows = axis[torch.searchsorted(law, RNG.uniform("rows", (500, d))).clamp(max=20_000)]
    found = log_z(well, RNG, **unit(d), samples=rows, chains=500, levels=80)
    assert found.label.startswith("bracketed by") and found.label.endswith("nats")
    assert found.lower < d * WELL < found.upper < found.lower + 1
    assert found.value == pytest.approx(d * WELL, abs=0.15)


@BOTH
@pytest.mark.parametrize("d", [2, 10])
def test_a_correlated_normal_lies_in_its_bracket(d, dtype):
    a, truth = correlated(d)
    rows = torch.linalg.solve_triangular(torch.linalg.cholesky(a).T, RNG.normal("rows", (500, d)).T, upper=True).T
    found = log_z(
        lambda x: (x @ a * x).sum(1) / 2, RNG, mean=torch.ones(d), sd=torch.full((d,), 2.0), samples=rows, levels=60
    )
    assert found.label.startswith("bracketed") and found.lower < truth < found.upper < found.lower + 1
    assert found.value == pytest.approx(truth, abs=0.15)


@BOTH
def test_a_mixture_lies_in_its_bracket(dtype):
    found = log_z(
        mixture, RNG, mean=torch.zeros(2), sd=torch.tensor([4.0, 2.0]), samples=rows_of_mixture(500), levels=60
    )
    assert found.label.startswith("bracketed") and found.lower < 0 < found.upper
    assert abs(found.value) < 0.1


@BOTH
def test_a_funnel_lies_in_its_bracket(dtype):
    """With one seed in ten a single chain, deep in the neck, has most of the weight, and the label says so."""
    rng = Rng.of(4)
    start = {"mean": torch.zeros(10), "sd": torch.tensor([3.0] + [1.0] * 9)}
    found = log_z(funnel, rng, **start, samples=rows_of_funnel(500, rng), chains=500, levels=150)
    assert found.label.startswith("bracketed") and found.lower < 0 < found.upper
    assert abs(found.value) < 0.5


def test_what_cannot_be_trusted_is_not():
    """No samples; samples of another law; too few effective chains."""
    energy = lambda x: 4.5 * x.square().sum(1)
    rows = RNG.normal("rows", (400, 5)) / 3
    given = unit(5) | {"chains": 400, "levels": 30}
    alone = log_z(energy, RNG, **given)
    assert alone.label == "not trustworthy" and alone.upper is None and "only a lower bound" in alone.says
    spread = log_z(energy, RNG, **given, samples=2 * rows)
    assert spread.label == "not trustworthy" and "another law" in spread.says
    few = log_z(energy, RNG, **given, samples=rows, fewest=395)
    assert few.label == "not trustworthy" and "effective chains" in few.says
    wide = log_z(energy, RNG, **given, samples=rows, widest=1e-6)
    assert wide.label == "not trustworthy" and "nats wide" in wide.says
    assert log_z(energy, RNG, **given, samples=rows).label.startswith("bracketed")


@pytest.mark.parametrize("wall", [math.nan, math.inf, -math.inf])
def test_walls_refuse_and_are_counted(wall):
    """exp(-x^2 / 2) on x > 0, no number elsewhere: no row is moved there."""

    def energy(x):
        return torch.where(x[:, 0] > 0, x[:, 0] ** 2 / 2, wall)

    x = RNG.normal("x", (300, 1)).abs()
    betas = [0.0, 0.5, 1.0]
    y, info = annealed_importance(energy, x, RNG, **unit(1), betas=betas, steps=[0.5] * 3, moves=20)
    assert (y > 0).all() and 0.02 < info["refused"] < 0.5 and torch.isfinite(info["log_w"]).all()
    with pytest.raises(UserError, match="not finite"):
        annealed_importance(energy, -x, RNG, **unit(1), betas=betas, steps=[0.5] * 3)


def test_steps_of_a_pilot_are_fixed_numbers_that_follow_the_law():
    betas = [(k / 20) ** 2 for k in range(21)]
    steps = pilot_steps(
        lambda x: 200 * x.square().sum(1), RNG.normal("x", (100, 3)), RNG, **unit(3), betas=betas, tries=10
    )
    assert len(steps) == 21 and all(0 < h <= 1 for h in steps)
    assert 0.0005 < steps[-1] < 0.006 < steps[0]  # sd 1/20: some 1/400


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"betas": [0.0, 0.5]}, "rise from 0 to 1"),
        ({"betas": [0.0, 0.6, 0.5, 1.0]}, "rise from 0 to 1"),
        ({"steps": [0.1]}, "a step > 0 for each"),
        ({"steps": [0.1, 0.1, 0.0]}, "a step > 0 for each"),
    ],
)
def test_bad_schedules_are_refused(bad, says):
    given = unit(1) | {"betas": [0.0, 0.5, 1.0], "steps": [0.1] * 3} | bad
    with pytest.raises(UserError, match=says):
        annealed_importance(well, torch.zeros(4, 1), RNG, **given)


def test_bad_counts_are_refused():
    with pytest.raises(UserError, match="levels >= 2"):
        log_z(well, RNG, **unit(1), levels=1)
    with pytest.raises(UserError, match="2 samples"):
        log_z(well, RNG, **unit(1), samples=torch.zeros(1, 1))


def test_bennett_is_the_weights_own_value_where_they_agree():
    w = torch.full((30,), 2.5)
    assert bennett(w, w[:7]) == pytest.approx(2.5, abs=1e-9)
    there = 1.0 + 0.6 * RNG.normal("w", (4000,)) - 0.18  # normal log-weights: reverse is shifted by the variance
    back = 1.0 + 0.6 * RNG.normal("v", (4000,)) + 0.18
    assert bennett(there, back) == pytest.approx(1.0, abs=0.03)
