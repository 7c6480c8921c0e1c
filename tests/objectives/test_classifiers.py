"""The classifiers: losses against torch and closed forms, memory, the meaning of logits, and that they learn."""

from dataclasses import replace

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn import functional

from whichloss.nets import builder
from whichloss.objectives import Nets, available, find
from whichloss.rng import Rng
from whichloss.task import Batch, Task
from whichloss.train import Lanes, train

NAMES = available("classify")
SEVERAL = ("asymmetric", "bce")
OFFSETS = {"balanced-softmax", "logit-adjusted", "logit-adjusted-gce"}
RNG = Rng.of(7)
K = 4
COUNTS = torch.tensor([50.0, 20.0, 3.0, 1.0], dtype=torch.float64)
AS_THEY_ARE = Nets({"F": lambda x: x})  # the rows are the logits
each = pytest.mark.parametrize("name", NAMES)


def logits(outputs, rows=200):
    z = 3 * torch.randn(rows, outputs, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return z, (torch.arange(rows) % 7).clamp(max=K - 1)


def one_hot(y):
    return functional.one_hot(y, K).double()


def right(z, y):
    """The probability of the label."""
    return z.softmax(dim=1)[torch.arange(len(y)), y]


def asymmetric(o, z, y):
    p, t = z.sigmoid(), one_hot(y)
    shifted = (p - o.clip).clamp(min=0)
    there, absent = (1 - p) ** o.gamma_pos * p.log(), shifted**o.gamma_neg * (1 - shifted).log()
    return -(t * there + (1 - t) * absent).sum(dim=1).mean()


def chain(z):
    """P(y = k) of conditional logits, one factor after the other."""
    go = z.sigmoid()
    law = [go[:, :k].prod(dim=1) * (1 - go[:, k]) for k in range(z.shape[1])]
    return torch.stack([*law, go.prod(dim=1)], dim=1)


def shifted(o, z):
    return z + o.tau * (COUNTS / COUNTS.sum()).log()


FORMULAS = {
    "asymmetric": asymmetric,
    "balanced-softmax": lambda o, z, y: functional.cross_entropy(z + COUNTS.log(), y),
    "bce": lambda o, z, y: functional.binary_cross_entropy_with_logits(z, one_hot(y), reduction="sum") / len(y),
    "cross-entropy": lambda o, z, y: functional.cross_entropy(z, y),
    "focal": lambda o, z, y: (-((1 - right(z, y)) ** o.gamma) * right(z, y).log()).mean(),
    "gce": lambda o, z, y: ((1 - right(z, y) ** o.q) / o.q).mean(),
    "label-smoothing": lambda o, z, y: functional.cross_entropy(z, y, label_smoothing=o.smoothing),
    "logit-adjusted": lambda o, z, y: functional.cross_entropy(shifted(o, z), y),
    "logit-adjusted-gce": lambda o, z, y: ((1 - right(shifted(o, z), y) ** o.q) / o.q).mean(),
    "multi-margin": lambda o, z, y: functional.multi_margin_loss(z, y, margin=o.margin),
    "ordinal": lambda o, z, y: -chain(z)[torch.arange(len(y)), y].log().mean(),
    "poly": lambda o, z, y: (-right(z, y).log() + o.epsilon * (1 - right(z, y))).mean(),
    "squared": lambda o, z, y: functional.mse_loss(z, one_hot(y)),
    "symmetric-ce": lambda o, z, y: (-o.alpha * right(z, y).log() - o.beta * o.floor * (1 - right(z, y))).mean(),
    "weighted-cross-entropy": lambda o, z, y: functional.cross_entropy(z, y, weight=1 / (1 - o.beta**COUNTS)),
}
OTHERS = {
    "asymmetric": {"gamma_pos": 1.0, "gamma_neg": 2.0, "clip": 0.1},
    "focal": {"gamma": 0.5},
    "gce": {"q": 0.3},
    "label-smoothing": {"smoothing": 0.4},
    "logit-adjusted": {"tau": 0.5},
    "logit-adjusted-gce": {"tau": 2.0, "q": 1.0},
    "multi-margin": {"margin": 3.0},
    "poly": {"epsilon": -0.5},
    "symmetric-ce": {"alpha": 2.0, "beta": 0.1, "floor": -9.0},
    "weighted-cross-entropy": {"beta": 0.9},
}


def test_every_classifier_has_a_formula_and_every_setting_a_second_value():
    assert set(FORMULAS) == set(NAMES)
    for name in NAMES:
        assert set(OTHERS.get(name, ())) == set(vars(find(name)())) - {"lr", "least"}, name


@each
@pytest.mark.parametrize("defaults", [True, False])
def test_the_loss_is_its_formula(name, defaults):
    objective = find(name)(**({} if defaults else OTHERS.get(name, {})))
    z, y = logits(K - 1 if name == "ordinal" else K)
    memory = {"counts": COUNTS, "prior": COUNTS / COUNTS.sum()}
    loss = objective.loss(AS_THEY_ARE, Batch(z, memory, y=one_hot(y)), RNG)
    torch.testing.assert_close(loss, FORMULAS[name](objective, z, y), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_labels_a_row_are_summed(name):
    z, _ = logits(K)
    t = (torch.rand(z.shape, generator=torch.Generator().manual_seed(2)) < 0.3).double()
    objective = find(name)(**({"gamma_neg": 0.0, "clip": 0.0} if name == "asymmetric" else {}))
    loss = objective.loss(AS_THEY_ARE, Batch(z, y=t), RNG)
    expected = functional.binary_cross_entropy_with_logits(z, t, reduction="sum") / len(z)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(objective.logits(AS_THEY_ARE, z, Task("classify", K, 9, K, "several")), z)


def test_which_labels_each_takes():
    fits = {
        labels: {name for name in NAMES if find(name)().unfit(Task("classify", 2, 9, K, labels)) is None}
        for labels in ("one", "several", "ordered")
    }
    assert fits == {"one": {*NAMES} - {"ordinal"}, "several": {*SEVERAL}, "ordered": {*NAMES}}
    assert "no order" in find("ordinal")().unfit(Task("classify", 2, 9, K, "one"))
    assert "several labels" in find("focal")().unfit(Task("classify", 2, 9, K, "several"))


def test_counts_and_priors_are_those_of_the_lane_and_a_class_it_lacks_counts_one_row():
    y = torch.tensor([0, 0, 0, 0, 1, 1, 2]).repeat(2)
    data = Batch(torch.zeros(14, 2), y=one_hot(y))
    counts = torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)
    remember = {name: memory for name in NAMES if (memory := find(name)().memory(data, RNG))}
    assert set(remember) == OFFSETS | {"weighted-cross-entropy"}
    for name, memory in remember.items():
        ((key, value),) = memory.items()
        torch.testing.assert_close(value, counts if key == "counts" else counts / 15, msg=name)


@each
def test_a_class_that_a_lane_lacks_leaves_the_loss_finite(name):
    z, y = logits(K - 1 if name == "ordinal" else K)
    y, objective = y.clamp(max=2), find(name)()
    data = Batch(z.requires_grad_(), y=one_hot(y))
    batch = replace(data, memory=objective.memory(data, RNG))
    (slope,) = torch.autograd.grad(objective.loss(AS_THEY_ARE, batch, RNG), z)
    assert slope.isfinite().all() and slope.abs().max() > 0


@pytest.mark.parametrize("name", sorted({*NAMES} - {*SEVERAL, "squared", "ordinal"}))
def test_scores_are_logits_without_what_was_added_in_training(name):
    z, _ = logits(K)
    assert torch.equal(find(name)().logits(AS_THEY_ARE, z, Task("classify", K, 9, K, "one")), z)


@pytest.mark.parametrize("name", SEVERAL)
def test_sigmoids_of_one_label_are_made_to_sum_to_one(name):
    z, _ = logits(K)
    p = find(name)().logits(AS_THEY_ARE, z, Task("classify", K, 9, K, "one")).softmax(dim=1)
    torch.testing.assert_close(p, z.sigmoid() / z.sigmoid().sum(dim=1, keepdim=True))
    far = torch.tensor([[1e4, -1e4, 0.0, -1e4]])
    assert find(name)().logits(AS_THEY_ARE, far, Task("classify", K, 9, K, "one")).isfinite().all()


def test_squared_scores_are_the_probabilities():
    task, objective = Task("classify", K, 9, K, "one"), find("squared")()
    shares = torch.tensor([[0.5, 0.3, 0.15, 0.05]], dtype=torch.float64)
    torch.testing.assert_close(objective.logits(AS_THEY_ARE, shares, task).softmax(dim=1), shares)
    below = torch.tensor([[1.2, -0.2, 0.0, 0.0]], dtype=torch.float64)
    p = objective.logits(AS_THEY_ARE, below, task).softmax(dim=1)
    torch.testing.assert_close(p, torch.tensor([[1.2, 1e-3, 1e-3, 1e-3]], dtype=torch.float64) / 1.203)


def test_ordinal_logits_are_logs_of_a_law_and_stay_finite():
    objective, task = find("ordinal")(), Task("classify", K, 9, K, "ordered")
    z, _ = logits(K - 1)
    p = objective.logits(AS_THEY_ARE, z, task).exp()
    torch.testing.assert_close(p, chain(z))
    torch.testing.assert_close(p.sum(dim=1), torch.ones(len(z), dtype=z.dtype))
    far = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, 1e4]])
    assert objective.logits(AS_THEY_ARE, far, task).isfinite().all()


