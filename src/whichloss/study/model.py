"""The trained model, ready to use: RUN/best/ holds its weights, its encoding, what it is, and how it was made."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from ..data import Column, Encoder, Pictures, Scale, Schema, Table, read
from ..data.later import surprises
from ..errors import StudyError, UserError
from ..metrics.outliers import free_energy
from ..objectives import Classifier, Generative, Nets, available, find
from ..rng import Rng
from ..task import Task
from ..train import Lanes
from .nets import Makers, network_builder
from .plan import Run
from .store import pack, unpack, write
from .unlikely import judged

BLOCK = 2000  # rows drawn or scored at once


class Model:
    """A trained model of a table: it draws rows, scores them, or predicts their labels."""

    def __init__(self, record: Mapping[str, Any], weights: Mapping[str, Tensor], own: Makers | None) -> None:
        self.record = record
        self.run = msgspec.convert(record["run"], Run)
        picture = bool(record["task"].get("shape"))
        self.encoder: Any = msgspec.convert(record["encoder"], Scale if picture else Encoder)
        self.weights = weights
        self.task = Task(**{**record["task"], "shape": tuple(record["task"].get("shape", ()))})
        roles = sorted(record["own networks"])
        if roles and not own:
            raise UserError(
                f"This model uses your own networks for {', '.join(roles)}; pass them again: "
                "whichloss.load(path, nets={...})."
            )
        objective = find(self.run.objective)(**self.run.setting)
        self.objective = objective
        empty = torch.zeros(1, 1, self.task.dim + 1)  # a row and, where there are some, its labels
        lanes = Lanes(
            objective,
            self.task,
            network_builder(self.task, self.run.width, own),
            Rng(torch.zeros(1, dtype=torch.int64)),
            empty,
            torch.ones(1, dtype=torch.int64),
            empty[:, 0, :-1],
        )
        self.nets: Nets = lanes.nets(weights)

    def __repr__(self) -> str:
        return f"Model({self.run.objective}, trained on {self.record['source']})"

    def sample(self, n: int, seed: int = 0) -> Table | Pictures:
        """n rows with the columns, types, categories and missing values of the user's table; or n pictures."""
        if not isinstance(self.objective, Generative):
            raise UserError(f"{self.run.objective} predicts labels and draws no rows; use predict.")
        if n < 1:
            raise UserError(f"The number of rows to sample must be at least 1; got {n}.")
        blocks = []
        with torch.no_grad():
            for i, start in enumerate(range(0, n, BLOCK)):
                shape = (min(BLOCK, n - start), self.task.dim)
                x = self.objective.sample(self.nets, shape, Rng.of(seed).at(i)["sample"])
                blocks.append(self.encoder.decode(x.numpy()))
        source = f"{self.run.objective} samples"
        if len(self.task.shape) == 3:
            return Pictures(np.concatenate(blocks), self.task.shape, source)
        return Table(self.encoder.schema, np.concatenate(blocks), source)

    @property
    def scores(self) -> str:
        """What `score` returns: "energy" (lower = more likely), "log density", or "" for neither."""
        return "energy" if isinstance(self.objective, Classifier) else getattr(self.objective, "scores", "")

    def score(self, source: object) -> np.ndarray:
        """Energy or log-density of each row, in the model's encoded space. Raises UserError if it has none."""
        unlike = self.unlike(torch.from_numpy(self.encoder.encode(self.scorable(source).values))).numpy()
        return -unlike if self.scores == "log density" else unlike

    def unlikely(self, source: object, false_alarms: float = 0.05, explain: bool = False) -> Table:
        """Each row's score, p-value against held-out rows, and whether that is at most `false_alarms`.

        explain: with a column for every column of the data, how steeply the row grows more unlike along it. Raises
        UserError if the objective has no score, or for a rate that so few held-out rows cannot tell.
        """
        return judged(self, self.scorable(source), false_alarms, explain)

    def scorable(self, source: object) -> Table:
        """The rows, read with the columns of the user's table."""
        if not self.scores:
            raise UserError(
                f"{self.run.objective} gives no score for a row: it can only be sampled. Objectives with a score: "
                f"{', '.join(name for name in available('generate') if getattr(find(name), 'scores', ''))}."
            )
        return self.read(source)

    def read(self, source: object) -> Table:
        """Rows with the columns that the model knows, found by name; notes say what is left out or lies far off."""
        target = msgspec.convert(self.record.get("target", ()), tuple[Column, ...])
        known = (0.0, 1.0) if self.task.labels == "several" else self.record.get("values", ())
        table = read(source, schema=self.encoder.schema, labels=[(column, known) for column in target])
        return replace(table, notes=(*table.notes, *surprises(self.encoder, table.values)))

    def unlike(self, x: Tensor, grad: bool = False) -> Tensor:
        """Energy, or minus log-density, of encoded rows x (n, d): (n,), float64. A classifier's is its free energy."""
        with torch.set_grad_enabled(grad):
            found = torch.cat([self._unlike(rows) for rows in torch.split(x, BLOCK)])
        return found.double()

    def _unlike(self, x: Tensor) -> Tensor:
        if isinstance(self.objective, Classifier):
            z = self.objective.logits(self.nets, x, self.task)
            return free_energy(z, several=self.task.labels == "several")
        assert isinstance(self.objective, Generative)
        return self.objective.unlike(self.nets, x)

    def predict(self, source: object) -> Table:
        """The labels of new rows and their calibrated probabilities: `predicted ...`, and one `p(...)` a class.

        Columns are found by name, in any order; others are left out with a note, and values far from the training rows
        are noted. Raises UserError for missing columns and unknown categories, naming them.
        """
        if not isinstance(self.objective, Classifier):
            raise UserError(f"{self.run.objective} draws rows and predicts no labels; use sample or score.")
        table, several = self.read(source), self.task.labels == "several"
        x = torch.from_numpy(self.encoder.encode(table.values))
        with torch.no_grad():
            z = torch.cat(
                [self.objective.logits(self.nets, rows, self.task) for rows in torch.split(x, BLOCK)]
            ).double()
        z = z / self.record["temperature"]
        p = (z.sigmoid() if several else z.softmax(1)).numpy()
        values = (p > 0.5).astype(np.float64) if several else np.array(self.record["values"])[p.argmax(1)][:, None]
        target = msgspec.convert(self.record["target"], tuple[Column, ...])
        said = [msgspec.structs.replace(column, name=f"predicted {column.name}") for column in target]
        chances = [Column(f"p({name})", "number") for name in self.record["classes"]]
        found = np.concatenate([values, p], axis=1)
        return Table(Schema((*said, *chances)), found, f"{self.run.objective} predictions", notes=table.notes)


def save(folder: Path, record: Mapping[str, Any], weights: Mapping[str, np.ndarray], card: str) -> None:
    """Put a model into a folder."""
    write(folder / "model.safetensors", pack(record, weights))
    write(folder / "README.md", card.encode())


def load(path: str | Path, nets: Makers | None = None) -> Model:
    """The model of RUN or RUN/best. Raises StudyError when there is none or it is damaged."""
    path = Path(path)
    for folder in (path / "best", path):
        if (folder / "model.safetensors").exists():
            try:
                record, arrays = unpack(folder / "model.safetensors")
            except StudyError as error:
                raise StudyError(f"{error} Run the same comparison again; finished runs are kept.") from error
            tensors = {k: torch.from_numpy(v.copy()) for k, v in arrays.items()}
            return Model(record, tensors, nets)
    raise StudyError(
        f"'{path}' holds no trained model. Give the folder of a finished comparison (it has a folder 'best')."
    )
