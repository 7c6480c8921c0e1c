"""A person's own networks: makers f(inputs, outputs) -> nn.Module by role, from Python or from a file."""

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import cloudpickle

from ..errors import UserError

Makers = Mapping[str, Callable[[int, int], Any]]


def load_file(path: str | Path) -> dict[str, Callable[[int, int], Any]]:
    """The functions of a file, by role: `def D(inputs, outputs): return nn.Sequential(...)`."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"--nets: the file '{path}' does not exist.")
    spec = importlib.util.spec_from_file_location(f"whichloss_nets_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"--nets: '{path}' cannot be imported: {type(error).__name__}: {error}") from error
    found = {
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
    return cloudpickle.dumps(dict(nets)) if nets else None


def own_networks(content: bytes | None) -> Makers | None:
    """The makers that `packed` packed."""
    return cloudpickle.loads(content) if content else None


def fingerprint(nets: Makers | None) -> str:
    """A hash of the makers' source, so that runs with other networks have other names."""
    if not nets:
        return ""
    text = []
    for role, maker in sorted(nets.items()):
        try:
            text.append(role + inspect.getsource(maker))
        except (OSError, TypeError):
            text.append(role + repr(cloudpickle.dumps(maker)))
    return sha256("".join(text).encode()).hexdigest()[:12]
