"""What pictures are compared by: which recipe is taken, that it has learned, that it is the same everywhere."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import whichloss
from whichloss.data import Pictures, read_pictures, split
from whichloss.errors import UserError
from whichloss.nets import efficientnet
from whichloss.study.generate import features
from whichloss.study.generate.features import LITE, Features, check_asked, learned
from whichloss.study.generate.pictures import PictureJudge
from whichloss.study.request import request


def bars(n=400, seed=0, labels=False, channels=1):
    """Bars of 8 x 8 in the upper left half: upright ones and lying ones."""
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 40, (n, channels, 8, 8)).astype(np.uint8)
    kind, place = generator.integers(0, 2, n), generator.integers(0, 3, n)
    for k in range(n):
        x[k, 0, : 5 if kind[k] else place[k] + 1, place[k] if kind[k] else 0 : place[k] + 1 if kind[k] else 5] = 250
    return Pictures(x.reshape(n, -1), (channels, 8, 8), "bars", kind if labels else None, ("lying", "upright") * labels)


def discs(n=400, labels=False):
    """Round pictures, which look the same however they are turned; labels that say nothing."""
    generator = np.random.default_rng(1)
    far = np.hypot(*(np.mgrid[:8, :8] - 3.5))
    x = 250 * np.exp(-((far - generator.uniform(0, 4, n)[:, None, None]) ** 2) / 2)
    kind = generator.integers(0, 2, n) if labels else None
    return Pictures(x.astype(np.uint8).reshape(n, -1), (1, 8, 8), "discs", kind, ("a", "b") * labels)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(features, "STEPS", 60)


def test_the_first_recipe_that_learns_is_taken(quick):
    rows = np.arange(320)
    found = {
        "labels": learned(bars(labels=True), rows),
        "turns": learned(bars(), rows),
        "random": learned(discs(), rows),
    }
    for kind, one in found.items():
        assert one.kind == kind and one.of(bars().values[:7]).shape[0] == 7
    assert found["labels"].accuracy > 0.9 and found["turns"].accuracy > 0.6
    assert found["random"].accuracy == pytest.approx(0.25) and found["random"].learned == pytest.approx(0)
    assert "learned neither labels nor how pictures were turned" in found["random"].said
    assert learned(discs(labels=True), rows).kind == "random"  # labels that say nothing are not trusted
    assert learned(bars(labels=True), rows, "turns").kind == "turns"
    assert learned(discs(), rows, "turns").kind == "turns"  # what is asked for is done
    assert learned(bars(), rows, "random").kind == "random"


def test_test_rows_change_nothing(quick):
    pictures = bars()
    other = Pictures(np.where(np.arange(400)[:, None] < 320, pictures.values, 0), (1, 8, 8))
    assert learned(pictures, np.arange(320)).fingerprint == learned(other, np.arange(320)).fingerprint


SAME = """
import sys, torch
torch.set_num_threads(int(sys.argv[1]))
from whichloss.study.generate import features
features.STEPS = 30
from test_features import bars
import numpy as np
print(features.learned(bars(), np.arange(320)).fingerprint, torch.get_num_threads())
"""


def test_they_are_the_same_in_every_process_on_any_number_of_threads(monkeypatch):
    here = Path(__file__).parent
    env = os.environ | {"PYTHONPATH": f"{Path(whichloss.__file__).parents[1]}{os.pathsep}{here}"}
    found = subprocess.run([sys.executable, "-c", SAME, "2"], env=env, capture_output=True, text=True, timeout=60)
    monkeypatch.setattr(features, "STEPS", 30)
    here_and_now = learned(bars(), np.arange(320)).fingerprint
    assert found.stdout.split() == [here_and_now, "2"]  # and it leaves the number of threads as it was


def test_stacked_pictures_are_seen_channel_by_channel(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "STEPS", 150)
    pictures = read_pictures("toy:stacked:2000")
    test = split(pictures, seed=1).test
    found = learned(pictures, np.setdiff1d(np.arange(2000), test))
    assert found.kind == "channels" and found.classes == 10
    assert features.of_channels(pictures.labels[:1], 1000).tolist() == [
        [int(d) for d in pictures.classes[pictures.labels[0]].split("+")]
    ]
    right = found.told(pictures.values[test]) == features.of_channels(pictures.labels[test], 1000)
    assert right.mean() > 0.85 and abs(right.mean() - found.accuracy) < 0.06
    x = np.asarray(pictures.values[:4])
    one, swapped = found.of(x), found.of(x.reshape(4, 3, 64)[:, ::-1].reshape(4, -1))
    assert torch.allclose(one.view(4, 3, -1).flip(1), swapped.view(4, 3, -1), atol=1e-5)
    found.save(tmp_path / "f")
    again = Features.load(tmp_path / "f")
    assert again.fingerprint == found.fingerprint and again.accuracy == found.accuracy
    judge = PictureJudge(pictures, again)
    real = judge.toy(np.asarray(pictures.values))
    assert real["modes"] == 1000 and abs(real["modes covered"] - real["modes covered at best"]) < 60
    assert abs(real["KL of modes"] - real["KL floor"]) < 0.1
    collapsed = judge.toy(np.repeat(pictures.values[:1], 2000, axis=0))
    assert collapsed["modes covered"] == 1 and collapsed["KL of modes"] == pytest.approx(np.log(1000))
    assert judge.score_name == "MMD^2 of channel features" and "right, guessing" in judge.method[-1]


def test_what_cannot_be_asked_is_said(monkeypatch):
    with pytest.raises(UserError, match="--features 'turn': did you mean 'turns'"):
        check_asked(bars(), "turn")
    with pytest.raises(UserError, match="bars has no labels. Put each class into a sub-folder"):
        check_asked(bars(), "labels")
    with pytest.raises(UserError, match="--features are what pictures are compared by; this data is a table"):
        request({"a": list(range(40))}, features="turns")
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    efficientnet.pretrained.cache_clear()
    with pytest.raises(UserError, match=r"need the package no-such-package: pip install 'whichloss\[features\]'"):
        request(bars(), features=LITE)
    efficientnet.pretrained.cache_clear()
    assert request(bars(), features="turns").plan.asked["features"] == "turns"
    assert "features" not in request(bars()).plan.asked


def test_a_damaged_file_is_said(tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(UserError, match="missing, damaged or holds no features"):
        Features.load(tmp_path / "f")


@pytest.mark.skipif(find_spec(efficientnet.PACKAGE) is None, reason="the extra 'features' is not installed")
def test_the_large_network_sees_every_shape(tmp_path):
    grey = learned(bars(30), np.arange(20), LITE)
    seen = grey.of(bars(30).values)
    assert seen.shape == (30, 1280) and seen.dtype == torch.float64 and (seen >= 0).all()
    assert grey.name == "EfficientNet-Lite0 features"
    grey.save(tmp_path / "f")
    assert torch.equal(Features.load(tmp_path / "f").of(bars(30).values), seen)
    large = bars(30).values.reshape(30, 1, 8, 8).repeat(3, axis=1)  # grey is colour with three equal channels
    x = torch.nn.functional.interpolate(torch.from_numpy(large).float(), (64, 64), mode="bilinear")
    assert torch.allclose(seen, efficientnet.pretrained()(x).double(), atol=1e-4)
    assert torch.equal(Features((3, 8, 8), 0, LITE, grey.weights).of(large.reshape(30, -1)), seen)
    oblong = Features((1, 8, 4), 0, LITE, grey.weights)
    assert oblong.of(np.zeros((2, 32), np.uint8)).shape == (2, 1280)
