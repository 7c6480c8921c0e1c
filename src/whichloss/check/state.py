"""What a call must leave as it was: the inputs, the networks, torch's settings, the function's own globals."""

import inspect
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .claim import Inputs

PLAIN = (bool, int, float, str, list, dict, set, Tensor, np.ndarray)
MOST = 10_000  # entries of a value that are looked at


def seed_all(seed: int) -> None:
    """Start every generator a loss may draw from."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed looks for devices too, which takes 50 times as long
    np.random.seed(seed)
    random.seed(seed)


def generators() -> dict[str, int]:
    """Marks of the states of numpy's and Python's generators: alike after two seeds only where a call seeded them."""
    numpy = np.random.get_state(legacy=False)["state"]["key"].tobytes()
    return {"numpy": hash(numpy), "Python": hash(random.getstate()[1][:-1])}


class Before:
    """The state before a call."""

    def __init__(self, fn: Callable[..., Any], inputs: Inputs, seed: int) -> None:
        self.fn, self.seed = fn, seed
        self.inputs, self.marks = inputs, {role: _mark(value) for role, value in inputs.items()}
        self.own = {name: _mark(value) for name, value in _outliving(fn).items()}

    def changed(self) -> Iterator[tuple[str, str]]:
        """(kind, what) for everything that is different now."""
        yield from _settings(self.seed)
        for role, was in self.marks.items():
            value = self.inputs[role]
            if isinstance(value, nn.Module):
                if was != _mark(value):
                    yield "changes its input", f"it changes the weights of {role}, or what of them may learn"
                if any(p.grad is not None for p in value.parameters()):
                    yield "backward", f"it calls backward() itself, which adds to the gradients of {role}"
            elif isinstance(value, Tensor) and was != _mark(value):
                yield "changes its input", f"it writes into its argument for {role}"
        names = [name for name, value in _outliving(self.fn).items() if self.own.get(name) != _mark(value)]
        if names:
            yield "keeps", f"every call changes {', '.join(names)}, which outlives the call"


def _settings(seed: int) -> Iterator[tuple[str, str]]:
    if torch.get_default_dtype() != torch.float64:
        yield "global state", f"it sets torch's default dtype to {torch.get_default_dtype()}"
    if not torch.is_grad_enabled():
        yield "global state", "it turns autograd off for whatever runs after it (torch.set_grad_enabled(False))"
    if torch.is_inference_mode_enabled():
        yield "global state", "it leaves inference mode on"
    if torch.initial_seed() != seed:
        yield "global state", f"it seeds torch's global generator{SEEDED}"


SEEDED = " (a manual_seed inside), so every caller draws the same numbers again"


def _outliving(fn: Callable[..., Any]) -> dict[str, Any]:
    """Plain values that stay after a call: globals and closures that the function names, attributes of an object."""
    inner = inspect.unwrap(fn)
    if inspect.isfunction(inner):
        names = inspect.getclosurevars(inner)
        found = {f"the global {k}": v for k, v in names.globals.items()} | {
            f"its {k}": v for k, v in names.nonlocals.items()
        }
    elif isinstance(inner, nn.Module):
        found = {f"its {k}": v for k, v in (vars(inner) | dict(inner.named_buffers())).items()}
        found.pop("its training", None)
    else:
        found = {f"its {k}": v for k, v in getattr(inner, "__dict__", {}).items()}
    return {name: value for name, value in found.items() if isinstance(value, PLAIN) and not name.startswith("its _")}


def _mark(value: Any) -> Any:
    """Something that is equal exactly where the value is."""
    if isinstance(value, nn.Module):
        return [(_mark(p), p.requires_grad) for p in value.parameters()]
    if isinstance(value, Tensor | np.ndarray):
        size = value.numel() if isinstance(value, Tensor) else value.size
        return (tuple(value.shape), value.tolist() if size <= MOST else float(value.sum()))
    return repr(value)[:MOST] + str(len(value)) if hasattr(value, "__len__") else repr(value)
