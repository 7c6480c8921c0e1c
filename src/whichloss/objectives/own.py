"""A person's own objective: a file with one class, or with only the losses of a known family; two files to start from.

    critic_loss(real, fake), generator_loss(fake) or generator_loss(real, fake)   scores, trained as `gan` is
    energy_loss(data, model)          energies of rows and of the chains' rows, trained as `pcd` is
    velocity_loss(predicted, target)  velocities (B, d), trained as `flow-matching` is

A loss returns one value per example, or their mean; both are averaged.
"""

import importlib
import importlib.util
import inspect
import keyword
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torch import Tensor

from ..errors import UserError
from ..losses.diffusion import path, spread_times
from ..rng import Rng
from ..task import Batch
from .base import Nets, Objective

Loss = Callable[..., Tensor]
FAMILIES = {  # the objective that lends its networks and updates: the losses it asks for
    "gan": ("critic_loss", "generator_loss"),
    "pcd": ("energy_loss",),
    "flow-matching": ("velocity_loss",),
}


def load(path: Path) -> ModuleType:
    """The module of a user's file. Raises UserError if there is none or it cannot be imported."""
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


def classes(module: ModuleType) -> list[type[Objective]]:
    """The objectives that a module defines itself."""
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Objective)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]


def from_losses(module: ModuleType, find: Callable[[str], type[Objective]]) -> type[Objective] | None:
    """The family's objective with the module's losses in place of its own; None where the module has no such loss."""
    given = {name for losses in FAMILIES.values() for name in losses if inspect.isfunction(vars(module).get(name))}
    chosen = [family for family, losses in FAMILIES.items() if given & set(losses)]
    if not chosen:
        return None
    if len(chosen) > 1:
        raise UserError(f"'{module.__file__}' has losses of two families ({' and '.join(chosen)}); leave one.")
    missing = sorted(set(FAMILIES[chosen[0]]) - given)
    if missing:
        raise UserError(f"'{module.__file__}' has {', '.join(sorted(given))}, but no {missing[0]}; both are needed.")
    losses = [vars(module)[name] for name in FAMILIES[chosen[0]]]
    make: dict[str, Callable[..., type[Objective]]] = {
        "gan": _adversarial,
        "pcd": _energy,
        "flow-matching": _velocity,
    }
    made = make[chosen[0]](find(chosen[0]), *losses)
    made.__name__ = made.__qualname__ = _class_name(Path(module.__file__ or "").stem)
    made.__module__ = module.__name__
    return made


def _adversarial(family: type, critic_loss: Loss, generator_loss: Loss) -> type[Objective]:
    both = len(inspect.signature(generator_loss).parameters) > 1

    @dataclass(frozen=True)
    class Own(family):  # type: ignore[misc]
        def critic(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
            fake = self.sample(nets, batch.x.shape, rng)
            return critic_loss(nets.D(batch.x), nets.D(fake)).mean()

        def generator(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
            fake = nets.D(self.sample(nets, batch.x.shape, rng))
            return (generator_loss(nets.D(batch.x), fake) if both else generator_loss(fake)).mean()

    return Own


def _energy(family: type, energy_loss: Loss) -> type[Objective]:
    @dataclass(frozen=True)
    class Own(family):  # type: ignore[misc]
        def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
            chains = batch.memory["chains"]
            rows, walking = min(len(batch.x), len(chains)), self.of_chains(nets, batch.memory)
            if nets.given is not None:
                nets, walking = nets.told(batch.y[:rows]), nets.told(batch.memory["given"][:rows])
            return energy_loss(nets.E(batch.x[:rows]), walking.E(chains[:rows])).mean()

    return Own


def _velocity(family: type, velocity_loss: Loss) -> type[Objective]:
    @dataclass(frozen=True)
    class Own(family):  # type: ignore[misc]
        def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
            x0, t = rng.normal("x0", batch.x.shape), spread_times(rng.uniform("t", ()), len(batch.x))
            return velocity_loss(self.velocity(nets, path(x0, batch.x, t), t), batch.x - x0).mean()

        def denoised(self, nets: Nets, x: Tensor, x_new: Tensor, rng: Rng) -> None:
            """The family's losses are not this one's."""

    return Own


def start(name: str, like: Path, kind: str, folder: Path) -> tuple[Path, Path]:
    """Write NAME.py and NAME.md: a shipped objective (its file `like`, its class `kind`) and its card, renamed.

    Raises UserError: the name is no Python name, or one of the files exists.
    """
    stem = name.replace("-", "_")
    if not stem.isidentifier() or keyword.iskeyword(stem) or stem != stem.lower():
        raise UserError(f"'{name}' cannot be a file's name and an objective's: use small letters, digits and hyphens.")
    code, card = folder / f"{stem}.py", folder / f"{stem}.md"
    for place in (code, card):
        if place.exists():
            raise UserError(f"'{place}' exists; choose another name, or move it away.")
    text = like.read_text(encoding="utf-8")
    text = re.sub(r"^from \.\.", "from whichloss.", text, flags=re.MULTILINE)
    text = re.sub(r"^from \.", "from whichloss.objectives.", text, flags=re.MULTILINE)
    front = like.with_suffix(".md").read_text(encoding="utf-8")
    front = re.sub(r"^name: .*$", f"name: {stem.replace('_', '-')}", front, count=1, flags=re.MULTILINE)
    code.write_text(re.sub(rf"\b{kind}\b", _class_name(stem), text), encoding="utf-8")
    card.write_text(front, encoding="utf-8")
    return code, card


def _class_name(stem: str) -> str:
    return "".join(part.title() for part in re.split(r"\W|_", stem))
