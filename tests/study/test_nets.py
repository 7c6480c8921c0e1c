"""A person's own networks: read from a file, tried before anything runs, part of a run's name."""

import threading

import pytest
from torch import nn

from whichloss.data import read
from whichloss.errors import UserError
from whichloss.study.budget import budget
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.nets import load_file, own_networks, packed
from whichloss.study.run import make_plan

FILE = """
import torch
from torch import nn

SLOPE = 0.2

class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.line = nn.Linear(inputs, outputs)

    def forward(self, x):
        return nn.functional.leaky_relu(self.line(x), SLOPE)

def D(inputs, outputs):
    return nn.Sequential(Block(inputs, 16), nn.Linear(16, outputs))

def _helper(a, b):
    return None
"""


@pytest.fixture(scope="module")
def judge():
    return SampleJudge(read("toy:moons:300"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "nets.py"
    path.write_text(FILE)
    return path


def codes(judge, nets, objectives=("gan", "flow-matching")):
    return make_plan(judge, budget("quick"), objectives, nets).codes


def test_a_file_gives_its_makers_by_role(file):
    nets = load_file(file)
    assert list(nets) == ["D"]
    assert own_networks(packed(nets))["D"](3, 1)(__import__("torch").zeros(2, 3)).shape == (2, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "defines no maker"),
        ("def D(x): return x", "defines no maker"),
        ("import nowhere_at_all", "cannot be imported"),
        ("def D(:", "cannot be imported"),
    ],
)
def test_files_that_are_none(tmp_path, text, says):
    path = tmp_path / "nets.py"
    path.write_text(text)
    with pytest.raises(UserError, match=f"--nets.*{says}"):
        load_file(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="--nets.*does not exist"):
        load_file(tmp_path / "nets.py")


def broken(inputs, outputs):
    raise ZeroDivisionError("no")


def untrue(inputs, outputs):
    return 3


def narrow(inputs, outputs):
    return nn.Linear(inputs + 1, outputs)


def wide(inputs, outputs):
    return nn.Linear(inputs, outputs + 1)


@pytest.mark.parametrize(
    ("maker", "says"),
    [(broken, r"called with \(2, 1\), raised ZeroDivisionError: no"),
     (untrue, "must return a torch.nn.Module; got int"),
     (narrow, r"fails on \(2, 2\)"),
     (wide, r"into \(2, 2\); it must be \(2, 1\)")],
)  # fmt: skip
def test_a_wrong_maker_is_named_before_anything_runs(judge, maker, says):
    with pytest.raises(UserError, match=f"maker of D.*{says}"):
        make_plan(judge, budget("quick"), ["gan"], {"D": maker})


def test_a_role_that_nobody_has(judge):
    with pytest.raises(UserError, match="makes Q, which no objective here uses.*D, G"):
        make_plan(judge, budget("quick"), ["gan"], {"Q": wide})


def test_makers_that_cannot_be_sent():
    lock = threading.Lock()
    with pytest.raises(UserError, match="cannot be sent to a worker"):
        packed({"D": lambda inputs, outputs: lock and nn.Linear(inputs, outputs)})


def test_runs_are_named_after_the_networks_they_use(judge):
    bare, own = codes(judge, None), codes(judge, {"D": nn.Linear})
    assert bare["gan"] != own["gan"]
    # nothing to do with D, yet its networks are asked for under other names
    assert make_plan(judge, budget("quick"), ["flow-matching"], None).codes["flow-matching"]


def test_widths_in_a_closure_count(judge):
    def sized(width):
        return lambda inputs, outputs: nn.Sequential(nn.Linear(inputs, width), nn.Linear(width, outputs))

    def scaled(slope):
        def maker(inputs, outputs):
            return nn.Sequential(nn.Linear(inputs, 8), Slope(slope), nn.Linear(8, outputs))

        return maker

    assert codes(judge, {"D": sized(8)}) == codes(judge, {"D": sized(8)})
    assert codes(judge, {"D": sized(8)})["gan"] != codes(judge, {"D": sized(9)})["gan"]
    assert codes(judge, {"D": scaled(0.1)})["gan"] != codes(judge, {"D": scaled(0.2)})["gan"]


class Slope(nn.Module):
    """What its repr does not tell: the slope."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        return x * self.slope


@pytest.mark.parametrize(("old", "new"), [("SLOPE = 0.2", "SLOPE = 0.3"), ("leaky_relu(", "leaky_relu(2 * ")])
def test_an_edited_file_has_other_runs(judge, file, old, new):
    before = codes(judge, load_file(file))
    assert codes(judge, load_file(file)) == before
    file.write_text(FILE.replace(old, new))
    after = codes(judge, load_file(file))
    assert after["gan"] != before["gan"] and after["flow-matching"] == before["flow-matching"]


LAYERS = {
    "drops units": lambda i, o: nn.Sequential(nn.Linear(i, 8), nn.Dropout(0.5), nn.Linear(8, o)),
    "running means": lambda i, o: nn.Sequential(nn.Linear(i, 8), nn.BatchNorm1d(8), nn.Linear(8, o)),
    "spectral": lambda i, o: nn.utils.parametrizations.spectral_norm(nn.Linear(i, o)),
}


@pytest.mark.parametrize("says", LAYERS)
def test_layers_whose_state_escapes_the_seed_are_refused(small, tmp_path, says):
    with pytest.raises(UserError, match=says):
        small(tmp_path / "run", objectives=["gan"], nets={"G": LAYERS[says]})


def test_batch_norm_without_running_statistics_is_welcome(small, tmp_path):
    def maker(inputs, outputs):
        return nn.Sequential(
            nn.Linear(inputs, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.ReLU(), nn.Linear(8, outputs)
        )

    study = small(tmp_path / "run", objectives=["gan"], nets={"G": maker}, size=1e7)
    assert study.rows[0].failures == 0
    dim = study.data.dim
    assert study.rows[0].parameters["G"] == (8 * 8 + 8) + 2 * 8 + (8 * dim + dim)
