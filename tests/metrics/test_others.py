"""Two-sample accuracy and correlations."""

import numpy as np
import pytest
import torch

from whichloss.errors import UserError
from whichloss.metrics import c2st_accuracy, correlation_difference, correlations


def test_equal_laws_cannot_be_told_apart(normal):
    inside = [(lambda f: f.low <= 0.5 <= f.high)(c2st_accuracy(normal(300, 3), normal(300, 3), s)) for s in range(12)]
    assert sum(inside) >= 9


def test_a_shift_is_seen_and_the_seed_fixes_the_answer(normal):
    x, y = normal(300, 3, 1.0, 2.0), normal(300, 3)
    found = c2st_accuracy(x, y, seed=0)
    assert found.accuracy > 0.9
    assert found == c2st_accuracy(x, y, seed=0)


def test_correlations_are_numpys_and_constants_count_zero(normal):
    x = normal(200, 3) @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]]).double()
    truth = np.corrcoef(x.numpy().T) - np.eye(3)
    np.testing.assert_allclose(correlations(x), truth, atol=1e-12)
    x[:, 1] = 0.1
    assert (correlations(x)[1] == 0).all()


def test_correlation_difference_of_opposite_columns(normal):
    a = normal(100, 1)
    assert correlation_difference(torch.cat([a, a], 1), torch.cat([a, -a], 1)) == pytest.approx(2.0)
    with pytest.raises(UserError, match="2 columns"):
        correlation_difference(a, a)
