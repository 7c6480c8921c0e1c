"""Rows given a class: every objective learns p(x | y), and no row is ever taken for one of another class."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import one_hot

from whichloss.errors import UserError
from whichloss.nets import builder
from whichloss.objectives import available, find
from whichloss.objectives.base import Nets
from whichloss.rng import Rng
from whichloss.samplers.annealed import annealed_rows
from whichloss.samplers.tilt import resample, tilted_normal
from whichloss.task import Batch, Task
from whichloss.train import Lanes, Loop, in_shares, sampling_weights

ALL = available("generate")
LEARN = {  # objective: steps, rate
    "autoencoder": (80, 1e-2), "cd": (60, 1e-2), "ddpm": (100, 1e-2), "denoising-score-matching": (100, 1e-2),
    "ebgan": (100, 4e-3), "energy-discrepancy": (150, 1e-2), "flow": (40, 1e-2), "flow-ebm": (60, 1e-2),
    "flow-matching": (80, 1e-2), "gan": (150, 4e-3), "gan-minimax": (200, 4e-3), "hinge-gan": (150, 4e-3),
    "latent-ebm": (120, 1e-2), "lsgan": (200, 4e-3), "ml": (150, 1e-2), "nce": (150, 1e-2), "pcd": (200, 4e-3),
    "r3gan": (150, 4e-3), "score-matching": (100, 1e-2), "sliced-score-matching": (100, 1e-2), "wgan": (40, 4e-3),
    "wgan-gp": (40, 4e-3),
}  # fmt: skip
CLASSES, ROWS, BATCH = 3, 240, 64


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def group(name, dim=1, classes=CLASSES, lanes=1, apart=10.0, width=16, labels=None, **fields):
    """Lanes of an objective on rows whose class means lie `apart` standard deviations from each other."""
    draws = torch.Generator().manual_seed(0)
    y = torch.arange(ROWS) % max(1, classes) if labels is None else labels
    x = apart * y[:, None].to(torch.get_default_dtype()) + torch.randn(ROWS, dim, generator=draws)
    x = (x - x.mean(0)) / x.std(0)
    data = torch.cat([x, y[:, None].to(x)], dim=1) if classes else x
    task = Task("generate", dim, ROWS, classes, "one" if classes else "")
    rng = Rng.of(*range(lanes)) if lanes > 1 else Rng(Rng.of(0).key[None])
    sizes, jitter = torch.full((lanes,), ROWS), torch.zeros(lanes, dim)
    build = builder(width, 2, given=task.given)
    return Lanes(find(name)(**fields), task, build, rng, data.repeat(lanes, 1, 1), sizes, jitter, batch=BATCH)


def use(lanes, weights, y=None, x=None):
    """Every loss, a sample and the scores of the first lane's networks, told the classes y."""
    bound = {role: w[0] for role, w in weights.items()}
    rng, rows = Rng.of(3), lanes.rows(0)[0]
    batch = lanes.labelled(rows)
    batch = replace(batch, y=batch.y if y is None else y, x=batch.x if x is None else x)
    nets = lanes.nets(bound, batch.y)
    objective = lanes.objective
    batch = replace(batch, memory=objective.memory(batch, rng["memory"]))
    batch = replace(batch, memory={**batch.memory, **objective.refresh(nets, batch, rng["refresh"])})
    losses = [float(update.loss(nets, batch, rng)) for update in objective.updates()]
    sample = objective.sample(nets, batch.x.shape, rng["sample"])
    score = objective.score(nets, batch.x) if objective.scores else torch.zeros(0)
    return losses, sample.detach(), score.detach(), objective.watch(nets, batch, rng)


