"""What a study of pictures keeps beside its scores: nearest pictures, films, shares of classes; what a copy is."""

import json

import msgspec
import numpy as np
import pytest
import torch

from whichloss.data import Pictures
from whichloss.study import goals, work
from whichloss.study.generate import features
from whichloss.study.generate.pictures import FRAMES, SHARE, PictureJudge, floats, nearest
from whichloss.study.plan import Group, Run
from whichloss.study.store import Store

SIDE, D = 8, 64


def digits(n=900, labels=True):
    """Digits of 8 x 8, their labels 0 to 4 or 5 to 9."""
    from sklearn.datasets import load_digits

    x, y = (array[:n] for array in load_digits(return_X_y=True))
    kind = (y > 4).astype(np.int64)
    values = np.rint(x * 255 / 16).astype(np.uint8)
    return Pictures(values, (1, SIDE, SIDE), "digits", kind if labels else None, ("low", "high") * labels)


@pytest.fixture(scope="module")
def judge():
    old, features.STEPS = features.STEPS, 150
    made = PictureJudge(digits())
    made.eyes  # trained under the short recipe
    features.STEPS = old
    return made


def test_features_of_real_pictures_are_seen_once(judge):
    numbers = np.array([7, 3, 899, 3])
    assert torch.allclose(judge.at(numbers), judge.place(judge.table.values[numbers]), rtol=1e-4, atol=1e-5)


def one_pixel(x, rng):
    x = x.copy()
    x[np.arange(len(x)), rng.integers(0, D, len(x))] ^= 128
    return x


def moved(x, down, right):
    return np.roll(x.reshape(-1, SIDE, SIDE), (down, right), axis=(1, 2)).reshape(len(x), -1)


