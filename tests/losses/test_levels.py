"""The numbers at which the losses of embeddings stand still, against the losses themselves."""

import math

import pytest
import torch
from torch.nn.functional import one_hot

from whichloss.errors import UserError
from whichloss.losses import contrastive, levels, metric_learning, redundancy

SAME = torch.randn(1, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def same(n):
    return SAME.expand(n, 7)


def groups(counts):
    """Row -> its group; and rows that are equal within a group and orthogonal to all others."""
    group = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return group, one_hot(group, len(counts)).double()


@pytest.mark.parametrize("n", [2, 64])
@pytest.mark.parametrize("temperature", [1.0, 0.07])
def test_collapse_of_the_softmax_losses(n, temperature):
    a = same(n)
    for loss, level in [
        (contrastive.info_nce, levels.collapse_of_info_nce(n)),
        (contrastive.info_nce_one_way, levels.collapse_of_info_nce(n)),
        (contrastive.nt_xent, levels.collapse_of_nt_xent(n)),
        (contrastive.decoupled_info_nce, levels.collapse_of_decoupled_info_nce(n)),
    ]:
        torch.testing.assert_close(loss(a, 3 * a, temperature), torch.full((n,), level, dtype=torch.float64))
    labels = torch.arange(n).repeat(2)
    found = contrastive.sup_con(torch.cat([a, a]), labels, temperature)
    torch.testing.assert_close(found, torch.full((2 * n,), levels.collapse_of_sup_con(2 * n)).double())


def test_published_levels():
    assert levels.collapse_of_info_nce(64) == pytest.approx(4.15888, abs=1e-5)
    assert levels.collapse_of_nt_xent(64) == levels.collapse_of_sup_con(128) == pytest.approx(4.84419, abs=1e-5)
    assert levels.collapse_of_siglip(64, 10.0, -10.0) == pytest.approx(44.36142, abs=1e-5)
    assert levels.collapse_of_vicreg() == pytest.approx(24.75)
    assert levels.collapse_of_cosine_bce() == pytest.approx(0.81326, abs=1e-5)


@pytest.mark.parametrize(("scale", "bias"), [(10.0, -10.0), (100.0, -3.0), (1.0, 0.0)])
def test_collapse_of_the_sigmoid_losses(scale, bias):
    a = same(16)
    level = levels.collapse_of_siglip(16, scale, bias)
    torch.testing.assert_close(contrastive.siglip(a, a, scale, bias), torch.full((16,), level, dtype=torch.float64))
    target = torch.tensor([1.0] * 4 + [0.0] * 12)
    found = contrastive.cosine_bce(a, a, target, scale, bias).mean().item()
    assert found == pytest.approx(levels.collapse_of_cosine_bce(0.25, scale, bias))


@pytest.mark.parametrize("margin", [0.5, 2.0, None])
def test_collapse_of_metric_learning(margin):
    a, labels = same(8), torch.arange(8) // 2
    for found in (
        metric_learning.triplet(a, a, a, margin),
        metric_learning.batch_hard_triplet(a, labels, margin),
        metric_learning.semi_hard_triplet(a, labels, margin),
    ):
        torch.testing.assert_close(found, torch.full((8,), levels.collapse_of_triplet(margin), dtype=torch.float64))
    if margin:
        found = metric_learning.pair_contrastive(a, a, (labels == 0).double(), margin).mean().item()
        assert found == pytest.approx(levels.collapse_of_pair_contrastive(0.25, margin))


def test_collapse_of_the_statistics():
    a = same(8)
    torch.testing.assert_close(
        redundancy.vicreg(a, a), torch.full((8,), levels.collapse_of_vicreg(), dtype=torch.float64)
    )
    assert redundancy.vicreg_parts(a, a).covariance < 1e-30
    assert redundancy.barlow_twins(a, a).item() == pytest.approx(levels.collapse_of_barlow_twins(7))


COUNTS = [[3, 3, 3], [1, 1, 4, 2], [5, 1, 1, 1, 1]]


@pytest.mark.parametrize("counts", COUNTS)
def test_floors_are_what_perfect_embeddings_of_duplicates_cost(counts):
    group, z = groups(counts)
    assert contrastive.info_nce(z, z, 1e-3).mean().item() == pytest.approx(levels.floor_of_info_nce(counts))
    assert contrastive.info_nce_one_way(z, z, 1e-3).mean().item() == pytest.approx(levels.floor_of_info_nce(counts))
    assert contrastive.nt_xent(z, z, 1e-3).mean().item() == pytest.approx(levels.floor_of_nt_xent(counts))
    assert contrastive.sup_con(z, group, 1e-3).mean().item() == pytest.approx(levels.floor_of_sup_con(counts))


@pytest.mark.parametrize("k", [2, 3, 10])
def test_floor_of_siglip_is_the_best_logit_of_k_equal_rows(k):
    _, z = groups([k, k])
    best = -math.log(k - 1)  # within a group; strangers are far apart
    found = contrastive.siglip(z, z, 1e3, best - 1e3).mean().item()
    assert found == pytest.approx(levels.floor_of_siglip([k, k]))
    for wrong in (best - 0.1, best + 0.1):
        assert contrastive.siglip(z, z, 1e3, wrong - 1e3).mean().item() > found


def test_published_floors():
    assert levels.floor_of_info_nce([26, 26, 26, 25, 25]) == pytest.approx(3.243, abs=1e-3)  # 5 captions in 128
    assert levels.floor_of_info_nce([128, 128]) == pytest.approx(4.852, abs=1e-3)
    assert all(floor([1] * 9) == 0 for floor in (levels.floor_of_info_nce, levels.floor_of_nt_xent))
    assert levels.floor_of_siglip([1] * 9) == levels.floor_of_sup_con([1] * 9) == 0


@pytest.mark.parametrize(("n", "temperature"), [(2, 0.5), (4, 1.0), (5, 0.3)])
def test_least_is_what_free_embeddings_reach(n, temperature):
    """Any two sets of embeddings, optimised: none comes below the simplex, and it is reached."""
    least, found = levels.least_of_info_nce(n, temperature), math.inf
    for seed in range(3):
        sides = torch.randn(
            2, n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        ).requires_grad_()
        optimiser = torch.optim.LBFGS([sides], max_iter=300, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

        def step():
            optimiser.zero_grad()
            value = contrastive.info_nce(*sides, temperature).mean()
            value.backward()
            return value

        optimiser.step(step)
        found = min(found, step().item())
    assert least - 1e-12 <= found < least + 1e-6


@pytest.mark.parametrize("temperature", [1.0, 0.2])
@pytest.mark.parametrize("counts", [[8] * 4, [2] * 9, [20, 8, 4], [30, 2], [12, 6, 1, 1], [25, 3, 3, 1]])
def test_least_of_sup_con_is_below_free_embeddings_and_reached_by_equal_classes(counts, temperature):
    least, labels = levels.least_of_sup_con(counts, temperature), groups(counts)[0]
    start = torch.randn(len(labels), 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z = start.requires_grad_()
    adam, paired = torch.optim.Adam([z], 0.05), torch.tensor(counts)[labels] > 1
    for _ in range(400):
        loss = contrastive.sup_con(z, labels, temperature)[paired].mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert least <= loss.item() + 1e-9
    if len(set(counts)) == 1:
        assert loss.item() == pytest.approx(least, abs=2e-3)
        c, k = len(counts), counts[0]
        others = (c - 1) * k * math.exp(-c / (c - 1) / temperature)
        assert least == pytest.approx(math.log(k - 1 + others), rel=1e-6)


def test_least_of_sup_con_without_others_or_without_partners():
    assert levels.least_of_sup_con([5], 0.5) == pytest.approx(math.log(4))
    assert levels.least_of_sup_con([1, 1, 1], 0.5) == 0
    assert levels.least_of_sup_con([2] * 8, 1.0) == pytest.approx(math.log1p(14 * math.exp(-8 / 7)), rel=1e-6)


@pytest.mark.parametrize("counts", [[], [0, 1], [1.5]])
def test_counts_that_are_none_are_refused(counts):
    with pytest.raises(UserError, match="'counts' must be whole numbers"):
        levels.floor_of_info_nce(counts)
