"""Cards: the pages about objectives, losses, samplers and ideas, markdown whose code runs. Parsed, verified, shown."""

from .find import FOLDERS, KINDS, LANGUAGES, card, names, path_of
from .korean import merge
from .parse import HEADINGS, KEYS, OPTIONAL, PROOF, RUNNABLE, Card, Piece, blocks, parse, pieces
from .terminal import inline, render
from .verify import faults, table_rows, verify

__all__ = [
    "FOLDERS",
    "HEADINGS",
    "KEYS",
    "KINDS",
    "LANGUAGES",
    "OPTIONAL",
    "PROOF",
    "RUNNABLE",
    "Card",
    "Piece",
    "blocks",
    "card",
    "faults",
    "inline",
    "merge",
    "names",
    "parse",
    "path_of",
    "pieces",
    "render",
    "table_rows",
    "verify",
]
