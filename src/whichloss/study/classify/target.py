"""What is to be predicted: one column of classes, or several columns of 0 and 1."""

from dataclasses import dataclass

import numpy as np

from ...data import Column, Pictures, Table
from ...data.write import names_of
from ...errors import DataUnfit, UserError
from ...task import Labels

MOST_WHOLE = 20  # whole numbers with more distinct values are amounts, not labels
FEWEST = 10  # rows that a class needs: some to learn from, to choose by, and to be judged by


@dataclass(frozen=True, eq=False)
class Target:
    """Labels of a table: `codes` (n,) whole numbers, or (n, K) of 0 and 1; `names` what they stand for."""

    kind: Labels
    names: tuple[str, ...]
    codes: np.ndarray
    values: tuple[float, ...] = ()  # of a single column: the table's code of each class

    @classmethod
    def of(cls, table: Table, target: tuple[str, ...]) -> "Target":
        """The labels of these columns. Raises UserError and DataUnfit for what are no labels."""
        columns = [table.schema.columns[table.position(name)] for name in target]
        values = table.values[:, [table.position(name) for name in target]]
        if len(columns) == 1:
            _no_amounts(columns[0], values[:, 0])
        for j, column in enumerate(columns):
            gone = np.isnan(values[:, j])
            if gone.any():
                words = " or ".join(f"'{word}'" for word in table.blanks.get(column.name, ()))
                read_as = f"; {words} is read as missing" if words else ""
                keep = f"; if {words} is a label, write it another way in the file" if words else ""
                raise UserError(
                    f"--target '{column.name}': {gone.sum():,} of {len(gone):,} rows have no label (the first is row "
                    f"{int(np.argmax(gone)) + 1}{read_as}). Leave these rows out, or give them a label{keep}."
                )
        if len(columns) > 1:
            return cls("several", target, _several(columns, values))
        return _one(columns[0], values[:, 0])

    @classmethod
    def of_pictures(cls, pictures: Pictures) -> "Target":
        """The labels of pictures. Raises DataUnfit where there are none, or too few of a class."""
        if pictures.labels is None:
            raise DataUnfit(
                f"{pictures.source} has no labels to learn. Put the pictures of each class into a sub-folder named "
                "after it; or lay an IDX file of labels beside that of the pictures (train-labels-idx1-ubyte beside "
                "train-images-idx3-ubyte); in Python: read_pictures(..., labels=...)."
            )
        counts = np.bincount(pictures.labels, minlength=len(pictures.classes)).tolist()
        if len(counts) < 2:
            raise DataUnfit(f"{pictures.source}: all pictures are '{pictures.classes[0]}': nothing to predict.")
        rare = counts.index(min(counts))
        if counts[rare] < FEWEST:
            raise DataUnfit(
                f"{pictures.source}: the class '{pictures.classes[rare]}' has {counts[rare]} "
                f"picture{'s' * (counts[rare] != 1)}; at least {FEWEST} are needed to train, choose and judge. Join "
                "rare classes, or move their pictures out."
            )
        return cls("one", pictures.classes, pictures.labels, tuple(map(float, range(len(counts)))))

    @property
    def two(self) -> bool:
        """Is a row of one of two classes?"""
        return self.codes.ndim == 1 and len(self.names) == 2

    @property
    def positive(self) -> int:
        """Of two classes the rarer one, which is what people search for; the second where both are as frequent."""
        return int(2 * self.codes.sum() <= len(self.codes)) if self.two else 1

    @property
    def columns(self) -> np.ndarray:
        """The codes as columns (n, 1) or (n, K)."""
        return self.codes[:, None] if self.codes.ndim == 1 else self.codes

    @property
    def strata(self) -> np.ndarray:
        """(n,) what a split keeps the shares of: the class; where rows have several labels, these, the rarest first."""
        if self.codes.ndim == 1:
            return self.codes
        there = self.codes.mean(0)
        order = np.argsort(np.minimum(there, 1 - there), kind="stable")
        return np.unique(self.codes[:, order], axis=0, return_inverse=True)[1].reshape(-1)


def _no_amounts(column: Column, values: np.ndarray) -> None:
    found = np.unique(values[~np.isnan(values)])
    amounts = {"integer": len(found) > MOST_WHOLE, "number": len(found) > 2, "date": True}
    if amounts.get(column.kind, False):
        kind = {"integer": "whole numbers", "number": "fractions", "date": "dates"}[column.kind]
        raise DataUnfit(
            f"--target '{column.name}' is a column of {kind} with {len(found):,} distinct values, not of classes: "
            "regression is no goal of whichloss. If they are classes, write them as words; if they are amounts, make "
            "classes of them (above 30: yes or no), or leave --target out to learn the whole table."
        )


def _one(column: Column, values: np.ndarray) -> Target:
    found, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    names = tuple(names_of(column, found))
    if len(found) < 2:
        raise DataUnfit(f"--target '{column.name}' is always '{names[0]}': nothing to predict.")
    rare = int(np.argmin(counts))
    alike = [f"'{name}'" for name in names if name != names[rare] and _plain(name) == _plain(names[rare])]
    remedy = (
        f"It differs from {' and '.join(alike)} in upper and lower case or blanks only: write them in one way."
        if alike
        else "Join rare classes, or leave their rows out."
    )
    _enough(column, f"the class '{names[rare]}'", int(counts[rare]), remedy)
    ordered = column.kind == "integer" and len(found) > 2
    return Target("ordered" if ordered else "one", names, codes.astype(np.int64), tuple(found.tolist()))


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _several(columns: list[Column], values: np.ndarray) -> np.ndarray:
    for j, column in enumerate(columns):
        found, counts = np.unique(values[:, j], return_counts=True)
        if column.kind == "category" or not set(found.tolist()) <= {0.0, 1.0}:
            raise UserError(
                f"--target '{column.name}': with several label columns each must be 0 or 1 (or true and false); found "
                f"{', '.join(names_of(column, found[:3]))}. Give one column of classes, or make a 0/1 column of each."
            )
        if len(found) < 2:
            raise DataUnfit(f"--target '{column.name}' is always {int(found[0])}: nothing to predict.")
        _enough(column, f"the value {int(np.argmin(counts))}", int(counts.min()), "Leave this label out.")
    return values.astype(np.float64)


def _enough(column: Column, what: str, rows: int, remedy: str) -> None:
    if rows < FEWEST:
        raise DataUnfit(
            f"--target '{column.name}': {what} has {rows} row{'s' * (rows > 1)}; at least {FEWEST} are needed to "
            f"train, choose and judge. {remedy}"
        )
