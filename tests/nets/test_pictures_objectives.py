"""Every objective on pictures: networks, a traced step of every update through the lanes, samples or logits."""

import math
from dataclasses import fields, replace

import pytest
import torch

from whichloss.doctor.contracts import check_contracts
from whichloss.nets import builder as builder_of_vectors
from whichloss.nets.flows import to_data, to_noise
from whichloss.nets.pictures import builder
from whichloss.objectives import available, find
from whichloss.objectives.base import Classifier, Generative, Nets
from whichloss.rng import Rng
from whichloss.task import Task
from whichloss.train import Lanes, Loop, sampling_weights

ROWS, BATCH, CLASSES = 16, 8, 4
TRACED = (1, 16, 16)
# enough to see that every part runs; a study draws with more
SHORT = {"temperatures": 1, "sampling_steps": 2, "levels": 2, "moves": 1, "langevin_steps": 1, "proposals": 2}
SHORT |= {"points": 64, "centres": 16, "chains": 16, "n_critic": 1}


def lanes_of(objective, task, shape, width=16, lanes=1):
    draws = Rng(Rng.of(*range(lanes + 1)).key[:lanes])
    data = 2 * draws.uniform("x", (ROWS, task.dim)) - 1
    if task.labels == "several":
        data = torch.cat([data, draws.integers("y", (ROWS, task.classes), 2).to(data)], dim=-1)
    elif task.labels:
        data = torch.cat([data, draws.integers("y", (ROWS, 1), task.classes).to(data)], dim=-1)
    sizes, jitter = torch.full((lanes,), ROWS), torch.zeros(lanes, task.dim)
    return Lanes(objective, task, builder(shape, width), draws, data, sizes, jitter, batch=BATCH)


def short(kind, task):
    objective = kind.suited(task)
    return replace(objective, **{f.name: SHORT[f.name] for f in fields(objective) if f.name in SHORT})


@pytest.mark.parametrize("shape", [TRACED, (1, 28, 28)])
@pytest.mark.parametrize("name", available("generate"))
def test_every_objective_generates_pictures(name, shape):
    """A step of every update moves every role; samples are finite rows."""
    task = Task("generate", math.prod(shape), ROWS, shape=shape)
    objective = short(find(name), task)
    if reason := objective.unfit(task):
        assert name == "score-matching" and "columns" in reason
        return
    assert isinstance(objective, Generative)
    lanes = lanes_of(objective, task, shape)
    state = lanes.start()
    first = {role: w.clone() for role, w in state.weights.items()}
    loop, losses = Loop(lanes, state, 1000), {}
    if shape != TRACED:  # tracing takes a second
        loop.work = {i: loop._gradient(i) for i in range(len(loop.updates))}
    for start in sorted({update.active[0] for update in loop.updates}):
        state.step = math.ceil(1000 * start)
        losses |= loop.step()
    assert len(losses) == len(loop.updates) and all(torch.isfinite(loss).all() for loss in losses.values())
    assert all((w != first[role]).any() for role, w in state.weights.items())
    rows = lanes.sample(sampling_weights(lanes, state), 3, "test")
    assert rows.shape == (1, 3, task.dim) and torch.isfinite(rows).all()


@pytest.mark.parametrize("shape", [TRACED, (1, 28, 28)])
@pytest.mark.parametrize("name", available("classify"))
def test_every_objective_classifies_pictures(name, shape):
    objective = find(name)()
    tasks = [Task("classify", math.prod(shape), ROWS, CLASSES, labels) for labels in ("one", "several", "ordered")]
    task = next(task for task in tasks if objective.unfit(task) is None)
    assert isinstance(objective, Classifier)
    lanes = lanes_of(objective, task, shape)
    state = lanes.start()
    first = state.weights["F"].clone()
    loop = Loop(lanes, state, 10)
    if shape != TRACED:
        loop.work = {0: loop._gradient(0)}
    (loss,) = loop.step().values()
    assert torch.isfinite(loss).all() and (state.weights["F"] != first).any()
    here, nets = lanes.trained(state.weights)
    logits = here.logits(nets, lanes.data[0, :5, : task.dim], task)
    assert logits.shape == (5, CLASSES) and torch.isfinite(logits).all()


