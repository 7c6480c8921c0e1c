"""A finished study as one self-contained HTML file, as a table in a terminal, and in a notebook."""

from . import text
from .html import write

__all__ = ["text", "write"]
