"""Pictures in a study: their features, their judge, their simple models, and what is refused."""

import numpy as np
import pytest
import torch

from whichloss.comparison import side_of
from whichloss.data import Pictures
from whichloss.errors import UserError
from whichloss.study.generate import features
from whichloss.study.generate.features import Features, turned
from whichloss.study.generate.pictures import PictureJudge
from whichloss.study.request import request


def drawn(n=240, seed=0, labels=False):
    """Bars of 8 x 8: upright ones and lying ones."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 40, (n, 1, 8, 8)).astype(np.uint8)
    kind, place = rng.integers(0, 2, n), rng.integers(1, 7, n)
    for k in range(n):
        x[k, 0, :, place[k]] = 250 if kind[k] else x[k, 0, :, place[k]]
        x[k, 0, place[k], :4] = x[k, 0, place[k], :4] if kind[k] else 250
    return Pictures(x.reshape(n, -1), (1, 8, 8), "bars", kind if labels else None, ("lying", "upright") * labels)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(features, "STEPS", 20)


def test_turned_pictures_are_quarter_turns_or_flips_of_oblong_ones():
    x = np.arange(2 * 9, dtype=np.uint8).reshape(2, 9)
    rows, way = turned(x, (1, 3, 3))
    assert way.tolist() == [0, 0, 1, 1, 2, 2, 3, 3] and (rows[:2] == x).all()
    assert (rows[4] == x[0, ::-1]).all()  # half a turn
    oblong, _ = turned(np.arange(6, dtype=np.uint8)[None], (1, 2, 3))
    assert oblong.tolist() == [[0, 1, 2, 3, 4, 5], [3, 4, 5, 0, 1, 2], [2, 1, 0, 5, 4, 3], [5, 4, 3, 2, 1, 0]]


def test_features_are_the_same_wherever_they_are_seen(tmp_path):
    pictures = drawn()
    found = features.learned(pictures, np.arange(200))
    again = features.learned(pictures, np.arange(200))
    assert found.kind == "turns" and (found.weights == again.weights).all()
    found.save(tmp_path / "f.safetensors")
    loaded = Features.load(tmp_path / "f.safetensors")
    assert loaded.fingerprint == found.fingerprint
    assert torch.equal(loaded.of(pictures.values), found.of(pictures.values))
    assert features.learned(drawn(labels=True), np.arange(200)).kind == "labels"


def test_a_judge_tells_noise_from_pictures():
    judge = PictureJudge(drawn(400))
    noise = np.random.default_rng(1).integers(0, 256, (80, 64)).astype(np.uint8)
    fresh = {a.name: a.answer for a in judge.anchors(1, "test")}
    score = {name: judge.score(rows, 1, "test").value for name, rows in fresh.items()}
    assert set(fresh) == set(judge.roles) and all(rows.dtype == np.uint8 for rows in fresh.values())
    assert judge.score(noise, 1, "test").value > 5 * abs(score["fresh real rows"])
    described = judge.describe(fresh["fresh real rows"], 1, "test")
    assert "Frechet distance (turn features)" in described and "KID (turn features)" in described


def test_what_belongs_to_tables_is_refused():
    with pytest.raises(UserError, match="--target 'y': pictures have one label"):
        request(drawn(), target="y")
    with pytest.raises(UserError, match="--metric belongs to the goal 'classify'"):
        request(drawn(), metric="auroc")
    for option, value in (("drop", ("a",)), ("outliers", "o.csv")):
        with pytest.raises(UserError, match=f"--{option} belongs to tables; bars holds pictures"):
            request(drawn(), **{option: value})
    with pytest.raises(UserError, match="--size is the side of pictures"):
        request({"a": list(range(40))}, side=16)


def test_sizes_as_they_are_typed():
    assert side_of(None) is None and side_of("16") == 16 and side_of("24x16") == (24, 16)
    with pytest.raises(UserError, match="--size '16y': give one whole number"):
        side_of("16y")


def test_simple_models_see_every_class_although_folders_come_class_by_class(monkeypatch):
    from whichloss.study.generate import anchors

    monkeypatch.setattr(anchors, "FIT", 60)
    labels = np.repeat([0, 1], 120)
    values = np.where(labels, 200, 20).astype(np.uint8)[:, None] + np.random.default_rng(0).integers(0, 30, (240, 64))
    judge = PictureJudge(Pictures(values.astype(np.uint8), (1, 8, 8), "shades", labels, ("dark", "light")))
    for anchor in judge.anchors(1, "test"):
        bright = (anchor.answer > 120).mean()
        assert 0.3 < bright < 0.7, anchor.name
        first = anchor.answer[: len(anchor.answer) // 2].mean(1) > 120
        assert 0 < first.mean() < 1 or anchor.name == "independent marginals", anchor.name


def test_a_study_goes_on_with_the_features_it_has(tmp_path):
    judge = PictureJudge(drawn())
    other = Features((1, 8, 8), 4, "turns", judge.eyes.weights + 1, 0.5, 0.25)
    other.save(tmp_path / "features.safetensors")
    assert judge.resumed(tmp_path).eyes.fingerprint == other.fingerprint
    (tmp_path / "features.safetensors").write_bytes(b"damaged")
    assert judge.resumed(tmp_path) is judge and judge.resumed(tmp_path / "none") is judge


def test_workers_of_a_study_share_what_they_know_of_all_pictures(tmp_path, monkeypatch):
    alone = PictureJudge(drawn())
    first, second = (PictureJudge(drawn(), alone.eyes, folder=tmp_path) for _ in range(2))
    fresh = {a.name: a.answer for a in first.anchors(1, "test")}["fresh real rows"]
    known = first.at(np.arange(9)), first.copies(fresh, 1)
    files = sorted(path.name.partition("-")[0] for path in (tmp_path / "partial").iterdir())
    assert files == ["features", "thumbnails"]
    with monkeypatch.context() as blind:
        blind.setattr(Features, "of", None)
        assert torch.equal(second.at(np.arange(9)), known[0])
    assert second.copies(fresh, 1) == known[1] == alone.copies(fresh, 1)
    assert torch.equal(alone.at(np.arange(9)), known[0])


def test_classes_that_hardly_any_picture_has_are_not_counted():
    whole = drawn(labels=True)
    one = np.zeros(len(whole), np.int64)
    one[PictureJudge(whole).split(1).test[0]] = 1
    judge = PictureJudge(Pictures(whole.values, whole.shape, "bars", one, ("lying", "upright")))
    assert judge.counter is None and "class share difference" not in judge.shares(whole.values[:40], 1, "test")


def test_pictures_that_were_seen_last_are_not_seen_again(monkeypatch):
    judge, seen = PictureJudge(drawn()), []
    of = Features.of
    monkeypatch.setattr(Features, "of", lambda self, values: (seen.append(len(values)), of(self, values))[1])
    rows = judge.table.values[:40].copy()
    first = judge.place(rows)
    assert judge.place(rows) is first and judge.place(rows.copy()) is not first and seen.count(40) == 2


def test_a_refused_study_leaves_nothing_behind(tmp_path):
    from whichloss.study.request import forget
    from whichloss.study.run import claim
    from whichloss.study.store import Store

    asked = request(drawn(), out=tmp_path / "run", objectives=["gan"])
    store = Store(tmp_path / "run")
    with store.lock():
        judge = claim(store, asked.plan, asked.judge, "")
        assert (tmp_path / "run" / "features.safetensors").exists()
        forget(tmp_path / "run", asked.plan, judge)
    assert [path.name for path in (tmp_path / "run").iterdir()] in ([], [".lock"])
