"""The person's function: from FILE.py:NAME, or as Python hands it over."""

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError, nearest
from .record import FOREIGN, Refused


def from_file(file: str, name: str) -> Callable[..., Any]:
    """The callable `name` of a Python file. Raises UserError, or Refused where it is not PyTorch."""
    path = Path(file).resolve()
    _parses(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        foreign = FOREIGN.get((error.name or "").split(".")[0])
        if foreign:
            raise Refused(f"'{file}' is {foreign} code (it imports {error.name})") from error
        raise UserError(
            f"'{file}' cannot be imported: there is no module '{error.name}' in this environment."
        ) from error
    except SystemExit as error:
        raise UserError(
            f"'{file}' ends the program while it is imported{_line(error, str(path))}: put what is not a definition "
            f"(such as parse_args) under if __name__ == '__main__'."
        ) from error
    except Exception as error:
        at = _line(error, str(path))
        raise UserError(f"'{file}' cannot be imported: {type(error).__name__}: {error}{at}.") from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [
                key
                for key, value in vars(module).items()
                if inspect.isfunction(value) and value.__module__ == path.stem
            ]
            raise UserError(f"There is no '{name}' in '{file}': {nearest(name, known)}")
        method = inspect.isclass(found) and inspect.isfunction(inspect.getattr_static(found, part))
        found = getattr(_made(found) if method else found, part)  # a method needs an object
    return ready(found, name)


def _parses(path: Path) -> None:
    try:
        ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"'{path.name}' is not valid Python: line {error.lineno}: {error.msg}.") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise UserError(f"'{path.name}' is not a Python file: {error}.") from error


def _line(error: BaseException, file: str) -> str:
    import traceback

    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f" (line {lines[-1]})" if lines else ""


def _made(cls: type) -> Any:
    try:
        return cls()
    except TypeError as error:
        name = cls.__name__
        raise UserError(
            f"'{name}' is a class that needs arguments ({error}); check an instance: LOSS = {name}(...)."
        ) from error


def ready(found: Any, name: str) -> Callable[..., Any]:
    """A callable: a class is made with no arguments, a module is put into float64."""
    if inspect.isclass(found):
        found = _made(found)
    if not callable(found):
        raise UserError(f"'{name}' is a {type(found).__name__}, not a function.")
    if isinstance(found, torch.nn.Module):
        found = found.double()
    _is_torch(found, name)
    return found  # type: ignore[no-any-return]


def _is_torch(found: Any, name: str) -> None:
    """Raise Refused for a function that names a module of another framework."""
    code = getattr(inspect.unwrap(found), "__code__", None)
    if code is None:
        return
    within = getattr(found, "__globals__", {})
    for used in code.co_names:
        module = getattr(within.get(used), "__name__", "") if inspect.ismodule(within.get(used)) else ""
        top = module.split(".")[0]
        if top in FOREIGN:
            raise Refused(f"'{name}' is {FOREIGN[top]} code (it uses {used})")
