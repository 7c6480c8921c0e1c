"""Every objective on pictures: networks, a traced step of every update through the lanes, samples or logits."""

import math
from dataclasses import fields, replace

import pytest
import torch

from whichloss.doctor.contracts import check_contracts
from whichloss.nets.pictures import builder
from whichloss.objectives import available, find
from whichloss.objectives.base import Classifier, Generative
from whichloss.rng import Rng
from whichloss.task import Task
from whichloss.train import Lanes, Loop, sampling_weights

ROWS, BATCH, CLASSES = 16, 8, 4
TRACED = (1, 16, 16)
# enough to see that every part runs; a study draws with more
SHORT = {"temperatures": 1, "sampling_steps": 2, "levels": 2, "moves": 1, "langevin_steps": 1, "proposals": 2}
SHORT |= {"points": 64, "centres": 16, "chains": 16, "n_critic": 1}
SHORT["t"] = 0.02  # energy-discrepancy: at .25 a slope of 1e-17 is left in 784 columns, less than Adam can see


def lanes_of(objective, task, shape, width=16, lanes=1):
    draws = Rng(Rng.of(*range(lanes + 1)).key[:lanes])
    data = 2 * draws.uniform("x", (ROWS, task.dim)) - 1
    if task.labels == "several":
        data = torch.cat([data, draws.integers("y", (ROWS, task.classes), 2).to(data)], dim=-1)
    elif task.labels:
        data = torch.cat([data, draws.integers("y", (ROWS, 1), task.classes).to(data)], dim=-1)
    sizes, jitter = torch.full((lanes,), ROWS), torch.zeros(lanes, task.dim)
    return Lanes(objective, task, builder(shape, width), draws, data, sizes, jitter, batch=BATCH)


def short(kind):
    objective = kind()
    return replace(objective, **{f.name: SHORT[f.name] for f in fields(objective) if f.name in SHORT})


@pytest.mark.parametrize("shape", [TRACED, (1, 28, 28)])
@pytest.mark.parametrize("name", available("generate"))
def test_every_objective_generates_pictures(name, shape):
    """A step of every update moves every role; samples are finite rows."""
    objective, task = short(find(name)), Task("generate", math.prod(shape), ROWS)
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


@pytest.mark.parametrize("name", ["wgan-gp", "flow-matching"])
def test_two_lanes_of_a_traced_step_equal_each_alone(name):
    shape = (1, 9, 8)
    objective, task = short(find(name)), Task("generate", 72, ROWS)
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
