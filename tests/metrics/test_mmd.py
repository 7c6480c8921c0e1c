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


def test_mean_is_the_closed_form_of_normals(normal):
    d, h, shift = 3, 1.3, 0.6
    c = lambda gap: (h * h / (h * h + 2)) ** (d / 2) * np.exp(-gap / (2 * (h * h + 2)))
    truth = 2 * c(0) - 2 * c(d * shift**2)
    found = [mmd(normal(400, d, 1, shift), normal(400, d), (h,)).value for _ in range(60)]
    assert abs(np.mean(found) - truth) < 4 * np.std(found) / np.sqrt(60)


@pytest.mark.parametrize(("d", "n", "shift"), [(2, 100, 0.0), (2, 200, 0.5), (16, 150, 0.0), (16, 150, 0.4)])
def test_standard_error_is_the_spread_over_repetitions(normal, d, n, shift):
    found = [mmd(normal(n, d, 1, shift), normal(n, d), (d**0.5, 2 * d**0.5)) for _ in range(300)]
    spread = np.std([f.value for f in found])
    assert np.sqrt(np.mean([f.se**2 for f in found])) == pytest.approx(spread, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 16, 64])
@pytest.mark.parametrize(("n", "shift"), [(200, 0.5), (1000, 0.3)])
def test_interval_covers_away_from_equality(normal, d, n, shift):
    widths = bandwidths(normal(1000, d))
    found = [mmd(normal(n, d, 1, shift), normal(n, d), widths) for _ in range(200)]
    truth = np.mean([mmd(normal(2000, d, 1, shift), normal(2000, d), widths).value for _ in range(30)])
    inside = [abs(f.value - truth) < 1.96 * f.se for f in found]
    assert np.mean(inside) >= 0.90


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
        (torch.zeros(1, 2), "at least 2 rows"),
        (torch.full((4, 2), torch.nan), "x has 4 rows"),
    ],
)
def test_bad_rows_are_refused(x, message):
    with pytest.raises(UserError, match=message):
        mmd(x, torch.zeros(4, 2), (1.0,))
