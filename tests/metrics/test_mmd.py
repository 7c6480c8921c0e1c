"""The primary metric against its closed form, its own definition, and its error over repetitions."""

import numpy as np
import pytest
import torch

from whichloss.errors import UserError
from whichloss.metrics import MmdReference, bandwidths, mmd
from whichloss.metrics.mmd import kernel
from whichloss.metrics.rows import squares


def naive(x, y, widths):
    def k(a, b):
        square = ((a[:, None] - b[None]) ** 2).sum(-1)
        return sum(torch.exp(-square / (2 * h * h)) for h in widths) / len(widths)

    n, m = len(x), len(y)
    off_x, off_y = ~torch.eye(n, dtype=torch.bool), ~torch.eye(m, dtype=torch.bool)
    return k(x, x)[off_x].mean() + k(y, y)[off_y].mean() - 2 * k(x, y).mean(), k(x, y).mean(0)


@pytest.mark.parametrize("d", [1, 3, 40])
@pytest.mark.parametrize("tile", [16, 512])
def test_value_and_witness_are_the_definition(normal, monkeypatch, d, tile):
    monkeypatch.setattr("whichloss.metrics.rows.TILE", tile)
    x, y = normal(37, d), normal(53, d, 1.5, 0.3)
    found = mmd(x, y, (0.7, 1.4, 2.8))
    value, witness = naive(x, y, (0.7, 1.4, 2.8))
    assert found.value == pytest.approx(float(value), abs=1e-12)
    torch.testing.assert_close(found.witness, witness, atol=1e-12, rtol=0)


@pytest.mark.parametrize("tile", [16, 512])
def test_standard_errors_are_their_definition(normal, monkeypatch, tile):
    monkeypatch.setattr("whichloss.metrics.rows.TILE", tile)
    (n, m), h = (37, 53), 1.3
    x, y = normal(n, 2), normal(m, 2, 1.5)
    k = lambda a, b: torch.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * h * h))

    def own(kernel):
        off = ~torch.eye(len(kernel), dtype=torch.bool)
        r = (kernel * off).sum(1) / (len(kernel) - 1)
        centred = (kernel - r[:, None] - r + r.mean())[off]
        return r, float((centred**2).sum()) / (len(kernel) * (len(kernel) - 3))

    (r_x, s_xx), (r_y, s_yy), xy = own(k(x, x)), own(k(y, y)), k(x, y)
    centred = xy - xy.mean(1, keepdim=True) - xy.mean(0) + xy.mean()
    s_xy = float((centred**2).sum()) / ((n - 1) * (m - 1))
    null = 2 * s_xx / (n * (n - 1)) + 2 * s_yy / (m * (m - 1)) + 4 * s_xy / (n * m)
    first = 4 * float((r_x - xy.mean(1)).var()) / n + 4 * float((r_y - xy.mean(0)).var()) / m
    found = mmd(x, y, (h,))
    assert found.null_se == pytest.approx(null**0.5, rel=1e-9)
    assert found.se == pytest.approx((first + null) ** 0.5, rel=1e-9)


def test_mean_is_the_closed_form_of_normals(normal):
    d, h, shift = 3, 1.3, 0.6
    c = lambda gap: (h * h / (h * h + 2)) ** (d / 2) * np.exp(-gap / (2 * (h * h + 2)))
    truth = 2 * c(0) - 2 * c(d * shift**2)
    found = [mmd(normal(400, d, 1, shift), normal(400, d), (h,)).value for _ in range(60)]
    assert abs(np.mean(found) - truth) < 4 * np.std(found) / np.sqrt(60)


@pytest.mark.parametrize("d", [2, 16])
def test_standard_error_away_from_equality_is_the_spread_over_repetitions(normal, d):
    found = [mmd(normal(200, d, 1, 0.5), normal(200, d), (d**0.5, 2 * d**0.5)) for _ in range(300)]
    spread = np.std([f.value for f in found])
    assert np.sqrt(np.mean([f.se**2 for f in found])) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize(("d", "n", "m"), [(2, 100, 100), (16, 150, 60)])
