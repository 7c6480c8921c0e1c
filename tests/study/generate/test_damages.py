"""Planted damage of pictures: it does what it says, more does more harm, and copies are the copy test's to see."""

import numpy as np
import pytest
import torch

from whichloss.data import Pictures
from whichloss.study.generate import damages, features, power
from whichloss.study.generate.pictures import PictureJudge

SHAPE = (1, 8, 8)


def bars(n=600, seed=0):
    """Bars of 8 x 8, upright ones and lying ones, over noise of their own."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 40, (n, 8, 8))
    kind, place = rng.integers(0, 2, n), rng.integers(1, 7, n)
    for k in range(n):
        x[k, :, place[k]] = 250 if kind[k] else x[k, :, place[k]]
        x[k, place[k]] = x[k, place[k]] if kind[k] else 250
    return x.reshape(n, -1).astype(np.uint8), kind


@pytest.fixture(scope="module", params=[True, False], ids=["labels", "none"])
def judge(request):
    values, kind = bars()
    old, features.STEPS = features.STEPS, 40
    made = PictureJudge(Pictures(values, SHAPE, "bars", kind if request.param else None, ("a", "b") * request.param))
    made.eyes  # trained under the short recipe
    features.STEPS = old
    return made


@pytest.fixture(scope="module")
def measured(judge):
    return power.measure(judge)


def test_a_gaussian_blurs_a_point_into_its_density():
    point = np.zeros((1, 33 * 33), np.uint8)
    point[0, 16 * 33 + 16] = 255
    out = damages.blurred(point, (1, 33, 33), 1.5).reshape(33, 33)
    at = np.arange(33) - 16
    law = np.exp(-(at**2) / (2 * 1.5**2)) / (1.5 * np.sqrt(2 * np.pi))
    assert out == pytest.approx(255 * law[:, None] * law, abs=1)
    flat = np.full((2, 3 * 8 * 9), 77, np.uint8)
    assert (damages.blurred(flat, (3, 8, 9), 2.0) == 77).all()


def test_blur_keeps_channels_and_pictures_apart():
    x = np.zeros((2, 3, 8, 8), np.uint8)
    x[1, 2] = 200
    assert (damages.blurred(x.reshape(2, -1), (3, 8, 8), 2.0).reshape(x.shape) == x).all()


def test_every_damage_is_planted_from_gentle_to_gross(judge, measured):
    kinds = list(dict.fromkeys(d.kind for d in measured.damages))
    assert kinds == ["grain", "blur", "pixels", "one kind", "hole"]
    for kind in kinds:
        sizes = [d.size for d in measured.damages if d.kind == kind]
        assert sizes == sorted(sizes) and len(sizes) >= 4


def test_more_damage_scores_worse(measured):
    for kind in ("grain", "blur", "pixels", "one kind"):
        harms = [d.harm for d in measured.damages if d.kind == kind]
        assert harms[-1] == max(harms) and harms[-1] > 5 * abs(harms[0])
        assert kind == "grain" or [d for d in measured.damages if d.kind == kind][-1].seen
    assert measured.marginals_seen and measured.enough


def test_one_kind_is_one_class_or_neighbours(judge):
    chosen = damages.alike(judge, 200, np.random.default_rng(0))
    assert np.isin(chosen, judge.rest).all()
    if judge.labelled:
        assert len(np.unique(judge.table.labels[chosen])) == 1
    else:
        points = judge.at(chosen)
        assert float(points.var(0).sum()) < 0.7 * float(judge.at(judge.rest).var(0).sum())


def test_shares_are_of_what_was_there(judge):
    numbers = judge.rest[:100]
    found = {(k, s): x for k, s, x, _ in damages.planted(judge, numbers, 0)}
    clean = judge.at(numbers)
    kept = [float((found["pixels", s] == clean).all(1).double().mean()) for s in damages.SHARES]
    assert kept == sorted(kept, reverse=True) and kept[-1] == 0
    assert kept[0] == pytest.approx(1 - damages.SHARES[0], abs=0.07)
    again = {(k, s): x for k, s, x, _ in damages.planted(judge, numbers, 0)}
    assert all(torch.equal(found[at], again[at]) for at in found)


def test_places_say_which_pictures_a_hole_leaves(judge):
    numbers = judge.rest[:100]
    clean = judge.at(numbers)
    for kind, size, points, places in damages.planted(judge, numbers, 0):
        if kind == "hole":
            assert torch.equal(points, clean[places]) and len(np.unique(places)) <= 100 - round(100 * size)
        else:
            assert np.array_equal(places, np.arange(100))


def test_only_the_copy_test_sees_copies(measured):
    z = [c.harm for c in measured.copies]
    assert z[-1] == max(z) > z[0] and measured.copies[-1].seen and not measured.copies[0].seen
    assert any("training rows" in said for said in measured.facts()["smallest"])


@pytest.mark.parametrize("kind", ["grain", "blur", "pixels", "one kind", "copies"])
def test_damages_of_pictures_are_said_in_words(kind):
    assert power.Damage(kind, 0.2, 0.1, True).says
