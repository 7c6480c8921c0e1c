"""Pictures are classified as bytes by networks, and by simple models as vectors of bounded width."""

import numpy as np
import pytest
import torch

from whichloss.data import Pictures
from whichloss.errors import DataUnfit
from whichloss.study.classify import signal
from whichloss.study.classify.pictures import SIDE, PictureLabelJudge
from whichloss.study.goals import make_judge
from whichloss.study.judge import Judge
from whichloss.study.plan import Run
from whichloss.study.work import make_lanes


def pictures(n=90, shape=(1, 8, 8), classes=("a", "b", "c"), seed=0):
    """Noise whose mean tells the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(classes)
    values = rng.integers(0, 100, (n, int(np.prod(shape)))) + 70 * labels[:, None]
    files = tuple(f"{i}.png" for i in range(n))
    return Pictures(values.astype(np.uint8), shape, "here", labels.astype(np.int64), classes, files=files)


def lanes_of(judge: Judge, seeds=(1, 2)):
    runs = tuple(
        Run(data="", objective="cross-entropy", code="", setting={}, seed=s, flops=1e6, width=16) for s in seeds
    )
    return make_lanes(judge, runs, None)


@pytest.fixture(scope="module")
def judge():
    found = make_judge(pictures(), "classify", {"metric": "log-loss"})
    assert isinstance(found, PictureLabelJudge)
    return found


def test_a_step_sees_the_pictures_of_its_numbers_with_their_labels(judge):
    _, lanes = lanes_of(judge)
    assert lanes.data.shape[2] == 2  # a number and a label
    for lane, rows in enumerate(lanes.rows(0)):
        batch = lanes.labelled(rows)
        known = {row.tobytes(): label for row, label in zip(judge.table.values, judge.table.labels, strict=True)}
        levels = ((batch.x + 1) * 127.5).round().byte().numpy()
        assert [known[row.tobytes()] for row in levels] == batch.labels.tolist()
        train = {judge.table.values[i].tobytes() for i in judge.split(lane + 1).train}
        assert {row.tobytes() for row in levels} <= train


@pytest.mark.parametrize("block", [7, 500])
def test_logits_are_those_of_the_pictures_whatever_the_block(judge, block, monkeypatch):
    monkeypatch.setattr(PictureLabelJudge, "block", block)
    encoders, lanes = lanes_of(judge)
    weights = lanes.start().weights
    found = judge.logits(lanes, encoders, [1, 2], weights, "validation")
    for k, seed in enumerate((1, 2)):
        x = torch.from_numpy(encoders[k].encode(judge.inputs[judge.split(seed).validation]))
        objective, nets = lanes.trained(weights, k)
        with torch.no_grad():
            np.testing.assert_allclose(found[k], objective.logits(nets, x, judge.task), rtol=1e-4, atol=1e-5)


def test_training_accuracy_is_that_of_the_training_pictures(judge):
    encoders, lanes = lanes_of(judge, (1,))
    weights = lanes.start().weights
    found = judge.extras(lanes, encoders[0], 1, weights, "test")
    train = judge.split(1).train
    objective, nets = lanes.trained(weights)
    with torch.no_grad():
        z = (
            objective.logits(nets, torch.from_numpy(encoders[0].encode(judge.inputs[train])), judge.task)
            .argmax(1)
            .numpy()
        )
    recalls = [(z[judge.table.labels[train] == c] == c).mean() for c in range(3)]
    assert found["training balanced accuracy"] == pytest.approx(np.mean(recalls)) and found["use flops"] > 0


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 40)])
def test_simple_models_see_vectors_of_bounded_width(shape):
    judge = PictureLabelJudge(pictures(30, shape))
    rows, asked = judge.plain(np.arange(5), np.array([7]))
    sides = [min(side, SIDE) for side in shape[1:]]
    assert rows.shape == (5, shape[0] * sides[0] * sides[1]) and asked.shape[0] == 1
    assert rows.min() >= -1 and rows.max() <= 1
    assert any("reduced to 16 pixels" in said for said in judge.method) == (max(shape[1:]) > SIDE)
    if shape == (1, 8, 8):
        np.testing.assert_allclose(rows, judge.inputs[:5] / 127.5 - 1, atol=1e-6)
    means = judge.inputs[:5].reshape(5, shape[0], -1).mean(2)
    np.testing.assert_allclose(rows.reshape(5, shape[0], -1).mean(2), means / 127.5 - 1, atol=0.01)


def test_the_signal_of_pictures(judge):
    found = judge.preflight()
    assert found.p < signal.LEVEL and found.accuracy > 0.9 and found.pictures and not found.leaks
    names = [name for name, _ in ((a.name, a.answer) for a in judge.anchors(1, "test"))]
    assert names == ["majority class", "logistic regression", "boosted trees", "nearest neighbours"]


def test_a_wrong_label_is_called_by_its_file_and_a_copy_is_counted():
    base = pictures(120)
    labels, values = base.labels.copy(), base.values.copy()
    plain = PictureLabelJudge(base)
    test, rest = plain.split(1).test, plain.rest
    wrong = rest[10]
    labels[wrong] = (labels[wrong] + 1) % 3
    values[test[0]], values[test[1]] = values[rest[0]], values[rest[1]]
    labels[test[0]], labels[test[1]] = labels[rest[0]], (labels[rest[1]] + 1) % 3
    judge = PictureLabelJudge(Pictures(values, base.shape, "here", labels, base.classes, files=base.files))
    judge.__dict__["rest"] = rest
    object.__setattr__(judge, "split", plain.split)  # the same rows judge, although labels have changed
    found = signal.measure(judge)
    assert found.suspects[0].file == f"{wrong}.png" and found.suspects[0].row == wrong + 1
    assert signal.duplicates(judge) == (2, 1)


def test_without_labels_there_is_nothing_to_predict():
    plain = pictures()
    for table, says in (
        (Pictures(plain.values, plain.shape, "here"), "here has no labels to learn. Put the pictures of each class"),
        (Pictures(plain.values, plain.shape, "here", 0 * plain.labels, ("a",)), "all pictures are 'a'"),
        (plain.rows(slice(20)), "the class 'c' has 6 pictures; at least 10"),
    ):
        with pytest.raises(DataUnfit, match=says):
            _ = PictureLabelJudge(table).labels