@pytest.mark.parametrize("name", ALL)
def test_classes_under_other_names_are_the_same_classes(name, double):
    lanes = group(name, dim=2)
    weights, other = lanes.start().weights, [2, 0, 1]
    moved = {role: w.clone() for role, w in weights.items()}
    for role, w in moved.items():  # the last columns of the first layer belong to the classes
        shape = lanes.layout[role][0][1]
        first = w[:, : shape.numel()].view(-1, *shape)
        first[:, :, -CLASSES:] = first[:, :, -CLASSES:][:, :, other].clone()
    y = lanes.labelled(lanes.rows(0)[0]).y
    one, two = use(lanes, weights), use(lanes, moved, y=y[:, other])
    assert one[0] == pytest.approx(two[0], rel=1e-9)
    assert torch.allclose(one[1], two[1]) and torch.allclose(one[2], two[2])
    assert {k: float(v) for k, v in one[3].items()} == pytest.approx({k: float(v) for k, v in two[3].items()})
    changed = use(lanes, weights, y=y[:, other])  # and they matter
    assert one[0] != pytest.approx(changed[0], rel=1e-9) and not torch.allclose(one[1], changed[1])


@pytest.mark.parametrize("name", ALL)
def test_one_class_is_as_if_none_were_given(name, double):
    """With the weights of the class set to 0: the same losses, samples and scores."""
    given, bare = group(name, dim=2, classes=1), group(name, dim=2, classes=0)
    weights, without = given.start().weights, {}
    for role, w in weights.items():
        shape, rest = given.layout[role][0][1], given.layout[role][0][1].numel()
        without[role] = torch.cat([w[:, :rest].view(-1, *shape)[:, :, :-1].reshape(len(w), -1), w[:, rest:]], dim=1)
        w[:, :rest].view(-1, *shape)[:, :, -1] = 0
    x = given.rows(0)[0][:, :2]
    one, two = use(given, weights, x=x), use(bare, without, x=x)
    assert one[0] == pytest.approx(two[0], rel=1e-7)
    assert torch.allclose(one[2], two[2])
    if name not in ("cd", "energy-discrepancy", "ml", "nce", "score-matching", "sliced-score-matching"):
        assert torch.allclose(one[1], two[1])  # those keep other rows of the 1,024 that were annealed


@pytest.mark.parametrize("name", [n for n in ALL if find(n).scores])
def test_the_score_of_a_row_does_not_depend_on_the_classes_of_others(name, double):
    lanes = group(name, dim=2)
    nets, x = lanes.nets({role: w[0] for role, w in lanes.start().weights.items()}), torch.randn(6, 2)
    y = one_hot(torch.tensor([0, 1, 2, 2, 1, 0]), CLASSES).double()
    whole = lanes.objective.score(nets.told(y), x)
    alone = torch.cat([lanes.objective.score(nets.told(y[i : i + 1]), x[i : i + 1]) for i in range(6)])
    assert torch.allclose(whole, alone)


@pytest.mark.parametrize("name", ALL)
def test_what_is_drawn_is_what_was_asked_for(name):
    """After a short training class means stand in the right order, far apart: they are -1.22, 0 and 1.22."""
    steps, rate = LEARN[name]
    lanes = group(name, width=32, lr=rate, **({"energy_lr": rate} if name == "latent-ebm" else {}))
    loop = Loop(lanes, lanes.start(), steps)
    loop.work = {i: loop._gradient(i) for i in range(len(loop.updates))}  # not traced: that takes a second
    for _ in range(steps):
        loop.step()
    drawn, y = lanes.sample(sampling_weights(lanes, loop.state), 150, "x")[0, :, 0], lanes.told(150)[0]
    low, middle, high = (float(drawn[y[:, k] == 1].mean()) for k in range(CLASSES))
    assert low + 0.4 < middle < high - 0.4, (low, middle, high)