def test_standard_errors_at_equality(normal, d, n, m):
    found = [mmd(normal(n, d), normal(m, d), (d**0.5, 2 * d**0.5)) for _ in range(400)]
    spread = np.std([f.value for f in found])
    assert np.mean([f.null_se for f in found]) == pytest.approx(spread, rel=0.15)
    assert spread < np.mean([f.se for f in found]) < 1.9 * spread
    assert np.mean([abs(f.value) < 1.96 * f.se for f in found]) >= 0.95


def coverage(draw, d, n, shift, times):
    """How often value +- 1.96 se holds the truth, known for normals and one bandwidth h = sqrt(d)."""
    c = lambda gap: (d / (d + 2)) ** (d / 2) * np.exp(-gap / (2 * (d + 2)))
    truth = 2 * c(0) - 2 * c(d * shift**2)
    found = [mmd(draw(n, d, 1, shift), draw(n, d), (d**0.5,)) for _ in range(times)]
    return np.mean([abs(f.value - truth) < 1.96 * f.se for f in found])


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 16, 64])
@pytest.mark.parametrize(("n", "times"), [(200, 600), (1000, 150)])
@pytest.mark.parametrize("shift", [0.0, 0.05, 0.15, 0.4])
def test_interval_covers_at_near_and_away_from_equality(normal, d, n, times, shift):
    found = coverage(normal, d, n, shift, times)
    assert found >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / times)


def test_witness_predicts_what_other_test_rows_would_change(normal):
    a, b, widths = normal(300, 2, 1.2), normal(300, 2, 1, 0.2), (1.0, 2.0)
    m, gaps, predicted = 120, [], []
    for _ in range(300):
        reference = MmdReference(normal(m, 2), widths)
        one, two = reference.score(a), reference.score(b)
        gaps.append(one.value - two.value)
        predicted.append(float((2 * (one.witness - two.witness)).var()) / m)
    assert np.mean(predicted) == pytest.approx(np.var(gaps), rel=0.2)


def test_bandwidths_are_round_the_median_distance(normal):
    rows = normal(500, 4)
    small, once, twice = bandwidths(rows)
    assert once == pytest.approx(float(torch.pdist(rows).median()))
    assert (small, twice) == (once / 2, once * 2)


def test_mostly_equal_rows_still_have_a_bandwidth():
    rows = torch.zeros(50, 1, dtype=torch.float64)
    rows[:5] = 1.0
    assert bandwidths(rows)[1] == 1.0
    with pytest.raises(UserError, match="All rows are equal"):
        bandwidths(torch.ones(5, 2))


def test_kernel_powers_equal_the_formula():
    square = torch.rand(7, 5, dtype=torch.float64) * 9
    direct = sum(torch.exp(-square / (2 * h * h)) for h in (0.5, 1.0, 2.0, 1.7)) / 4
    torch.testing.assert_close(kernel(square.clone(), (0.5, 1.0, 2.0, 1.7)), direct)


def test_squared_distances_are_never_negative(normal):
    x = normal(50, 3) + 1e6
    assert (squares(x, x) >= 0).all()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5, 3), "3 columns and y has 2"),
        (torch.zeros(3, 2), "x must have at least 4 rows"),
        (torch.full((4, 2), torch.nan), "x has 4 rows"),
    ],
)
def test_bad_rows_are_refused(x, message):
    with pytest.raises(UserError, match=message):
        mmd(x, torch.zeros(4, 2), (1.0,))


def test_far_from_the_origin_nothing_changes(normal):
    x, y = normal(30, 2), normal(40, 2)
    near, far = mmd(x, y, (1.0,)), mmd(x + 1e6, y + 1e6, (1.0,))
    assert (far.value, far.se) == pytest.approx((near.value, near.se), abs=1e-8)


def test_a_reference_scores_many_sets_as_mmd_does(normal):
    y = normal(40, 2)
    reference = MmdReference(y, (1.0, 2.0))
    for x in (normal(30, 2), normal(50, 2)):
        assert reference.score(x).value == mmd(x, y, (1.0, 2.0)).value
    with pytest.raises(UserError, match="bandwidths must be positive"):
        MmdReference(y, (1.0, 0.0))
    with pytest.raises(UserError, match="y has 1 rows"):
        MmdReference(torch.tensor([[0.0], [1.0], [2.0], [torch.nan]]), (1.0,))
