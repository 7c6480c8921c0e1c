"""Objectives by name: wgan-gp is objectives/wgan_gp.py; a path ending in .py is the user's own file."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

from ..errors import UserError, nearest
from .base import Objective

HERE = Path(__file__).parent
# What `compare` trains unless told otherwise: about eight that differ in kind.
DEFAULTS: dict[str, tuple[str, ...]] = {
    "generate": (
        "gan",
        "wgan-gp",
        "r3gan",
        "ebgan",
        "pcd",
        "denoising-score-matching",
        "ddpm",
        "flow-matching",
    )
}


def available() -> tuple[str, ...]:
    """The names of all shipped objectives, sorted."""
    names = {path.stem for path in HERE.glob("*.py")} - {"__init__", "base", "find"}
    return tuple(sorted(name.replace("_", "-") for name in names))


def find(name: str) -> type[Objective]:
    """The objective class of a name or of a user's file. Raises UserError with the nearest name."""
    if name.endswith(".py"):
        return _only(_load(Path(name)), name)
    if name not in available():
        raise UserError(f"There is no objective '{name}': {nearest(name, available())}")
    return _only(importlib.import_module(f"{__package__}.{name.replace('-', '_')}"), name)


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"The objective file '{path}' does not exist.")
    name = f"whichloss_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"'{path}' cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _only(module: ModuleType, name: str) -> type[Objective]:
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Objective)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]
    if len(own) != 1:
        found = ", ".join(sorted(value.__name__ for value in own)) or "none"
        raise UserError(f"'{name}' must define exactly one objective class; found {found}.")
    return own[0]
