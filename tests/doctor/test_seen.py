"""What is seen of tiny loops that are really run."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from whichloss.doctor import seen, watch
from whichloss.doctor.loops import examine
from whichloss.doctor.watch import Watch

X = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).float()


def network(outputs=1):
    """A linear one, the same at every call."""
    net = nn.Linear(2, outputs)
    with torch.no_grad():
        net.weight.copy_(torch.linspace(-1, 1, 2 * outputs).reshape(outputs, 2))
        net.bias.zero_()
    return net


def trace(loss, steps=3, outputs=1, step=None):
    """A loop of a few steps of Adam, or of steps by hand, and its only loss."""
    net = network(outputs)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    watched = Watch({"net": net}, [optimizer] if step is None else []).start()
    for _ in range(steps):
        loss(net).backward()
        if step is None:
            optimizer.step()
        else:
            step(net)
        net.zero_grad()
    return watched.stop()


def only(trace):
    """Its only loss."""
    (loss,) = trace.losses.values()
    return loss


def by_hand(net):
    """A step of gradient descent without an optimiser."""
    with torch.no_grad():
        for p in net.parameters():
            p -= 0.1 * p.grad


@pytest.mark.parametrize(
    "scores, own",
    [
        (lambda net: net(X).squeeze(1), 1.0),
        (lambda net: net(X).flatten() + X.square().sum(1) / 2, 0.0),  # minus the log-density of noise
        (lambda net: net(X[:8]).repeat(2, 1).flatten(), 0.0),
    ],
    ids=["classifier", "against noise", "of other rows"],
)
def test_scores_of_a_classifier_are_the_networks_own_output(scores, own):
    loss = only(trace(lambda net: F.binary_cross_entropy_with_logits(scores(net), Y)))
    assert loss.facts["own output"] == own
    assert len(loss.curves["binary accuracy"]) == 3


@pytest.mark.parametrize("step, moved", [(by_hand, 1.0), (lambda net: None, 0.0)], ids=["by hand", "none"])
def test_steps_by_hand_are_steps(step, moved):
    found = trace(lambda net: F.mse_loss(net(X).squeeze(1), X[:, 1]), step=step)
    assert found.steps == 0 and found.networks["net"].facts["moved"] == moved
    assert ("contract: no step" in {f.rule for f in examine(found)}) == (not moved)


@pytest.mark.parametrize(
    "rows, classes, pairs",
    [(2, 2, 0.0), (2, 3, 0.0), (2, 4, 0.0), (1, 2, 0.0), (3, 3, 1.0), (3, 6, 1.0), (4, 3, 0.0)],
)
def test_a_class_for_each_of_two_rows_does_not_make_pairs(rows, classes, pairs):
    labels = torch.arange(rows) % classes
    loss = only(trace(lambda net: F.cross_entropy(net(X[:rows]), labels), outputs=classes))
    assert loss.facts["pairs"] == pairs


def test_costly_looks_are_spread_over_the_loop(monkeypatch):
    """By a clock that only steps (1 ms each) and looks (2 ms each) move on."""
    now = [0.0]

    def pass_by(seconds):
        now[0] += seconds

    monkeypatch.setattr(watch, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(seen, "look", lambda watched: pass_by(2e-3))

    def loss(net):
        pass_by(1e-3)
        return F.mse_loss(net(X).squeeze(1), X[:, 1])

    looks = trace(loss, steps=300).looks
    assert looks[:5] == [1, 2, 3, 4, 5]
    assert len(looks) <= 10  # 2.5 % of 0.3 s is less than 4 looks, and one may be begun
    for start in range(0, 300, 100):
        assert any(start < look <= start + 100 for look in looks[5:])
    assert any(look > 150 for look in looks)
