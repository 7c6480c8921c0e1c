"""A step and a sample of the named objectives on a device that this machine does not have: run by test_place.py.

Fake tensors know their device, and refuse to meet those of another, as a GPU's do.
"""

import os
import sys

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("elsewhere")
os.environ["WHICHLOSS_DEVICE"] = "elsewhere"

from whichloss.nets import builder, pictures  # noqa: E402
from whichloss.objectives import find  # noqa: E402
from whichloss.rng import Rng  # noqa: E402
from whichloss.task import Task  # noqa: E402
from whichloss.train import Lanes, Loop, lanes, loop, place  # noqa: E402

ROWS, BATCH, SHAPE, THERE = 40, 8, (1, 8, 8), torch.device("elsewhere", 0)
for module in (lanes, loop, place):
    module.device = lambda: THERE


real = torch.tensor


def tensor(data, *, dtype=None, device=None):
    """torch.tensor writes through the memory that such a device lacks; its values do not matter here."""
    device, made = torch.device(device or torch.get_default_device()), real(data, dtype=dtype, device="cpu")
    return made if device.type == "cpu" else torch.empty(made.shape, dtype=made.dtype, device=device)


def step(name, shape, count):
    kind, d = find(name), SHAPE[1] * SHAPE[2] if shape else 4
    classify = kind.goal == "classify"
    task = Task(kind.goal, d, ROWS, 3 * classify, "one" if classify else "", shape)
    keys = Rng(Rng.of(*range(count + 1)).key[:count])
    data = torch.cat([keys.normal("x", (ROWS, d)), keys.integers("y", (ROWS, 1), 3)], dim=-1)[..., : d + classify]
    build = pictures.builder(shape, 16) if shape else builder(8)
    made = Lanes(
        kind.suited(task), task, build, keys, data, torch.full((count,), ROWS), torch.zeros(count, d), batch=BATCH
    )
    state = made.start()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        for group in (state.weights, state.averages, state.memory, *state.slots.values()):
            group.update(tree_map(mode.from_tensor, group))
        run = Loop(made, state, 100)  # from here on the state lies there
        assert {w.device for w in state.weights.values()} == {THERE}
        rows, key = torch.empty(count, BATCH, data.shape[2], device=THERE), mode.from_tensor(keys.key)
        for i, update in enumerate(run.updates):
            moving = {role: state.weights[role] for role in update.moves}
            still = {role: w for role, w in state.weights.items() if role not in moving}
            progress = torch.zeros((), device=THERE)
            found = run._gradient(i)(moving, still, key, rows, state.memory, progress, run.hyper)
            assert {leaf.device for leaf in tree_leaves(found)} == {THERE}
        assert {leaf.device.type for leaf in state.flat().values()} == {"cpu"}
        if not classify:
            assert made.sample(state.weights, 2, "x").device.type == "cpu"


if __name__ == "__main__":
    torch.tensor = tensor
    for one in sys.argv[1:]:
        step(one, (), 2)
        if find(one).goal == "generate":
            step(one, SHAPE, 1)
        print(one, flush=True)
    os._exit(0)  # a backend of this kind leaves a thread behind