@pytest.mark.parametrize("name", ["flow", "flow-ebm"])
def test_a_density_integrates_to_one_for_every_class(name, double):
    lanes = group(name)
    nets = lanes.nets({role: w[0] for role, w in lanes.start().weights.items()})
    grid = torch.linspace(-9, 9, 30_001)[:, None]
    found = []
    for y in torch.eye(CLASSES):
        p = lanes.objective.score(nets.told(y[None]), grid).exp()
        found.append(p)
        assert float(torch.trapezoid(p, grid[:, 0])) == pytest.approx(1, abs=1e-3 if name == "flow" else 0.02)
    assert not torch.allclose(found[0], found[1])


def test_a_chain_keeps_its_class_until_it_starts_again():
    lanes = group("pcd", dim=2)
    objective, rng = lanes.objective, Rng.of(1)
    whole = lanes.labelled(lanes.data[0])
    memory = objective.memory(whole, rng)
    batch = replace(lanes.labelled(lanes.rows(0)[0]), memory=memory)
    nets = lanes.nets({role: w[0] for role, w in lanes.start().weights.items()}, batch.y)
    kept = replace(objective, restart=0.0).refresh(nets, batch, rng)
    assert torch.equal(kept["given"], memory["given"]) and memory["given"].sum(1).eq(1).all()
    own = batch.y.repeat(len(memory["given"]) // BATCH, 1)
    assert torch.equal(replace(objective, restart=1.0).refresh(nets, batch, rng)["given"], own)
    some = objective.refresh(nets, batch, rng)
    anew = rng.uniform("restart", (len(own), 1))[:, 0] < objective.restart
    assert 0 < anew.sum() < len(own) / 2
    assert torch.equal(some["given"], torch.where(anew[:, None], own, memory["given"]))


def sloped(y):
    """A network that falls in x in the first class and rises in the others: E(x, y) = (2 level_y - 1) sum x."""
    return Nets({"E": lambda x: ((1 - 2 * x[:, -CLASSES]) * x[:, :-CLASSES].sum(1))[:, None]}, y)


def test_a_chain_walks_in_its_own_class():
    y, own = one_hot(torch.arange(64) % 3, CLASSES).float(), one_hot(torch.arange(256) * 7 // 3 % 3, CLASSES).float()
    memory = {"chains": torch.zeros(256, 2), "given": own}
    pcd = find("pcd")(restart=0.0, step=0.05, limit=100.0)
    walked = pcd.refresh(sloped(y), Batch(torch.zeros(64, 2), memory, y=y), Rng.of(0))["chains"]
    level = (walked - 10 * 0.05 * (2 * own[:, :1] - 1)).mean(1)
    apart = walked[own[:, 0] == 1].mean() - walked[own[:, 0] == 0].mean()
    assert float(apart) == pytest.approx(1.0, abs=0.35) and abs(float(level.mean())) < 0.2


def test_noised_copies_are_of_the_class_of_their_row():
    y, x = one_hot(torch.arange(64) % 3, CLASSES).float(), torch.rand(64, 2) + 5
    objective = find("energy-discrepancy")(t=1e-8, base=1e9, gain=1.0)
    e_data, e_copies = objective.energies(sloped(y), x, Rng.of(0))
    assert torch.allclose(e_copies, e_data[:, None].expand(-1, objective.M), atol=1e-2)
    assert torch.equal(e_data < 0, y[:, 0] == 1)


def test_without_classes_there_is_no_trace_of_them():
    bare = group("pcd", classes=0)
    assert bare.nets({}).given is None and set(bare.start().memory) == {"chains"}
    nets = Nets({"D": lambda x: x})
    assert nets.told(torch.zeros(5, 0)) is nets and nets.D(torch.ones(2, 3)).shape == (2, 3)
    assert bare.told(7).shape == (1, 7, 0)
    assert Task("classify", 2, 10, 3, "one").given == 0


def test_rows_that_are_no_whole_batches_are_refused():
    nets = Nets({"D": lambda x: x}, torch.eye(4))
    assert nets.D(torch.zeros(8, 1)).shape == (8, 5)
    assert torch.equal(nets.D(torch.zeros(8, 1))[:, 1:], torch.eye(4).repeat(2, 1))
    with pytest.raises(UserError, match="D was called with 6 rows, but the classes of 4 are given"):
        nets.D(torch.zeros(6, 1))


@pytest.mark.parametrize("shares", [(1.0, 1.0, 1.0), (0.7, 0.2, 0.1), (0.0, 0.999, 0.001), (3, 0, 5)])
def test_classes_come_in_their_shares_and_so_does_every_stretch_of_them(shares):
    share, found = torch.tensor(shares).double() / sum(shares), one_hot(in_shares(torch.tensor(shares), 1000), 3)
    assert torch.equal(found[:100], one_hot(in_shares(torch.tensor(shares), 100), 3))
    for start, end in ((0, 10), (0, 100), (37, 437), (0, 1000)):
        counts = found[start:end].sum(0)
        assert (counts - share * (end - start)).abs().max() < 3
        assert not counts[share == 0].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_resampling_draws_every_class_from_itself_in_its_own_places(dtype):
    draws = torch.Generator().manual_seed(1)
    y = one_hot(torch.randint(3, (50,), generator=draws), 4)  # nothing is of the last class
    log_w = (3 * torch.randn(200, generator=draws)).to(dtype)
    log_w[y.repeat(4, 1)[:, 1] == 1] += 200  # a class that outweighs all others takes none of their places
    log_w[3] = -math.inf
    for u in (0.0, 0.5, 1 - 1e-7):
        for count in (200, 50):
            chosen = resample(log_w, torch.tensor(u, dtype=dtype), count, y)
            assert torch.equal(y.repeat(4, 1)[chosen], y.repeat(count // 50, 1))
            for k in range(3):
                own = y.repeat(4, 1)[:, k] == 1
                wanted = torch.softmax(torch.where(own, log_w, -math.inf), 0) * y[:, k].sum() * (count // 50)
                times = torch.bincount(chosen, minlength=200).to(dtype)
                assert (times - wanted)[own].abs().max() < 1 + 1e-3
    assert 3 not in chosen


def test_resampling_of_one_class_is_resampling():
    log_w, u = torch.randn(64, generator=torch.Generator().manual_seed(0)).double(), torch.tensor(0.3).double()
    assert torch.equal(resample(log_w, u, 64), resample(log_w, u, 64, torch.ones(16, 1)))


@pytest.mark.parametrize("n", [7, 300])
def test_samplers_that_resample_keep_rows_in_their_classes(n):
    """p(x | y) = N(mean_y, 0.1^2); half of the classes are far less likely as a whole, which must not matter."""
    y = one_hot(torch.arange(n) % 3, 3).float()
    mean, level = torch.tensor([-2.0, 0.0, 1.5]), torch.tensor([0.0, 30.0, -30.0])

    def energy(x):
        told = y.repeat(len(x) // n, 1)
        return (x[:, 0] - told @ mean).square() / (2 * 0.1**2) + told @ level

    x, _ = annealed_rows(energy, (n, 1), Rng.of(0), sd=2.0, given=y)
    assert (x[:, 0] - y @ mean).abs().max() < 0.6
    z, _ = tilted_normal(energy, (n, 1), Rng.of(0), levels=6, moves=6, proposals=40, given=y)
    assert (z[:, 0] - y @ mean).abs().max() < 0.9


def test_lanes_of_other_shares_ask_for_their_own():
    y = torch.cat([torch.zeros(60), torch.ones(120), torch.full((60,), 2)])
    lanes = group("gan", lanes=2, labels=y)
    lanes = replace(lanes, sizes=torch.tensor([240, 180]))  # the second lane has no row of the last class
    assert (lanes.told(120).sum(1) - torch.tensor([[30, 60, 30], [40, 80, 0]])).abs().max() <= 2
    assert lanes.sample(lanes.start().weights, 9, "x").shape == (2, 9, 1)
