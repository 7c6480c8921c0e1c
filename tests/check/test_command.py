"""The command and the Python call: exit codes, JSON, one screen; lambdas, closures, partials, modules, notebooks."""

import json
import subprocess
import sys
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from command import Command
from torch import nn

import whichloss
from whichloss.check.answer import Answer, Counterexample, Gradient, numbers

MINE = """
import torch.nn.functional as F
def right(fake):
    return F.softplus(-fake).mean()
def wrong(D, G, z):
    fake = G(z)
    return F.mse_loss(D(fake), fake.detach())
"""
FIELDS = (
    "loss function verdict says formula why fix variant term factor constant options arguments checks counterexample "
    "notes card seconds same"
)


@pytest.fixture
def mine(tmp_path):
    """A file of a person's losses."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


@pytest.fixture
def command(capsys):
    """`whichloss …` in this process."""
    return Command(capsys)


def test_what_differs_exits_with_4_on_one_screen(command, mine):
    out, _ = command("check", f"{mine}:wrong", "--as", "ebgan-generator", code=4)
    lines = out.splitlines()
    assert lines[0].startswith("DIFFERS: ") and len(lines) <= 40
    assert all(len(line) <= 100 for line in lines[1:])
    for row in ("formula", "why", "fix", "at", "value", "gradient", "arguments", "holds", "fails", "card"):
        assert any(line.startswith(f"  {row} ") for line in lines), row


def test_what_is_equal_exits_with_0_and_json_has_the_same_fields_whatever_holds(command, mine):
    out, err = command("check", f"{mine}:right", "--as", "bce-generator", "--args", "fake=fake", "--json")
    right = json.loads(out)
    assert err == "" and list(right) == FIELDS.split()
    assert right["same"] is True and right["verdict"] == "equal" and right["counterexample"] is None
    assert 0 < right["seconds"] < 30
    seen = Counterexample({"fake": "[0]"}, "1", "2", [Gradient("fake", "[0]", "[1]")])
    wrong = json.loads(Answer("pull-away", "f", "different", "says", "formula", counterexample=seen).json())
    assert list(wrong) == FIELDS.split() and wrong["same"] is False
    assert list(wrong["counterexample"]) == ["inputs", "yours", "formula", "gradients"]
    assert list(wrong["counterexample"]["gradients"][0]) == ["role", "yours", "formula"]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["{}:right", "--as", "bce-generator", "--args", "fake"], "should look like real=x,fake=y"),
        (["{}:right", "--as", "bce-generator", "--seconds", "0"], "seconds = 0.0 must be positive"),
        (["{}.txt:right", "--as", "bce-generator"], "FILE.py:FUNCTION"),
    ],
)
def test_a_question_that_makes_no_sense_exits_with_2(command, mine, arguments, says):
    _, err = command("check", *(a.format(mine) for a in arguments), code=2)
    assert says in " ".join(err.split()) and "Traceback" not in err


def test_a_slip_in_the_name_of_the_loss_exits_with_2_and_the_nearest(command, mine):
    _, err = command("check", f"{mine}:right", "--as", "bce-genrator", code=2)
    assert "did you mean 'bce-generator'?" in err and "Traceback" not in err


def test_the_screen_holds_the_longest_answer():
    long = " ".join(["word"] * 60)
    seen = Counterexample({"real": "[0]", "fake": "[0]"}, "1", "2", [Gradient("real", "[0]", "[1]")] * 2)
    answer = Answer(
        "pull-away", "f", "variant", long, long, long, long, "v", "term", counterexample=seen, notes=[long], card="c"
    )
    lines = answer.lines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 100
    assert not answer and answer.code == 4


def test_numbers_are_short_and_have_no_minus_zero():
    assert numbers(torch.tensor([-0.0, 1 / 3, 12345.678])) == "[0, 0.3333, 1.235e+04]"
    assert numbers(torch.arange(10)) == "[0, 1, 2, 3, 4, 5, 6, 7, ...]"


# -- from Python


def scaled(fake, weight):
    return weight * F.softplus(-fake).mean()


def closure(weight):
    def inner(fake):
        return weight * F.softplus(-fake).mean()

    return inner


class Module(nn.Module):
    """A loss as a module, with a float32 buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(2.0))

    def forward(self, fake):
        return self.weight * F.softplus(-fake).mean()


@pytest.mark.parametrize(
    "fn",
    [
        pytest.param(lambda fake: 2 * F.softplus(-fake).mean(), marks=pytest.mark.slow),
        closure(2.0),
        partial(scaled, weight=2.0),
        Module(),
    ],
)
def test_whatever_can_be_called_can_be_checked(fn):
    answer = whichloss.check(fn, "bce-generator")
    assert answer.verdict == "scale" and answer.factor == pytest.approx(2)
    assert answer and 0 < answer.seconds < 30


def test_arguments_are_given_by_role_from_python():
    answer = whichloss.check(lambda p, q: p.mean() - q.mean(), "wasserstein-critic", args={"fake": "p", "real": "q"})
    assert answer.verdict == "equal"


def test_a_function_of_the_program_itself_is_checked_as_in_a_notebook():
    program = """
import torch.nn.functional as F
import whichloss
def mine(fake):
    return F.softplus(-fake).mean()
if __name__ == "__main__":
    answer = whichloss.check(mine, "bce-generator")
    print(answer.verdict, answer.function)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert run.stdout.split() == ["equal", "mine"], run.stderr


@pytest.mark.parametrize("thing, says", [(3, "needs a function"), (nn.Linear, "is a class that needs arguments")])
def test_what_cannot_be_called_is_refused(thing, says):
    with pytest.raises(whichloss.UserError, match=says):
        whichloss.check(thing, "bce-generator")


def test_what_cannot_be_handed_to_another_process_is_refused():
    def generators(fake):
        return next(waiting) * fake.mean()

    waiting = (k for k in range(3))
    with pytest.raises(whichloss.UserError, match="use 'FILE.py:FUNCTION'"):
        whichloss.check(generators, "bce-generator")
