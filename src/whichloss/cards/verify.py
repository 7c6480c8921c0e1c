"""What a card says against what the code says: fields and defaults, functions used, the file's name."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from types import ModuleType
from typing import Any

from .parse import Card, pieces
from .tables import cells, is_rule

_PACKAGE = __package__.rpartition(".")[0]


def faults(card: Card) -> list[str]:
    """What is wrong with any card by itself: an empty section, a name that is not its file's."""
    problems = [f"'## {heading}' is empty" for heading, text in card.sections.items() if not text]
    if card.name.replace("-", "_") != card.path.name.removesuffix(".md").removesuffix(".ko"):
        problems.append(f"name: '{card.name}' is not the file's name '{card.path.stem}'")
    return [f"{card.path.name}: {problem}" for problem in problems]


def verify(card: Card, objective: type) -> list[str]:
    """What a card says that its objective's code does not; an empty list if they agree."""
    problems = []
    used = _losses_used(objective)
    unused = [name for name in card.losses if name not in used]
    problems += [f"losses: the code uses no '{name}' (it uses {sorted(used)})" for name in unused]
    stated, actual = _stated_fields(card), _fields(objective)
    for name, default in actual.items():
        if name not in stated:
            problems.append(f"the hyperparameter table lacks '{name}' (default {default})")
        elif stated[name] != default:
            problems.append(f"'{name}' defaults to {default} in the code; the card says {stated[name]}")
    unknown = [name for name in stated if name not in actual]
    problems += [f"the hyperparameter table names '{name}', no field of the code" for name in unknown]
    return faults(card) + [f"{card.path.name}: {problem}" for problem in problems]


def _losses_used(objective: type) -> set[str]:
    """Functions of `whichloss.losses` that an objective's module has imported, itself or inside a module."""
    losses = f"{_PACKAGE}.losses"

    def functions(values: Mapping[str, Any]) -> Iterator[str]:
        for value in values.values():
            if inspect.isfunction(value) and value.__module__.startswith(losses):
                yield value.__name__

    seen = vars(sys.modules[objective.__module__])
    inner = [vars(m) for m in seen.values() if isinstance(m, ModuleType) and m.__name__.startswith(losses)]
    inner += [vars(m) for scope in tuple(inner) for m in scope.values() if isinstance(m, ModuleType)]
    return {name for scope in (seen, *inner) for name in functions(scope)}


def _fields(objective: type) -> dict[str, str]:
    found = {}
    for field in fields(objective):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        found[field.name] = "required" if default is MISSING else repr(default)
    return found


def _stated_fields(card: Card) -> dict[str, str]:
    """field -> default as the card's table writes them, numbers and strings as Python would."""
    stated = {}
    for row in table_rows(card.sections["Definition"]):
        if len(row) >= 3 and row[0].strip("`") != "field":
            stated[row[0].strip("`")] = _as_python(row[1].strip("`"))
    return stated


def _as_python(text: str) -> str:
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return repr(text) if text != "required" else text


def table_rows(markdown: str) -> list[list[str]]:
    """The cells of every table row whose table begins with `| field |`, the header included."""
    rows: list[list[str]] = []
    for piece in pieces(markdown):
        if piece.kind == "table":
            table = [row for row in map(cells, piece.text.splitlines()) if not is_rule(row)]
            rows += table if table[0][0].strip("`") == "field" else []
    return rows
