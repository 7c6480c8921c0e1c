"""Functions that loop, crash, meddle or are no PyTorch: each gets a clear answer, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from whichloss.check import check
from whichloss.check.worker import _answer
from whichloss.errors import UserError


@pytest.fixture
def written(tmp_path):
    """written(code, "loss") writes a file and gives "FILE.py:loss"."""

    def write(code: str, name: str = "loss", file: str = "mine.py") -> str:
        path = tmp_path / file
        path.write_text("import torch\nimport torch.nn.functional as F\n" + code)
        return f"{path}:{name}"

    return write


@pytest.fixture
def read_here(monkeypatch):
    """What the worker answers about a file, asked in this process."""

    def read(text: str, loss: str = "bce-generator") -> tuple[str, str]:
        file, name = text.rsplit(":", 1)
        monkeypatch.syspath_prepend(str(Path(file).parent))
        request = {"loss": loss, "args": {}, "source": (file, name), "function": b"", "name": text, "file": file}
        with warnings.catch_warnings():
            kind, said = _answer(request)
        return kind, said if isinstance(said, str) else said["says"]

    return read


def left_behind(mark: str) -> list[int]:
    """Processes with this mark in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if mark.encode() in (process / "environ").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue
    return found


# -- in a process of its own


def test_an_endless_loop_is_ended_in_time_with_all_it_started(written, monkeypatch):
    mark = f"test-{os.getpid()}-{time.monotonic_ns()}"
    monkeypatch.setenv("WHICHLOSS_TEST_MARK", mark)
    source = written(
        """
import subprocess, time
def loss(fake):
    subprocess.Popen(["sleep", "60"])
    while True:
        time.sleep(0.01)
"""
    )
    began = time.monotonic()
    answer = check(source, "bce-generator", seconds=8)
    assert time.monotonic() - began < 10
    assert (answer.verdict, answer.variant, answer.code) == ("broken", "too slow", 4)
    assert "it did not come to an end within 8 s, in line 8 of mine.py" in answer.says
    assert "endless loop" in answer.fix and "--seconds" in answer.fix
    for _ in range(50):
        if not left_behind(mark):
            break
        time.sleep(0.05)
    assert left_behind(mark) == []


@pytest.mark.parametrize(
    "line, kind, says",
    [
        ("import sys; sys.exit(3)", "ends the process", "it calls sys.exit(3)"),
        ("import os; os._exit(7)", "ends the process", "it ended its process with exit code 7"),
        ("import ctypes; ctypes.string_at(0)", "crash", "it crashed its process with SIGSEGV"),
    ],
)
def test_an_exit_or_a_crash_is_an_answer(written, line, kind, says):
    answer = check(written(f"def loss(fake):\n    {line}\n    return fake.mean()\n"), "bce-generator")
    assert (answer.verdict, answer.variant) == ("broken", kind)
    assert says in answer.says and answer.fix
    if kind == "crash":
        assert "in line 4 of mine.py" in answer.says


@pytest.mark.slow
def test_memory_without_end_is_refused_before_the_machine_suffers(written):
    answer = check(
        written("def loss(fake):\n    return torch.ones(1 << 33, dtype=torch.uint8).sum()\n"), "bce-generator"
    )
    assert answer.variant == "raises" and "can't allocate memory" in answer.says and "line 4" in answer.says


@pytest.mark.slow
def test_a_check_whose_parent_was_killed_ends_by_itself(written, monkeypatch):
    mark = f"test-{os.getpid()}-{time.monotonic_ns()}"
    monkeypatch.setenv("WHICHLOSS_TEST_MARK", mark)
    source = written("def loss(fake):\n    while True:\n        pass\n")
    code = f"import whichloss; whichloss.check({source!r}, 'bce-generator', seconds=1)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 60
    while len(left_behind(mark)) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    ended = time.monotonic() + 20
    while left_behind(mark) and time.monotonic() < ended:
        time.sleep(0.1)
    left = left_behind(mark)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == []


def test_what_the_function_prints_does_not_disturb_the_answer(written):
    source = written('def loss(fake):\n    print("x" * 3000)\n    return F.softplus(-fake).mean()\n')
    answer = check(source, "bce-generator")
    assert answer.verdict == "equal"
    assert any("characters, which were not shown" in note for note in answer.notes)


# -- in this process: what a call must leave alone


