"""Toys: densities integrate to one, and samples agree with them."""

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.spatial import cKDTree
from sklearn.datasets import make_moons, make_swiss_roll

from whichloss.data import TOYS, find_toy, read
from whichloss.data.toys import find_stacked, is_stacked, stack
from whichloss.errors import DataUnfit, UserError

ALL = list(TOYS)
BOX = {1: 8.0, 2: 6.0}


def grid(dim: int, reach: float, n: int) -> tuple[np.ndarray, float]:
    axis = (np.arange(n) + 0.5) / n * 2 * reach - reach
    points = np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    return points, (2 * reach / n) ** dim


@pytest.mark.parametrize("name", ALL)
def test_density_integrates_to_one(name):
    toy = TOYS[name]
    if toy.dim == 1:
        mass = integrate.quad(lambda v: np.exp(toy.log_density([[v]]))[0], -8, 8, points=[-2, 2, 4])[0]
    else:
        reach = 6.0 if name == "grid25" else 3.5
        points, cell = grid(2, reach, 300)  # cells narrower than any std: the midpoint sum is exact
        mass = np.exp(toy.log_density(points)).sum() * cell
    assert mass == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_samples_fall_where_the_density_says(name):
    toy, n = TOYS[name], 4000
    reach = 8.0 if toy.dim == 1 else 6.0 if name == "grid25" else 3.5
    points, cell = grid(toy.dim, reach, 1600 if toy.dim == 1 else 240)
    share = np.exp(toy.log_density(points)) * cell
    wide = 40 if toy.dim == 1 else 12  # bins of the test

    def place(x):
        return np.ravel_multi_index(
            tuple(np.clip((x.T + reach) / (2 * reach) * wide, 0, wide - 1).astype(int)),
            (wide,) * toy.dim,
        )

    expected = np.bincount(place(points), share, wide**toy.dim) * n
    counted = np.bincount(place(toy.sample(n, 7)), minlength=wide**toy.dim)
    rare = expected < 5
    observed = np.append(counted[~rare], counted[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    wanted *= n / wanted.sum()
    assert stats.chisquare(observed[wanted > 1], wanted[wanted > 1], sum_check=False).pvalue > 1e-3


@pytest.mark.parametrize("name", ALL)
def test_mean_log_density_is_minus_the_entropy(name):
    """Over fresh samples log p has the mean that its integral says."""
    toy = TOYS[name]
    reach = 8.0 if toy.dim == 1 else 6.0 if name == "grid25" else 3.5
    points, cell = grid(toy.dim, reach, 1600 if toy.dim == 1 else 240)
    log_p = toy.log_density(points)
    entropy = -(np.exp(log_p) * log_p).sum() * cell
    drawn = toy.log_density(toy.sample(4000, 3))
    assert -drawn.mean() == pytest.approx(entropy, abs=4 * drawn.std() / np.sqrt(4000))


def test_curves_are_those_of_scikit_learn():
    u = np.linspace(0, 1, 4001)
    roll = make_swiss_roll(300, noise=0.0, random_state=0)[0][:, [0, 2]] / 7.5
    for name, x in {"moons": make_moons(300, noise=None)[0], "swissroll": roll}.items():
        curve = TOYS[name].curve(u)
        assert cKDTree(curve).query(x)[0].max() < 0.01
        assert cKDTree(x).query(curve)[0].max() < 0.2  # no part of the curve is extra


def test_ring_has_eight_distinct_modes_and_grid_25():
    for name, modes in {"ring8": 8, "grid25": 25, "two-normals-1d": 2, "normal1d": 1}.items():
        toy = TOYS[name]
        assert len(np.unique(toy.centers.round(9), axis=0)) == modes
        x = toy.sample(500 * modes)
        nearest = ((x[:, None] - toy.centers) ** 2).sum(axis=2).argmin(axis=1)
        assert np.bincount(nearest, minlength=modes).min() > 400
    gaps = np.diff(np.sort(np.arctan2(*TOYS["ring8"].centers.T[::-1])))
    assert gaps == pytest.approx(np.pi / 4)


def test_share_within_three_std_of_a_perfect_sampler():
    toy = TOYS["ring8"]
    distance = np.sqrt(((toy.sample(20000)[:, None] - toy.centers) ** 2).sum(axis=2).min(axis=1))
    assert (distance < 3 * toy.std).mean() == pytest.approx(1 - np.exp(-4.5), abs=0.003)


def test_samples_follow_the_seed():
    toy = TOYS["moons"]
    assert np.array_equal(toy.sample(5, 1), toy.sample(5, 1))
    assert not np.array_equal(toy.sample(5, 1), toy.sample(5, 2))


def test_toys_are_read_by_name():
    assert len(read("toy:ring8")) == 10_000 and len(read("toy:ring8:500")) == 500
    assert read("toy:moons").source == "toy:moons"
    with pytest.raises(UserError, match=r"did you mean 'ring8'"):
        read("toy:ring9")
    with pytest.raises(UserError, match=r"no number of rows"):
        find_toy("toy:ring8:many")


def test_wrong_shape_is_named():
    with pytest.raises(UserError, match=r"\(rows, 2\); got \(3, 1\)"):
        TOYS["ring8"].log_density(np.zeros((3, 1)))


def some_originals(side=3, each=45, classes=4, seed=0):
    """Grey pictures that are all different, and a class each."""
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.repeat(np.arange(classes), each))
    x = generator.integers(0, 256, (len(y), side * side)).astype(np.uint8)
    return x, y


def test_stacked_channels_show_what_the_mode_says_and_keep_to_their_pool():
    x, y = some_originals()
    values, mode, pool = stack(x, y, 4000)
    channels = values.reshape(4000, 3, -1)
    number = {row.tobytes(): k for k, row in enumerate(x)}
    original = np.array([[number[c.tobytes()] for c in picture] for picture in channels])
    assert (y[original] @ [16, 4, 1] == mode).all()
    pools_of = {k: set() for k in range(len(x))}
    for k, p in zip(original.ravel(), np.repeat(pool, 3), strict=True):
        pools_of[int(k)].add(int(p))
    assert all(len(pools) == 1 for pools in pools_of.values())  # every original is drawn, from one pool alone
    assert np.bincount(pool).tolist() == [200] * 20
    for one, p in zip((stack(x, y, 50), stack(x, y, 4000)), (50, 4000), strict=True):
        assert len(one[0]) == p and np.array_equal(stack(x, y, p)[0], one[0])


def test_stacked_modes_are_equally_likely_and_channels_independent():
    x, y = some_originals(each=20)
    _, mode, pool = stack(x, y, 40_000)
    assert stats.chisquare(np.bincount(mode, minlength=64)).pvalue > 1e-3
    table = np.zeros((20, 64))
    np.add.at(table, (pool, mode), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-3  # every pool has every mode


def test_few_originals_cannot_be_stacked():
    x, y = some_originals(each=19)
    with pytest.raises(DataUnfit, match="at least 20 pictures of every class to stack; one has 19"):
        stack(x, y, 100)


def test_stacked_is_named_like_a_toy():
    assert is_stacked("toy:stacked") and is_stacked("toy:stacked:500?source=a:b") and is_stacked("toy:stacked?x")
    assert not any(map(is_stacked, ("toy:stack", "stacked", "toy:ring8:stacked", "a:b?c", 3, None)))
    assert find_stacked("toy:stacked") == (10_000, "") and find_stacked("toy:stacked:500?source=a=b") == (500, "a=b")
    for wrong in ("toy:stacked?size=3", "toy:stacked?source", "toy:stacked?source="):
        with pytest.raises(UserError, match=r"is no option; write toy:stacked\?source="):
            find_stacked(wrong)
    with pytest.raises(UserError, match="no number of rows"):
        find_stacked("toy:stacked:many")
    with pytest.raises(UserError, match="holds pictures, and a table is needed"):
        read("toy:stacked")
    with pytest.raises(UserError, match="did you mean 'stacked'"):
        read("toy:staked")
