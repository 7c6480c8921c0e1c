"""What objectives that compare rows share: who is alike, and what their losses are where all rows lie in one place."""

import pytest
import torch

from whichloss.objectives import Nets, available, find
from whichloss.objectives.siamese import PARTNERS, even, firsts, matched
from whichloss.rng import Rng
from whichloss.task import Batch

ROWS = 24
LABELS = torch.eye(3)[torch.arange(ROWS) % 3]


def one_place(x):
    return torch.ones(len(x), 64)


@pytest.mark.parametrize("classes", [3, 20, 0], ids=["classes", "rare classes", "views"])
@pytest.mark.parametrize("name", available("embed"))
def test_the_loss_at_collapse_is_what_the_objective_says(name, classes):
    objective = find(name)()
    if name == "supcon" and not classes:
        return
    y = torch.eye(classes)[torch.arange(ROWS) % classes] if classes else torch.zeros(ROWS, 0)
    batch = Batch(torch.randn(ROWS, 5), y=y)
    nets = Nets({"F": one_place, "H": lambda z: z, "s": lambda: torch.tensor([1.0, 1.0])})  # logit 0 at a cosine of 1
    loss = objective.loss(nets, batch, Rng.of(0))
    assert float(loss) == pytest.approx(objective.collapsed(ROWS), rel=1e-4)


def test_pairs_are_every_row_with_those_that_follow_and_with_its_other_view():
    objective, nets = find("pair-contrastive")(), Nets({"F": lambda x: x})
    batch = Batch(torch.arange(float(ROWS))[:, None], y=LABELS)
    a, b, alike = objective.pairs(nets, batch, Rng.of(0))
    steps = ((b - a) % ROWS).squeeze(1).long()
    assert sorted(set(steps.tolist())) == list(range(1, 13))  # half a batch away is the last
    assert alike.equal((a.squeeze(1) % 3 == b.squeeze(1) % 3).float())
    batch = Batch(torch.arange(100.0)[:, None].expand(100, 4))
    a, b, alike = objective.pairs(nets, batch, Rng.of(0))
    assert len(a) == 200 * PARTNERS and alike.sum() == 200  # each view has one other


def test_alike_pairs_weigh_as_much_as_all_others():
    losses, alike = torch.tensor([1.0, 3.0, 3.0, 3.0]), torch.tensor([1.0, 0.0, 0.0, 0.0])
    assert even(losses, alike) == 2
    assert even(losses, torch.zeros(4)) == 2.5  # none alike: only the others count


def test_a_row_drawn_twice_is_no_stranger_to_itself():
    x = torch.randn(4, 3)[[0, 1, 0, 2]]
    assert firsts(x).tolist() == [0, 1, 0, 3]
    _, kinds = find("triplet")().grouped(Batch(x), Rng.of(0))
    assert kinds.tolist() == [0, 1, 0, 3, 0, 1, 0, 3]


def test_rows_without_a_partner_do_not_count():
    losses, kinds = torch.tensor([1.0, 3.0, 0.0]), torch.tensor([0, 0, 1])
    assert matched(losses, kinds) == 2
    assert matched(losses, torch.tensor([0, 0, 0]), others=True) == 0


def test_without_classes_only_two_views_of_a_row_are_alike():
    x, kinds = find("triplet")().grouped(Batch(torch.randn(6, 4)), Rng.of(0))
    assert x.shape == (12, 4) and kinds.tolist() == [*range(6), *range(6)]
    assert not torch.equal(x[:6], x[6:])


def test_given_pairs_are_taken_as_they_are():
    """The loss is that of the pairs of the batch, whichever thing comes first, and of nothing else."""
    g = torch.Generator().manual_seed(0)
    x, other = (torch.randn(ROWS, 5, generator=g) for _ in range(2))
    alike = (torch.arange(ROWS) % 3 == 0).float()
    nets = Nets({"F": lambda x: x, "s": lambda: torch.tensor([1.0, 0.5])})
    batch, turned = (
        Batch(a, y=torch.cat([b, alike[:, None]], dim=1), second=5) for a, b in ((x, other), (other, x))
    )  # fmt: skip
    a, b, said = find("pair-contrastive")().pairs(nets, batch, Rng.of(0))
    assert a.equal(x) and b.equal(other) and said.equal(alike)
    u, v = (torch.nn.functional.normalize(z, dim=1) for z in (x, other))
    d, on = (u - v).norm(dim=1), alike.bool()
    by_hand = (d[on].square().mean() / 2 + (1 - d[~on]).clamp(min=0).square().mean() / 2) / 2
    logit = 10 * ((u * v).sum(dim=1) - 0.5)
    also = (torch.nn.functional.softplus(-logit[on]).mean() + torch.nn.functional.softplus(logit[~on]).mean()) / 2
    for name, value in (("pair-contrastive", by_hand), ("cosine-bce", also)):
        loss = find(name)().loss
        assert float(loss(nets, batch, Rng.of(0))) == pytest.approx(float(value), rel=1e-5)
        assert float(loss(nets, batch, Rng.of(0))) == pytest.approx(float(loss(nets, turned, Rng.of(0))), rel=1e-6)


@pytest.mark.parametrize("name", available("embed"))
def test_given_pairs_are_learned_from_or_refused_with_a_reason(name):
    from whichloss.doctor import check_contracts
    from whichloss.nets import builder
    from whichloss.task import Task

    task, objective = Task("embed", 3, 100, second=3), find(name)()
    assert (objective.unfit(task) is None) == (name in ("pair-contrastive", "cosine-bce"))
    assert not check_contracts(objective, task, builder(8, 2))
