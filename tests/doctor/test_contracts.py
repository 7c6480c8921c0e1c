"""Every contract rule finds the fault planted for it, and every shipped objective is left alone."""

import inspect
import random
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from whichloss.doctor import check_contracts
from whichloss.doctor.use import FEW
from whichloss.nets import builder
from whichloss.objectives import available, find
from whichloss.objectives.base import Adam, Generative, Update
from whichloss.objectives.gan import GAN
from whichloss.objectives.wgan_gp import WGANGP
from whichloss.task import Task

TASK = Task("generate", 2, 500)


def rules(objective, own=None, task=TASK):
    """(rule, level) of all findings; every finding must be readable."""
    found = check_contracts(objective, task, builder(8, own=own), name="planted")
    for f in found:
        assert f.objective == "planted"
        assert f.says and f.cause and f.remedy
        assert "Traceback" not in f.says
    return {(f.rule.removeprefix("contract: "), f.level) for f in found}


def task_of(name, dim):
    """A task of the objective's goal."""
    if find(name).goal == "generate":
        return Task("generate", dim, 500)
    if find(name).goal == "align":
        return Task("align", dim, 500, second=3)
    return Task("classify", dim, 500, 3, "one")


@pytest.mark.parametrize("dim", [1, 2, 12])
@pytest.mark.parametrize("name", available())
def test_shipped_objectives_have_no_fault(name, dim):
    found = check_contracts(find(name)(), task_of(name, dim), builder(8))
    assert [f for f in found if f.level == "fault"] == []
    assert all(f.objective == name for f in found)


def test_the_check_is_quick():
    check_contracts(WGANGP(), TASK, builder(8))  # imports and first calls
    before = time.process_time()
    check_contracts(WGANGP(), TASK, builder(8))
    assert time.process_time() - before < 0.5


def test_nothing_outside_is_changed():
    def states():
        return torch.get_rng_state(), random.getstate(), str(np.random.get_state())

    dtype, before = torch.get_default_dtype(), states()
    check_contracts(GAN(), TASK, builder(8, own={"D": lambda i, o: nn.Sequential(nn.Dropout(0.5), nn.Linear(i, o))}))
    check_contracts(Loud(), TASK, builder(8))
    after = states()
    assert torch.get_default_dtype() is dtype
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]


def mlp(*layers):
    return lambda i, o: nn.Sequential(nn.Linear(i, 8), nn.SiLU(), *[layer() for layer in layers], nn.Linear(8, o))


