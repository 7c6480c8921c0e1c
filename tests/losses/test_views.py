"""SigLIP, NT-Xent, supervised contrastive, decoupled: identities, invariances, limits, second derivatives, refusals."""

import math

import pytest
import torch
from torch.autograd import gradgradcheck
from torch.nn.functional import logsigmoid, normalize

from whichloss.errors import UserError
from whichloss.losses.contrastive import (
    LOG_SCALE,
    LOG_SCALE_MOST,
    clip_log_scale,
    cosine_bce,
    decoupled_info_nce,
    info_nce,
    info_nce_one_way,
    nt_xent,
    siglip,
    siglip_bias,
    sup_con,
)


def drawn(n=6, d=4, kind=torch.float64):
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g, dtype=kind), torch.randn(n, d, generator=g, dtype=kind)


TWO_SIDED = {
    "info_nce": lambda a, b: info_nce(a, b, 0.2),
    "nt_xent": lambda a, b: nt_xent(a, b, 0.2),
    "decoupled_info_nce": lambda a, b: decoupled_info_nce(a, b, 0.2),
    "siglip": lambda a, b: siglip(a, b, 5.0, -1.0),
    "sup_con": lambda a, b: sup_con(torch.cat([a, b]), torch.arange(len(a)).repeat(2), 0.2).view(2, -1).mean(0),
}


@pytest.mark.parametrize("name", TWO_SIDED)
def test_lengths_and_the_order_of_pairs_do_not_count_and_rotations_neither(name):
    loss, (a, b) = TWO_SIDED[name], drawn()
    value = loss(a, b)
    torch.testing.assert_close(loss(5 * a, b / 9), value)
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    torch.testing.assert_close(loss(a[order], b[order]), value[order])
    turn, _ = torch.linalg.qr(drawn(4)[0])
    torch.testing.assert_close(loss(a @ turn, b @ turn), value)
    torch.testing.assert_close(loss(b, a).sum(), value.sum())


@pytest.mark.parametrize("name", TWO_SIDED)
def test_second_derivatives(name):
    a, b = (x.requires_grad_() for x in drawn(4, 3))
    assert gradgradcheck(TWO_SIDED[name], (a, b))


def test_one_way_is_half_of_both_ways():
    a, b = drawn()
    both = (info_nce_one_way(a, b, 0.2) + info_nce_one_way(b, a, 0.2)) / 2
    torch.testing.assert_close(both, info_nce(a, b, 0.2))
    exact = -(normalize(a, dim=1) @ normalize(b, dim=1).T / 0.2).log_softmax(1).diagonal()
    torch.testing.assert_close(info_nce_one_way(a, b, 0.2), exact)


def test_nt_xent_is_sup_con_of_pairs_and_decoupled_plus_softplus():
    a, b = drawn()
    torch.testing.assert_close(nt_xent(a, b, 0.2), TWO_SIDED["sup_con"](a, b))
    single = a[:2], b[:2]
    unit = normalize(torch.cat(single), dim=1)
    s = unit @ unit.T / 0.2
    lead = torch.stack([torch.logsumexp(s[0, [1, 3]], 0) - s[0, 2], torch.logsumexp(s[2, [1, 3]], 0) - s[2, 0]])
    torch.testing.assert_close(decoupled_info_nce(*single, 0.2)[0], lead.mean())
    torch.testing.assert_close(nt_xent(*single, 0.2)[0], torch.nn.functional.softplus(lead).mean())


def test_decoupled_has_no_floor_and_the_positive_pulls_with_full_weight():
    z = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(decoupled_info_nce(z, z, 0.01), torch.full((4,), math.log(6) - 100).double())
    assert (nt_xent(z, z, 0.01) >= 0).all()


def test_solved_pairs_keep_their_digits():
    z, exact = torch.eye(8), math.log1p(14 * math.exp(-40.0))
    for value in (nt_xent(z, z, 1 / 40), sup_con(torch.cat([z, z]), torch.arange(8).repeat(2), 1 / 40)):
        torch.testing.assert_close(value, torch.full_like(value, exact), rtol=1e-5, atol=0)


def test_sup_con_of_anchors_without_positives_is_0_without_a_gradient():
    z, _ = drawn()
    z.requires_grad_()
    value = sup_con(z, torch.tensor([0, 0, 1, 2, 3, 3]), 0.1)
    assert (value[[2, 3]] == 0).all() and (value[[0, 1, 4, 5]] > 0).all()
    (slope,) = torch.autograd.grad(value[2] + value[3], z, retain_graph=True)
    assert (slope == 0).all()
    for labels in (torch.arange(6), torch.zeros(6, dtype=torch.long)):  # none has a positive; none has a negative
        value = sup_con(z, labels, 0.1)
        (slope,) = torch.autograd.grad(value.sum(), z)
        assert value.isfinite().all() and slope.isfinite().all()
    assert (sup_con(z, torch.zeros(6, dtype=torch.long), 0.1) >= math.log(5)).all()


