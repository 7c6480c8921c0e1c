"""Shares of groups: known mixtures, laws without groups, identities, invariances, the metric of a study."""

import math

import numpy as np
import pytest
import torch

from whichloss.data import TOYS, read
from whichloss.errors import UserError
from whichloss.metrics import Groups, groups, share_difference
from whichloss.study.generate.judge import SampleJudge

THREE = Groups(torch.tensor([[0.0], [1.0], [5.0], [9.0]]), torch.tensor([0, 0, 1, 2]), 3)


def rows(*counts):
    """So many rows at 0, 5 and 9."""
    return torch.tensor([0.0, 5.0, 9.0]).repeat_interleave(torch.tensor(counts))[:, None]


def toy(name, n=4000, seed=1):
    return torch.from_numpy(TOYS[name].sample(n, seed=seed))


def test_shares_by_hand():
    found = share_difference(THREE, rows(5, 1, 2), rows(2, 4, 2))
    assert found.difference == pytest.approx(3 / 8) and found.least == pytest.approx(1 / 4)
    assert share_difference(THREE, rows(8, 0, 0), rows(0, 0, 8)).difference == 1.0
    same = share_difference(THREE, rows(4, 8, 4), rows(1, 2, 1))
    assert (same.difference, same.least) == (0.0, 1.0)
    assert share_difference(THREE, rows(1, 1, 2), rows(2, 2, 0)).least == pytest.approx(0.5)  # a group that y lacks
    assert share_difference(THREE, rows(1, 1, 0), rows(2, 2, 0)).least == 1.0  # one that both lack
    assert THREE.shares(torch.tensor([[1.2], [0.1], [8.0]])).tolist() == pytest.approx([2 / 3, 0, 1 / 3])


def test_the_difference_is_symmetric_and_least_is_not():
    x, y = rows(5, 1, 2), rows(2, 4, 2)
    one, other = share_difference(THREE, x, y), share_difference(THREE, y, x)
    assert one.difference == other.difference and one.least != other.least


@pytest.mark.parametrize(("name", "count"), [("ring8", 8), ("grid25", 16), ("two-normals-1d", 2)])
def test_groups_are_the_modes_of_a_toy_and_at_most_sixteen(name, count):
    found, fresh = groups(toy(name)), toy(name, 20_000, seed=2)
    assert found.count == count
    if TOYS[name].centers is None:
        return
    nearest = torch.cdist(fresh, torch.from_numpy(TOYS[name].centers)).argmin(1)
    of = found.group[torch.cdist(fresh, found.centers).argmin(1)]
    for mode in nearest.unique():  # no mode is cut
        assert torch.bincount(of[nearest == mode]).max() > 0.999 * (nearest == mode).sum()


@pytest.mark.parametrize("d", [1, 2, 16])
def test_one_mode_has_no_groups(normal, d):
    x = normal(2000, d)
    assert groups(x) is None
    assert groups(x / (1 + x.abs())) is None  # flat, with edges
    assert groups(x @ normal(d, d)) is None  # long
    assert groups(x[:60]) is None  # few rows


def test_arcs_stay_whole():
    assert groups(toy("swissroll")) is None
    assert groups(torch.zeros(100, 2)) is None


def test_groups_do_not_hang_on_shift_scale_and_turn(normal):
    x = toy("ring8")
    turn, _ = torch.linalg.qr(normal(2, 2))
    moved = groups(1e3 * x @ turn + 1e4)
    one = sorted(groups(x).shares(x).tolist())
    assert sorted(moved.shares(1e3 * x @ turn + 1e4).tolist()) == pytest.approx(one, abs=1e-9)
    single = groups(x.float())
    assert sorted(single.shares(x.float()).tolist()) == pytest.approx(one, abs=1e-9)


def test_fresh_rows_differ_by_chance_and_other_weights_by_their_distance(normal):
    """E of the distance of two fresh sets is about sqrt((G - 1) / (pi n)); the distance itself where weights differ."""
    generator, centers = torch.Generator().manual_seed(3), 4 * normal(4, 6)

    def mixture(weights, n):
        of = torch.multinomial(torch.tensor(weights), n, True, generator=generator)
        return centers[of] + normal(n, 6, 0.3)

    even, n = [0.25] * 4, 1000
    found = groups(mixture(even, n))
    assert found.count == 4
    chance = [share_difference(found, mixture(even, n), mixture(even, n)).difference for _ in range(200)]
    assert np.mean(chance) == pytest.approx(math.sqrt(3 / (math.pi * n)), rel=0.12)
    off = share_difference(found, mixture([0.55, 0.25, 0.15, 0.05], 40_000), mixture(even, 40_000))
    assert off.difference == pytest.approx(0.3, abs=0.01) and off.least == pytest.approx(0.2, abs=0.02)


def test_equal_values_are_groups():
    x = torch.tensor([[0.0], [1.0]]).repeat(100, 1)
    assert groups(x).shares(x).tolist() == [0.5, 0.5]


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(UserError, match="not finite"):
        THREE.shares(torch.tensor([[math.nan]]))
    with pytest.raises(UserError, match="columns"):
        THREE.shares(torch.zeros(3, 2))
    with pytest.raises(UserError, match="at least 1 rows"):
        share_difference(THREE, torch.zeros(0, 1), rows(1, 1, 1))


def test_a_study_describes_shares_where_its_data_have_groups():
    judge = SampleJudge(read("toy:ring8"))
    real = judge.table.values[judge.split(1).validation]
    fresh = judge.describe(real, 1, "test")
    few = judge.describe(real[(real[:, 0] > 0) | (np.arange(len(real)) % 3 == 0)], 1, "test")
    assert fresh["share difference"] < 0.08 and fresh["least share"] > 0.7
    assert few["share difference"] == pytest.approx(0.25, abs=0.08)
    plain = SampleJudge(read("toy:swissroll"))
    assert "share difference" not in plain.describe(plain.table.values[:1000], 1, "test")
