"""A Korean card: its own front matter and prose; formulas, tables and code are the English card's, called by [[n]]."""

import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .parse import OPTIONAL, Card, Piece, front_matter, pieces, split, wrong

_CALL = re.compile(r"\s*\[\[(\d+)\]\]\s*")


def merge(text: str, path: Path, english: Card) -> Card:
    """The card of a Korean file and its English twin. Raises UserError naming file, line and what is wrong.

    A line `[[2]]` stands for the second block (code, display formula or table) of the same section of the English
    card; every block of the section must be called exactly once, and the Korean file has no block of its own.
    """
    lines = text.splitlines()
    end, front = front_matter(lines, path, ("title",), OPTIONAL)
    korean, starts = split(lines, end + 1, path)
    sections = {}
    for heading, body in korean.items():
        shared = [piece for piece in pieces(english.sections[heading]) if piece.kind != "prose"]
        sections[heading] = _section(heading, body, shared, starts[heading], path)
    own: dict[str, Any] = {key: value for key, (value, _) in front.items()}
    return replace(english, sections=MappingProxyType(sections), lang="ko", **own)


def _section(heading: str, body: str, shared: list[Piece], start: int, path: Path) -> str:
    called: list[int] = []
    out: list[str] = []
    for number, line in enumerate(body.splitlines(), start):
        call = _CALL.fullmatch(line)
        if call:
            n = int(call[1])
            if not 1 <= n <= len(shared):
                raise wrong(path, number, f"[[{n}]]: '## {heading}' of the English card has {_count(len(shared))}")
            if n in called:
                raise wrong(path, number, f"[[{n}]] is called twice in '## {heading}'")
            called.append(n)
            out += ["", shared[n - 1].text, ""]
            continue
        _own(line, number, path)
        out.append(line)
    missing = [n for n in range(1, len(shared) + 1) if n not in called]
    if missing:
        block = shared[missing[0] - 1]
        first = next(line for line in block.text.splitlines() if line.strip("`$ ") not in ("", "python"))
        raise wrong(path, start, f"'## {heading}' never calls [[{missing[0]}]], the {block.kind} '{first[:60]}'")
    return "\n".join(out).strip()


def _own(line: str, number: int, path: Path) -> None:
    mark = next((mark for mark in ("```", "$$", "|") if line.strip().startswith(mark)), "")
    if mark:
        raise wrong(path, number, f"a block that begins with {mark} belongs in the English card; call it by [[n]]")
    if re.search(r"\[\[\d+\]\]", line):
        raise wrong(path, number, "[[n]] must stand on a line of its own")
    if line.count("$") % 2 and "`" not in line:
        raise wrong(path, number, "an odd number of $ in a line: a formula is not closed on it")


def _count(n: int) -> str:
    return f"{n} block{'s' * (n != 1)}"
