"""The simple models: scikit-learn's own probabilities, every class and label, the same twice, quick on many rows."""

import time
from unittest.mock import patch

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from whichloss.study.classify import anchors
from whichloss.study.classify.anchors import ROLES, affordable, logits


def blobs(n: int, k: int, d: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return (rng.normal(size=(n, d)) + 1.5 * np.eye(k, d)[y]).astype(np.float32), y


def softmax(z):
    return np.exp(z - np.logaddexp.reduce(z, axis=1)[:, None])


def test_probabilities_are_those_of_scikit_learn():
    (x, y), (new, _) = blobs(300, 3), blobs(50, 3, seed=1)
    share = np.tile(np.bincount(y) / 300, (50, 1))
    assert np.allclose(softmax(logits("majority class", x, y, 3, [new], 0)[0]), share)
    peer = LogisticRegression(max_iter=500, tol=1e-3).fit(x, y).predict_proba(new)
    assert np.allclose(softmax(logits("logistic regression", x, y, 3, [new], 0)[0]), peer, atol=1e-5)
    peer = KNeighborsClassifier(15).fit(x, y).predict_proba(new)
    assert np.allclose(softmax(logits("nearest neighbours", x, y, 3, [new], 0)[0]), (15 * peer + share) / 16)
    assert (softmax(logits("boosted trees", x, y, 3, [new], 0)[0]).argmax(1) == new[:, :3].argmax(1)).mean() > 0.5


@pytest.mark.parametrize("name", ROLES)
def test_the_same_twice_and_for_every_array_asked_for(name):
    (x, y), (new, _) = blobs(1200, 3), blobs(30, 3, seed=1)  # so many that boosting holds some back
    first, again, part = logits(name, x, y, 3, [new, new, new[:7]], 5)
    assert np.array_equal(first, again) and np.allclose(first[:7], part)
    assert np.array_equal(first, logits(name, x, y, 3, [new], 5)[0]) and np.isfinite(first).all()


@pytest.mark.parametrize("name", ROLES)
def test_a_class_without_training_rows_is_unlikely_but_possible(name):
    x, y = blobs(100, 2)
    z = logits(name, x, 2 * y, 3, [x], 0)[0]
    assert z.shape == (100, 3) and np.isfinite(z).all()
    assert (softmax(z)[:, 1] < 1e-5).all()
    assert np.isfinite(logits(name, x, np.zeros(100, np.int64), 3, [x], 0)[0]).all()


@pytest.mark.parametrize("name", ROLES)
def test_several_labels_are_one_model_each(name):
    x, y = blobs(300, 3)
    codes = np.stack([y == 0, y > 0, y == 2], axis=1).astype(float)
    z = logits(name, x, codes, 3, [x], 0)[0]
    alone = softmax(logits(name, x, codes[:, 2].astype(np.int64), 2, [x], 0)[0])[:, 1]
    assert np.allclose(1 / (1 + np.exp(-z[:, 2])), alone, atol=1e-5)
    assert np.allclose(z[:, 0], -z[:, 1], atol=1e-3)


def test_a_model_that_does_not_converge_in_time_is_a_baseline_still():
    x, y = blobs(300, 2)
    model = LogisticRegression(max_iter=1)
    with patch.object(anchors, "made", lambda *_: model):
        assert np.isfinite(logits("logistic regression", 100 * x, y, 2, [x], 0)[0]).all()


def test_rows_learned_from_shrink_with_columns_classes_and_rows_asked_for():
    assert affordable("boosted trees", 27, 2, 40_000) > 500_000
    assert affordable("boosted trees", 784, 10, 40_000) < 10_000
    assert affordable("nearest neighbours", 27, 2, 40_000) == 20_000
    assert affordable("nearest neighbours", 10_000, 2, 40_000) == 2000
    assert affordable("logistic regression", 10_000, 100, 40_000) == 2000


@pytest.mark.slow
def test_two_hundred_thousand_rows_take_seconds():
    x, y = blobs(200_000, 2, 20)
    start = time.process_time()
    for name in ROLES:
        logits(name, x, y, 2, [x[:20_000], x[:20_000]], 0)
    assert time.process_time() - start < 30
