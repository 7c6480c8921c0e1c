"""Transport distances against closed forms, scipy, and each other."""

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from whichloss.errors import UserError
from whichloss.metrics import directions, energy_distance, exact_w2, sliced_w2, w1_columns


@pytest.mark.parametrize(("n", "m"), [(50, 50), (40, 60), (7, 13), (1, 9)])
def test_w1_columns_is_scipys(normal, n, m):
    x, y = normal(n, 3), normal(m, 3, 2.0, 1.0)
    truth = [stats.wasserstein_distance(x[:, j], y[:, j]) for j in range(3)]
    np.testing.assert_allclose(w1_columns(x, y), truth, rtol=1e-12)


def test_w1_of_a_shift_is_the_shift(normal):
    x = normal(100, 2)
    torch.testing.assert_close(w1_columns(x, x + 0.7), torch.full((2,), 0.7, dtype=torch.float64))


def test_directions_are_orthogonal_blocks_of_unit_vectors():
    along = directions(5, 12, seed=3)
    assert along.shape == (12, 5)
    for block in along[:10].view(2, 5, 5):
        torch.testing.assert_close(block @ block.T, torch.eye(5, dtype=torch.float64))
    assert torch.equal(along, directions(5, 12, seed=3))
    assert not torch.equal(along, directions(5, 12, seed=4))


def test_sliced_w2_of_normals_is_the_closed_form(normal):
    d, shift, std = 8, 0.5, 1.6
    x, y = normal(20_000, d, std, shift), normal(20_000, d)
    truth = np.sqrt(d * shift**2 / d + (std - 1) ** 2)
    assert sliced_w2(x, y, directions(d, 64, seed=0)) == pytest.approx(truth, rel=0.03)


def test_sliced_w2_in_one_dimension_is_exact_w2(normal):
    x, y = normal(80, 1), normal(80, 1, 2.0)
    assert sliced_w2(x, y, torch.ones(1, 1).double()) == pytest.approx(exact_w2(x, y), rel=1e-12)


def test_exact_w2_is_translation_and_beats_any_other_matching(normal):
    x = normal(60, 2)
    assert exact_w2(x, x + torch.tensor([3.0, 4.0])) == pytest.approx(5.0)
    y = normal(60, 2)
    assert exact_w2(x, y) <= float(((x - y) ** 2).sum(1).mean().sqrt())


def test_exact_w2_is_scipys_transport_plan_and_nears_the_closed_form_of_normals(normal):
    x, y = normal(25, 2), normal(25, 2, 2.0)
    gap = [((a - b) ** 2).sum() for a in x.numpy() for b in y.numpy()]
    marginals = np.concatenate([np.kron(np.eye(25), np.ones(25)), np.kron(np.ones(25), np.eye(25))])
    plan = optimize.linprog(gap, A_eq=marginals, b_eq=np.full(50, 1 / 25))
    assert exact_w2(x, y) == pytest.approx(np.sqrt(plan.fun), rel=1e-9)
    truth = np.sqrt(2 * 0.5**2 + 2 * 1.0**2)  # |m|^2 + d (s - 1)^2
    error = [np.mean([abs(exact_w2(normal(n, 2, 2, 0.5), normal(n, 2)) - truth) for _ in range(6)]) for n in (30, 600)]
    assert error[1] < 0.1 and error[1] < error[0] / 2


def test_exact_w2_refuses_what_it_cannot_do(normal):
    with pytest.raises(UserError, match="equal size"):
        exact_w2(normal(5, 2), normal(6, 2))
    with pytest.raises(UserError, match="3 columns"):
        exact_w2(normal(5, 4), normal(5, 4))
    with pytest.raises(UserError, match="along must be directions"):
        sliced_w2(normal(5, 4), normal(5, 4), directions(3, 8, 0))
    with pytest.raises(UserError, match="along must be directions"):
        sliced_w2(normal(5, 4), normal(5, 4), torch.zeros(0, 4))
    with pytest.raises(UserError, match="at least 1"):
        directions(3, 0, 0)


@pytest.mark.parametrize("tile", [16, 512])
def test_energy_distance_is_scipys_in_one_dimension_but_unbiased(normal, monkeypatch, tile):
    monkeypatch.setattr("whichloss.metrics.rows.TILE", tile)
    x, y = normal(200, 1), normal(150, 1, 1.5)
    n, m = 200, 150
    biased = stats.energy_distance(x[:, 0], y[:, 0]) ** 2
    own = lambda a: float(torch.cdist(a, a).mean())
    correction = own(x) * (1 / (n - 1)) + own(y) * (1 / (m - 1))
    assert energy_distance(x, y) == pytest.approx(biased - correction, abs=1e-7)


def test_energy_distance_of_equal_laws_is_zero_on_average(normal):
    found = [energy_distance(normal(60, 4), normal(60, 4)) for _ in range(200)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(200)