def test_an_exception_names_the_line(read_here, written):
    kind, says = read_here(written("def loss(fake):\n    return fake.mean() / undefined\n"))
    assert kind == "answer"
    assert "it raises NameError: name 'undefined' is not defined (line 4: return fake.mean() / undefined)" in says


def in_place(fake):
    fake *= -1
    return F.softplus(fake).mean()


def clipping(D, real, fake):
    for p in D.parameters():
        p.data.clamp_(-0.01, 0.01)
    return D(fake).mean()


def freezing(D, real, fake):
    for p in D.parameters():
        p.requires_grad = False
    return D(fake).mean()


def set_dtype(fake):
    torch.set_default_dtype(torch.float32)
    return F.softplus(-fake).mean()


def set_grad(fake):
    torch.set_grad_enabled(False)
    return F.softplus(-fake).mean()


def seeded(fake):
    torch.manual_seed(0)
    return F.softplus(-fake).mean()


def seeded_numpy(fake):
    import numpy as np

    np.random.seed(0)
    return F.softplus(-fake).mean()


def backward(fake):
    loss = F.softplus(-fake).mean()
    fake.retain_grad()
    loss.backward(retain_graph=True)
    return loss


@pytest.mark.parametrize(
    "fn, name, kind, says, fix",
    [
        (in_place, "bce-generator", "changes its input", "it writes into its argument for fake", "new tensor"),
        (clipping, "wgan-gp-penalty", "changes its input", "it changes the weights of D", "new tensor"),
        (freezing, "wgan-gp-penalty", "changes its input", "or what of them may learn", "new tensor"),
        (set_dtype, "bce-generator", "global state", "it sets torch's default dtype to torch.float32", "dtype"),
        (set_grad, "bce-generator", "global state", "it turns autograd off for whatever runs after it", "program"),
        (seeded, "bce-generator", "global state", "it seeds torch's global generator", "generator"),
        (seeded_numpy, "bce-generator", "global state", "it seeds the generator of numpy", "generator"),
        (backward, "bce-generator", "backward", "it calls backward() itself", "let the caller"),
    ],
)
def test_what_a_function_changes_is_named_and_put_back(ask, fn, name, kind, says, fix):
    dtype = torch.get_default_dtype()
    answer = ask(fn, name)
    assert (answer.verdict, answer.variant) == ("broken", kind)
    assert says in answer.says and fix in answer.fix
    assert torch.get_default_dtype() == dtype and torch.is_grad_enabled()


AVERAGE = 0.0
SEEN: list[float] = []


def averaging(fake):
    global AVERAGE
    AVERAGE = 0.9 * AVERAGE + 0.1 * float(fake.mean())
    return F.softplus(-fake).mean() + AVERAGE


def logging(fake):
    SEEN.append(1.0)
    return F.softplus(-fake).mean()


def test_a_loss_that_remembers_is_no_function_of_its_input(ask):
    answer = ask(averaging, "bce-generator")
    assert (answer.verdict, answer.variant) == ("broken", "not repeatable")
    assert "for the same input and the same seeds" in answer.says and "the global AVERAGE" in answer.says


def test_a_log_that_outlives_the_call_is_only_a_note(ask):
    answer = ask(logging, "bce-generator")
    assert answer.verdict == "equal"
    assert "every call changes the global SEEN, which outlives the call" in answer.notes


def test_a_generator_of_its_own_is_not_repeatable(ask):
    own = torch.Generator()
    own.seed()

    def dithered(fake):
        return F.softplus(-fake).mean() + torch.rand((), generator=own)

    assert "draws from a generator of its own" in ask(dithered, "bce-generator").says


# -- in this process: results that are no loss


@pytest.mark.parametrize(
    "result, kind, says",
    [
        (lambda fake: torch.zeros(7) + fake.mean(), "wrong shape", "it returns the shape (7,) for a batch of"),
        (lambda fake: fake.mean() * float("nan"), "not finite", "it gives nan at fake = ["),
        (
            lambda fake: (fake - fake).sqrt().mean() - fake.mean(),
            "not finite",
            "its gradient through fake is not finite",
        ),
        (lambda fake: fake.mean().item(), "not a tensor", "of type float, through which no gradient flows"),
        (lambda fake: None, "not a tensor", "it returns None of type NoneType"),
        (lambda fake: (fake > 0).sum(), "not a number", "it returns a tensor of torch.int64"),
        (lambda fake: fake.cuda().mean(), "raises", "it raises"),
    ],
)
def test_a_result_that_is_no_loss(ask, result, kind, says):
    if kind == "raises" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    answer = ask(result, "hinge-generator")
    assert (answer.verdict, answer.variant) == ("broken", kind)
    assert says in answer.says and answer.fix


