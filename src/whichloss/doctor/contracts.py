"""Contract checks: what must hold of an objective on a task before any training, in float64, on tiny networks.

Deterministic: an objective that passes once always passes. A broken one yields findings, never a traceback.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..objectives.base import Build, Nets, Objective
from ..task import Finding, Task
from .bench import Bench, float64_and_untouched
from .gradients import check_update
from .networks import check_buffers, check_outputs, check_parts, check_rows
from .say import Say
from .use import check_step, check_use


def check_contracts(objective: Objective, task: Task, build: Build, name: str = "") -> tuple[Finding, ...]:
    """All contract checks of an objective on a task; `name` is what findings call it (default: its file's name).

    Losses are finite scalars, use the data, repeat, and draw from no global generator; gradients equal finite
    differences; the roles in `moves` move and no others; samples have the right shape and repeat.
    """
    module = type(objective).__module__
    name = name or module.rsplit(".", 1)[-1].removeprefix("whichloss_user_").replace("_", "-")
    say = Say(name)
    with float64_and_untouched():
        try:
            if objective.unfit(task) is not None:
                return ()
            return tuple(_check(objective, task, build, say))
        except Exception as error:  # a broken objective is a finding
            return (say.raised("The objective", error),)


def _check(objective: Objective, task: Task, build: Build, say: Say) -> Iterator[Finding]:
    asked: dict[str, tuple[int, int]] = {}

    def made(role: str, inputs: int, outputs: int, *, smooth: bool = False) -> nn.Module:
        asked[role] = inputs + task.given, outputs
        return build(role, inputs, outputs, smooth=smooth)

    def double(role: str, inputs: int, outputs: int, *, smooth: bool = False) -> nn.Module:
        return build(role, inputs, outputs, smooth=smooth).double()

    try:
        modules = {role: net.double() for role, net in objective.networks(task, made).items()}
    except Exception as error:
        yield say.raised("Making the networks", error)
        return
    found = [*_unknown_roles(objective, modules, say), *check_parts(modules, say)]
    if not any(f.level == "fault" for f in found):
        found += check_buffers(modules, objective.networks(task, double), say)
        found += check_outputs(modules, asked, say)
    yield from found
    if not [f for f in found if f.level == "fault" or f.rule == "contract: float32 only"]:
        yield from _check_training(Bench.of(objective, task, double, say))


def _unknown_roles(objective: Objective, modules: dict[str, nn.Module], say: Say) -> Iterator[Finding]:
    for i, update in enumerate(objective.updates()):
        unknown = sorted(set(update.moves) - set(modules))
        if unknown:
            yield say.fault(
                "contract: unknown role",
                f"Update {i} moves {', '.join(unknown)}; the networks are {', '.join(sorted(modules))}.",
                "`moves` and `networks` name roles differently.",
                "Use the names that `networks` returns.",
            )


def _check_training(bench: Bench) -> Iterator[Finding]:
    found: list[Finding] = []
    try:
        for i, update in enumerate(bench.objective.updates()):
            found += check_update(bench, i, update)
        if not found:
            found += _check_data_used(bench)
            found += check_rows(bench.nets().by_role, _shapes_seen(bench), bench.lanes.modules, bench.say)
    except Exception as error:
        found.append(bench.say.raised("A loss", error))
    yield from found
    if any(f.level == "fault" for f in found):
        return
    yield from check_step(bench)
    yield from check_use(bench)


def _check_data_used(bench: Bench) -> Iterator[Finding]:
    """Some loss must change with the rows."""
    if type(bench.objective).memory is not Objective.memory:
        return  # the data may enter through the memory
    nets = bench.nets()
    for update in bench.objective.updates():
        a, b = (update.loss(nets, bench.batch(update, bench.x(name)), bench.rng) for name in ("x", "other x"))
        if not torch.equal(a, b):
            return
    yield bench.say.fault(
        "contract: data unused",
        "No loss changes when the rows of the batch are replaced by others.",
        "The losses never look at batch.x.",
        "Pass batch.x to the network that should learn from it.",
    )


def _shapes_seen(bench: Bench) -> dict[str, tuple[torch.Size, ...]]:
    """The input shapes of the networks that see the data: those whose inputs depend on batch.x."""
    seen: dict[str, tuple[torch.Size, ...]] = {}

    def spy(role: str, net: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*inputs: Tensor) -> Tensor:
            if any(x.requires_grad for x in inputs):
                seen[role] = tuple(x.shape for x in inputs)
            return net(*inputs)

        return call

    nets = bench.nets()
    nets = Nets({role: spy(role, net) for role, net in nets.by_role.items()}, nets.given)
    with torch.enable_grad():
        for update in bench.objective.updates():
            x = bench.x().requires_grad_()
            update.loss(nets, bench.batch(update, x, nets), bench.rng)
    return seen
