"""Cards: the page about one objective, markdown beside its file. Parsed, verified against the code, shown."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from .errors import UserError
from .formulas import unicode as formula

HEADINGS = (
    "Definition",
    "Derivation",
    "Where used and why",
    "Pros",
    "Cons and failure modes",
    "Deviations from the paper",
    "Example",
    "Check",
)
KEYS = ("name", "title", "family", "year", "reference", "losses", "symbols")
RUNNABLE = ("Example", "Check")
HERE = Path(__file__).parent / "objectives"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Card:
    """A card as values; `sections` maps each heading to its markdown."""

    path: Path
    name: str
    title: str
    family: str
    year: int
    reference: str
    losses: tuple[str, ...]
    symbols: tuple[str, ...]
    sections: Mapping[str, str]


def card(name: str) -> Card:
    """The card of a shipped objective (wgan-gp) or of a user's file (mine.py: mine.md beside it).

    Raises UserError: there is no such card, or it is malformed (file, line, what is missing).
    """
    path = Path(name).with_suffix(".md") if name.endswith(".py") else HERE / f"{name.replace('-', '_')}.md"
    if not path.is_file():
        raise UserError(f"The objective '{name}' has no card: expected the file '{path}'.")
    return parse(path.read_text(encoding="utf-8"), path)


def parse(text: str, path: Path) -> Card:
    """A card from its markdown. Raises UserError naming file, line and what is wrong."""
    lines = text.splitlines()
    end = _end_of_front(lines, path)
    front = _front(lines[1:end], path)
    missing = [key for key in KEYS if key not in front]
    if missing:
        raise _wrong(path, end + 1, f"the front matter lacks '{missing[0]}:' (needed: {', '.join(KEYS)})")
    year = front["year"][0] if front["year"] else ""
    if not re.fullmatch(r"\d{4}", year):
        raise _wrong(path, 1, f"'year:' must be four digits; found '{year}'")
    one = {key: ", ".join(front[key]) for key in ("name", "title", "family", "reference")}
    losses, symbols = tuple(front["losses"]), tuple(front["symbols"])
    sections = MappingProxyType(_sections(lines, end + 1, path))
    return Card(path, **one, year=int(year), losses=losses, symbols=symbols, sections=sections)


def _wrong(path: Path, line: int, says: str) -> UserError:
    return UserError(f"{path}:{line}: {says}.")


def _end_of_front(lines: list[str], path: Path) -> int:
    if not lines or lines[0].strip() != "---":
        raise _wrong(path, 1, "a card begins with a line '---' and its front matter")
    for number, line in enumerate(lines[1:], 1):
        if line.strip() == "---":
            return number
    raise _wrong(path, len(lines), "the front matter is never closed by a line '---'")


def _front(lines: list[str], path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not value:
            raise _wrong(path, number, f"expected 'key: value'; found '{line.strip()}'")
        if key in found:
            raise _wrong(path, number, f"'{key}:' is given twice")
        listed = value[0] in "[{" and value[-1] in "]}"
        parts = _outside_brackets(value[1:-1]) if listed else [value]
        found[key] = [part.strip().strip("\"'") for part in parts if part.strip()]
    return found


def _outside_brackets(text: str) -> list[str]:
    return re.split(r",(?![^(\[{]*[)\]}])", text)


def _sections(lines: list[str], start: int, path: Path) -> dict[str, str]:
    body: dict[str, list[str]] = {}
    here, fenced = "", False
    for number, line in enumerate(lines[start:], start + 1):
        if fenced and line.startswith("```") and line.strip() != "```":
            raise _wrong(path, number, "a ``` block begins before the last one was closed")
        fenced ^= line.startswith("```")
        if line.startswith("## ") and not fenced:
            here = line[3:].strip()
            expected = HEADINGS[len(body)] if len(body) < len(HEADINGS) else "the end"
            if here != expected:
                raise _wrong(path, number, f"expected the heading '## {expected}'; found '## {here}'")
            body[here] = []
        elif here:
            body[here].append(line)
    if fenced:
        raise _wrong(path, len(lines), "a ``` block is never closed")
    if len(body) < len(HEADINGS):
        raise _wrong(path, len(lines), f"the heading '## {HEADINGS[len(body)]}' is missing")
    return {heading: "\n".join(text).strip() for heading, text in body.items()}


def blocks(card: Card) -> dict[str, str]:
    """The runnable code of a card by section: {"Example": ..., "Check": ...}. Raises UserError unless one each."""
    found = {}
    for heading in RUNNABLE:
        code = [body for language, body in _FENCE.findall(card.sections[heading] + "\n") if language == "python"]
        if len(code) != 1:
            raise UserError(f"{card.path}: '## {heading}' needs exactly one ```python block; found {len(code)}.")
        found[heading] = code[0]
    return found


def verify(card: Card, objective: type) -> list[str]:
    """What a card says that its objective's code does not; an empty list if they agree."""
    problems = [f"'## {heading}' is empty" for heading, text in card.sections.items() if not text]
    if card.name.replace("-", "_") != card.path.stem:
        problems.append(f"name: '{card.name}' is not the file's name '{card.path.stem}'")
    try:
        blocks(card)
    except UserError as error:
        problems.append(str(error))
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
    return [f"{card.path.name}: {problem}" for problem in problems]


