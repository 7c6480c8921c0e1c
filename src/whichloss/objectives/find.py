"""Objectives by name: wgan-gp is objectives/wgan_gp.py; a path ending in .py is the user's own file."""

import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path

from ..errors import UserError, nearest
from . import own
from .base import Objective

HERE = Path(__file__).parent
SHARED = {"__init__", "base", "boltzmann", "dual", "find", "own", "siamese"}  # modules that are no objectives
# What `compare` trains unless told otherwise: about ten that differ in kind.
DEFAULTS: dict[str, tuple[str, ...]] = {
    "generate": (
        "gan",
        "wgan-gp",
        "r3gan",
        "ebgan",
        "pcd",
        "ml",
        "denoising-score-matching",
        "ddpm",
        "flow-matching",
        "flow",
    ),
    "classify": (
        "cross-entropy",
        "label-smoothing",
        "weighted-cross-entropy",
        "bce",
        "focal",
        "asymmetric",
        "squared",
        "multi-margin",
        "gce",
        "symmetric-ce",
        "logit-adjusted",
        "logit-adjusted-gce",
        "ordinal",
    ),
    "align": ("clip", "siglip", "triplet-align", "regress"),
    "embed": (
        "pair-contrastive",
        "cosine-bce",
        "triplet",
        "simclr",
        "supcon",
        "vicreg",
        "barlow-twins",
    ),
}


def available(goal: str | None = None) -> tuple[str, ...]:
    """The names of all shipped objectives, or of those that serve a goal, sorted."""
    stems = {path.stem for path in HERE.glob("*.py")} - SHARED
    names = sorted(stem.replace("_", "-") for stem in stems)
    return tuple(name for name in names if goal is None or find(name).goal == goal)


def find(name: str) -> type[Objective]:
    """The objective class of a name or of a user's file. Raises UserError with the nearest name."""
    if name.endswith(".py"):
        module = own.load(Path(name))
        return _only(own.classes(module) or filter(None, [own.from_losses(module, find)]), name)
    if name not in available():
        raise UserError(f"There is no objective '{name}': {nearest(name, available())}")
    return _only(own.classes(importlib.import_module(f"{__package__}.{name.replace('-', '_')}")), name)


def start(name: str, like: str = "gan", folder: str | Path = ".") -> tuple[Path, Path]:
    """Write NAME.py and NAME.md in a folder: the objective `like` and its card under your name, to be changed."""
    kind = find(like)
    return own.start(name, Path(inspect.getfile(kind)), kind.__name__, Path(folder))


def _only(found: Iterable[type[Objective]], name: str) -> type[Objective]:
    found = list(found)
    if len(found) != 1:
        names = ", ".join(sorted(kind.__name__ for kind in found)) or "none"
        losses = "; ".join(" and ".join(names) for names in own.FAMILIES.values())
        raise UserError(
            f"'{name}' must define exactly one objective class; found {names}. "
            f"A file with only a loss must name it after a known family: {losses}."
        )
    return found[0]