def slope_of_a_constant(name, z, y):
    """The gradient of the mean loss in logits (K,) that are the same for all rows."""
    z = torch.as_tensor(z, dtype=torch.float64).requires_grad_()
    objective, data = find(name)(), Batch(torch.zeros(len(y), 2), y=one_hot(y))
    batch = replace(data, memory=objective.memory(data, RNG))
    nets = Nets({"F": lambda x: z.expand(len(x), K)})
    return torch.autograd.grad(objective.loss(nets, batch, RNG), z)[0]


def test_rows_that_say_nothing_get_the_class_shares_or_equal_chances():
    """Best constant logits: log shares for the likelihood, 0 where the shares are given, by closed forms."""
    y = torch.arange(4).repeat_interleave(torch.tensor([40, 30, 20, 10]))
    shares = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    best = {
        "cross-entropy": shares.log(),
        "bce": shares.logit(),
        "squared": shares,
        "balanced-softmax": torch.zeros(K),
        "logit-adjusted": torch.zeros(K),
        "label-smoothing": (0.9 * shares + 0.1 / K).log(),
        "gce": shares.log() / 0.3,
        "logit-adjusted-gce": shares.log() / 0.3 - shares.log(),
    }
    for name, z in best.items():
        assert slope_of_a_constant(name, z, y).abs().max() < 1e-12, name
        assert slope_of_a_constant(name, z + torch.tensor([0.5, 0, 0, 0]), y).abs().max() > 1e-3, name


