"""Which columns of a table are the two sides of pairs: said, or found by their names and by what they hold."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def likes_of(
    label: str, columns: Columns, first: str | None, second: str | None, concept: str | None, target: str
) -> tuple[list[str], list[str], list[str]]:
    """The columns of both things of pairs that `target` calls alike or not, and the column of concepts, if asked for:
    two columns of picture files, or two blocks of numbers."""
    if target not in columns:
        raise UserError(f"--target '{target}': {label} has no such column; {nearest(target, columns)}")
    one = _chosen(label, columns, "first", first) if first else []
    two = _chosen(label, columns, "second", second) if second else []
    unit = _chosen(label, columns, "concept", concept)[:1] if concept else []
    for option, names in (("first", one), ("second", two), ("group", unit)):
        if target in names:
            raise UserError(f"'{target}' is both --target and one of --{option}; choose one.")
    left = {name: column for name, column in columns.items() if name not in (*one, *two, *unit, target)}
    if not (one and two):
        found = [[name] for name, column in left.items() if _share(column, is_file) > 0.5] or list(
            _stems(left).values()
        )
        if len(found) != 2 - bool(one or two):
            listed = "; ".join(few(names, 3) for names in found[:5]) or "none"
            raise UserError(
                f"{label} has {len(found)} columns of picture files or blocks of numbers beside '{target}'"
                f"{' and what is named' * bool(one or two)} ({listed}): say which are the two things of a pair with "
                "--first and --second, such as --first 'a_*' --second 'b_*'."
            )
        one, two = one or found[0], two or found[-1]
    if shared := [name for name in one if name in two]:
        raise UserError(f"{label}: column '{shared[0]}' cannot be both sides of a pair. Give two columns.")
    return one, two, unit


def of_files(columns: Columns, target: str) -> bool:
    """Are there exactly two columns of picture files beside the target?"""
    return sum(_share(column, is_file) > 0.5 for name, column in columns.items() if name != target) == 2


def two_blocks(names: Sequence[str], target: str) -> tuple[str, str] | None:
    """The patterns of two blocks as wide that all columns but the target form: a_1, a_2, b_1, b_2 -> a_*, b_*."""
    others = [name for name in names if name != target]
    stems = _stems(others)
    blocks = list(stems.values())
    if len(blocks) != 2 or len(blocks[0]) != len(blocks[1]) or len(blocks[0]) < 2 or 2 * len(blocks[0]) < len(others):
        return None
    one, two = (name[: len(name) - len(re.findall(r"\d+$", name)[0])] + "*" for name in (b[0] for b in blocks))
    return one, two


def _stems(names: Iterable[str]) -> dict[str, list[str]]:
    """Columns whose names end in a number, by what comes before it."""
    stems: dict[str, list[str]] = {}
    for name in names:
        if match := re.fullmatch(r"(.*?)[_\-. ]?\d+", name):
            stems.setdefault(match[1], []).append(name)
    return stems


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
    stems = _stems(columns)
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
