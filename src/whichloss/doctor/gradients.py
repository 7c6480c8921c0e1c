"""One update before training: its loss, and its gradient against finite differences."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value
from torch.overrides import TorchFunctionMode

from ..objectives.base import Update
from ..task import Finding
from .bench import Bench, Reads, Weights, generators, global_draws
from .say import Say

TOLERANCE = 1e-4  # of a directional derivative, relative
WIDTHS = (1e-5, 1e-6, 1e-7, 3e-5)  # of the finite differences; a kink, or rounding, within one is not within all
Frozen = list[Tensor]


def check_update(bench: Bench, i: int, update: Update) -> Iterator[Finding]:
    """The loss of update i: a finite number that repeats, and whose gradient is its own."""
    say, where = bench.say, f"the loss of update {i} ({'+'.join(update.moves)})"
    batch, moving = bench.batch(update, bench.x()), {r: bench.weights[r] for r in update.moves}

    def loss(moving: Weights) -> Tensor:
        return update.loss(bench.nets({**bench.weights, **moving}), batch, bench.rng)

    before, reads = generators(), Reads()
    with reads:
        bench.batch(update, bench.x())
        value = loss(moving)
    again = loss(moving)
    wrong = list(_impure(say, where, reads, before != generators()) or _bad_value(say, where, value, again))
    yield from wrong or _check_gradient(bench, where, loss, moving)


def _impure(say: Say, where: str, reads: Reads, drew: bool) -> list[Finding]:
    if reads.seen:
        found = say.fault(
            "contract: reads a value",
            f"{where} reads the value of a tensor ({', '.join(sorted(reads.seen))}).",
            "A step is written down once and replayed, for many seeds at once: its path cannot depend on a value.",
            "Use torch.where instead of `if`, and tensors instead of float(), .item() or .tolist().",
            {"reads": float(len(reads.seen))},
        )
        return [found]
    return [global_draws(say, where)] if drew else []


def _bad_value(say: Say, where: str, value: Tensor, again: Tensor) -> Iterator[Finding]:
    if value.shape != ():
        yield say.fault(
            "contract: scalar",
            f"{where} has the shape {tuple(value.shape)}; one number is needed.",
            "Losses are per example; the objective averages them.",
            "End the loss with .mean().",
        )
    elif not torch.isfinite(value):
        yield say.fault(
            "contract: finite at the start",
            f"{where} is {float(value)} before the first step.",
            "A logarithm or a quotient of something that can be 0, or an overflow.",
            "Use a stable formula: softplus(-s) for -log sigmoid(s), logsumexp for log of a sum.",
            {"loss": float(value)},
        )
    elif not torch.equal(value, again):
        yield say.fault(
            "contract: repeatable",
            f"{where} differs when it is computed twice with the same draws.",
            "The objective keeps something between calls.",
            "Keep state in `memory`, which `refresh` overwrites.",
            {"first": float(value), "second": float(again)},
        )


def _check_gradient(
    bench: Bench, where: str, loss: Callable[[Weights], Tensor], moving: dict[str, Tensor]
) -> Iterator[Finding]:
    """The gradient against finite differences, and no role without one."""
    with torch.enable_grad():
        grads, _ = grad_and_value(loss)(moving)
    still = [role for role, g in grads.items() if not g.any()]
    for role in still:
        yield bench.say.fault(
            "contract: role does not move",
            f"{where} has no gradient in {role}, so {role} stays as it is.",
            "A detach() or no_grad cuts the graph, or the loss does not use the network.",
            "Take out the detach(), or take the role out of `moves`.",
            {"gradient": 0.0},
        )
    if still:
        return
    error, stopped = _disagreement(bench, loss, moving, grads)
    if not error < TOLERANCE:
        yield bench.say.fault(
            "contract: gradient",
            f"The gradient of {where} differs from finite differences of that loss by {error:.1%}.",
            "A custom backward is wrong, or part of the loss is cut off by no_grad, .data or .item().",
            "Write the loss with plain tensor operations; where a gradient must stop on purpose, use .detach().",
            {"relative difference": error},
        )
    elif not stopped < TOLERANCE and not bench.objective.stops_gradient:
        yield bench.say.note(
            "contract: stopped gradient",
            f"A detach() takes {stopped:.0%} of the slope out of {where}.",
            "Right where the paper stops the gradient; a fault where the detached tensor should learn too "
            "(the target of an autoencoder's energy, for example).",
            "Take it out, or declare `stops_gradient = True` in the class if it is meant.",
            {"relative difference": stopped},
        )


def _disagreement(
    bench: Bench, loss: Callable[[Weights], Tensor], moving: dict[str, Tensor], grads: dict[str, Tensor]
) -> tuple[float, float]:
    """Relative error of g.u against (L(w + hu) - L(w - hu)) / 2h along three directions u, at worst.

    First with every detached tensor held at its value, then with detached tensors moving too.
    """
    sizes = [w.numel() for w in moving.values()]
    g, held = torch.cat(list(grads.values())), _Detached()
    with held:
        loss(moving)
    worst = [0.0, 0.0]
    for direction in (g, *bench.rng.normal("directions", (2, len(g)))):
        u = direction / direction.norm().clamp(min=1e-300)
        parts = dict(zip(moving, torch.split(u, sizes), strict=True))
        slope, least = float(g @ u), max(float(g.norm()) / len(g) ** 0.5, 1e-7)
        for k, frozen in enumerate((held.kept, None) if held.kept else (None,)):
            errors = []
            for h in WIDTHS:
                found = _difference(loss, moving, parts, h, frozen)
                errors.append(abs(found - slope) / max(abs(found), abs(slope), least))
                if errors[-1] < TOLERANCE:
                    break
            worst[k] = max(worst[k], min(errors))
    return worst[0], worst[1]


def _difference(
    loss: Callable[[Weights], Tensor], moving: Weights, direction: Weights, h: float, frozen: Frozen | None
) -> float:
    values = []
    for sign in (h, -h):
        with _Detached(frozen):
            values.append(float(loss({role: w + sign * direction[role] for role, w in moving.items()})))
    return (values[0] - values[1]) / (2 * h)


class _Detached(TorchFunctionMode):
    """Keeps what detach() returns, or returns what was kept, in order."""

    def __init__(self, kept: Frozen | None = None) -> None:
        self.kept: Frozen = kept or []
        self.replay, self.at = bool(kept), 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in (torch.Tensor.detach, torch.detach):
            return func(*args, **(kwargs or {}))
        self.at += 1
        if self.replay and self.at <= len(self.kept):
            return self.kept[self.at - 1].clone()
        out = func(*args, **(kwargs or {}))
        if not self.replay:
            self.kept.append(torch.func.debug_unwrap(out, recurse=True).clone())
        return out