def blobs(sizes, seed):
    """Three Gaussian clouds at the corners of a triangle: rows and their class (n, 3)."""
    rng = Rng.of(seed)["blobs"]
    y = torch.arange(3).repeat_interleave(torch.tensor(sizes))
    centres = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 4.0]])
    return torch.cat([centres[y] + rng.normal("x", (len(y), 2)), y[:, None].float()], dim=1)


def group(name, sizes, task, lr=3e-3):
    """A lane for each triple of class sizes."""
    rows = [blobs(s, k) for k, s in enumerate(sizes)]
    most = max(map(len, rows))
    data = torch.stack([functional.pad(x, (0, 0, 0, most - len(x)), value=torch.nan) for x in rows])
    key = Rng(Rng.of(*range(9)).key[: len(rows)])
    counted = torch.tensor([len(x) for x in rows])
    jitter = torch.zeros(len(rows), 2)
    return Lanes(find(name)(lr=lr), task, builder(32, 2), key, data, counted, jitter, batch=64)


@each
def test_it_learns_three_clouds_in_lanes_of_different_class_sizes(name):
    task = Task("classify", 2, 300, 3, "ordered" if name == "ordinal" else "one")
    lanes = group(name, [(150, 60, 30), (100, 100, 100)], task)
    *_, (state, _) = train(lanes, 250)
    new = blobs((100, 100, 100), 99)
    found = lanes.map(lambda o, rng, w: o.logits(lanes.nets(w), new[:, :2], task), dict(state.weights))
    accuracy = (found.argmax(dim=2) == new[:, 2]).float().mean(dim=1)
    assert (accuracy > 0.9).all(), accuracy
    for key, value in state.memory.items():
        counts = torch.tensor([[150.0, 60.0, 30.0], [100.0, 100.0, 100.0]])
        torch.testing.assert_close(value, counts if key == "counts" else counts / counts.sum(dim=1, keepdim=True))


@pytest.mark.parametrize("name", SEVERAL)
def test_it_learns_several_labels_a_row(name):
    """Two labels: right of 0, and above 1; a row may have both or none."""
    truth = lambda x: (x > torch.tensor([0.0, 1.0])).float()
    x, new = (Rng.of(seed)["several"].normal("x", (400, 2)) for seed in (0, 1))
    task = Task("classify", 2, 400, 2, "several")
    data, sizes = torch.cat([x, truth(x)], dim=1)[None], torch.tensor([400])
    lanes = Lanes(find(name)(lr=3e-3), task, builder(32, 2), Rng(Rng.of(0, 1).key[:1]), data, sizes, torch.zeros(1, 2))
    *_, (state, _) = train(lanes, 250)
    (found,) = lanes.map(lambda o, rng, w: o.logits(lanes.nets(w), new, task), dict(state.weights))
    for c in range(2):
        assert average_precision_score(truth(new)[:, c], found[:, c].sigmoid()) > 0.97


def test_cross_entropy_trains_as_a_loop_written_by_hand():
    """Equal first weights and equal batches: equal losses and equal weights after 20 steps."""
    task = Task("classify", 2, 190, 3, "one")
    lanes = group("cross-entropy", [(100, 60, 30)], task, lr=1e-3)
    state = lanes.start()
    net = torch.nn.Sequential(
        *(torch.nn.Linear(2, 32), torch.nn.ReLU()),
        *(torch.nn.Linear(32, 32), torch.nn.ReLU()),
        torch.nn.Linear(32, 3),
    )
    torch.nn.utils.vector_to_parameters(state.weights["F"][0].clone(), net.parameters())
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    x, y = lanes.data[0, :, :2], lanes.data[0, :, 2].long()
    for step, (now, losses) in enumerate(train(lanes, 20, state)):
        rows = lanes.rng.at(step).integers("rows", (64,), 1 << 40)[0] % 190
        loss = functional.cross_entropy(net(x[rows]), y[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
        torch.testing.assert_close(losses["0:F"][0], loss.detach(), rtol=1e-5, atol=1e-6)
    by_hand = torch.nn.utils.parameters_to_vector(net.parameters()).detach()
    torch.testing.assert_close(now.weights["F"][0], by_hand, rtol=1e-4, atol=1e-6)
