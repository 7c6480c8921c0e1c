"""Scores of labels: scikit-learn's values, derivatives in the rows' weights, calibration of models that are right."""

import numpy as np
import pytest
import sklearn.metrics as sk
import torch

from whichloss.errors import UserError
from whichloss.metrics.labels import (
    LOG_T,
    SCORES,
    calibrated_error,
    describe,
    expected_calibration_error,
    predicted,
    score,
    temperature,
)

SHAPES = [(60, 2), (200, 3), (500, 7)]


def drawn(m: int, k: int, seed: int = 0, ties: bool = False):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, m - k)])
    z = rng.normal(size=(m, k)) + 1.5 * np.eye(k)[y]
    return (z[rng.integers(0, m // 4, m)] if ties else z), y


def several(m: int, k: int, seed: int = 0, ties: bool = False):
    rng = np.random.default_rng(seed)
    y = (rng.random((m, k)) < 0.3).astype(float)
    y[0], y[1] = 0, 1
    z = rng.normal(size=(m, k)) + 1.5 * y - 0.7
    return (z[rng.integers(0, m // 4, m)] if ties else z), y


def weighted(name: str, z, y, w) -> float:
    return float(SCORES[name](predicted(torch.from_numpy(z), torch.from_numpy(y)), torch.from_numpy(w / w.sum())))


def softmax(z):
    return np.exp(z - np.logaddexp.reduce(z, axis=1)[:, None])


def ranked(function, z, y, w) -> float:
    """The mean over classes of a binary score of one class against the rest."""
    p, k = softmax(z), z.shape[1]
    classes = [1] if k == 2 else range(k)
    return float(np.mean([function(y == c, p[:, c], sample_weight=w) for c in classes]))


PEERS = {
    "log-loss": lambda z, y, w: sk.log_loss(y, softmax(z), sample_weight=w),
    "accuracy": lambda z, y, w: 1 - sk.accuracy_score(y, z.argmax(1), sample_weight=w),
    "balanced-accuracy": lambda z, y, w: 1 - sk.balanced_accuracy_score(y, z.argmax(1), sample_weight=w),
    "macro-f1": lambda z, y, w: 1 - sk.f1_score(y, z.argmax(1), average="macro", sample_weight=w),
    "auroc": lambda z, y, w: 1 - ranked(sk.roc_auc_score, z, y, w),
    "average-precision": lambda z, y, w: 1 - ranked(sk.average_precision_score, z, y, w),
    "brier": lambda z, y, w: sk.brier_score_loss(y, softmax(z), sample_weight=w, scale_by_half=False),
}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PEERS)
def test_one_label_agrees_with_scikit_learn_with_and_without_weights(name, shape, ties):
    z, y = drawn(*shape, ties=ties)
    for w in (np.ones(len(y)), np.random.default_rng(1).exponential(size=len(y))):
        assert weighted(name, z, y, w) == pytest.approx(PEERS[name](z, y, w), rel=1e-9, abs=1e-12)


def each(function, y, said, w) -> float:
    """The mean over labels of a binary score."""
    return float(np.mean([function(y[:, c], said[:, c], sample_weight=w) for c in range(y.shape[1])]))


SEVERAL = {
    "log-loss": lambda z, y, w: each(sk.log_loss, y, 1 / (1 + np.exp(-z)), w),
    "accuracy": lambda z, y, w: 1 - each(sk.accuracy_score, y, z > 0, w),
    "balanced-accuracy": lambda z, y, w: 1 - each(sk.balanced_accuracy_score, y, z > 0, w),
    "macro-f1": lambda z, y, w: 1 - sk.f1_score(y, z > 0, average="macro", sample_weight=w),
    "auroc": lambda z, y, w: 1 - each(sk.roc_auc_score, y, z, w),
    "average-precision": lambda z, y, w: 1 - each(sk.average_precision_score, y, z, w),
    "brier": lambda z, y, w: each(sk.brier_score_loss, y, 1 / (1 + np.exp(-z)), w),
}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", SEVERAL)
def test_several_labels_agree_with_scikit_learn_with_and_without_weights(name, ties):
    z, y = several(300, 4, ties=ties)
    for w in (np.ones(300), np.random.default_rng(1).exponential(size=300)):
        assert weighted(name, z, y, w) == pytest.approx(SEVERAL[name](z, y, w), rel=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_a_row_of_weight_two_is_two_rows_and_the_order_of_rows_does_not_matter(name):
    z, y = drawn(90, 3)
    if name != "calibration":  # its debiasing counts rows
        twice = np.concatenate([np.arange(90), np.arange(10)])
        w = np.where(np.arange(90) < 10, 2.0, 1.0)
        assert weighted(name, z, y, w) == pytest.approx(weighted(name, z[twice], y[twice], np.ones(100)), rel=1e-9)
    order = np.random.default_rng(0).permutation(90)
    assert weighted(name, z, y, np.ones(90)) == pytest.approx(weighted(name, z[order], y[order], np.ones(90)), rel=1e-9)


@pytest.mark.parametrize("make", [drawn, several])
@pytest.mark.parametrize("name", SCORES)
def test_influence_is_what_leaving_a_row_out_changes(name, make):
    m = 400
    z, y = make(m, 3)
    found = score(name, predicted(torch.from_numpy(z), torch.from_numpy(y)))
    if name == "calibration":  # bins move when rows leave; the derivative holds them
        assert float(found.influence.mean()) == pytest.approx(0, abs=1e-15)
        return
    kept = [np.delete(np.arange(m), j) for j in range(m)]
    left = np.array([weighted(name, z[r], y[r], np.ones(m - 1)) for r in kept])
    jackknife = (m - 1) * (left.mean() - left)
    assert np.corrcoef(jackknife, found.influence.numpy())[0, 1] > 0.999
    assert np.sqrt((m - 1) / m * np.sum((left - left.mean()) ** 2)) == pytest.approx(found.se, rel=0.03)


def test_standard_errors_of_means_and_of_auroc_are_the_textbook_ones():
    z, y = drawn(200, 2)
    found = predicted(torch.from_numpy(z), torch.from_numpy(y))
    losses = -np.log(softmax(z)[np.arange(200), y])
    assert score("log-loss", found).se == pytest.approx(losses.std(ddof=1) / 200**0.5, rel=1e-12)
    assert torch.allclose(score("log-loss", found).influence, torch.from_numpy(losses - losses.mean()))
    s = z[:, 1] - z[:, 0]
    above = (s[y == 1][:, None] > s[y == 0]).astype(float)
    delong = above.mean(1).var() / (y == 1).sum() + above.mean(0).var() / (y == 0).sum()
    assert score("auroc", found).se == pytest.approx((delong * 200 / 199) ** 0.5, rel=1e-9)


def test_classes_that_no_row_has_or_none_is_predicted():
    z = np.array([[2.0, 0, 0], [2, 0, 0], [0, 2, 0], [2, 0, 0]])
    y = np.array([0, 0, 1, 1])
    found = predicted(torch.from_numpy(z), torch.from_numpy(y))
    w = np.ones(4)
    assert weighted("balanced-accuracy", z, y, w) == pytest.approx(0.25)  # of two classes
    assert weighted("macro-f1", z, y, w) == pytest.approx(1 - (0.8 + 2 / 3) / 2)
    assert weighted("auroc", z, y, w) == pytest.approx(1 - np.mean([0.75, 0.75]))
    alone = predicted(torch.from_numpy(z), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(UserError, match="cannot be ranked"):
        score("auroc", alone)
    assert "auroc" not in describe(alone) and "auroc" in describe(found)
    nobody = predicted(-torch.ones(3, 2), torch.zeros(3, 2))
    assert score("macro-f1", nobody).value == 0 and score("macro-f1", nobody).se == 0


def test_ranking_survives_probabilities_that_round_to_one():
    z = torch.tensor([[0.0, 50.0, 0], [0, 60, 0], [0, 70, 0], [0, 80, 0]])
    y = torch.tensor([0, 0, 1, 1])
    assert score("auroc", predicted(z, y)).value == 0


@pytest.mark.parametrize(
    ("z", "y", "says"),
    [
        ([[0.0, float("nan")], [0, 0]], [0, 1], "row 1.*not finite"),
        ([[0.0, 1], [0, float("inf")]], [0, 1], "row 2.*not finite"),
        ([[0.0, 1], [1, 0]], [0, 2], "from 0 to 1"),
        ([[0.0, 1], [1, 0]], [-1, 0], "from 0 to 1"),
        ([[0.0, 1], [1, 0]], [[0, 1], [0, 0.5]], "from 0 to 1"),
        ([[0.0, 1], [1, 0]], [0], "logits must be"),
        ([0.0, 1], [0, 1], "logits must be"),
    ],
)
def test_what_cannot_be_judged_is_refused(z, y, says):
    with pytest.raises(UserError, match=says):
        predicted(torch.tensor(z), torch.tensor(y))


def test_an_unknown_metric_is_refused():
    with pytest.raises(UserError, match="auroc"):
        score("aurok", predicted(torch.zeros(2, 2), torch.tensor([0, 1])))


def calibrated(m: int, seed: int, k: int = 10):
    """Logits and labels drawn from their own probabilities."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.normal(size=(m, k))
    return torch.from_numpy(z), torch.from_numpy((softmax(z).cumsum(1) < rng.random((m, 1))).sum(1).clip(max=k - 1))


@pytest.mark.parametrize("m", [200, 1000, 5000])
def test_a_calibrated_model_has_calibration_error_zero_and_an_ece_that_falls_with_the_root_of_its_rows(m):
    found = [predicted(*calibrated(m, seed)) for seed in range(100)]
    values = np.array([score("calibration", one).value for one in found])
    assert abs(values.mean()) < 4 * values.std() / 10
    shown = np.mean([expected_calibration_error(one) for one in found])
    sure = np.sort(softmax(calibrated(100_000, 1)[0].numpy()).max(1))
    noise = [np.sqrt(2 / np.pi * np.mean(p * (1 - p)) / (m / 15)) for p in np.array_split(sure, 15)]
    assert shown == pytest.approx(np.mean(noise), rel=0.05)  # E|N(0, v)| = sqrt(2 v / pi)
    assert np.mean([calibrated_error(one) for one in found[:10]]) == pytest.approx(shown, rel=0.1)


def test_calibration_error_of_a_model_that_is_too_sure_is_the_square_of_the_gap():
    rng = np.random.default_rng(0)
    z = np.tile([np.log(9.0), 0.0], (20_000, 1))  # says .9; right in .7
    y = (rng.random(20_000) > 0.7).astype(int)
    found = predicted(torch.from_numpy(z), torch.from_numpy(y))
    assert score("calibration", found).value == pytest.approx(0.04, abs=0.004)
    assert expected_calibration_error(found) == pytest.approx(0.2, abs=0.01)
    assert describe(found)["calibration error"] == expected_calibration_error(found)


def test_several_labels_that_are_calibrated_have_calibration_error_zero():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(100):
        z = rng.normal(size=(200, 5)) - 1
        y = (rng.random(z.shape) < 1 / (1 + np.exp(-z))).astype(float)
        values.append(score("calibration", predicted(torch.from_numpy(z), torch.from_numpy(y))).value)
    assert abs(np.mean(values)) < 4 * np.std(values) / 10


@pytest.mark.parametrize("make", [drawn, several])
@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_temperature_is_the_best_of_a_grid_and_scales_with_the_logits(make, factor):
    z, y = (torch.from_numpy(v) for v in make(300, 3))
    grid = np.exp(np.linspace(-2, 2, 401))
    several_labels, m = y.ndim == 2, len(z)
    targets = y.double() if several_labels else torch.nn.functional.one_hot(y, z.shape[1]).double()
    targets = (m * targets + 1) / (m + (2 if several_labels else z.shape[1]))
    loss = torch.nn.functional.binary_cross_entropy_with_logits if several_labels else torch.nn.functional.cross_entropy
    losses = [loss(z * factor / t, targets).item() for t in grid]
    found = temperature(predicted(z * factor, y))
    assert found == pytest.approx(grid[np.argmin(losses)], rel=0.02)
    assert found == pytest.approx(factor * temperature(predicted(z, y)), rel=1e-3)


def test_temperature_of_the_right_model_is_about_one():
    assert temperature(predicted(*calibrated(20_000, 0))) == pytest.approx(1, abs=0.03)


def test_temperature_stops_at_its_ends_and_stays_one_where_nothing_is_gained():
    y = torch.arange(40) % 2
    sure = torch.nn.functional.one_hot(y, 2).double()
    assert temperature(predicted(sure, y)) == pytest.approx(1 / np.log(41), rel=1e-3)  # 41 of 42, not certainty
    assert temperature(predicted(sure / 1e9, y)) == pytest.approx(np.exp(-LOG_T), rel=1e-3)
    assert temperature(predicted(-sure, y)) == pytest.approx(np.exp(LOG_T), rel=1e-3)
    assert temperature(predicted(torch.zeros(40, 2), y)) == 1
    share = torch.tensor([0.75, 0.25]).log().repeat(40, 1)  # the majority class, with the shares of the rows
    assert temperature(predicted(share, (torch.arange(40) % 4 == 0).long())) == pytest.approx(1, abs=0.07)


def test_describe_shows_scores_as_people_know_them():
    z, y = drawn(100, 3)
    found = describe(predicted(torch.from_numpy(z), torch.from_numpy(y)))
    assert found["accuracy"] == pytest.approx(np.mean(z.argmax(1) == y))
    assert found["log-loss"] == pytest.approx(sk.log_loss(y, softmax(z)))
    assert "calibration" not in found and found["calibration error"] > found["debiased calibration error"]


def test_average_precision_is_that_of_the_positive_class():
    rng = np.random.default_rng(0)
    y = torch.from_numpy((rng.random(500) < 0.9).astype(int))  # class 0 is rare
    z = torch.from_numpy(rng.normal(size=(500, 2)))
    z[:, 0] += 1.5 * (y == 0)
    found = describe(predicted(z, y, positive=0))["average-precision"]
    assert found == pytest.approx(sk.average_precision_score(1 - y, (z[:, 0] - z[:, 1]).numpy()))
    assert found < describe(predicted(z, y))["average-precision"] - 0.2
    assert describe(predicted(z, y, positive=0))["auroc"] == pytest.approx(describe(predicted(z, y))["auroc"])


def test_votes_of_neighbours_tie_in_spite_of_rounding():
    rng = np.random.default_rng(0)
    votes, y = rng.multinomial(15, [0.3, 0.4, 0.3], 400), torch.from_numpy(rng.integers(0, 3, 400))
    p = (votes + np.array([0.3, 0.4, 0.3])) / 16
    found = describe(predicted(torch.from_numpy(np.log(p)), y))
    exact = [sk.roc_auc_score(y == c, votes[:, c]) for c in range(3)]
    assert found["auroc"] == pytest.approx(np.mean(exact), abs=1e-12)
    exact = [sk.average_precision_score(y == c, votes[:, c]) for c in range(3)]
    assert found["average-precision"] == pytest.approx(np.mean(exact), abs=1e-12)


def test_rows_without_a_mistake_are_no_reason_to_grow_less_certain():
    y = torch.arange(40) % 2
    for size in (3.0, 8.0, 30.0):
        z = size * torch.eye(2)[y]
        found = temperature(predicted(z, y))
        assert found <= 1
        assert size / found == pytest.approx(max(size, np.log(41)), rel=1e-3)
