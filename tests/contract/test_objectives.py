"""What must hold of every objective found in the folder; a newcomer is covered by being there."""

import random
from dataclasses import fields, is_dataclass, replace
from functools import cache
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from whichloss.errors import UserError
from whichloss.nets import builder, pictures
from whichloss.objectives import Aligner, Classifier, Embedder, Generative, available, find
from whichloss.objectives.find import DEFAULTS
from whichloss.rng import Rng
from whichloss.task import Goal, Task
from whichloss.train import Lanes, Loop, State, sampling_weights, train

NAMES = available()
SEEDS = (3, 4)
LABELS = ("one", "several", "ordered")
N, D, K, B = 120, 2, 3, 256
STEPS = 4
SILENT = {("triplet", "margin"), ("triplet-align", "margin")}  # random rows all lie within it: its value has no slope
each = pytest.mark.parametrize("name", NAMES)
each_generator = pytest.mark.parametrize("name", available("generate"))
each_embedder = pytest.mark.parametrize("name", available("embed"))
each_classifier = pytest.mark.parametrize("name", available("classify"))


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def task_of(name, dim=D):
    """A task of the objective's goal, with the first labels that it takes."""
    objective = find(name)()
    if objective.goal == "generate":
        return Task("generate", dim, N)
    if objective.goal == "align":
        return Task("align", dim, N, second=K)
    tasks = [Task(objective.goal, dim, N, K, labels) for labels in LABELS]
    return next(task for task in tasks if objective.unfit(task) is None)


def rows_of(task, seed):
    """Random rows with random labels behind them: what every lane of `Lanes.data` holds."""
    rng = Rng.of(seed)["data"]
    x = rng.normal("x", (N, task.dim))
    if task.second:
        return torch.cat([x, rng.normal("y", (N, task.second))], dim=1)
    if not task.labels:
        return x
    several = task.labels == "several"
    return torch.cat([x, rng.integers("y", (N, K if several else 1), 2 if several else K).to(x)], dim=1)


def make(name, seeds=SEEDS, hyper=None, salt="", task=None):
    task = task or task_of(name)
    data = torch.stack([rows_of(task, s) for s in seeds])
    full, jitter = torch.full((len(seeds),), N), torch.zeros(len(seeds), task.dim)
    rng = Rng(Rng.of(*seeds, 0).key[:-1])
    return Lanes(find(name)(), task, builder(8, 2), rng, data, full, jitter, hyper or {}, batch=B, salt=salt)


def made(lanes, weights, n, label):
    """What the trained networks are for: n rows drawn, or the logits or embeddings of n rows, by every lane."""
    if lanes.task.goal == "generate":
        return lanes.sample(weights, n, label)
    x = Rng.of(1)[label].normal("x", (n, lanes.task.dim))
    if lanes.task.goal == "align":
        return lanes.map(lambda objective, rng, w: objective.first(lanes.nets(w), x), dict(weights))
    if lanes.task.goal == "embed":
        return lanes.map(lambda objective, rng, w: objective.embed(lanes.nets(w), x), dict(weights))
    return lanes.map(lambda objective, rng, w: objective.logits(lanes.nets(w), x, lanes.task), dict(weights))


def defaults(name, lanes):
    """The searched fields at their defaults, one number per lane."""
    objective = find(name)()
    return {field: torch.full((lanes,), float(getattr(objective, field))) for field in objective.search}


def generators():
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), str(np.random.get_state())


@cache
def trained(name):
    """Two seeds together, traced, their searched fields as tensors: the way a study trains."""
    lanes = make(name, hyper=defaults(name, 2))
    loop = Loop(lanes, lanes.start(), STEPS)
    run = SimpleNamespace(lanes=lanes, loop=loop, start=copy(loop.state), losses=[], states=[])
    loop.step()  # the first step traces
    run.before = generators()
    run.losses.append({})
    run.states.append(copy(loop.state))
    while loop.state.step < STEPS:
        run.losses.append(loop.step())
        run.states.append(copy(loop.state))
    run.after = generators()
    return run


def copy(state):
    return State.of(state.step, {name: value.clone() for name, value in state.flat().items()})


def solo(name, lane, hyper=None):
    """One seed alone, its searched fields plain numbers, its steps not traced."""
    lanes = make(name, seeds=SEEDS[lane : lane + 1], hyper=hyper)
    loop = Loop(lanes, lanes.start(), STEPS)
    loop.work = {i: loop._gradient(i) for i in range(len(loop.updates))}
    while loop.state.step < STEPS:
        loop.step()
    return lanes, loop.state


