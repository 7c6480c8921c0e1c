"""Precision, recall, density, coverage against their definitions and limits."""

import pytest
import torch

from whichloss.errors import UserError
from whichloss.metrics import neighbours


def naive(x, y, k):
    dx, dy, dxy = torch.cdist(x, x), torch.cdist(y, y), torch.cdist(x, y)
    rx, ry = dx.sort(1).values[:, k], dy.sort(1).values[:, k]
    inside = dxy <= ry
    precision, density = inside.any(1).double().mean(), inside.sum(1).double().mean() / k
    recall = (dxy <= rx[:, None]).any(0).double().mean()
    coverage = inside.any(0).double().mean()
    return [float(v) for v in (precision, recall, density, coverage)]


@pytest.mark.parametrize("tile", [16, 512])
def test_definition(normal, monkeypatch, tile):
    monkeypatch.setattr("whichloss.metrics.rows.TILE", tile)
    x, y = normal(70, 3), normal(90, 3, 1.3)
    found = neighbours(x, y, k=4)
    got = [found.precision, found.recall, found.density, found.coverage]
    assert got == pytest.approx(naive(x, y, 4), abs=1e-6)


def test_limits_on_equal_laws(normal):
    found = neighbours(normal(2000, 3), normal(2000, 3), k=5)
    assert found.density == pytest.approx(1.0, abs=0.06)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.015)


def test_constant_rows_count_as_covered():
    rows = torch.full((20, 2), 1e4 / 3)
    found = neighbours(rows, rows)
    assert found.density > 1
    assert (found.precision, found.recall, found.coverage) == (1.0, 1.0, 1.0)


def test_a_missing_half_is_seen_by_recall_and_coverage(normal):
    real = torch.cat([normal(300, 2), normal(300, 2, 1.0, 20.0)])
    found = neighbours(normal(600, 2), real)
    assert found.precision > 0.95
    assert found.recall < 0.55 and found.coverage < 0.55


def test_too_few_rows(normal):
    with pytest.raises(UserError, match="at least 6 rows"):
        neighbours(normal(5, 2), normal(9, 2))
