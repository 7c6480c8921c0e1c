"""Dependence of columns against numpy, scipy and the analysis of variance."""

import numpy as np
import pytest
from scipy.stats.contingency import association

from whichloss.report.dependence import cramer, dependence, pair

G = np.random.default_rng(0)
X, NOISE = G.normal(size=400), G.normal(size=400)
GROUP = G.integers(0, 4, 400).astype(float)


def test_two_numbers_have_pearsons_r():
    assert pair(X, X + NOISE, True, True) == pytest.approx(np.corrcoef(X, X + NOISE)[0, 1])
    assert pair(X, -2 * X + 3, True, True) == pytest.approx(-1)


def test_two_categories_have_cramers_v():
    other = np.where(G.random(400) < 0.5, GROUP, 0.0)
    table = np.array([[(np.equal(GROUP, a) & np.equal(other, b)).sum() for b in range(4)] for a in range(4)])
    assert cramer(GROUP, other) == pytest.approx(association(table, method="cramer"))
    assert cramer(GROUP, GROUP) == pytest.approx(1)


def test_a_number_and_a_category_have_the_correlation_ratio_whatever_the_order():
    y = GROUP**2 + NOISE
    groups = [y[np.equal(GROUP, g)] for g in range(4)]
    between = sum(len(group) * (group.mean() - y.mean()) ** 2 for group in groups)
    assert pair(y, GROUP, True, False) == pytest.approx(np.sqrt(between / ((y - y.mean()) ** 2).sum()))
    assert pair(GROUP, y, False, True) == pair(y, GROUP, True, False)


def test_the_matrix_is_symmetric_and_leaves_out_what_is_missing_or_constant():
    values = np.stack([X, X + NOISE, GROUP, np.ones(400)], 1)
    values[:50, 0] = np.nan
    found = dependence(values, [True, True, False, True])
    assert np.allclose(found, found.T, equal_nan=True)
    assert found[0, 1] == pytest.approx(np.corrcoef(X[50:], (X + NOISE)[50:])[0, 1])
    assert np.isnan(found[3, :3]).all()