@each
def test_it_is_a_value(name):
    cls = find(name)
    objective = cls()
    assert is_dataclass(cls) and objective.__dataclass_params__.frozen
    assert objective == cls() and hash(objective) == hash(cls())
    assert eval(repr(objective), {cls.__name__: cls}) == objective
    assert objective.goal in Goal.__args__
    assert cls.__doc__ and cls.__subclasses__() == []


@each
def test_searched_values_are_a_few_numbers_among_them_the_default(name):
    objective = find(name)()
    assert set(objective.search) <= {field.name for field in fields(objective)}
    for field, values in objective.search.items():
        assert all(type(value) is float for value in values), field
        assert len(values) >= 2 and all(a < b for a, b in pairwise(values)), field
        assert getattr(objective, field) in values, field


@each
def test_lanes_equal_seeds_alone_tensors_equal_numbers_and_traces_equal_transforms(name):
    run = trained(name)
    for lane in range(len(SEEDS)):
        _, alone = solo(name, lane)
        for key, value in alone.flat().items():
            together = run.loop.state.flat()[key]
            together = together[lane : lane + 1] if together.dim() else together
            assert torch.allclose(together, value, rtol=1e-5, atol=1e-7), key


@each
def test_a_searched_number_reaches_the_run(name):
    """Each lane at its own value equals the objective made with that value."""
    for field, values in find(name).searched(task_of(name)).items():
        low, high = values[0], values[-1]
        hyper = defaults(name, 1) | {field: torch.tensor([low])}
        by_tensor, as_tensor = solo(name, 0, hyper)
        lanes = make(name, seeds=SEEDS[:1])
        lanes = replace(lanes, objective=replace(lanes.objective, **{field: low}))
        loop = Loop(lanes, lanes.start(), STEPS)
        loop.work = {i: loop._gradient(i) for i in range(len(loop.updates))}
        while loop.state.step < STEPS:
            loop.step()
        for key, value in loop.state.flat().items():
            assert torch.allclose(as_tensor.flat()[key], value, rtol=1e-9, atol=1e-12), (field, key)
        rows = made(by_tensor, as_tensor.weights, 5, "a")
        assert torch.allclose(rows, made(lanes, loop.state.weights, 5, "a"), rtol=1e-9, atol=1e-12), field
        if (name, field) in SILENT:
            continue
        another, other = solo(name, 0, defaults(name, 1) | {field: torch.tensor([high])})
        assert not torch.equal(rows, made(another, other.weights, 5, "a")), field


@each
def test_only_the_roles_in_moves_move_and_all_of_them_do(name):
    run = trained(name)
    named = {role for update in run.loop.updates for role in update.moves}
    assert named <= set(run.start.weights)
    for role, w in run.loop.state.weights.items():
        for lane in range(len(SEEDS)):
            assert torch.equal(w[lane], run.start.weights[role][lane]) == (role not in named)


@each
def test_each_update_moves_its_own_roles_only(name):
    """One at a time: the others' weights are the same bits afterwards."""
    lanes = make(name, seeds=SEEDS[:1])
    state = lanes.start()
    loop = Loop(lanes, state, 1000)
    loop.work = {i: loop._gradient(i) for i in range(len(loop.updates))}
    for i, update in enumerate(loop.updates):
        state.step = round(1000 * update.active[0])
        before = {role: w.clone() for role, w in state.weights.items()}
        loop._move(i, update, lanes.rows(i), lanes.draws.at(i))
        moved = {role for role, w in state.weights.items() if not torch.equal(w, before[role])}
        assert moved == set(update.moves)


@each
def test_losses_weights_and_watched_numbers_are_finite(name):
    run = trained(name)
    for losses in run.losses[1:]:
        assert losses and all(v.shape == (2,) and torch.isfinite(v).all() for v in losses.values())
    assert all(torch.isfinite(w).all() for w in run.loop.state.weights.values())
    for watched, value in run.lanes.watch(run.loop.state, STEPS).items():
        assert value.shape == (2,) and torch.isfinite(value).all(), watched


@each
def test_steps_and_use_draw_from_no_global_generator(name):
    run = trained(name)
    assert run.before == run.after
    before = generators()
    made(run.lanes, run.loop.state.weights, 4, "a")
    run.lanes.watch(run.loop.state, STEPS)
    assert generators() == before


@each_generator
def test_samples_have_their_shape_are_finite_and_belong_to_their_key(name):
    run = trained(name)
    assert issubclass(find(name), Generative)
    weights = sampling_weights(run.lanes, run.loop.state)
    rows = run.lanes.sample(weights, 7, "a")
    assert rows.shape == (2, 7, D) and torch.isfinite(rows).all()
    assert torch.equal(rows, run.lanes.sample(weights, 7, "a"))
    assert not torch.equal(rows, run.lanes.sample(weights, 7, "b"))
    assert not torch.equal(rows[0], rows[1])
    assert run.lanes.sample(weights, 1, "a").shape == (2, 1, D)