def _losses_used(objective: type) -> set[str]:
    """Functions of `whichloss.losses` that an objective's module has imported, itself or inside a module."""
    losses = f"{__package__}.losses"

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
    inside = False
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|"):
            inside = False
        elif cells[0].strip("`") == "field":
            inside = True
        if inside and not set("".join(cells)) <= set("-: "):
            rows.append(cells)
    return rows


def render(card: Card, width: int = 100) -> str:
    """The card as plain text for a terminal of `width` columns: formulas in unicode, tables aligned."""
    head = f"{card.title} ({card.name})"
    lines = [head, "=" * min(width, len(head)), *textwrap.wrap(f"{card.family}, {card.year}. {card.reference}", width)]
    for heading, text in card.sections.items():
        lines += ["", heading, "-" * len(heading), *_body(text, width)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _body(markdown: str, width: int) -> Iterator[str]:
    """Code as it stands, indented; tables aligned; formulas on their own line indented; the rest filled."""
    for part in re.split(r"(^```.*?^```$|^\$\$.*?\$\$$)", markdown, flags=re.MULTILINE | re.DOTALL):
        if part.startswith("```"):
            yield from ("    " + line for line in part.splitlines()[1:-1])
        elif part.startswith("$$"):
            inner = part.strip("$").strip()
            yield from ("    " + line for line in formula(inner).splitlines())
            yield ""
        else:
            for paragraph in re.split(r"\n\s*\n", part.strip("\n")):
                yield from _paragraph(paragraph, width)
                yield ""


def _paragraph(text: str, width: int) -> Iterator[str]:
    lines = [inline(line) for line in _whole_formulas(text).splitlines() if line.strip()]
    rows = [line for line in lines if line.lstrip().startswith("|")]
    if rows and len(rows) == len(lines):
        yield from _aligned(rows, width)
        return
    items = re.split(r"\n(?=\s*(?:[-*]|\d+\.)\s)", "\n".join(lines))
    for item in items:
        mark = re.match(r"\s*(?:[-*]|\d+\.)\s+", item)
        indent = " " * len(mark[0].lstrip()) if mark else ""
        yield from textwrap.wrap(" ".join(item.split()), width, subsequent_indent=indent)


def _whole_formulas(text: str) -> str:
    return re.sub(r"\$[^$]+\$", lambda found: " ".join(found[0].split()), text)


def _aligned(rows: list[str], width: int) -> Iterator[str]:
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]
    cells = [row for row in cells if not set("".join(row)) <= set("-: ")]
    columns = max(map(len, cells))
    cells = [row + [""] * (columns - len(row)) for row in cells]
    widths = [max(len(row[i]) for row in cells) for i in range(columns - 1)]
    rest = max(20, width - sum(widths) - 2 * len(widths))
    for number, row in enumerate(cells):
        left = "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=False))
        gap = " " * (len(left) + 2 if widths else 0)
        last = textwrap.wrap(row[-1], rest) or [""]
        yield f"{left}  {last[0]}".strip() if widths else last[0]
        yield from (gap + line for line in last[1:])
        if number == 0:
            yield "  ".join("-" * w for w in [*widths, min(rest, max(len(r[-1]) for r in cells))])


def inline(text: str) -> str:
    """Markdown inside a line as plain text: formulas in unicode, emphasis and code marks taken off."""
    text = re.sub(r"\$([^$]+)\$", lambda found: formula(found[1]), text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"\1", text)
    text = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"\1 (\2)", text)
    return re.sub(r"`([^`]+)`", r"\1", text)
