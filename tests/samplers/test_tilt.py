"""Tilted normals against laws in closed form, and resampling against its counts."""

import math

import pytest
import torch

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers.tilt import effective, log_mean_exp, resample, tilted_normal

RNG = Rng.of(7)


@pytest.fixture(params=[torch.float32, torch.float64])
def dtype(request):
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("a", "d", "levels"), [(8.0, 2, 4), (2.0, 5, 4), (0.5, 1, 1)])
def test_a_quadratic_tilt_is_a_narrower_normal(a, d, levels, dtype):
    """U = a |x|^2 / 2: N(0, 1 / (1 + a)), log Z = -d/2 log(1 + a)."""
    x, info = tilted_normal(lambda x: a * x.square().sum(1) / 2, (8000, d), RNG, levels=levels)
    assert x.dtype == dtype and x.mean().abs() < 0.02
    assert x.var().item() * (1 + a) == pytest.approx(1, abs=0.06)
    assert float(info["log_z"]) == pytest.approx(-d / 2 * math.log(1 + a), abs=0.05)
    assert 0 < info["ess"] < 1 and 0 < info["acceptance"] < 1 and info["refused"] == 0


def test_a_linear_tilt_is_a_shift(dtype):
    """U = -b.x: N(b, I), log Z = |b|^2 / 2."""
    b = torch.tensor([1.0, -0.5])
    x, info = tilted_normal(lambda x: -x @ b, (8000, 2), RNG)
    assert (x.mean(0) - b).abs().max() < 0.05 and (x.var(0) - 1).abs().max() < 0.06
    assert float(info["log_z"]) == pytest.approx(0.625, abs=0.05)


def test_no_tilt_is_the_normal_itself_and_a_constant_only_moves_log_z(dtype):
    x, info = tilted_normal(lambda x: 0 * x[:, :1], (500, 3), RNG)
    assert info["ess"].item() == pytest.approx(1, abs=1e-5) and info["acceptance"] == 1 and abs(info["log_z"]) < 1e-5
    y, raised = tilted_normal(lambda x: 0 * x[:, 0] + 40.0, (500, 3), RNG)
    torch.testing.assert_close(x, y)
    assert raised["log_z"].item() == pytest.approx(-40, abs=1e-4)


def test_the_estimate_of_z_is_unbiased():
    """E exp(log_z) = Z for few rows and many levels: 300 runs of 20 rows."""
    z = []
    for seed in range(300):
        _, info = tilted_normal(lambda x: 2 * x.square().sum(1), (5, 2), Rng.of(seed), levels=3)
        z.append(float(info["log_z"].exp()))
    z = torch.tensor(z)
    assert abs(z.mean() - 0.2) < 4 * z.std() / 300**0.5  # (1 + 4)^(-d/2)


def test_modes_have_their_weights():
    """exp(-U) puts .8 at -1.5 and .2 at 1.5, both of sd .2: plain moves from one mode never cross."""

    def tilt(x):
        normal = -x.square().sum(1) / 2
        bumps = torch.stack([math.log(w) - (x[:, 0] - m) ** 2 / 0.08 for w, m in ((0.8, -1.5), (0.2, 1.5))])
        return normal - torch.logsumexp(bumps, 0)

    share = [(tilted_normal(tilt, (1000, 1), Rng.of(s))[0] < 0).float().mean().item() for s in range(8)]
    assert sum(share) / 8 == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("wall", [math.inf, math.nan])
def test_rows_of_no_finite_energy_are_never_drawn(wall):
    """U = 0 for x > 0, else inf or nan: the half normal, log Z = -log 2, no row at the wall."""
    x, info = tilted_normal(lambda x: torch.where(x[:, 0] > 0, 0.0, wall), (4000, 1), RNG)
    assert (x > 0).all() and x.mean().item() == pytest.approx(math.sqrt(2 / math.pi), abs=0.03)
    assert float(info["log_z"]) == pytest.approx(-math.log(2), abs=0.05) and 0.1 < info["refused"] < 0.6
    assert x.unique().numel() > 3990


def test_moves_keep_the_law_that_they_start_in():
    """Without weights to correct it, the variance after many moves is that of before."""
    few, _ = tilted_normal(lambda x: 4 * x.square().sum(1), (8000, 1), RNG, levels=1, moves=0, proposals=8)
    many, info = tilted_normal(lambda x: 4 * x.square().sum(1), (8000, 1), RNG, levels=1, moves=30, proposals=8)
    assert few.var().item() == pytest.approx(1 / 9, rel=0.08) and many.var().item() == pytest.approx(1 / 9, rel=0.08)
    assert many.unique().numel() > 7900  # copies have moved apart
    assert "acceptance" in info


def test_lanes_equal_runs_alone():
    rngs, a = Rng.of(1, 2, 3), torch.tensor([0.5, 2.0, 6.0])

    def one(key, a):
        return tilted_normal(lambda x: a * x.square().sum(1), (50, 2), Rng(key))

    together, info = torch.vmap(one)(rngs.key, a)
    for lane in range(3):
        alone, own = one(rngs.key[lane], a[lane])
        torch.testing.assert_close(together[lane], alone)
        torch.testing.assert_close(info["log_z"][lane], own["log_z"])


def test_resampling_counts_are_within_one_of_their_share_and_unbiased():
    log_w = 2 * RNG.normal("w", (30,)).double()
    share = 100 * torch.softmax(log_w, 0)
    total = torch.zeros(30).double()
    for k in range(400):
        counts = torch.bincount(resample(log_w, torch.tensor((k + 0.5) / 400).double(), 100), minlength=30)
        assert counts.sum() == 100 and ((counts - share).abs() < 1 + 1e-9).all()
        total += counts
    torch.testing.assert_close(total / 400, share, rtol=0, atol=0.01)
    shifted = resample(log_w + 1e4, torch.tensor(0.3).double(), 100)
    assert torch.equal(shifted, resample(log_w, torch.tensor(0.3).double(), 100))


def test_resampling_extremes():
    one = torch.tensor([-torch.inf, 0.0, -torch.inf])
    for u in (0.0, 0.5, 1 - 1e-7):  # the last one rounds to 1
        assert resample(one, torch.tensor(u), 5).tolist() == [1] * 5
    for u in (0.001, 0.999):
        assert resample(torch.zeros(5), torch.tensor(u), 5).tolist() == [0, 1, 2, 3, 4]


def test_effective_number_and_log_mean():
    assert effective(torch.zeros(7)).item() == pytest.approx(7, rel=1e-6)
    assert effective(torch.tensor([0.0, -1e4])).item() == pytest.approx(1)
    w = torch.rand(20).double() + 0.1
    assert effective(w.log()).item() == pytest.approx((w.sum() ** 2 / (w**2).sum()).item())
    assert log_mean_exp(w.log() + 900).item() == pytest.approx(w.mean().log().item() + 900)


@pytest.mark.parametrize("bad", [{"levels": 0}, {"moves": -1}, {"proposals": 0}, {"reach": 0.0}, {"reach": 1.1}])
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(UserError, match=f"{next(iter(bad))} = {next(iter(bad.values()))}"):
        tilted_normal(lambda x: x[:, 0], (4, 1), RNG, **bad)


def test_a_step_over_the_whole_reach_is_an_independent_draw():
    x, info = tilted_normal(lambda x: 0 * x[:, 0], (200, 2), RNG, levels=1, moves=1, reach=1.0)
    assert info["acceptance"] == 1 and torch.equal(x, RNG[1][0].normal("xi", (200, 2)))
