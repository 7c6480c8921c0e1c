"""Which class a model's rows may be asked for, where it was trained with --given; and how classes go with rows."""

from collections.abc import Mapping

import msgspec
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..data import Pictures, Schema, Table
from ..errors import UserError, nearest
from ..train import in_shares


class Choice(msgspec.Struct, frozen=True):
    """The column that rows are given, or "label" of pictures: its classes, the data's codes and shares of these, and
    the columns of the whole table. Without a name nothing is given."""

    name: str = ""
    classes: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    schema: Schema | None = None

    def asked(self, n: int, where: Mapping[str, object] | None) -> Tensor:
        """The places of n rows' classes (n,): all of one class, or in the shares of the training rows.

        Raises UserError for a column or a class that the model does not know.
        """
        if not where:
            return in_shares(torch.tensor(self.shares), n) if self.name else torch.zeros(n, dtype=torch.int64)
        if not self.name:
            raise UserError(
                f"where: this model draws whole rows; none can be asked for by {', '.join(where)}. Compare again with "
                f"--given {next(iter(where))} for one that can."
            )
        for name in where:
            if name != self.name:
                raise UserError(f"where: this model's rows are given {self.name}, and nothing else; got '{name}'.")
        said = text(where[self.name])
        if said not in self.classes and said.removesuffix(".0") in self.classes:
            said = said.removesuffix(".0")  # 3.0 for the class 3
        if said not in self.classes:
            raise UserError(f"where: {self.name} is never '{said}': {nearest(said, self.classes)}")
        return torch.full((n,), self.classes.index(said))

    def one_hot(self, places: Tensor) -> Tensor:
        """Classes as networks are told them (n, K); K = 0 where nothing is given."""
        return functional.one_hot(places, len(self.classes)).float() if self.name else torch.zeros(len(places), 0)

    def beside(self, values: np.ndarray, places: Tensor) -> np.ndarray:
        """Rows of a table (n, columns), with the column of their classes back in its place."""
        if self.schema is None:
            return values
        return np.insert(values, self.schema.names.index(self.name), np.array(self.values)[places.numpy()], axis=1)

    def parts(self, rows: Table | Pictures) -> tuple[np.ndarray, Tensor]:
        """The values that are generated, and the rows' classes, one-hot. Raises UserError for unknown or no classes."""
        if not self.name:
            return rows.values, torch.zeros(len(rows), 0)
        if isinstance(rows, Pictures):
            return rows.values, self.one_hot(torch.from_numpy(self._labels(rows)))
        j = rows.position(self.name)
        same = rows.values[:, j, None] == np.array(self.values)
        if not same.any(axis=1).all():
            row = int(np.argmin(same.any(axis=1)))
            raise UserError(
                f"{rows.source}, row {row + 1}: {self.name} is '{rows.rows([row]).column(self.name)[0]}', which the "
                f"model does not know. It knows {', '.join(self.classes)}."
            )
        return np.delete(rows.values, j, axis=1), self.one_hot(torch.from_numpy(same.argmax(axis=1)))

    def _labels(self, pictures: Pictures) -> np.ndarray:
        if pictures.labels is None:
            raise UserError(
                f"{pictures.source} has no labels, and this model's pictures are given theirs. Give one folder per "
                f"class ({', '.join(self.classes[:5])}{', ...' * (len(self.classes) > 5)}), or an IDX file beside that "
                "of its labels."
            )
        if unknown := [name for name in pictures.classes if name not in self.classes]:
            raise UserError(
                f"{pictures.source} has the class '{unknown[0]}', which the model does not know: "
                f"{nearest(unknown[0], self.classes)}"
            )
        places = np.array([self.classes.index(name) for name in pictures.classes], dtype=np.int64)
        return np.asarray(places[pictures.labels])


def text(value: object) -> str:
    """A class as it is called: true, Adelie."""
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def pairs(said: str) -> dict[str, str]:
    """--where species=Adelie as {"species": "Adelie"}. Raises UserError for anything else."""
    name, found, value = said.partition("=")
    if not (name.strip() and found and value.strip()):
        raise UserError(f"--where '{said}': write COLUMN=CLASS, such as species=Adelie.")
    return {name.strip(): value.strip()}
