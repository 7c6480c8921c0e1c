"""Triplets, mined triplets and pairs with a margin: closed forms, torch, mining by hand, slopes at distance 0."""

import math

import pytest
import torch
from torch.autograd import gradgradcheck
from torch.func import grad, vmap
from torch.nn.functional import triplet_margin_loss

from whichloss.errors import UserError
from whichloss.losses.metric_learning import batch_hard_triplet, pair_contrastive, semi_hard_triplet, triplet

LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])


def drawn(n=8, d=3, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_triplet_is_torch_s_without_its_eps_and_the_hinge_of_the_distances():
    a, p, n = (drawn(seed=s) for s in range(3))
    found = triplet(a, p, n, 0.7)
    torch.testing.assert_close(found, triplet_margin_loss(a, p, n, margin=0.7, eps=0.0, reduction="none"))
    gap = (a - p).norm(dim=1) - (a - n).norm(dim=1)
    torch.testing.assert_close(triplet(a, p, n, None), (1 + gap.exp()).log())
    torch.testing.assert_close(triplet(a + 5, p + 5, n + 5, 0.7), found)


def test_pair_contrastive_values():
    a = torch.zeros(4, 2)
    b = torch.tensor([[3.0, 4.0], [3.0, 4.0], [0.6, 0.8], [0.0, 0.0]])
    target = torch.tensor([1.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(pair_contrastive(a, b, target, 2.0), torch.tensor([12.5, 0.0, 0.5, 2.0]))
    torch.testing.assert_close(pair_contrastive(b, a, target, 2.0), pair_contrastive(a, b, target, 2.0))


@pytest.mark.parametrize("margin", [1.0, None])
def test_mined_triplets_are_those_found_by_hand(margin):
    z = drawn()
    d = (z[:, None] - z).norm(dim=2)
    hinge = lambda gap: math.log1p(math.exp(gap)) if margin is None else max(gap + margin, 0.0)
    hard, semi = [], []
    for i in range(8):
        positives = [d[i, j].item() for j in range(8) if j != i and LABELS[j] == LABELS[i]]
        negatives = [d[i, j].item() for j in range(8) if LABELS[j] != LABELS[i]]
        hard.append(hinge(max(positives) - min(negatives)) if positives else 0.0)
        each = [hinge(p - min([n for n in negatives if n > p], default=max(negatives))) for p in positives]
        semi.append(sum(each) / len(each) if each else 0.0)
    torch.testing.assert_close(batch_hard_triplet(z, LABELS, margin), torch.tensor(hard, dtype=torch.float64))
    torch.testing.assert_close(semi_hard_triplet(z, LABELS, margin), torch.tensor(semi, dtype=torch.float64))
    assert (batch_hard_triplet(z, LABELS, margin) >= semi_hard_triplet(z, LABELS, margin)).all()


@pytest.mark.parametrize("loss", [batch_hard_triplet, semi_hard_triplet])
def test_rows_without_a_triplet_yield_0_and_no_gradient(loss):
    z = drawn().requires_grad_()
    for labels in (torch.arange(8), torch.zeros(8, dtype=torch.long)):
        value = loss(z, labels, 1.0)
        assert (value == 0).all()
        assert (torch.autograd.grad(value.sum(), z)[0] == 0).all()


@pytest.mark.parametrize("loss", [batch_hard_triplet, semi_hard_triplet])
def test_one_class_far_from_all_others_has_nothing_to_learn(loss):
    z = 100.0 * torch.nn.functional.one_hot(LABELS).double() + 0.01 * drawn(8, 4)
    assert (loss(z, LABELS, 1.0) == 0).all()
    assert (loss(z, LABELS, 200.0)[:7] > 0).all()


LOSSES = {
    "triplet": lambda z: triplet(z, z.roll(1, 0), z.roll(2, 0), 1.0),
    "soft": lambda z: triplet(z, z.roll(1, 0), z.roll(2, 0), None),
    "pair": lambda z: pair_contrastive(z, z.roll(1, 0), LABELS % 2, 3.0),
    "hard": lambda z: batch_hard_triplet(z, LABELS, 1.0),
    "semi-hard": lambda z: semi_hard_triplet(z, LABELS, 1.0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_second_derivatives_and_slopes_where_rows_coincide(name):
    assert gradgradcheck(LOSSES[name], (drawn().requires_grad_(),))
    z = torch.zeros(8, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(LOSSES[name](z).sum(), z, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum() + z.sum(), z)
    assert slope.isfinite().all() and bend.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_lanes_and_large_numbers(name):
    z = torch.stack([drawn(seed=s) for s in range(3)]).float()
    slope = grad(lambda z: LOSSES[name](z).sum())
    torch.testing.assert_close(vmap(slope)(z), torch.stack([slope(x) for x in z]))
    assert LOSSES[name](1e4 * z[0]).isfinite().all() and slope(1e4 * z[0]).isfinite().all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: pair_contrastive(z, z, torch.ones(2)), r"'target' must be \(3,\)"),
        (lambda z: triplet(z, z, z[:2]), r"'negative' must be \(3, 2\)"),
        (lambda z: triplet(z, z[:2], z), "triplet: 'a' and 'b'"),
        (lambda z: batch_hard_triplet(z, torch.ones(2)), "batch_hard_triplet: 'z' must be"),
        (lambda z: semi_hard_triplet(z[:1], torch.ones(1)), "semi_hard_triplet: 'z' must be"),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call(torch.ones(3, 2))