def test_a_function_without_return_is_told_so(ask):
    assert ask(lambda fake: None, "bce-generator").fix == "End the function with `return loss`."


# -- in this process: code that is not PyTorch


@pytest.mark.parametrize("module, called", [("tensorflow", "TensorFlow"), ("jax.numpy", "JAX"), ("keras", "Keras")])
def test_code_of_another_framework_that_is_not_installed_is_refused(read_here, written, module, called):
    if any((Path(p) / module.split(".")[0]).is_dir() for p in sys.path):
        pytest.skip(f"{module} is installed")
    kind, says = read_here(written(f"import {module} as other\ndef loss(fake):\n    return other.mean(fake)\n"))
    assert kind == "user"
    assert says.startswith("Only PyTorch functions can be checked, and") and f"is {called} code (it imports" in says


def test_code_of_another_framework_that_is_installed_is_refused(read_here, written, tmp_path):
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("def mean(x):\n    return x.sum()\n")
    kind, says = read_here(written("import jax\ndef loss(fake):\n    return jax.mean(fake)\n"))
    del sys.modules["jax"]  # not by monkeypatch, which would put it back
    assert kind == "user" and "'loss' is JAX code (it uses jax)" in says


def test_numpy_inside_is_refused(read_here, written):
    code = "import numpy as np\ndef loss(fake):\n    return np.log(1 + np.exp(-fake)).mean()\n"
    kind, says = read_here(written(code))
    assert kind == "user" and "it computes with numpy, through which no gradient flows" in says


# -- in this process: questions that make no sense


@pytest.mark.parametrize(
    "code, name, says",
    [
        ("def loss(fake:\n", "loss", "'mine.py' is not valid Python: line 3"),
        ("def loss_of_g(fake):\n    return fake.mean()\n", "loss_of_d", "did you mean 'loss_of_g'?"),
        ("import not_there\n", "loss", "there is no module 'not_there' in this environment"),
        ("raise ValueError('no data')\n", "loss", "cannot be imported: ValueError: no data (line 3)"),
        ("loss = 3\n", "loss", "'loss' is a int, not a function"),
        ("class Loss:\n    def __init__(self, weight): pass\n", "Loss", "is a class that needs arguments"),
        (
            "def loss(): return torch.zeros(())\n",
            "loss",
            "names no arguments (*args?). Write them out, such as def loss(fake)",
        ),
        (
            "import argparse\nargparse.ArgumentParser(prog='x').parse_args(['--y'])\n",
            "loss",
            "put what is not a definition",
        ),
        ("def loss(a, b, c, d): return a.mean()\n", "loss", "Say which is which with --args fake=YOUR_NAME"),
    ],
)
def test_a_question_that_makes_no_sense_says_what_is_wrong(read_here, written, code, name, says):
    kind, said = read_here(written(code, name))
    assert kind == "user" and says in said, said


def test_an_unknown_loss_suggests_the_nearest():
    from whichloss.check.claims import find

    with pytest.raises(UserError, match="There is no loss 'wgan-gp-penality' .* did you mean 'wgan-gp-penalty'?"):
        find("wgan-gp-penality")


@pytest.mark.parametrize(
    "given, says",
    [
        ({"fak": "x"}, "'bce-generator' has no argument 'fak'; did you mean 'fake'?"),
        ({"fake": "scors"}, "the function has no argument 'scors'; did you mean 'scores'?"),
    ],
)
def test_wrong_names_of_arguments_suggest_the_nearest(ask, given, says):
    with pytest.raises(UserError) as error:
        ask(lambda scores: F.softplus(-scores), "bce-generator", **given)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "source, says",
    [("nowhere.py:loss", "does not exist"), ("mine:loss", "FILE.py:FUNCTION"), ("mine.py", "FILE.py:FUNCTION")],
)
def test_a_source_that_is_no_file_and_function(source, says):
    with pytest.raises(UserError, match=says):
        check(source, "bce-generator")


def test_a_method_gets_an_object_of_its_class(read_here, written):
    code = "class Loss:\n    def forward(self, fake): return F.softplus(-fake).mean()\n"
    assert read_here(written(code, "Loss.forward")) == ("answer", "equal in value and gradient")
