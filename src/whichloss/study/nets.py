"""A person's own networks: makers f(inputs, outputs) -> nn.Module by role, from Python or from a file."""

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import CodeType
from typing import Any

import cloudpickle
import torch
from torch import nn

from ..errors import UserError
from ..nets import builder, clip, pictures
from ..objectives.base import Build
from ..task import Task

Makers = Mapping[str, Callable[[int, int], Any]]
FILE = "whichloss_nets_"
PLAIN = (int, float, str, tuple)
# findings about networks that would train wrongly, not only slowly: their state or draws escape the seed
REFUSED = {f"contract: {what}" for what in ("dropout", "running statistics", "parametrised weights", "lazy weights")}


def network_builder(task: Task, width: int, own: Makers | None = None) -> Build:
    """The maker of networks for a task: convolutional where rows are pictures."""
    if task.goal == "align":
        return clip.builder(task.shape, task.words, task.second, width, own)
    if task.shape:
        return pictures.builder(task.shape, width, own=own, given=task.given)
    return builder(width, own=own, given=task.given)


def load_file(path: str | Path) -> dict[str, Callable[[int, int], Any]]:
    """The functions of a file, by role: `def D(inputs, outputs): return nn.Sequential(...)`."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"--nets: the file '{path}' does not exist.")
    spec = importlib.util.spec_from_file_location(f"{FILE}{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"--nets: '{path}' cannot be imported: {type(error).__name__}: {error}") from error
    found: dict[str, Callable[[int, int], Any]] = {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        and len(inspect.signature(value).parameters) == 2
    }  # fmt: skip
    if not found:
        raise UserError(
            f"--nets: '{path}' defines no maker of networks. Define a function per role, for example "
            "def D(inputs, outputs): return torch.nn.Sequential(...)"
        )
    return found


def packed(nets: Makers | None) -> bytes | None:
    """The makers as bytes for a worker on this machine; never written to disk."""
    try:
        return cloudpickle.dumps(dict(nets)) if nets else None
    except Exception as error:
        raise UserError(
            f"nets: the makers cannot be sent to a worker ({type(error).__name__}: {error}). Make them plain functions "
            "of (inputs, outputs) that hold no open file, lock or tensor on a device."
        ) from error


def own_networks(content: bytes | None) -> Makers | None:
    """The makers that `packed` packed."""
    return cloudpickle.loads(content) if content else None


def checked(nets: Makers) -> Makers:
    """The same makers, but what they make is tried on two rows. Raises UserError."""
    return {role: partial(_make, role, maker) for role, maker in nets.items()}


def _make(role: str, maker: Callable[[int, int], Any], inputs: int, outputs: int) -> Any:
    where = f"nets: the maker of {role}, called with ({inputs}, {outputs}),"
    try:
        net = maker(inputs, outputs)
    except Exception as error:
        raise UserError(f"{where} raised {type(error).__name__}: {error}") from error
    if not isinstance(net, nn.Module):
        raise UserError(f"{where} must return a torch.nn.Module; got {type(net).__name__}.")
    try:
        with torch.no_grad():
            out = net(torch.linspace(-1, 1, 2 * inputs).view(2, inputs))
    except Exception as error:
        raise UserError(
            f"{where} made a network that fails on (2, {inputs}): {type(error).__name__}: {error}"
        ) from error
    shape = tuple(getattr(out, "shape", ()))
    if shape != (2, outputs):
        raise UserError(f"{where} made a network that turns (2, {inputs}) into {shape}; it must be (2, {outputs}).")
    return net


def fingerprint(nets: Makers, made: Mapping[str, nn.Module]) -> str:
    """A hash of the makers and of the networks they made, so that runs with other networks have other names."""
    text = []
    for role, maker in sorted(nets.items()):
        kinds = {type(part) for part in made[role].modules() if not type(part).__module__.startswith("torch.")}
        text += [role, repr(made[role]), _source(maker), *sorted(_source(kind) for kind in kinds)]
        if inspect.isfunction(maker):
            known = inspect.getclosurevars(maker)
            values = {**known.globals, **known.nonlocals}
            text += [f"{k}={v!r}" for k, v in sorted(values.items()) if isinstance(v, PLAIN)]
            if maker.__module__.startswith(FILE):
                text.append(Path(maker.__code__.co_filename).read_text())
    return sha256("\n".join(text).encode()).hexdigest()[:12]


def _source(what: Any) -> str:
    """The text of a function or class; where there is none, what it was compiled to."""
    try:
        return inspect.getsource(what)
    except (OSError, TypeError):
        parts = vars(what).values() if inspect.isclass(what) else [what]
        return "".join(_compiled(part.__code__) for part in parts if inspect.isfunction(part))


def _compiled(code: CodeType) -> str:
    inner = [_compiled(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return " ".join([code.co_code.hex(), *inner, *code.co_names])
