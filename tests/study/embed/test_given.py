"""Embeddings judged by given pairs: scores against their definitions, simple models, what refuses and what warns."""

from itertools import product

import numpy as np
import pytest
import torch

from whichloss.data import Pairs, Pictures, read_pairs
from whichloss.data.pair_labels import labelled
from whichloss.errors import DataUnfit
from whichloss.metrics.embeddings import cosines, threshold
from whichloss.study.embed.given import AlikeJudge, Compared, relevant
from whichloss.study.goals import make_judge
from whichloss.study.work import make_lanes


def rows(n=240, d=6, signal=True, seed=0):
    """Points of six clusters in two of d directions, the others louder; half of the pairs share a cluster."""
    g = np.random.default_rng(seed)
    kind = g.integers(0, 6, (n, 2))
    kind[: n // 2, 1] = kind[: n // 2, 0]
    other = kind[n // 2 :]
    other[:, 1] = (other[:, 0] + g.integers(1, 6, len(other))) % 6
    angle = kind * np.pi / 3
    things = g.normal(size=(n, 2, d)) * np.r_[0.2, 0.2, np.full(d - 2, 2.0)]
    things[..., 0] += 2 * np.cos(angle)
    things[..., 1] += 2 * np.sin(angle)
    same = (kind[:, 0] == kind[:, 1]).astype(int)
    order = g.permutation(n)
    things, same = things[order].astype(np.float32), same[order]
    return things[:, 0], things[:, 1], same if signal else g.permutation(same)


@pytest.fixture(scope="module")
def judge():
    return AlikeJudge(read_pairs(rows()))


def test_the_score_counts_pairs_in_the_wrong_order(judge):
    g = np.random.default_rng(1)
    m = len(judge.numbers(1, "test"))
    a, b = g.normal(size=(m, 5)), g.normal(size=(m, 5))
    answer = Compared(a, b, 0.1)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    y = judge.truth(1, "test").numpy()
    wrong = np.mean([p < q for p, q in product(cosine[y == 1], cosine[y == 0])])
    found = judge.score(answer, 1, "test")
    assert found.value == pytest.approx(wrong, abs=1e-4) and found.influence.sum() == pytest.approx(0, abs=1e-9)
    told = judge.describe(answer, 1, "test")
    assert told["auroc"] == pytest.approx(1 - found.value)
    assert told["pair accuracy"] == pytest.approx(((cosine > 0.1) == y).mean())
    assert told["pair accuracy by chance"] == pytest.approx(max(y.mean(), 1 - y.mean()))
    assert told["alignment"] == pytest.approx(np.mean(2 - 2 * cosine[y == 1]))
    assert told["apart"] == pytest.approx(np.mean(2 - 2 * cosine[y == 0]))


def test_what_has_collapsed_guesses(judge):
    z = np.ones((len(judge.numbers(1, "test")), 3)) + 1e-9 * np.random.default_rng(0).normal(size=(1, 3))
    assert judge.score(Compared(z, z * (1 + 1e-8), 0.5), 1, "test").value == pytest.approx(0.5)


def test_the_threshold_is_right_most_often():
    c, y = torch.arange(1, 7) / 10, torch.tensor([0, 1, 0, 0, 1, 1])
    assert threshold(c, y) == pytest.approx(0.45)  # one mistake, at .2
    assert threshold(c, torch.ones(6)) < 0.1 and threshold(c, torch.zeros(6)) > 0.6
    tied = torch.tensor([0.2, 0.2, 0.2, 0.6])
    assert threshold(tied, torch.tensor([0, 0, 1, 1])) == pytest.approx(0.4)
    g = torch.Generator().manual_seed(0)
    for _ in range(20):
        c, y = (torch.rand(30, generator=g) * 10).round() / 10, torch.randint(0, 2, (30,), generator=g)
        best = max(((c > t) == y.bool()).float().mean() for t in [-1, *(c.unique() + 0.01)])
        assert ((c > threshold(c, y)) == y.bool()).float().mean() == best


def test_cosines_that_differ_by_rounding_are_equal():
    a = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert cosines(a, torch.tensor([[2.0, 0.0], [0.0, 3.0]])).tolist() == pytest.approx([1, 0.5**0.5], abs=1e-6)
    assert cosines(a, a * 1.1)[0] == cosines(a, a * 1.1)[1]


def test_simple_models_are_ordered_as_the_data_is_made():
    judge = AlikeJudge(read_pairs(rows(n=600, d=20)))
    score = {a.name: judge.score(a.answer, 1, "test").value for a in judge.anchors(1, "test")}
    assert set(score) == set(judge.roles)
    assert score["chance"] == pytest.approx(0.5, abs=0.2)
    # alike pairs say which directions are noise; without them all count the same
    assert score["relevant components"] < 0.2 < score["rows as they are"]


def test_relevant_components_shorten_what_parts_alike_things():
    g = np.random.default_rng(0)
    things = g.normal(size=(4000, 2)) * [1.0, 1.0]
    noise = g.normal(size=(4000, 2)) * [0.1, 2.0]
    known = np.concatenate([things, things + noise])
    (z,) = relevant(things, things + noise, known, [np.eye(2) + known.mean(axis=0)])
    ridge = 0.1 * (0.01 + 4) / 2
    sizes = np.linalg.norm(z, axis=1)
    assert sizes == pytest.approx([(0.01 + ridge) ** -0.5, (4 + ridge) ** -0.5], rel=0.05)


def test_what_a_step_sees(judge):
    from whichloss.study.plan import Run

    run = Run(
        data="x", objective="cosine-bce", code="x", setting={"lr": 1e-3, "scale": 10.0}, seed=1, flops=1e8, width=8
    )
    (code,), lanes = make_lanes(judge, (run,), None)
    batch = lanes.labelled(lanes.rows(0)[0])
    assert batch.x.shape == batch.other.shape == (256, 6) and batch.second == 6
    train = judge.split(1).train
    assert set(batch.alike.tolist()) == {0.0, 1.0} and len(code.blocks) == 6
    x = lanes.data[0]
    assert len(x) == len(train) and x.shape[1] == 13
    pooled = torch.cat([x[:, :6], x[:, 6:12]])
    assert pooled.mean(0).abs().max() < 1e-5 and pooled.var(0).sub(1).abs().max() < 0.01  # one encoding for both sides
    np.testing.assert_array_equal(x[:, 12].numpy(), judge.alike[train])


def test_pairs_of_pictures_reach_a_step_side_by_side():
    from whichloss.study.plan import Run

    g = np.random.default_rng(0)
    sides = [Pictures(g.integers(0, 256, (40, 64), dtype=np.uint8), (1, 8, 8)) for _ in range(2)]
    judge = AlikeJudge(labelled("drawn", sides, np.arange(40) % 2))
    assert judge.task.shape == (1, 8, 8) and judge.task.dim == judge.task.second == 64
    run = Run(data="x", objective="pair-contrastive", code="x", setting={}, seed=1, flops=1e8, width=8)
    _, lanes = make_lanes(judge, (run,), None)
    batch = lanes.labelled(lanes.rows(0)[0])
    levels = ((batch.x + 1) * 127.5).round(), ((batch.other + 1) * 127.5).round()
    known = {(*a, *b, y) for a, b, y in zip(*(s.values.tolist() for s in sides), judge.alike.tolist(), strict=True)}
    known = {tuple(map(float, row)) for row in known}
    for a, b, y in zip(*levels, batch.alike, strict=True):
        assert (*a.tolist(), *b.tolist(), float(y)) in known


def test_signal_is_seen_and_its_absence_refused(judge):
    found = judge.preflight()
    assert found.seen and not found.refusal(judge) and found.cautions() == ()
    assert (found.pairs, found.alike, found.shared, found.contradicting) == (240, int(judge.alike.sum()), 0, 0)
    none = AlikeJudge(read_pairs(rows(signal=False, seed=3)))
    found = none.preflight()
    assert "no signal in these pairs" in found.refusal(none) and "trained because asked to" in found.cautions()[0]


def test_things_that_test_pairs_share_are_said():
    a, _, same = rows()
    again = AlikeJudge(read_pairs((a, np.roll(a, 1, axis=0), same)))  # a ring: every thing stands in two pairs
    found = again.preflight()
    assert found.shared > 0.9 and found.linked == 240
    assert "hold a thing that other pairs hold too" in " ".join(found.cautions())


def test_a_part_without_a_label_is_refused():
    a, b, same = rows()
    order = np.argsort(same)  # things shared within a label: six units of 20 pairs each, a label apart
    a, b, same = a[order], b[order], same[order]
    shared = a[np.arange(240) // 20 * 20]
    judges = AlikeJudge(read_pairs((shared, b, same)))
    with pytest.raises(DataUnfit, match="since pairs that share things stay together"):
        for seed in range(1, 40):
            judges.split(seed)


def test_reopened_by_the_goal(judge, tmp_path):
    judge.table.save(tmp_path / "data.safetensors")
    again = make_judge(Pairs.load(tmp_path / "data.safetensors"), "embed", judge.asked)
    assert isinstance(again, AlikeJudge) and again.task == judge.task
    np.testing.assert_array_equal(again.split(3).train, judge.split(3).train)
