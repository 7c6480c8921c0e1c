"""Watching changes nothing in a loop, finds no fault in ordinary ones, and reports however a loop ends."""

import copy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import whichloss
from whichloss.doctor import watch as watch_module
from whichloss.errors import UserError

from . import public_loops


@pytest.mark.parametrize("loop", public_loops.LOOPS, ids=lambda loop: loop.__name__)
def test_ordinary_loops_have_no_fault(loop, capsys):
    w = loop()
    assert not [f for f in w.findings if f.level == "fault"], [(f.rule, f.says) for f in w.findings]
    assert len(w.trace.looks) >= 5
    assert "No fault was found" in capsys.readouterr().out


def train(steps=30, watched=True, stop=None, page=None, net=None):
    torch.manual_seed(0)
    x = torch.randn(200, 5)
    y = (x[:, 0] > 0).long()
    net = net or nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)

    def go():
        for step in range(steps):
            rows = torch.randint(0, 200, (32,))
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            if stop is not None and step == steps // 2:
                raise stop

    if not watched:
        go()
        return net, None
    w = whichloss.watch(net=net, optimizers=[optimizer], page=page)
    with w:
        go()
    return net, w


def test_watching_changes_no_number():
    plain, _ = train(watched=False)
    seen, _ = train()
    for a, b in zip(plain.parameters(), seen.parameters(), strict=True):
        assert torch.equal(a, b)


def test_hooks_are_gone_afterwards():
    before = torch.autograd.backward, torch.autograd.grad
    net, _ = train()
    assert (torch.autograd.backward, torch.autograd.grad) == before
    assert not net._forward_hooks


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), RuntimeError("shapes do not fit")])
def test_a_loop_that_is_stopped_or_crashes_is_reported_all_the_same(stop, capsys):
    with pytest.raises(type(stop)):
        train(60, stop=stop)
    said = capsys.readouterr().out
    assert "stopped by Ctrl-C" in said if isinstance(stop, KeyboardInterrupt) else "shapes do not fit" in said


def test_it_says_who_learnt_from_what(capsys):
    _, w = train()
    (loss,) = w.trace.losses.values()
    assert loss.reaches == loss.moves == {"net"} and loss.site.startswith("test_watch.py:")
    assert "loss.backward()" in capsys.readouterr().out


def test_nan_is_told_at_once_with_the_operation(capsys):
    net = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with whichloss.watch(net=net, page=None) as w:
        for step in range(8):
            x = torch.randn(16, 3)
            z = net(x).softmax(1) if step < 4 else net(x).relu()
            loss = -(z.log()[:, 0]).mean()
            optimizer.zero_grad()
            loss.backward()
            if step == 4:
                assert "log of 0" in capsys.readouterr().err
            optimizer.step()
    (fault,) = (f for f in w.findings if f.rule == "non-finite")
    assert "log of 0" in fault.says and fault.evidence["step"] == 4


def test_compiled_modules_and_loaders_with_workers(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        """
import torch, whichloss
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
if __name__ == "__main__":
    x = torch.randn(256, 4)
    loader = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=32, num_workers=1)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model = torch.compile(net, backend="eager")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with whichloss.watch(model=model, page=None) as w:
        for _ in range(4):
            for a, b in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(a), b).backward()
                optimizer.step()
    assert w.trace.steps == 32 and not [f for f in w.findings if f.level == "fault"], w.findings
"""
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_stands_alone(tmp_path):
    _, w = train(page=tmp_path / "health.html")
    page = (tmp_path / "health.html").read_text()
    assert "No fault was found" in page and "default-src 'none'" in page and "src=" not in page.split("<script>")[0]
    assert w.trace.steps == 30


def test_bad_arguments_are_told():
    with pytest.raises(UserError, match="needs the networks"):
        whichloss.watch()
    with pytest.raises(UserError, match=r"watch\(critic=...\): a torch.nn.Module is needed; got int"):
        whichloss.watch(critic=3)
    with pytest.raises(UserError, match="torch optimisers are needed; got float"):
        whichloss.watch(net=nn.Linear(1, 1), optimizers=[0.1])


def plain(steps=12, act=lambda net, step: None):
    """A tiny regression with one number a row, watched; what `act` does in it is the user's own."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(net.parameters())
    with whichloss.watch(net=net, optimizers=[optimizer], page=None) as w:
        for step in range(steps):
            x = torch.randn(32, 3)
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(net(x), x.square().sum(1)).backward()
            optimizer.step()
            act(net, step)
    return w


def test_targets_of_one_number_a_row_are_watched(capsys):
    w = plain()
    assert w.trace.steps == 12 and not w.trace.trouble and not w.findings


def test_a_watched_network_can_be_saved_and_copied(tmp_path, capsys):
    copies = []

    def act(net, step):
        torch.save(net, tmp_path / "net.pt")
        copies.append(copy.deepcopy(net))
        copies[-1](torch.randn(32, 3))  # no call of the watched one

    w = plain(act=act)
    assert w.trace.steps == 12 and not w.trace.trouble
    again = torch.load(tmp_path / "net.pt", weights_only=False)
    x = torch.randn(4, 3)
    assert again(x).equal(copies[-1](x))
    assert b"whichloss" not in zipfile.ZipFile(tmp_path / "net.pt").read("net/data.pkl")


def test_a_mistake_of_ours_does_not_end_the_loop(capsys, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(watch_module, "read", fails)
    w = plain()
    assert w.trace.steps == 12 and w.trace.trouble == "ZeroDivisionError: ours"
    assert "watching failed" in [f.rule for f in w.findings]


def test_a_script_that_crashes_is_no_success(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("raise RuntimeError('shapes do not fit')\n")
    command = [sys.executable, "-m", "whichloss", "doctor", str(script), "--page", str(tmp_path / "page.html")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "RuntimeError: shapes do not fit" in done.stdout


def test_doctor_runs_a_script_and_says_what_is_wrong(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        """
import sys
import torch
from torch import nn

def main(steps):
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(dim=1))
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(steps):
        x = torch.randn(32, 4)
        loss = nn.CrossEntropyLoss()(net(x), x[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

main(int(sys.argv[1]))
"""
    )
    command = [sys.executable, "-m", "whichloss", "doctor", str(script), "40", "--page", str(tmp_path / "page.html")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "softmax twice" in done.stdout and "train.py:13" in done.stdout and Path(tmp_path / "page.html").exists()
    gone = subprocess.run([sys.executable, "-m", "whichloss", "doctor", "none.py"], capture_output=True, text=True)
    assert gone.returncode == 2 and "'none.py' is no file" in gone.stderr
