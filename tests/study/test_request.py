"""What is asked for becomes a plan: what the budget "quick" takes of pictures, and what it says of that."""

import numpy as np
import pytest

from whichloss.data import Pictures, read_pictures
from whichloss.objectives import available, find
from whichloss.study.request import quick, request
from whichloss.task import Task


def made(n: int, *shape: int) -> Pictures:
    """n pictures (H, W) or (H, W, C) of noise."""
    return read_pictures(np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8))


def test_quick_takes_ten_thousand_pictures_at_random_and_says_so(monkeypatch):
    monkeypatch.setattr("whichloss.study.request.QUICK_PICTURES", 100)
    pictures = made(300, 8, 8)
    taken = quick(pictures, resize=True)
    rows = [np.flatnonzero((pictures.values == picture).all(1)).item() for picture in taken.values]
    assert rows == sorted(set(rows)) and len(rows) == 100
    assert np.diff(rows).max() < 20 and set(np.diff(rows)) != {3}
    assert taken.notes[0] == "100 of the 300 pictures were drawn at random."
    assert taken.notes[-1].endswith("takes up to 100 pictures: --budget standard takes all.")
    assert quick(taken, resize=True) is taken


@pytest.mark.parametrize(
    ("shape", "small"),
    [((32, 32), (1, 16, 16)), ((24, 48, 3), (3, 8, 16)), ((16, 12), (1, 16, 12)), ((64, 9), (1, 16, 8))],
)
def test_quick_takes_sixteen_pixels_on_the_longer_side_and_never_enlarges(shape, small):
    pictures = made(30, *shape)
    taken = quick(pictures, resize=True)
    assert taken.shape == small
    assert len(taken.notes) == 2 * (max(shape[:2]) > 16)
    if max(shape[:2]) > 16:
        h, w = shape[:2]
        kept = f"--size {h} (in Python: size={h})" if h == w else f"--size {h}x{w} (in Python: size=({h}, {w}))"
        assert f"{kept} keeps their size" in taken.notes[-1]
    assert quick(pictures, resize=False) is pictures


def test_whole_blocks_become_their_means():
    pictures = made(30, 32, 32)
    blocks = pictures.values.reshape(30, 16, 2, 16, 2).mean(axis=(2, 4))
    taken = quick(pictures, resize=True).values.reshape(30, 16, 16)
    assert np.abs(taken - blocks).max() <= 0.5


@pytest.mark.parametrize(("options", "side"), [({}, 16), ({"side": 20}, 20), ({"size": 1e12}, 28)])
def test_only_the_budget_quick_without_a_size_reduces(options, side):
    pictures = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    asked = request(pictures, objectives=["gan"], **options)
    assert asked.judge.task.shape == (1, side, side)


@pytest.mark.parametrize("name", available("generate"))
def test_pictures_have_their_own_defaults_and_settings_come_before_them(name):
    kind = find(name)
    rows, pictures = Task("generate", 64, 100), Task("generate", 64, 100, shape=(1, 8, 8))
    assert kind.suited(rows) == kind()
    assert {f: getattr(kind.suited(pictures), f) for f in kind.pictures} == dict(kind.pictures)
    assert not set(kind.pictures) & set(kind.search)
    for field, value in kind.pictures.items():
        assert getattr(kind.suited(pictures, **{field: value + 1}), field) == value + 1
