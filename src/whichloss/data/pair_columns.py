"""Which columns of a table are the two sides of pairs: said, or found by their names and by what they hold."""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from whichloss.data.columns import few
from whichloss.data.files import PICTURES
from whichloss.data.raw import Raw
from whichloss.errors import DataUnfit, UserError, nearest

WAYS = "a table with a column of picture files and one of captions, a table of two blocks of numbers, or two arrays"
FILES = ("file", "filename", "file_name", "filepath", "path", "image", "image_path", "picture", "photo", "img")
TEXTS = ("caption", "captions", "text", "title", "description", "prompt", "sentence", "alt")
CONCEPTS = ("concept", "concept_id")
LOOKED_AT = 200  # rows, to tell what a column holds

Columns = Mapping[str, Callable[[], Raw]]


def sides_of(
    label: str, columns: Columns, first: str | None, second: str | None, concept: str | None
) -> tuple[list[str], list[str], list[str]]:
    """The columns of both sides, and the column of concepts, if there is one."""
    one = _chosen(label, columns, "first", first) if first else []
    two = _chosen(label, columns, "second", second) if second else []
    known = [name for name in columns if name.casefold() in CONCEPTS and name not in (*one, *two)]
    unit = _chosen(label, columns, "group", concept)[:1] if concept else known[:1]
    left = {name: column for name, column in columns.items() if name not in (*one, *two, *unit)}
    one = one or _pictured(label, left)
    if not one and not second:
        return *_blocks(label, left), unit
    if not one:
        raise UserError(f"{label} has no column of picture files: say with --first what goes with '{second}'.")
    two = two or _captioned(label, {name: left[name] for name in left if name not in one})
    if shared := [name for name in one if name in two]:
        raise UserError(f"{label}: column '{shared[0]}' cannot be both sides of a pair. Give two columns.")
    return one, two, unit


def _chosen(label: str, columns: Mapping[str, Any], option: str, asked: str) -> list[str]:
    """The columns that an option names, one by its name or some by a pattern."""
    found = [asked] if asked in columns else [name for name in columns if "*" in asked and fnmatchcase(name, asked)]
    if not found:
        raise UserError(f"--{option} '{asked}': {label} has no such column; {nearest(asked, columns)}")
    return found


def _pictured(label: str, columns: Columns) -> list[str]:
    """The column of picture files: by what it holds, by its name where several do."""
    found = [name for name, column in columns.items() if _share(column, is_file) > 0.5]
    if len(found) > 1:
        found = [name for name in found if name.casefold() in FILES] or found
    if len(found) > 1:
        raise UserError(f"{label} has {len(found)} columns of picture files ({few(found)}): say which with --first.")
    return (
        found or [name for name in columns if name.casefold() in FILES and _share(columns[name], _is_number) == 0][:1]
    )


def _captioned(label: str, columns: Columns) -> list[str]:
    """The column of captions: by its name, or the only one that holds words apart."""
    named = {name.casefold(): name for name in columns}
    found = [named[name] for name in TEXTS if name in named][:1] or [
        name for name, column in columns.items() if _share(column, _is_phrase) > 0.3
    ]
    if len(found) != 1:
        listed = few(list(columns), 10) or "none"
        what = f"{len(found)} columns of texts ({few(found)})" if found else f"no column of captions (others: {listed})"
        raise UserError(f"{label} has {what}: say which with --second.")
    return found


def _blocks(label: str, columns: Columns) -> tuple[list[str], list[str]]:
    """Columns of numbers in two blocks, by what their names have in common: image_1, image_2, ... and text_1, ..."""
    stems: dict[str, list[str]] = {}
    for name in columns:
        if match := re.fullmatch(r"(.*?)[_\-. ]?\d+", name):
            stems.setdefault(match[1], []).append(name)
    if len(stems) != 2:
        found = f"form {len(stems)} block{'s' * (len(stems) > 1)}, not two ({few(list(stems))})"
        if not stems:
            found = f"form no two blocks either ({few(list(columns))})"
        raise UserError(
            f"{label} has no column of picture files, and its columns of numbers {found}. Give {WAYS}, or say which "
            "columns with --first and --second, such as --first 'image_*'."
        )
    one, two = stems.values()
    return one, two


def _share(column: Callable[[], Raw], holds: Callable[[Any], bool]) -> float:
    """The share of the first known values of which this holds."""
    try:
        some = column().known()[:LOOKED_AT]
    except DataUnfit:  # a type that no table holds, a list say
        return 0.0
    return sum(map(holds, some)) / max(1, len(some))


def _is_number(value: Any) -> bool:
    return not isinstance(value, str)


def is_file(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower().endswith(PICTURES)


def _is_phrase(value: Any) -> bool:
    return isinstance(value, str) and len(value.split()) > 1


def listed(names: Sequence[str]) -> str:
    return f"column '{names[0]}'" if len(names) == 1 else f"columns '{names[0]}' to '{names[-1]}' ({len(names)})"