@pytest.mark.parametrize("name", ["wgan-gp", "flow-matching", "flow"])
def test_two_lanes_of_a_traced_step_equal_each_alone(name):
    shape = (1, 9, 8)
    task = Task("generate", 72, ROWS, shape=shape)
    objective = short(find(name), task)
    lanes = lanes_of(objective, task, shape, lanes=2)
    state = lanes.start()
    losses = Loop(lanes, state, 100).step()
    for k in range(2):
        one = lanes.alone(k)
        alone = one.start()
        for update, loss in Loop(one, alone, 100).step().items():
            assert torch.allclose(loss, losses[update][k], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["gan", "wgan-gp", "ebgan", "denoising-score-matching", "latent-ebm"])
def test_contracts_hold(name):
    """Also: a U-Net that starts at 0 exactly would make denoising score matching blind to its data at the start."""
    assert check_contracts(find(name)(), Task("generate", 64, 1000), builder((1, 8, 8), 8), name) == ()


def test_convolutions_go_one_by_one_through_one_trace_and_so_exactly_as_alone():
    """So does a lane that has diverged: it stays where it is."""
    task, shape = Task("generate", 64, ROWS, shape=(1, 8, 8)), (1, 8, 8)
    lanes = lanes_of(find("ddpm")(), task, shape, lanes=3)
    assert not lanes.together and replace(lanes, build=builder_of_vectors(8)).together
    lanes.data[1, :] = torch.nan
    loop = Loop(lanes, lanes.start(), 100)
    for _ in range(2):
        losses = loop.step()
    for k in (0, 2):
        alone = Loop(lanes.alone(k), lanes.alone(k).start(), 100)
        for _ in range(2):
            (loss,) = alone.step().values()
        assert torch.equal(loss[0], losses["0:eps"][k])
        assert torch.equal(alone.state.weights["eps"][0], loop.state.weights["eps"][k])
    assert losses["0:eps"].isnan().tolist() == [False, True, False] and loop.state.weights["eps"][1].isnan().all()


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 28, 28), (3, 64, 64)])
def test_the_couplings_of_a_flow_together_are_as_large_as_a_u_net(shape):
    d, build = math.prod(shape), builder(shape, 64)
    with torch.device("meta"):
        nets = find("flow").suited(Task("generate", d, ROWS, shape=shape)).networks(Task("generate", d, ROWS), build)
        sizes = [sum(p.numel() for p in net.parameters()) for net in (*nets.values(), build("u", d + 16, d))]
    assert abs(sum(sizes[:-1]) / sizes[-1] - 1) < 0.1


def test_a_flow_of_whole_pictures_has_an_inverse_and_a_density():
    """Its log-density is that of its map: finite differences of all columns, in float64."""
    shape, dtype = (1, 8, 8), torch.float64
    task = Task("generate", 64, ROWS, shape=shape)
    flow, build = find("flow").suited(task), builder(shape, 16)
    torch.manual_seed(0)
    nets = Nets({role: net.to(dtype) for role, net in flow.networks(task, build).items()})
    for net in nets.by_role.values():  # far from the identity, at which it starts
        net.last[2].weight.data.mul_(100)
    z = torch.randn(3, 64, dtype=dtype)
    to = dict(bins=flow.bins, bound=flow.bound, whole=True)
    with torch.no_grad():
        x = to_data(flow.couplings(nets), z, **to)
        again, log_det = to_noise(flow.couplings(nets), x, **to)
    assert torch.allclose(again, z, atol=1e-9) and (x - z).abs().max() > 0.1
    jacobian = torch.func.jacrev(lambda one: to_noise(flow.couplings(nets), one[None], **to)[0][0])(x[0])
    assert torch.allclose(torch.linalg.slogdet(jacobian)[1], log_det[0], rtol=1e-8, atol=1e-8)