@each_classifier
@pytest.mark.parametrize("labels", LABELS)
def test_logits_are_a_finite_number_per_row_and_class(name, labels):
    assert issubclass(find(name), Classifier)
    task = Task("classify", D, N, K, labels)
    if find(name)().unfit(task):
        return
    lanes = make(name, task=task)
    (*_, (state, losses)) = train(lanes, 3)
    assert all(torch.isfinite(loss).all() for loss in losses.values())
    for n in (7, 1):
        logits = made(lanes, state.weights, n, "a")
        assert logits.shape == (2, n, K) and torch.isfinite(logits).all()
        assert n == 1 or not torch.equal(logits[0], logits[1])


@each_embedder
@pytest.mark.parametrize("shape", [(), (1, 8, 8)], ids=["vectors", "pictures"])
def test_an_embedder_says_what_it_cannot_do_or_learns_from_views(name, shape):
    objective = find(name)()
    assert issubclass(find(name), Embedder)
    task = Task("embed", 64 if shape else D, N, shape=shape)
    if objective.unfit(task) is not None:
        assert "classes" in objective.unfit(task)
        return
    build = pictures.builder(shape, 8) if shape else builder(8, 2)
    data, rng = torch.stack([rows_of(task, s) for s in SEEDS]), Rng(Rng.of(*SEEDS, 0).key[:-1])
    lanes = Lanes(objective, task, build, rng, data, torch.full((2,), N), torch.zeros(2, task.dim), batch=32)
    ended = list(train(lanes, STEPS))[-1][0]
    for k in range(2):
        alone = list(train(lanes.alone(k), STEPS))[-1][0]
        for role, w in ended.weights.items():
            assert torch.allclose(w[k], alone.weights[role][0], atol=1e-8) and w[k].isfinite().all()
            assert not torch.equal(w[k], lanes.start().weights[role][k])
    assert made(lanes, ended.weights, 5, "use").shape == (2, 5, Embedder.size)


@each_classifier
def test_a_classifier_takes_some_labels_and_says_why_not_others(name):
    reasons = [find(name)().unfit(Task("classify", D, N, K, labels)) for labels in LABELS]
    assert None in reasons
    assert all(reason is None or len(reason.split()) > 3 for reason in reasons)


@each
def test_a_killed_run_resumes_to_the_same_bits(name):
    run = trained(name)
    middle = copy(run.states[1])
    loop = Loop(run.lanes, State.of(middle.step, middle.flat()), STEPS)
    loop.work = run.loop.work
    while loop.state.step < STEPS:
        loop.step()
    for key, value in run.loop.state.flat().items():
        assert torch.equal(loop.state.flat()[key], value), key


@each
def test_batches_are_the_same_for_every_objective(name):
    other = make({"embed": "triplet", "align": "clip"}.get(find(name).goal, "gan"), salt="twin")
    rows = make(name)
    assert all(torch.equal(rows.rows(i)[..., :D], other.rows(i)[..., :D]) for i in (0, 1, 17))


@each
def test_it_runs_on_one_column_and_on_many(name):
    for dim in (1, 9):
        task = task_of(name, dim)
        assert find(name)().unfit(task) is None
        lanes = make(name, seeds=(0,), task=task)
        loop = Loop(lanes, lanes.start(), 2)
        loop.work = {i: loop._gradient(i) for i in range(len(loop.updates))}
        assert all(torch.isfinite(v).all() for v in loop.step().values())
        wide = {"generate": dim, "classify": K, "embed": Embedder.size, "align": Aligner.size}[task.goal]
        assert made(lanes, loop.state.weights, 3, "a").shape == (1, 3, wide)


@each_generator
def test_scores_are_one_finite_number_per_row_and_ranges_are_ordered(name):
    run = trained(name)
    objective = find(name)()
    nets = run.lanes.nets({role: w[0] for role, w in run.loop.state.weights.items()})
    x = Rng.of(1)["new"].normal("x", (50, D))
    with torch.no_grad():
        if objective.scores:
            score = objective.score(nets, x)
            assert score.shape == (50,) and torch.isfinite(score).all()
        else:
            with pytest.raises(UserError, match="cannot score"):
                objective.score(nets, x)
        found = objective.denoised(nets, run.lanes.data[0], x, Rng.of(0))
        if found is not None:
            assert all(
                rows.shape == (50,) and rows.isfinite().all() for rows in (found.loss, found.trivial, found.good)
            )
            assert found.skill is None or found.good.mean() < found.trivial.mean()


def test_what_is_compared_by_default_exists():
    for goal, names in DEFAULTS.items():
        assert set(names) <= set(NAMES), goal
        assert all(find(name).goal == goal for name in names)
        assert len(set(names)) == len(names)
