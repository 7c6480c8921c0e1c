"""Where training happens: what is named, what is there, and nothing of a step anywhere else."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.train import place

NAMES = (
    "gan",
    "ddpm",
    "wgan-gp",
    "pcd",
    "cross-entropy",
)  # of every kind: a network in a loss, a slope, chains, labels


@pytest.fixture(autouse=True)
def fresh():
    place.device.cache_clear()
    yield
    place.device.cache_clear()


def test_the_named_device_is_taken_and_else_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.delenv(place.VARIABLE, raising=False)
    assert place.device() == torch.device("cuda" if torch.cuda.is_available() else "cpu")
    place.device.cache_clear()
    monkeypatch.setenv(place.VARIABLE, "cpu")
    assert place.device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "nonsense"])
def test_a_device_that_is_not_there_is_refused(monkeypatch, name):
    monkeypatch.setenv(place.VARIABLE, name)
    with pytest.raises(UserError, match=f"{place.VARIABLE} is '{name}', and nothing can be trained there"):
        place.device()


def test_a_precision_that_is_unknown_is_refused(monkeypatch):
    monkeypatch.setenv(place.PRECISION, "half")
    with pytest.raises(UserError, match=f"{place.PRECISION} is 'half'; give bfloat16, or float32"):
        place.precision()


def test_draws_go_where_the_context_says():
    with torch.device("meta"):
        assert Rng.of(1).normal("x", (2, 3)).device.type == "meta"
        assert Rng.of(1, 2).at(3).key.device.type == "cpu"
    assert Rng.of(1).normal("x", (2, 3)).device.type == "cpu"


def test_a_step_and_a_sample_stay_on_the_device_and_come_back():
    """On fake tensors of a device that this machine lacks: two devices in one operation raise."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("on_a_device.py"), *NAMES], capture_output=True, text=True
    )
    assert done.stdout.split() == list(NAMES), done.stderr[-2000:]
