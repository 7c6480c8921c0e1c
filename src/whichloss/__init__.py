"""whichloss: which training loss fits my data best, and why?"""

from importlib import import_module
from typing import Any

__all__ = [
    "DataUnfit",
    "StudyError",
    "UserError",
    "WhichlossError",
    "check",
    "compare",
    "describe",
    "load",
    "losses",
    "metrics",
    "objectives",
    "read",
    "read_pictures",
    "samplers",
    "watch",
]

# Looked up on first use, so that `import whichloss` and `whichloss --help` stay quick.
_HOME = {
    "DataUnfit": "errors",
    "StudyError": "errors",
    "UserError": "errors",
    "WhichlossError": "errors",
    "compare": "comparison",
    "describe": "data",
    "load": "study.model",
    "read": "data",
    "read_pictures": "data",
    "watch": "watching",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'whichloss' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
