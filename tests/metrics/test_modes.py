"""Modes: perfect samplers, noise, and the traps of the literature."""

import math

import numpy as np
import pytest
import torch

from whichloss.data import TOYS
from whichloss.errors import UserError
from whichloss.metrics import kl_to_density, mode_shares, modes

RING = torch.from_numpy(TOYS["ring8"].centers)
STD = TOYS["ring8"].std


def test_the_ring_has_eight_distinct_modes():
    assert len(np.unique(RING.numpy().round(9), axis=0)) == 8


@pytest.mark.parametrize(("toy", "share"), [("normal1d", 0.9973), ("ring8", 0.98889), ("grid25", 0.98889)])
def test_a_perfect_sampler(toy, share):
    toy = TOYS[toy]
    found = modes(torch.from_numpy(toy.sample(20_000, seed=1)), torch.from_numpy(toy.centers), toy.std)
    assert found.covered == len(toy.centers)
    assert found.perfect == pytest.approx(share, abs=2e-4)
    assert found.high_quality == pytest.approx(share, abs=0.004)
    assert found.spread == pytest.approx(1.0, abs=0.02)
    assert abs(found.reverse_kl) < 2e-3


def test_centres_at_both_ends_of_the_circle_are_refused():
    angles = torch.linspace(0, 2 * math.pi, 8, dtype=torch.float64)  # 7 distinct modes
    with pytest.raises(UserError, match="2 rows that coincide"):
        modes(RING, torch.stack([angles.cos(), angles.sin()], 1), STD)


def test_uniform_noise_covers_nothing_where_one_row_each_would_cover_most():
    centers = torch.from_numpy(TOYS["grid25"].centers)
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2500, 2, generator=generator, dtype=torch.float64) * 10 - 5
    found = modes(noise, centers, 0.05)
    distance, at = torch.cdist(noise, centers).min(1)
    assert len(at[distance <= 0.15].unique()) > 15
    assert found.covered == 0 and found.high_quality < 0.03
    real = centers.repeat(100, 1) + 0.05 * torch.randn(2500, 2, generator=generator, dtype=torch.float64)
    assert modes(real, centers, 0.05).covered == 25


def test_uniform_noise_on_wide_modes_shows_in_quality_and_spread():
    noise = torch.rand(5000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 10 - 5
    found = modes(noise, torch.from_numpy(TOYS["grid25"].centers), TOYS["grid25"].std)
    assert found.high_quality < 0.35 and found.spread > 1.4


def test_too_many_columns_are_refused():
    with pytest.raises(UserError, match="In 1200 columns only 0%"):
        modes(torch.zeros(3, 1200), torch.zeros(1, 1200), 1.0)


def test_reverse_kl_of_real_rows_is_zero_on_average():
    toy = TOYS["grid25"]
    centers = torch.from_numpy(toy.centers)
    found = [modes(torch.from_numpy(toy.sample(500, seed)), centers, toy.std).reverse_kl for seed in range(200)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(200) < 0.004  # the floor would be 0.024


def test_one_mode_counts_one_and_too_narrow_shows():
    generator = torch.Generator().manual_seed(0)
    x = RING[:1] + 0.3 * STD * torch.randn(1000, 2, generator=generator, dtype=torch.float64)
    found = modes(x, RING, STD)
    assert found.covered == 1
    assert found.spread < 0.4 and found.high_quality == 1.0
    assert found.reverse_kl == pytest.approx(math.log(8), abs=0.01)


def test_nothing_of_quality():
    found = modes(torch.full((50, 2), 99.0), RING, STD)
    assert (found.covered, found.high_quality) == (0, 0.0)
    assert found.reverse_kl == math.inf and math.isnan(found.spread)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_kl_of_normals(d):
    generator = torch.Generator().manual_seed(d)
    x = 1.5 * torch.randn(4000, d, generator=generator, dtype=torch.float64) + 0.4
    truth = d * (0.5 * (1.5**2 + 0.4**2) - 0.5 - math.log(1.5))
    log_p = lambda v: -0.5 * (v**2).sum(1) - d / 2 * math.log(2 * math.pi)
    assert kl_to_density(x, log_p) == pytest.approx(truth, abs=0.06)


def test_kl_of_copies_is_infinite():
    assert kl_to_density(torch.ones(20, 1), lambda v: np.zeros(len(v))) == math.inf


def test_kl_refuses_many_columns():
    with pytest.raises(UserError, match="at most 3 columns"):
        kl_to_density(torch.rand(20, 4), lambda v: np.zeros(len(v)))


@pytest.mark.parametrize("n, count", [(50, 8), (300, 1000), (2000, 1000), (20_000, 100)])
def test_the_floor_of_mode_shares_is_what_perfect_samples_get(n, count):
    """Exact means against simulation, and the expansion (M - 1) / (2 n) where modes have many rows."""
    generator = np.random.default_rng(n)
    found = [mode_shares(generator.integers(0, count, n), count) for _ in range(300)]
    for mean, values in (
        (found[0].floor, [f.kl for f in found]),
        (found[0].perfect_covered, [f.covered for f in found]),
    ):
        assert np.mean(values) == pytest.approx(mean, abs=4 * np.std(values) / np.sqrt(300) + 1e-12)
    if n == 20_000:
        assert found[0].floor == pytest.approx((count - 1) / (2 * n), rel=0.01)
    if n == 2000:
        assert found[0].perfect_covered == pytest.approx(1000 * (1 - 0.999**2000))


def test_mode_shares_by_hand():
    found = mode_shares(np.array([0, 0, 0, 1]), 4)
    assert found.covered == 2
    assert found.kl == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))
    assert mode_shares(np.full(9, 3), 5).kl == pytest.approx(math.log(5))
    assert mode_shares(np.arange(6), 6).kl == 0 and mode_shares(np.arange(6), 6).covered == 6
    assert mode_shares(np.zeros(2, np.int64), 1).floor == pytest.approx(0)
    rare = np.concatenate([np.zeros(970, np.int64), np.repeat([1, 2], [10, 20])])
    assert mode_shares(rare, 5).covered == 2  # a tenth of a share of 200 is 20
    for wrong in (np.array([5]), np.array([-1]), np.zeros(0, np.int64)):
        with pytest.raises(UserError, match="whole number from 0 to 4"):
            mode_shares(wrong, 5)
