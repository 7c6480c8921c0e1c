"""Embeddings whose neighbours, ranks and spread are known."""

import math

import numpy as np
import pytest
import torch

from whichloss.errors import UserError
from whichloss.metrics import embeddings as measure


def sphere(n, e, seed=0):
    return torch.nn.functional.normalize(
        torch.randn(n, e, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=1
    )


def test_equal_embeddings_find_each_other_first():
    z, rows = sphere(50, 16), torch.arange(50)
    found = measure.retrieve(z, z, rows, rows)
    assert found.found(1).eq(1).all() and found.rank.eq(1).all() and found.gallery == 50


def test_where_all_embeddings_have_collapsed_recall_is_that_of_chance():
    z, rows = torch.ones(40, 8), torch.arange(40)
    found = measure.retrieve(z, z, rows, rows)
    for k in (1, 5, 40):
        assert found.found(k).numpy() == pytest.approx(np.full(40, k / 40))
    assert found.rank.numpy() == pytest.approx(np.full(40, 20.5))


@pytest.mark.parametrize(("wrong", "right", "k"), [(3, 2, 1), (3, 2, 2), (3, 2, 4), (0, 2, 1), (6, 1, 3)])
def test_level_answers_come_in_random_order(wrong, right, k):
    """1 - C(w, k) / C(w + r, k): none of the k drawn is right."""
    gallery = torch.tensor([[1.0, 0.0]]).expand(wrong + right, 2)
    groups = torch.cat([torch.ones(right), torch.zeros(wrong)]).long()
    found = measure.retrieve(gallery[:1], gallery, torch.tensor([1]), groups)
    assert float(found.found(k)) == pytest.approx(1 - math.comb(wrong, k) / math.comb(wrong + right, k))


def test_places_are_counted_behind_the_wrong_answers_that_are_nearer():
    angle = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    gallery = torch.stack([angle.cos(), angle.sin()], 1)
    found = measure.retrieve(gallery[:1], gallery, torch.tensor([7]), torch.tensor([0, 0, 7, 0, 7]))
    assert float(found.rank) == 3 and [float(found.found(k)) for k in (1, 2, 3, 5)] == [0, 0, 1, 1]


def test_blocks_change_nothing(monkeypatch):
    a, b, rows = sphere(33, 8), sphere(33, 8, 1), torch.arange(33)
    whole = measure.retrieve(a, b, rows, rows)
    monkeypatch.setattr(measure, "BLOCK", 100)
    parts = measure.retrieve(a, b, rows, rows)
    assert whole.rank.equal(parts.rank)
    codes = rows % 3
    assert measure.neighbours(a, codes, b).equal(measure.neighbours(a, codes, b))


def test_a_query_without_an_answer_is_an_error():
    z = sphere(3, 4)
    with pytest.raises(UserError, match="no right answer"):
        measure.retrieve(z, z, torch.tensor([0, 1, 9]), torch.arange(3))
    with pytest.raises(UserError, match="row 2: not finite"):
        measure.retrieve(z * torch.tensor([[1.0], [math.nan], [1.0]]), z, torch.arange(3), torch.arange(3))


def test_neighbours_and_probe_tell_classes_that_are_apart_and_not_those_that_are_not():
    codes = torch.arange(300) % 3
    middles = torch.eye(3, dtype=torch.float64)[codes]
    z = middles + 0.1 * sphere(300, 3)
    for tell in (measure.neighbours, measure.probe):
        assert tell(z[:200], codes[:200], z[200:]).equal(codes[200:])
        said = tell(z[:200], codes[torch.randperm(200, generator=torch.Generator().manual_seed(0))], z[200:])
        assert (said == codes[200:]).double().mean() < 0.6


def test_neighbours_agree_with_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    z, codes = sphere(400, 5), torch.arange(400) % 2
    said = measure.neighbours(z[:300], codes[:300], z[300:], k=7)  # odd: no equal votes of two classes
    model = KNeighborsClassifier(7, metric="cosine").fit(z[:300], codes[:300])
    assert said.numpy().tolist() == model.predict(z[300:]).tolist()


def test_rank_and_spread_of_known_shapes():
    assert measure.effective_rank(torch.ones(64, 8)) == 1
    assert measure.spread_evenly(torch.ones(64, 8)) == pytest.approx(0, abs=1e-9)
    assert measure.effective_rank(sphere(4000, 16)) == pytest.approx(16, abs=0.1)
    assert measure.spread_evenly(sphere(2000, 64)) == pytest.approx(-4 + 8 / 64, abs=0.02)
    flat = torch.cat([sphere(1000, 3), torch.zeros(1000, 13)], dim=1)
    assert measure.effective_rank(flat) == pytest.approx(3, abs=0.05)


def test_alignment_is_the_mean_squared_distance_of_a_class():
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]])
    assert measure.alignment(z, torch.tensor([0, 0, 1, 1])) == pytest.approx((2 + 4) / 2)


def test_the_mean_of_row_losses_knows_its_error():
    losses = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    found = measure.mean_of(losses)
    assert found.value == 0.5 and found.influence.sum() == 0
    assert found.se == pytest.approx(float(losses.std()) / 2)
