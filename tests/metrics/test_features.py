"""Frechet distance and KID against closed forms and a plain double loop."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from whichloss.errors import UserError
from whichloss.metrics import frechet, kid


def drawn(n, k, seed, scale=1.0, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, k)) * scale + shift)


def exact(x, mean, covariance):
    """Rows with exactly this mean and (unbiased) covariance."""
    z = x - x.mean(0)
    z = z @ torch.linalg.inv(torch.linalg.cholesky(z.T @ z / (len(z) - 1))).T
    return z @ torch.linalg.cholesky(covariance).T + mean


@pytest.mark.parametrize("k", [1, 2, 5])
def test_frechet_is_that_of_the_normal_laws(k):
    """Commuting covariances: |m|^2 + sum (sd_x - sd_y)^2."""
    one, two = torch.arange(1.0, k + 1).double(), torch.arange(2.0, k + 2).double().flip(0)
    x = exact(drawn(200, k, 0), torch.zeros(k).double(), torch.diag(one**2))
    y = exact(drawn(150, k, 1), torch.full((k,), 3.0).double(), torch.diag(two**2))
    truth = 9 * k + float((one - two).square().sum())
    assert frechet(x, y) == pytest.approx(truth, rel=1e-10) == pytest.approx(frechet(y, x), rel=1e-10)
    assert frechet(x.float(), y.float()) == pytest.approx(truth, rel=1e-5)


def test_frechet_agrees_with_the_root_of_the_product():
    x, y = drawn(400, 6, 2) @ drawn(6, 6, 3), drawn(300, 6, 4) @ drawn(6, 6, 5) + 1
    s, t = np.cov(x.numpy().T), np.cov(y.numpy().T)
    truth = float((x.mean(0) - y.mean(0)).square().sum()) + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert frechet(x, y) == pytest.approx(truth, rel=1e-8)


def test_frechet_of_fewer_rows_than_features():
    """Equal sets: 0; it does not change under a rotation and a shift of both, and scales with the square."""
    x, y = drawn(20, 50, 6), drawn(30, 50, 7)
    turn = torch.linalg.qr(drawn(50, 50, 8)).Q
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x @ turn + 5, y @ turn + 5) == pytest.approx(frechet(x, y), rel=1e-9)
    assert frechet(3 * x, 3 * y) == pytest.approx(9 * frechet(x, y), rel=1e-9)


def test_kid_is_its_double_loop_and_unbiased():
    x, y = drawn(7, 3, 9), drawn(9, 3, 10, shift=0.3)

    def k(a, b):
        return (float(a @ b) / 3 + 1) ** 3

    def pairs(a):
        return np.mean([k(a[i], a[j]) for i in range(len(a)) for j in range(len(a)) if i != j])

    truth = pairs(x) + pairs(y) - 2 * np.mean([k(a, b) for a in x for b in y])
    assert kid(x, y) == pytest.approx(truth, rel=1e-12)
    assert kid(x.float(), y.float()) == pytest.approx(truth, rel=1e-4)
    same = [kid(drawn(50, 3, 2 * s), drawn(50, 3, 2 * s + 1)) for s in range(300)]
    assert abs(np.mean(same)) < 3 * np.std(same) / math.sqrt(300) and min(same) < 0


def test_kid_sees_a_law_with_equal_mean_and_covariance():
    """A cubic kernel sees the third moment; the Frechet distance does not."""
    skew = torch.from_numpy(np.random.default_rng(0).exponential(size=(4000, 1)) - 1)
    even = exact(drawn(4000, 1, 11), skew.mean(0), skew.T.cov().reshape(1, 1))
    assert frechet(skew, even) == pytest.approx(0, abs=1e-9) and kid(skew, even) > 0.5


def test_kid_goes_by_tiles():
    x, y = drawn(2500, 2, 12), drawn(2100, 2, 13)
    part = lambda a, b: float((a @ b.T / 2 + 1).pow(3).sum())
    own = lambda a: (part(a, a) - float((a.square().sum(1) / 2 + 1).pow(3).sum())) / (len(a) * (len(a) - 1))
    assert kid(x, y) == pytest.approx(own(x) + own(y) - 2 * part(x, y) / (2500 * 2100), rel=1e-9)


@pytest.mark.parametrize("distance", [frechet, kid])
def test_rows_that_cannot_be_compared_are_refused(distance):
    with pytest.raises(UserError):
        distance(torch.zeros(1, 3), torch.zeros(5, 3))
    with pytest.raises(UserError):
        distance(torch.full((5, 3), math.nan), torch.zeros(5, 3))
    with pytest.raises(UserError):
        distance(torch.zeros(5, 3), torch.zeros(5, 4))
