"""Rows of a markdown table."""

import re


def cells(row: str) -> list[str]:
    r"""The cells of a table's row; `\|` is a bar inside a cell."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def is_rule(row: list[str]) -> bool:
    """Is it the line below a table's head?"""
    return set("".join(row)) <= set("-: ")
