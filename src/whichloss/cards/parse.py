"""A card from its markdown: front matter, nine headings in order, blocks of code. Every refusal names file and line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from ..errors import UserError
from .tables import cells, is_rule

HEADINGS = (
    "Definition",
    "Derivation",
    "Where used and why",
    "Pros",
    "Cons and failure modes",
    "Deviations from the paper",
    "Misreadings",
    "Example",
    "Check",
)
KEYS = ("name", "title", "family", "year", "reference", "losses", "symbols")
OPTIONAL = ("short", "good", "fails", "cost")  # what `whichloss list` says: what it is, good at, main failure, cost
RUNNABLE = ("Misreadings", "Example", "Check")  # exactly one block of Python each
PROOF = "Derivation"  # may have one
_TABLE, _DISPLAY, _FENCE = "|", "$$", "```"


@dataclass(frozen=True)
class Card:
    """A card as values; `sections` maps each heading to its markdown, `lines` to the line where that begins."""

    path: Path
    name: str
    title: str
    family: str
    year: int
    reference: str
    losses: tuple[str, ...]
    symbols: tuple[str, ...]
    sections: Mapping[str, str]
    lines: Mapping[str, int]
    short: str = ""
    good: str = ""
    fails: str = ""
    cost: str = ""
    lang: str = "en"


@dataclass(frozen=True)
class Piece:
    """A run of lines of one section: prose, or a block (code, display formula, table). `line` counts from 0 there."""

    kind: Literal["prose", "code", "display", "table"]
    text: str
    line: int
    language: str = ""

    @property
    def inner(self) -> str:
        """A block without its marks: the code, the formula, the rows."""
        if self.kind == "code":
            return "".join(line + "\n" for line in self.text.splitlines()[1:-1])
        return self.text.strip().removeprefix(_DISPLAY).removesuffix(_DISPLAY).strip()


def parse(text: str, path: Path) -> Card:
    """A card from its markdown. Raises UserError naming file, line and what is wrong."""
    lines = text.splitlines()
    end, front = front_matter(lines, path, KEYS, OPTIONAL)
    year, at = front["year"]
    if not re.fullmatch(r"\d{4}", year):
        raise wrong(path, at, f"'year:' must be four digits; found '{year}'")
    one = {key: front[key][0] for key in (*KEYS, *OPTIONAL) if key in front}
    losses, symbols = listed(one.pop("losses")), listed(one.pop("symbols"))
    sections, starts = split(lines, end + 1, path)
    for heading, body in sections.items():
        _check_blocks(heading, body, starts[heading], path)
    return Card(
        path,
        **(one | {"year": int(year)}),  # type: ignore[arg-type]
        losses=losses,
        symbols=symbols,
        sections=MappingProxyType(sections),
        lines=MappingProxyType(starts),
    )


def wrong(path: Path, line: int, says: str) -> UserError:
    """The error that names file and line."""
    return UserError(f"{path}:{line}: {says}.")


def front_matter(
    lines: list[str], path: Path, needed: tuple[str, ...], allowed: tuple[str, ...] = ()
) -> tuple[int, dict[str, tuple[str, int]]]:
    """(index of the closing '---', key -> (value, line)). Raises UserError."""
    if not lines or lines[0].strip() != "---":
        raise wrong(path, 1, "a card begins with a line '---' and its front matter")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)
    if not end:
        raise wrong(path, len(lines), "the front matter is never closed by a line '---'")
    found: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(lines[1:end], 2):
        if not line.strip():
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not value:
            raise wrong(path, number, f"expected 'key: value'; found '{line.strip()}'")
        if key in found:
            raise wrong(path, number, f"'{key}:' is given twice")
        if key not in needed + allowed:
            raise wrong(path, number, f"'{key}:' is no key of a card (known: {', '.join(needed + allowed)})")
        found[key] = (value.strip("\"'"), number)
    missing = [key for key in needed if key not in found]
    if missing:
        raise wrong(path, end + 1, f"the front matter lacks '{missing[0]}:' (needed: {', '.join(needed)})")
    return end, found


def listed(value: str) -> tuple[str, ...]:
    """The parts of `[a, b]` or `{a: 1, b: 2}`; commas inside brackets do not part."""
    inner = value[1:-1] if value[:1] in "[{" and value[-1:] in "]}" else value
    parts = re.split(r",(?![^(\[{]*[)\]}])", inner)
    return tuple(part.strip().strip("\"'") for part in parts if part.strip())


def split(lines: list[str], start: int, path: Path) -> tuple[dict[str, str], dict[str, int]]:
    """(heading -> markdown, heading -> number of the markdown's first line). Raises UserError."""
    body: dict[str, list[str]] = {}
    at: dict[str, int] = {}
    here, fenced = "", False
    for number, line in enumerate(lines[start:], start + 1):
        if fenced and line.startswith(_FENCE) and line.strip() != _FENCE:
            raise wrong(path, number, "a ``` block begins before the last one was closed")
        if not fenced and line.startswith(" ") and line.lstrip().startswith(_FENCE):
            raise wrong(path, number, "``` must stand at the beginning of its line")
        fenced ^= line.startswith(_FENCE)
        if line.startswith("## ") and not fenced:
            here = line[3:].strip()
            expected = HEADINGS[len(body)] if len(body) < len(HEADINGS) else "the end"
            if here != expected:
                raise wrong(path, number, f"expected the heading '## {expected}'; found '## {here}'")
            body[here], at[here] = [], number + 1
        elif here:
            body[here].append(line)
    if fenced:
        raise wrong(path, len(lines), "a ``` block is never closed")
    if len(body) < len(HEADINGS):
        raise wrong(path, len(lines), f"the heading '## {HEADINGS[len(body)]}' is missing")
    for heading, text in body.items():
        blank = next((k for k, line in enumerate(text) if line.strip()), 0)
        at[heading] += blank
    return {heading: "\n".join(text).strip() for heading, text in body.items()}, at


def pieces(markdown: str) -> Iterator[Piece]:
    """A section cut into prose and blocks, in order. A block left open runs to the end."""
    lines = markdown.splitlines()
    at, prose = 0, 0
    while at < len(lines):
        end, kind = _block(lines, at)
        if end > at:
            if "".join(lines[prose:at]).strip():
                yield Piece("prose", "\n".join(lines[prose:at]), prose)
            yield Piece(kind, "\n".join(lines[at:end]), at, lines[at].strip("`").strip() if kind == "code" else "")
            prose = end
        at = max(end, at + 1)
    if "".join(lines[prose:]).strip():
        yield Piece("prose", "\n".join(lines[prose:]), prose)


def _block(lines: list[str], at: int) -> tuple[int, Literal["code", "display", "table"]]:
    """(where the block that begins at a line ends, its kind); the end is `at` where none begins."""
    line = lines[at].strip()
    if lines[at].startswith(_FENCE):
        return next((k + 1 for k in range(at + 1, len(lines)) if lines[k].startswith(_FENCE)), len(lines)), "code"
    if line.startswith(_DISPLAY):
        if len(line) > 2 and line.endswith(_DISPLAY):
            return at + 1, "display"
        ends = (k + 1 for k in range(at + 1, len(lines)) if lines[k].strip().endswith(_DISPLAY))
        return next(ends, len(lines)), "display"
    if line.startswith(_TABLE):
        return next((k for k in range(at, len(lines)) if not lines[k].strip().startswith(_TABLE)), len(lines)), "table"
    return at, "code"


def _check_blocks(heading: str, body: str, start: int, path: Path) -> None:
    found = tuple(pieces(body))
    code = [piece for piece in found if piece.kind == "code" and piece.language == "python"]
    if heading in RUNNABLE and len(code) != 1:
        at = start + (code[1].line if len(code) > 1 else 0)
        raise wrong(path, at, f"'## {heading}' needs exactly one ```python block; found {len(code)}")
    if heading == PROOF and len(code) > 1:
        at = start + code[1].line
        raise wrong(path, at, f"'## {heading}' may have one ```python block, its proof; found {len(code)}")
    for piece in found:
        at = start + piece.line
        if piece.kind == "display" and (piece.text.count(_DISPLAY) != 2 or not piece.text.strip().endswith(_DISPLAY)):
            raise wrong(path, at, "a display formula must end with $$ at the end of a line, and hold no other $$")
        if piece.kind == "display" and "$" in piece.inner:
            raise wrong(path, at, "a display formula holds a single $")
        if piece.kind in ("prose", "table"):
            _check_dollars(piece, at, path)
        if piece.kind == "table":
            _check_table(piece, at, path)


def _check_table(piece: Piece, at: int, path: Path) -> None:
    rows = [cells(row) for row in piece.text.splitlines()]
    if len(rows) < 2 or not is_rule(rows[1]):
        raise wrong(path, at, "the second line of a table must be its rule, |---|---|")
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            says = f"a row of {len(row)} cells in a table of {len(rows[0])}; write a bar inside a cell as \\|"
            raise wrong(path, at + number, says)


def _check_dollars(piece: Piece, at: int, path: Path) -> None:
    """Every paragraph, item or row has an even number of $, and no $$."""
    for start, end in _paragraphs(piece):
        lines = piece.text.splitlines()[start:end]
        while lines and not lines[0].strip():
            start, lines = start + 1, lines[1:]
        text = re.sub(r"`[^`]*`|\\\$", "", "\n".join(lines))
        if _DISPLAY in text:
            line = next(k for k, line in enumerate(lines) if _DISPLAY in line)
            raise wrong(path, at + start + line, "$$ must begin and end a line of its own")
        if text.count("$") % 2:
            raise wrong(path, at + start, "a paragraph has an odd number of $: a formula is not closed")


def _paragraphs(piece: Piece) -> Iterator[tuple[int, int]]:
    lines = piece.text.splitlines()
    cut = [k for k, line in enumerate(lines) if k and (not line.strip() or piece.kind == "table")]
    yield from zip([0, *cut], [*cut, len(lines)], strict=True)


def blocks(card: Card) -> dict[str, str]:
    """The code of a card that runs, by section: Misreadings, Example, Check, and Derivation where it has a proof."""
    found = {}
    for heading in (PROOF, *RUNNABLE):
        for piece in pieces(card.sections[heading]):
            if piece.kind == "code" and piece.language == "python":
                found[heading] = piece.inner
    return found