def test_sup_con_depends_on_which_labels_agree_alone():
    z, _ = drawn()
    labels = torch.tensor([0, 0, 1, 1, 1, 0])
    torch.testing.assert_close(sup_con(z, 7 - 3 * labels, 0.2), sup_con(z, labels, 0.2))


def test_siglip_is_a_binary_cross_entropy_for_every_pair():
    a, b = drawn()
    same = torch.eye(6, dtype=torch.float64)
    sides = [x.unsqueeze(k).expand(6, 6, 4).reshape(36, 4) for k, x in ((1, a), (0, b))]
    pairwise = cosine_bce(*sides, same.flatten(), 5.0, -1.0).view(6, 6)
    torch.testing.assert_close(siglip(a, b, 5.0, -1.0), pairwise.sum(1))


@pytest.mark.parametrize("n", [2, 64, 256])
def test_siglip_at_orthogonal_embeddings_and_its_best_bias(n):
    """log(1 + e^-b) + (N - 1) log(1 + e^b) at cosines 0; least, with slope 0, at b = -log(N - 1)."""
    a, b = torch.eye(2 * n, dtype=torch.float64).split(n)
    bias = torch.tensor(siglip_bias(n), dtype=torch.float64, requires_grad=True)
    value = siglip(a, b, 10.0, bias).mean()
    torch.testing.assert_close(value, -logsigmoid(bias) - (n - 1) * logsigmoid(-bias))
    (slope,) = torch.autograd.grad(value, bias)
    assert abs(slope) < 1e-12
    if n == 256:
        assert value.item() == pytest.approx(6.543, abs=1e-3)
        paper = torch.tensor(-10.0, dtype=torch.float64, requires_grad=True)
        value = siglip(a, b, 10.0, paper).mean()
        assert value.item() == pytest.approx(10.012, abs=1e-3)
        # torch.autograd.grad by the bias: all negatives are already right, so only the positive asks
        assert torch.autograd.grad(value, paper)[0].item() == pytest.approx(-0.988, abs=1e-3)


@pytest.mark.parametrize("name", TWO_SIDED)
@pytest.mark.parametrize("temperature", [1e-4, 1.0])
def test_scores_of_ten_thousand_stay_finite(name, temperature):
    a, b = (x.requires_grad_() for x in drawn(kind=torch.float32))
    losses = {
        "info_nce": lambda: info_nce(a, b, temperature),
        "nt_xent": lambda: nt_xent(a, b, temperature),
        "decoupled_info_nce": lambda: decoupled_info_nce(a, b, temperature),
        "siglip": lambda: siglip(a, b, 1 / temperature, -1e4),
        "sup_con": lambda: sup_con(torch.cat([a, b]), torch.arange(6).repeat(2), temperature),
    }
    value = losses[name]()
    assert value.isfinite().all()
    assert all(x.isfinite().all() for x in torch.autograd.grad(value.sum(), [a, b]))


def test_the_learnt_scale_starts_and_ends_where_clip_s_does():
    assert math.exp(LOG_SCALE) == pytest.approx(1 / 0.07)
    learnt = torch.tensor([LOG_SCALE, 4.7, LOG_SCALE_MOST])
    torch.testing.assert_close(clip_log_scale(learnt).exp(), torch.tensor([1 / 0.07, 100.0, 100.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: info_nce_one_way(a, a[:2], 1.0), r"info_nce_one_way: 'a' and 'b' .* \(3, 2\) and \(2, 2\)"),
        (lambda a: nt_xent(a[:1], a[:1], 1.0), "nt_xent: a single pair has no negatives"),
        (lambda a: decoupled_info_nce(a[:1], a[:1], 1.0), "decoupled_info_nce: a single pair"),
        (lambda a: siglip(a[0], a[0], 1.0, 0.0), "siglip: 'a' and 'b' must both"),
        (lambda a: sup_con(a, torch.ones(3, 1), 1.0), r"'labels' \(B,\); got \(3, 2\) and \(3, 1\)"),
        (lambda a: siglip_bias(1), "the bias of 1 pairs is not defined"),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call(torch.ones(3, 2))
