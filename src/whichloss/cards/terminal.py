"""A card as plain text: formulas in unicode, tables aligned, prose filled to the width."""

import re
import textwrap
from collections.abc import Iterator
from unicodedata import combining, east_asian_width

from ..formulas import unicode as formula
from .parse import Card, pieces
from .tables import cells, is_rule

_NARROW = 8  # the least width of a table's column
_ITEM = re.compile(r"\n(?=\s*(?:[-*]|\d+\.)\s)")
BOLD = r"\*\*(?P<bold>(?:`[^`]+`|[^`])+?)\*\*"  # stars inside code are no marks
_MARKS = re.compile(
    rf"`(?P<code>[^`]+)`|\$(?P<formula>[^$]+)\$|{BOLD}|\[(?P<link>[^\]]+)\]\((?P<to>[^)\s]+)\)"
    r"|(?<![\w*])\*(?P<italic>[^*\s](?:[^*]*[^*\s])?)\*(?![\w*])"
)


def render(card: Card, width: int = 100) -> str:
    """The card as plain text for a terminal of `width` columns: formulas in unicode, tables aligned."""
    head = f"{card.title} ({card.name})"
    lines = [*fill(head, width), "=" * min(width, columns(head))]
    lines += fill(f"{card.family}, {card.year}. {card.reference}", width)
    for heading, text in card.sections.items():
        lines += ["", heading, "-" * len(heading), *_body(text, width)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _body(markdown: str, width: int) -> Iterator[str]:
    """Code as it stands, indented; tables aligned; formulas on their own line indented; the rest filled."""
    for piece in pieces(markdown):
        if piece.kind == "code":
            yield from ("    " + line for line in piece.inner.splitlines())
        elif piece.kind == "display":
            for line in formula(piece.inner).splitlines():
                yield from fill(line, width, "    ", "        ")
        elif piece.kind == "table":
            yield from aligned(piece.text.splitlines(), width)
        else:
            for paragraph in re.split(r"\n\s*\n", piece.text.strip("\n")):
                for item in _ITEM.split(paragraph):
                    text = inline(" ".join(item.split()))
                    mark = re.match(r"(?:[-*]|\d+\.) ", text)
                    yield from fill(text, width, later=" " * len(mark[0]) if mark else "")
                yield ""
            continue
        yield ""


def aligned(rows: list[str], width: int, widths: list[int] | None = None) -> Iterator[str]:
    """A markdown table as columns of at most `width` in all, its widest cells wrapped."""
    table = _plain_cells(rows)
    widths = widths or fitted(rows, width)
    for number, row in enumerate(table):
        wrapped = [list(fill(cell, w)) or [""] for cell, w in zip(row, widths, strict=True)]
        for k in range(max(map(len, wrapped))):
            line = (_padded(part[k] if k < len(part) else "", w) for part, w in zip(wrapped, widths, strict=True))
            yield "  ".join(line).rstrip()
        if number == 0:
            yield "  ".join("-" * w for w in widths)


def fitted(rows: list[str], width: int, whole: int = 0) -> list[int]:
    """The widths of a markdown table's columns, at most `width` in all: the widest but the first `whole` give way."""
    table = _plain_cells(rows)
    widths = [max(columns(row[i]) for row in table) for i in range(len(table[0]))]
    while sum(widths) + 2 * len(widths) - 2 > width and max(widths[whole:]) > _NARROW:
        widths[widths.index(max(widths[whole:]), whole)] -= 1
    return widths


def _plain_cells(rows: list[str]) -> list[list[str]]:
    table = [[inline(cell) for cell in cells(row)] for row in rows]
    return [row for row in table if not is_rule(row)]


def fill(text: str, width: int, first: str = "", later: str = "") -> Iterator[str]:
    """Lines of at most `width` columns, counted as a terminal does: Korean letters take two."""
    line, empty = first, True
    for word in text.split(" ") if first else text.split():
        for part in _parts(word, width - len(later)):
            if not empty and columns(line) + 1 + columns(part) > width:
                yield line.rstrip()
                line, empty = later, True
            line, empty = line + ("" if empty else " ") + part, False
    if not empty:
        yield line.rstrip()


def _parts(word: str, width: int) -> list[str]:
    if columns(word) <= width:
        return [word]
    return textwrap.wrap(word, max(1, width // (2 if columns(word) > len(word) else 1)))


def columns(text: str) -> int:
    """How wide a text is in a terminal."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def inline(text: str) -> str:
    """Markdown inside a line as plain text: formulas in unicode, emphasis and code marks taken off."""
    return _MARKS.sub(_plain, text).replace(r"\$", "$")


def _plain(found: re.Match[str]) -> str:
    if found["code"]:
        return found["code"]
    if found["formula"]:
        return formula(found["formula"])
    if found["link"]:
        return f"{inline(found['link'])} ({found['to']})"
    return inline(found["bold"] or found["italic"])