class Lists(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layers = [nn.Linear(inputs, outputs)]

    def forward(self, x):
        return self.layers[0](x)


class Half(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layer = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.layer(x.float())


class Features(nn.Linear):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.register_buffer("directions", torch.randn(inputs, inputs))

    def forward(self, x):
        return super().forward(torch.sin(x @ self.directions))


class Centred(nn.Linear):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class Counting(nn.Linear):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


def frozen(inputs, outputs):
    net = mlp()(inputs, outputs)
    net[0].weight.requires_grad_(False)
    return net


ONE = nn.Linear(2, 2).double()


@pytest.mark.parametrize(
    "expected, make",
    [
        ("dropout", mlp(lambda: nn.Dropout(0.1))),
        ("running statistics", mlp(lambda: nn.BatchNorm1d(8))),
        ("running statistics", Counting),
        ("batch leak", mlp(lambda: nn.BatchNorm1d(8, track_running_stats=False))),
        ("batch leak", Centred),
        ("parametrised weights", lambda i, o: nn.utils.parametrizations.spectral_norm(nn.Linear(i, o))),
        ("nothing to train", Lists),
        ("lazy weights", lambda i, o: nn.LazyLinear(o)),
        ("random buffer", Features),
        ("output shape", lambda i, o: nn.Linear(i, o + 1)),
        ("raises", lambda i, o: nn.Linear(i + 1, o)),
        ("raises", lambda i, o: None + i),
    ],
)
def test_a_network_that_cannot_serve_is_found(expected, make):
    assert rules(GAN(), {"D": make}) == {(expected, "fault")}


@pytest.mark.parametrize("expected, make", [("float32 only", Half), ("frozen weights", frozen)])
def test_a_peculiar_network_is_noted(expected, make):
    found = rules(GAN(), {"D": make})
    assert (expected, "note") in found


def test_healthy_networks_are_left_alone():
    own = {
        "D": mlp(lambda: nn.LayerNorm(8), lambda: nn.Dropout(0.0)),
        "G": mlp(lambda: nn.BatchNorm1d(8, track_running_stats=False)),  # rows of a generator may know each other
    }
    assert rules(GAN(), own) == set()


def test_shared_weights_are_found():
    @dataclass(frozen=True)
    class Shared(GAN):
        def networks(self, task, build):
            return {"G": ONE, "D": nn.Sequential(ONE, nn.Linear(2, 1))}

    assert rules(Shared(latent=2)) == {("shared weights", "fault")}


@dataclass(frozen=True)
class Toy(Generative):
    """Least squares between a generator's rows and the data: what the planted faults start from."""

    lr: float = 1e-3
    search = {"lr": (1e-3, 1e-2)}

    def networks(self, task, build):
        return {"G": build("G", 3, task.dim, smooth=True)}

    def updates(self):
        return [Update(("G",), self.loss, Adam(self.lr))]

    def loss(self, nets, batch, rng):
        return ((self.sample(nets, batch.x.shape, rng) - batch.x) ** 2).mean()

    def sample(self, nets, shape, rng):
        return nets.G(rng.normal("z", (shape[0], 3)))


def test_the_toy_is_healthy():
    assert rules(Toy()) == set()


@dataclass(frozen=True)
class Loud(Toy):
    def loss(self, nets, batch, rng):
        return super().loss(nets, batch, rng) + 0 * torch.randn(()) * random.random()


@dataclass(frozen=True)
class Shy(Toy):  # draws from numpy only
    def loss(self, nets, batch, rng):
        return super().loss(nets, batch, rng) * np.random.rand()


@dataclass(frozen=True)
class Vector(Toy):
    def loss(self, nets, batch, rng):
        return (self.sample(nets, batch.x.shape, rng) - batch.x).norm(dim=1)


@dataclass(frozen=True)
class Logarithm(Toy):
    def loss(self, nets, batch, rng):
        return super().loss(nets, batch, rng).relu().mul(0).log()


@dataclass(frozen=True)
class Deaf(Toy):
    def loss(self, nets, batch, rng):
        return (self.sample(nets, batch.x.shape, rng) ** 2).mean()


@dataclass(frozen=True)
class Cut(Toy):
    def loss(self, nets, batch, rng):
        return ((self.sample(nets, batch.x.shape, rng).detach() - batch.x) ** 2).mean()


@dataclass(frozen=True)
class HalfCut(Toy):  # x^2 with one factor held: half the gradient
    def loss(self, nets, batch, rng):
        x = self.sample(nets, batch.x.shape, rng) - batch.x
        return (x * x.detach()).mean()


@dataclass(frozen=True)
class Meant(HalfCut):
    stops_gradient = True


@dataclass(frozen=True)
class Hidden(Toy):  # the same, hidden from detach()
    def loss(self, nets, batch, rng):
        x = self.sample(nets, batch.x.shape, rng) - batch.x
        with torch.no_grad():
            held = self.sample(nets, batch.x.shape, rng) - batch.x
        return (x * held).mean()


class Wrong(torch.autograd.Function):
    """x^2 with the gradient x."""

    @staticmethod
    def forward(x):
        return x**2

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


@dataclass(frozen=True)
class Backward(Toy):
    def loss(self, nets, batch, rng):
        return Wrong.apply(self.sample(nets, batch.x.shape, rng) - batch.x).mean()


@dataclass(frozen=True)
class Branching(Toy):
    def loss(self, nets, batch, rng):
        loss = super().loss(nets, batch, rng)
        return loss if loss > 1 else 2 * loss


@dataclass(frozen=True)
class Stale(Toy):
    seen = []

    def loss(self, nets, batch, rng):
        self.seen.append(1)
        return super().loss(nets, batch, rng) * len(self.seen)


@dataclass(frozen=True)
class Strange(Toy):
    def updates(self):
        return [Update(("D",), self.loss, Adam(self.lr))]


@dataclass(frozen=True)
class Still(Toy):
    def updates(self):
        return [Update(("G",), self.loss, Adam(0.0))]


@dataclass(frozen=True)
class Typo(Toy):
    def loss(self, nets, batch, rng):
        return nets.Gee(batch.x).mean()


@dataclass(frozen=True)
class Narrow(Toy):
    def sample(self, nets, shape, rng):
        return super().sample(nets, shape, rng)[:, :1]


@dataclass(frozen=True)
class Mute(Toy):  # the same row whatever the draws
    def sample(self, nets, shape, rng):
        return nets.G(torch.ones(shape[0], 3))


@dataclass(frozen=True)
class Endless(Toy):
    def sample(self, nets, shape, rng):
        return super().sample(nets, shape, rng) / (0.0 if shape[0] == FEW else 1.0)


@dataclass(frozen=True)
class Watching(Toy):
    def watch(self, nets, batch, rng):
        return {"rows": batch.x}


@dataclass(frozen=True)
class Scoring(Toy):
    scores = "energy"

    def score(self, nets, x):
        return x


@dataclass(frozen=True)
class Masking(Toy):  # the mask's count would be written down once and replayed
    def loss(self, nets, batch, rng):
        x = self.sample(nets, batch.x.shape, rng) - batch.x
        return (x[batch.x > 0] ** 2).mean()


@dataclass(frozen=True)
class InPlace(Toy):  # writing rows of seeds into one tensor cannot be stacked
    def loss(self, nets, batch, rng):
        out = torch.zeros(batch.x.shape)
        out[:] = self.sample(nets, batch.x.shape, rng) - batch.x
        return (out**2).mean()


@pytest.mark.parametrize(
    "expected, planted",
    [
        ("global draws", Loud),
        ("global draws", Shy),
        ("scalar", Vector),
        ("finite at the start", Logarithm),
        ("data unused", Deaf),
        ("role does not move", Cut),
        ("role does not move", Still),
        ("gradient", Hidden),
        ("gradient", Backward),
        ("reads a value", Branching),
        ("reads a value", Masking),
        ("repeatable", Stale),
        ("unknown role", Strange),
        ("raises", Typo),
        ("sample shape", Narrow),
        ("keyed samples", Mute),
        ("finite samples", Endless),
        ("watched number", Watching),
        ("score", Scoring),
    ],
)
def test_a_broken_objective_is_found(expected, planted):
    found = rules(planted())
    assert (expected, "fault") in found, found
    assert len(found) == 1 or planted is Narrow, found


def test_a_stopped_gradient_is_a_note_unless_it_is_meant():
    assert rules(HalfCut()) == {("stopped gradient", "note")}
    assert rules(Meant()) == set()


def test_what_cannot_be_stacked_is_noted():
    assert rules(InPlace()) == {("one seed at a time", "note")}


def test_an_objective_that_does_not_fit_is_not_checked():
    @dataclass(frozen=True)
    class Unfit(Cut):
        def unfit(self, task):
            return "needs pictures"

    assert rules(Unfit()) == set()


def test_a_finding_names_the_users_file(tmp_path):
    path = tmp_path / "my_loss.py"
    path.write_text(inspect.getsource(inspect.getmodule(find("gan"))).replace("from ..", "from whichloss.").replace(
        "from .base", "from whichloss.objectives.base").replace(".mean()", ".mean(0)"))  # fmt: skip
    found = check_contracts(find(str(path))(), TASK, builder(8))
    assert {f.objective for f in found} == {"my-loss"}
    assert {f.rule for f in found} == {"contract: scalar"}
    assert check_contracts(find(str(path))(), TASK, builder(8), name="./my_loss.py")[0].objective == "./my_loss.py"
