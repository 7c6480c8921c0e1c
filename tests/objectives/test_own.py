"""A person's own objective from losses alone, and the two files to start from."""

import pytest
import torch

from whichloss import cards
from whichloss.errors import UserError
from whichloss.nets import builder
from whichloss.objectives import available, find, start
from whichloss.objectives.base import Nets
from whichloss.rng import Rng
from whichloss.study.inline import inline
from whichloss.task import Batch, Task

GAN = """
from torch.nn.functional import softplus
def critic_loss(real, fake):
    return softplus(-real) + softplus(fake)
def generator_loss({arguments}):
    return softplus(-fake)
"""
PCD = """
def energy_loss(data, model):
    return data - model + 1e-3 * (data**2 + model**2)
"""
FLOW = """
def velocity_loss(predicted, target):
    return ((predicted - target) ** 2).mean(dim=1)
"""


@pytest.fixture
def mine(tmp_path):
    """mine(text) is the path of a file with that text."""

    def write(text):
        path = tmp_path / "my_own.py"
        path.write_text(text)
        return str(path)

    return write


def losses_and_gradients(kind):
    """Every update's loss on fixed networks and draws, with its gradient."""
    objective, found = kind(), []
    labels = "ordered" if objective.goal == "classify" else ""
    second = 3 * (objective.goal == "align")
    modules = objective.networks(Task(objective.goal, 2, 64, 3, labels, second=second), builder(8, 2))
    generator = torch.Generator().manual_seed(0)
    for module in modules.values():
        for p in module.parameters():
            p.data = torch.randn(p.shape, generator=generator)
    x = torch.randn(256, 2, generator=generator)
    y = torch.nn.functional.one_hot(torch.arange(256) % 3, 3).float()
    batch = Batch(x, objective.memory(Batch(x, y=y), Rng.of(1)), torch.tensor(0.5), y)
    for update in objective.updates():
        loss = update.loss(Nets(modules), batch, Rng.of(2))
        moved = [p for role in update.moves for p in modules[role].parameters()]
        # a score does not depend on its energy's level, so that this bias has gradient 0
        found.append((loss, *torch.autograd.grad(loss, moved, allow_unused=True, materialize_grads=True)))
        assert any(gradient.any() for gradient in found[-1][1:])
    return found


@pytest.mark.parametrize(
    "text, family",
    [
        (GAN.format(arguments="fake"), "gan"),
        (GAN.format(arguments="real, fake"), "gan"),
        (GAN.format(arguments="fake").replace("(-fake)", "(-fake).mean()"), "gan"),
        (PCD, "pcd"),
        (FLOW, "flow-matching"),
    ],
)
def test_the_losses_of_a_family_train_as_the_family_does(mine, text, family):
    kind = find(mine(text))
    assert issubclass(kind, find(family)) and kind.__name__ == "MyOwn"
    for ours, theirs in zip(losses_and_gradients(kind), losses_and_gradients(find(family)), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b)


def test_a_family_s_least_loss_is_not_taken_for_one_s_own(mine):
    x = Rng.of(0).normal("x", (300, 2)) * 0.1
    x[:150] += 3
    nets = Nets({"u": lambda x: x[:, :2]})
    assert find("flow-matching")().denoised(nets, x, x, Rng.of(1)) is not None
    assert find(mine(FLOW))().denoised(nets, x, x, Rng.of(1)) is None


@pytest.mark.parametrize(
    "text, says",
    [
        ("def loss(x): return x", "exactly one objective class; found none.*critic_loss and generator_loss"),
        (GAN.format(arguments="fake").split("def generator")[0], "has critic_loss, but no generator_loss"),
        (PCD + FLOW, "two families .pcd and flow-matching."),
    ],
)
def test_a_file_without_a_whole_family_is_refused(mine, text, says):
    with pytest.raises(UserError, match=says):
        find(mine(text))


def test_losses_alone_cannot_be_exported_and_the_way_out_is_said(mine):
    with pytest.raises(UserError, match="my_own.py' holds losses only.*new-objective"):
        inline(find(mine(GAN.format(arguments="fake"))), {})


@pytest.mark.parametrize("like", available())
def test_the_files_to_start_from_are_a_whole_objective(like, tmp_path):
    code, card = start("my-start", like, tmp_path)
    kind = find(str(code))
    assert kind.__name__ == "MyStart" and cards.card(str(code)).name == "my-start" and card.exists()
    for ours, theirs in zip(losses_and_gradients(kind), losses_and_gradients(find(like)), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["My gan", "for", "2fast", "../up"])
def test_names_that_are_none_are_refused(name, tmp_path):
    with pytest.raises(UserError, match="cannot be a file's name"):
        start(name, "gan", tmp_path)


def test_what_exists_is_not_overwritten(tmp_path):
    (tmp_path / "mine.md").write_text("notes")
    with pytest.raises(UserError, match="mine.md' exists"):
        start("mine", "gan", tmp_path)
    assert (tmp_path / "mine.md").read_text() == "notes" and not (tmp_path / "mine.py").exists()
