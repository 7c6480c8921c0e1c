"""Is this function the loss it claims to be? `whichloss.check(fn, "wgan-gp-penalty")` compares it with the formula.

By value and by gradient in float64, against finite differences of itself, and by what the loss must not change under,
in a process of its own with a time limit. The answer says which holds: equal; equal up to a factor or a constant; a
known variant, and why it matters; different, with the smallest counterexample.
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import UserError
from .answer import Answer

SECONDS = 30.0
ELSEWHERE = {*sys.stdlib_module_names, __name__.split(".")[0]} - {"__main__"}  # modules that the other process can find


def check(
    function: Callable[..., Any] | str, name: str, *, args: Mapping[str, str] | None = None, seconds: float = SECONDS
) -> Answer:
    """Compare `function`, or "FILE.py:FUNCTION", with the loss `name`; `args` says what is what: {"real": "x"}.

    The answer is true where the function is the loss, up to a reduction, a positive factor or a constant.
    Raises UserError for an unknown loss, an unreadable file, arguments that fit no form of the loss, and code that is
    not PyTorch.
    """
    if not seconds > 0:
        raise UserError(f"seconds = {seconds} must be positive.")
    given = {role: str(value) for role, value in (args or {}).items()}
    source = _file_and_name(function) if isinstance(function, str) else None
    asked: dict[str, Any] = {"loss": name, "args": given, "seconds": float(seconds), "source": source, "function": b""}
    if source:
        file = Path(source[0]).resolve()
        asked |= {"name": f"{file.name}:{source[1]}", "file": str(file)}
    else:
        asked |= _handed_over(function)
    from .sandbox import run

    return run(asked)


def pairs(text: str) -> dict[str, str]:
    """real=x,fake=y as a dictionary. Raises UserError for anything else."""
    parts = [part.split("=") for part in text.split(",") if part.strip()]
    if not all(len(part) == 2 and all(side.strip() for side in part) for part in parts):
        raise UserError(f"--args {text!r} should look like real=x,fake=y: role=YOUR_NAME, with commas.")
    return {role.strip(): name.strip() for role, name in parts}


def _file_and_name(text: str) -> tuple[str, str]:
    file, colon, name = text.rpartition(":")
    if not colon or not name or not file.endswith(".py"):
        raise UserError(f"'{text}' should be FILE.py:FUNCTION, such as my_losses.py:generator_loss.")
    if not Path(file).is_file():
        raise UserError(f"The file '{file}' does not exist.")
    return file, name


def _handed_over(function: Any) -> dict[str, Any]:
    """The function by value where it is a person's own, so that the other process need not find its module."""
    import cloudpickle

    if not callable(function):
        raise UserError(f"check needs a function or 'FILE.py:FUNCTION'; got {type(function).__name__}.")
    inner = function
    while isinstance(inner, partial):
        inner = inner.func
    module = sys.modules.get(getattr(inner, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    own = module and file and "site-packages" not in file and module.__name__.split(".")[0] not in ELSEWHERE
    try:
        if own:
            cloudpickle.register_pickle_by_value(module)
        content = cloudpickle.dumps(function)
    except Exception as error:
        raise UserError(
            f"The function cannot be handed to another process ({error}); use 'FILE.py:FUNCTION'."
        ) from error
    finally:
        if own:
            cloudpickle.unregister_pickle_by_value(module)
    name = getattr(inner, "__name__", type(inner).__name__)
    code = getattr(inner, "__code__", None)
    return {"function": content, "name": name, "file": code.co_filename if code else file}


class _Door(ModuleType):
    """So that `whichloss.check` is the function and still the package."""

    def __call__(
        self,
        function: Callable[..., Any] | str,
        name: str,
        *,
        args: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> Answer:
        return check(function, name, args=args, seconds=seconds)


sys.modules[__name__].__class__ = _Door

__all__ = ["Answer", "check"]