COPIES = {
    "the same": lambda x, rng: x,
    "one pixel changed": one_pixel,
    "mirrored": lambda x, rng: x.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(len(x), -1),
    "moved left": lambda x, rng: moved(x, 0, -1),
    "moved down": lambda x, rng: moved(x, 1, 0),
    "noise of 3 levels": lambda x, rng: (x + rng.normal(0, 3, x.shape)).clip(0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("how", COPIES)
def test_the_copy_test_knows_a_copy(judge, how):
    rng = np.random.default_rng(1)
    train = judge.table.values[judge.split(1).train]
    copied = np.ascontiguousarray(COPIES[how](train[rng.integers(0, len(train), 80)], rng))
    assert judge.copies(copied, 1)["copy test p"] < 0.01


def test_fresh_pictures_are_no_copies(judge):
    p = [judge.copies(judge.table.values[judge.split(s).validation], s)["copy test p"] for s in range(1, 6)]
    assert min(p) > 0.01


def test_the_nearest_training_pictures_are_kept(judge):
    train = judge.split(1).train
    copied = judge.table.values[train[5 : 5 + FRAMES]]
    kept = judge.kept(copied, 1)
    assert kept["near"].tolist() == kept["near in pixels"].tolist() == train[5 : 5 + FRAMES].tolist()
    assert kept["distance"] == pytest.approx(np.zeros(FRAMES), abs=1e-3)
    fresh = judge.kept(judge.table.values[judge.split(1).validation], 1)
    assert np.isin(fresh["near"], train).all() and 0.3 < np.median(fresh["distance"]) < 3


def test_nearest_rows_are_those_of_every_block(monkeypatch):
    from whichloss.study.generate import pictures

    monkeypatch.setattr(pictures, "BLOCK", 7)
    rng = np.random.default_rng(0)
    rows, some = rng.integers(0, 256, (40, 5)).astype(np.uint8), rng.integers(0, 256, (6, 5)).astype(np.uint8)
    among = rng.permutation(40)[:30]
    apart = ((some[:, None].astype(float) - rows[among]) ** 2).sum(2)
    far, place = nearest(floats(some), among, lambda part: floats(rows[part]))
    assert place.tolist() == apart.argmin(1).tolist()
    assert far.numpy() == pytest.approx(np.sqrt(apart.min(1)))


def test_shares_of_classes_are_counted_beside_real_ones(judge):
    rows, labels = judge.table.values, judge.table.labels
    test = judge.split(1).test
    half = judge.shares(rows[judge.split(1).validation], 1, "test")
    assert half["classes told right"] > 0.9
    low = judge.shares(rows[test][labels[test] == 0], 1, "test")
    assert low[f"{SHARE}low"] > 0.9 and half["class share difference"] < 0.2 < low["class share difference"]
    for found in (half, low):
        assert found[f"{SHARE}low"] + found[f"{SHARE}high"] == pytest.approx(1)
    real = judge.shares(rows[judge.numbers(1, "test")], 1, "test")
    assert real["class share difference"] == 0


def test_pictures_without_labels_have_no_classes_to_count():
    judge = PictureJudge(digits(40, labels=False))
    assert judge.counter is None


@pytest.fixture
def folder(tmp_path, judge):
    judge.table.save(tmp_path / "data.safetensors")
    judge.eyes.save(tmp_path / "features.safetensors")
    plan = {"goal": "generate", "asked": {"shape": judge.table.shape}}
    (tmp_path / "plan.json").write_text(json.dumps({"plan": plan}))
    goals.judge_of.cache_clear()
    yield tmp_path
    goals.judge_of.cache_clear()


def test_a_killed_run_keeps_its_film(folder, monkeypatch):
    runs = tuple(Run(data="d", objective="gan", code="c", setting={}, seed=s, flops=2e8, width=16) for s in (1, 2))
    job = work.Job(str(folder), Group("screen", runs))
    trainer = work.Trainer(job, lambda message: None)
    trainer.run()
    record, whole = Store(folder).read(runs[1].id)
    assert whole["film"].shape == (4, FRAMES, D) and record["film"][-1] == 1.0
    assert not np.array_equal(whole["film"][0], whole["film"][3])
    for run in runs:
        Store(folder).path(run.id).unlink()

    class Killed(BaseException):
        pass

    killed, save = work.Trainer(job, lambda message: None), work.Trainer.save

    def cut(self, state):
        save(self, state)
        if len(self.scores) == 2:
            raise Killed

    monkeypatch.setattr(work.Trainer, "save", cut)
    with pytest.raises(Killed):
        killed.run()
    monkeypatch.setattr(work.Trainer, "save", save)
    work.Trainer(job, lambda message: None).run()
    again, arrays = Store(folder).read(runs[1].id)
    assert np.array_equal(arrays["film"], whole["film"]) and again["film"] == record["film"]
    assert msgspec.json.encode(again["metrics"]) == msgspec.json.encode(record["metrics"])


def test_what_a_gan_draws_between_is_kept(folder):
    run = Run(data="d", objective="gan", code="c", setting={}, seed=1, flops=2e8, width=16)
    work.Trainer(work.Job(str(folder), Group("screen", (run,))), lambda message: None).run()
    arrays = Store(folder).read(run.id)[1]
    assert arrays["between"].shape == (36, D) and arrays["between"].dtype == np.uint8
    assert "real rebuilt" not in arrays


def test_an_autoencoder_keeps_what_it_rebuilds(folder):
    run = Run(data="d", objective="ebgan", code="c", setting={}, seed=1, flops=2e8, width=16)
    work.Trainer(work.Job(str(folder), Group("screen", (run,))), lambda message: None).run()
    arrays = Store(folder).read(run.id)[1]
    assert {arrays[name].shape for name in ("real", "real rebuilt", "drawn", "drawn rebuilt")} == {(8, D)}
    test = goals.judge_of(str(folder)).split(0).test
    assert np.isin(arrays["real"].view("V64").ravel(), goals.judge_of(str(folder)).table.values[test].view("V64")).all()


@pytest.mark.parametrize("objective", ["gan", "ebgan"])
def test_ways_and_rebuilt_pictures_are_given_their_classes(folder, objective):
    plan = {"goal": "generate", "asked": {"shape": [1, SIDE, SIDE], "given": "label"}}
    (folder / "plan.json").write_text(json.dumps({"plan": plan}))
    run = Run(data="d", objective=objective, code="c", setting={}, seed=1, flops=2e8, width=16)
    work.Trainer(work.Job(str(folder), Group("screen", (run,))), lambda message: None).run()
    arrays = Store(folder).read(run.id)[1]
    assert arrays["between"].shape == (36, D) and ("drawn rebuilt" in arrays) == (objective == "ebgan")
