"""What every metric asks of its rows, and how large comparisons are cut into tiles."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..errors import UserError

ROWS = 1 << 13  # looked at together
TILE = 512  # rows and columns of one tile of distances: 2 MiB, it stays in the cache


def checked(x: Tensor, y: Tensor, fewest: int = 2, names: tuple[str, str] = ("x", "y")) -> tuple[Tensor, Tensor]:
    """Both sets as float64 (n, d) and (m, d), if `check` lets them pass."""
    check(x, y, fewest, names)
    return x.double(), y.double()


def check(x: Tensor, y: Tensor, fewest: int = 2, names: tuple[str, str] = ("x", "y")) -> None:
    """Raises UserError for sets of other shapes than (n, d) and (m, d), and for too few or non-finite rows."""
    for name, rows in zip(names, (x, y), strict=True):
        if rows.ndim != 2 or rows.shape[1] == 0 or len(rows) < fewest:
            shape = tuple(rows.shape)
            raise UserError(f"{name} must have at least {fewest} rows and a column; its shape is {shape}.")
        bad = sum(int((~torch.isfinite(part)).any(dim=1).sum()) for part in rows.split(ROWS))
        if bad:
            raise UserError(f"{name} has {bad} rows with values that are not finite; leave them out.")
    if x.shape[1] != y.shape[1]:
        one, other = names
        raise UserError(f"{one} has {x.shape[1]} columns and {other} has {y.shape[1]}; they must agree.")


def tiles(n: int, m: int, each: int = 1) -> Iterator[tuple[slice, slice]]:
    """Slices of n rows and m columns that cover their rectangle once; each: how many rows of distances a row takes."""
    height = max(1, TILE // each)
    for i in range(0, n, height):
        for j in range(0, m, TILE):
            yield slice(i, i + height), slice(j, j + TILE)


def squares(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|^2, (n, m), never negative; rows should lie round 0, or small distances lose their digits."""
    cross = torch.addmm((y * y).sum(1), x, y.T, alpha=-2)
    return cross.add_((x * x).sum(1, keepdim=True)).clamp_(min=0)
