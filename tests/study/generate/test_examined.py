"""What only the model can tell: does its density fit real rows, and do its samples follow its density?"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from whichloss.data import read
from whichloss.objectives.base import Adam, Generative, Update
from whichloss.rng import Rng
from whichloss.study.generate.judge import CELLS, SampleJudge
from whichloss.train import Lanes


@dataclass(frozen=True)
class Normal(Generative):
    """E = |x|^2 / 2, sampled at temperature `heat`."""

    heat: float = 1.0
    tilt: float = 0.0
    scores: ClassVar = "energy"

    def networks(self, task, build):
        return {"f": nn.Linear(1, 1)}

    def updates(self):
        return [Update(("f",), lambda nets, batch, rng: batch.x.sum(), Adam(1e-3))]

    def sample(self, nets, shape, rng):
        return self.heat**0.5 * rng.normal("x", shape)

    def score(self, nets, x):
        return ((x - self.tilt) ** 2).sum(1) / 2


@pytest.fixture(scope="module")
def judge():
    x = np.random.default_rng(0).normal(size=(1000, 2))
    return SampleJudge(read({"a": 3 + 2 * x[:, 0], "b": x[:, 1]}))


def lanes_of(judge, objective):
    encoder, rows = judge.encoded(judge.split(1).train)
    rng = Rng(Rng.of(1).key.reshape(1))
    made = Lanes(
        objective, judge.task, lambda *a, **k: None, rng, rows[None], torch.tensor([len(rows)]), torch.zeros(1, 2)
    )
    return made, encoder, made.start().weights


@pytest.mark.parametrize("heat", [0.25, 1.0, 4.0])
def test_the_temperature_of_samples_is_that_at_which_they_were_drawn(judge, heat):
    lanes, encoder, weights = lanes_of(judge, Normal(heat))
    found = judge.examined(lanes, encoder, 1, weights, "test")
    assert found["temperature of samples"] == pytest.approx(heat, rel=0.1)


def test_the_stein_discrepancy_sees_a_shifted_density(judge):
    right, wrong = (judge.examined(*lanes_of(judge, Normal(tilt=t))[:2], 1, {}, "test") for t in (0.0, 0.7))
    assert abs(right["Stein discrepancy"]) < 0.05 < 0.2 < wrong["Stein discrepancy"]


def test_a_map_is_the_energy_over_the_users_columns(judge):
    lanes, encoder, weights = lanes_of(judge, Normal())
    found = judge.maps(lanes, encoder, weights)
    assert found["energy"].shape == (CELLS, CELLS)
    (left, bottom), (right, top) = found["energy box"]
    least = np.unravel_index(found["energy"].argmin(), (CELLS, CELLS))
    at = left + (right - left) * least[0] / (CELLS - 1), bottom + (top - bottom) * least[1] / (CELLS - 1)
    assert at == pytest.approx((3, 0), abs=0.3)
    corner = encoder.encode(np.array([[left, bottom]]))
    assert found["energy"][0, 0] == pytest.approx((corner**2).sum() / 2, rel=1e-4)


def test_whole_numbers_have_no_density():
    whole = np.random.default_rng(0).integers(0, 50, 500)
    judge = SampleJudge(read({"a": whole, "b": np.random.default_rng(1).normal(size=500)}))
    lanes, encoder, weights = lanes_of(judge, Normal())
    assert judge.examined(lanes, encoder, 1, weights, "test") == {}
