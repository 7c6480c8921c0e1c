"""The trained model, ready to use: RUN/best/ holds its weights, its encoding, what it is, and how it was made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from ..data import Column, Encoder, Pairs, Pictures, Scale, Schema, Table, read, read_pictures
from ..data.later import surprises
from ..data.pair_encode import Pairing
from ..errors import StudyError, UserError
from ..metrics.outliers import free_energy
from ..objectives import Aligner, Classifier, Embedder, Generative, Nets, available, find
from ..rng import Rng
from ..task import Task
from ..train import Lanes
from .choice import Choice
from .nets import Makers, network_builder
from .plan import Run
from .retrieve import TEMPLATES, Found, retrieve, zero_shot
from .store import pack, unpack, write
from .unlikely import judged, named

BLOCK, NUMBERS = 2000, 2**21  # rows drawn or scored at once, at most; and numbers in them
DOES = {  # what models of a goal do, and the method that does it
    "generate": ("draws rows", "sample or score"),
    "classify": ("predicts labels", "predict"),
    "embed": ("embeds rows", "embed"),
    "align": ("aligns pairs", "retrieve"),
}
Shape = tuple[int, int, int]
Side = int | tuple[int, int] | None


class Model:
    """A trained model of a table or of pictures: it draws rows, scores them, or predicts their labels."""

    def __init__(self, record: Mapping[str, Any], weights: Mapping[str, Tensor], own: Makers | None) -> None:
        self.record = record
        self.folder: Path | None = None  # of its study
        self.run = msgspec.convert(record["run"], Run)
        self.weights = weights
        self.task = msgspec.convert(record["task"], Task)
        kind = Pairing if self.task.goal == "align" else Scale if self.task.shape else Encoder
        self.encoder: Any = msgspec.convert(record["encoder"], kind)
        self.choice = msgspec.convert(record.get("given", {}), Choice)
        roles = sorted(record["own networks"])
        if roles and not own:
            raise UserError(
                f"This model uses your own networks for {', '.join(roles)}; pass them again: "
                "whichloss.load(path, nets={...})."
            )
        objective = find(self.run.objective).suited(self.task, **self.run.setting)
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

    def sample(self, n: int, seed: int = 0, where: Mapping[str, object] | None = None) -> Table | Pictures:
        """n rows with the columns, types, categories and missing values of the user's table; or n pictures.

        where: the class of all rows, {"species": "Adelie"}, of a model trained with --given species; without it classes
        have the shares of the training rows. Raises UserError for a class or a column that the model does not know.
        """
        if not isinstance(self.objective, Generative):
            raise UserError(f"{self.run.objective} {self.does} and draws no rows; use {self.verb}.")
        if n < 1:
            raise UserError(f"The number of rows to sample must be at least 1; got {n}.")
        blocks, places = [], self.choice.asked(n, where)
        with torch.no_grad():
            for i, y in enumerate(torch.split(self.choice.one_hot(places), self.block)):
                x = self.objective.sample(self.nets.told(y), (len(y), self.task.dim), Rng.of(seed).at(i)["sample"])
                blocks.append(self.encoder.decode(x.numpy()))
        source, values = f"{self.run.objective} samples", np.concatenate(blocks)
        if self.shape:
            labels = places.numpy() if self.choice.name else None
            return Pictures(values, self.shape, source, labels, self.choice.classes)
        return Table(self.schema, self.choice.beside(values, places), source)

    @property
    def does(self) -> str:
        """What the model does to rows, for messages."""
        return DOES[self.task.goal][0]

    @property
    def verb(self) -> str:
        """The method that does it."""
        return DOES[self.task.goal][1]

    @property
    def schema(self) -> Schema:
        """The columns of the user's table."""
        known: Schema = self.choice.schema or self.encoder.schema
        return known

    @property
    def shape(self) -> Shape | None:
        """(C, H, W) of a picture; None for rows of a table."""
        return self.task.shape or None  # type: ignore[return-value]

    @property
    def block(self) -> int:
        """How many rows are drawn or scored at once."""
        return max(1, min(BLOCK, NUMBERS // self.task.dim))

    @property
    def scores(self) -> str:
        """What `score` returns: "energy" (lower = more likely), "log density", or "" for neither."""
        return "energy" if isinstance(self.objective, Classifier) else getattr(self.objective, "scores", "")

    def score(self, source: object, size: Side = None) -> np.ndarray:
        """Energy or log-density of each row, in the model's encoded space. Raises UserError if it has none.

        size: pictures are reduced to this side, or (height, width), here and below.
        """
        unlike = self.estimates(*self.choice.parts(self.scorable(source, size))).mean(axis=1)
        return np.asarray(-unlike if self.scores == "log density" else unlike)

    def unlikely(self, source: object, false_alarms: float = 0.05, explain: bool = False, size: Side = None) -> Table:
        """Each row's score, p-value against held-out rows, and whether that is at most `false_alarms`.

        explain: with a column for every column of the data, how steeply the row grows more unlike along it. Raises
        UserError if the objective has no score, or for a rate that so few held-out rows cannot tell.
        """
        return judged(self, self.scorable(source, size), false_alarms, explain)

    def scorable(self, source: object, size: Side = None) -> Table | Pictures:
        """The rows, read with the columns of the user's table, or as pictures of the known shape."""
        if not self.scores:
            raise UserError(
                f"{self.run.objective} gives no score for a row: it can only be sampled. Objectives with a score: "
                f"{', '.join(name for name in available('generate') if getattr(find(name), 'scores', ''))}."
            )
        return self.read(source, size)

    def read(self, source: object, size: Side = None) -> Table | Pictures:
        """Rows with the columns that the model knows, found by name; notes say what is left out or lies far off. Or
        pictures of the shape that it knows."""
        if self.shape:
            return read_pictures(source, size=size, like=self.shape, labels=bool(self.choice.name))
        if size is not None:
            raise UserError("--size is the side of pictures; this model knows a table. Leave it out.")
        target = msgspec.convert(self.record.get("target", ()), tuple[Column, ...])
        known = (0.0, 1.0) if self.task.labels == "several" else self.record.get("values", ())
        also = dict(zip(self.record.get("also", ()), self.schema.names, strict=False))  # of the second things of pairs
        table = read(source, schema=self.schema, labels=[(column, known) for column in target], also=also)
        return replace(table, notes=(*table.notes, *surprises(self.encoder, self.choice.parts(table)[0])))

    def estimates(self, values: np.ndarray, y: Tensor | None = None) -> np.ndarray:
        """How unlike rows of the table (n, columns) or pictures (n, C*H*W) are: (n, k) float64, k estimates of each.

        y (n, K): the rows' classes, one-hot, where rows are given them.
        """
        found = []
        for start in range(0, len(values), self.block):
            here = slice(start, start + self.block)
            x = self.encoded(np.asarray(values[here]), None if y is None else y[here])
            if getattr(self.objective, "probes", 0):
                nets, x = self._told(x)
                with torch.no_grad():
                    found.append(-self.objective.estimates(nets, x).double())  # type: ignore[attr-defined]
            else:
                found.append(self.unlike(x)[:, None])
        return torch.cat(found).numpy()

    def encoded(self, values: np.ndarray, y: Tensor | None = None) -> Tensor:
        """Rows as `unlike` takes them (n, d), followed by their classes, one-hot, where they are given."""
        x = torch.from_numpy(self.encoder.encode(values))
        return x if y is None else torch.cat([x, y], dim=1)

    def _told(self, x: Tensor) -> tuple[Nets, Tensor]:
        """The networks, told the classes that follow the rows, and the rows."""
        d = self.task.dim
        return self.nets.told(x[:, d:]), x[:, :d]

    def unlike(self, x: Tensor, grad: bool = False) -> Tensor:
        """Energy, or minus log-density, of encoded rows x (n, d), followed by their classes where they are given: (n,),
        float64. A classifier's is its free energy."""
        with torch.set_grad_enabled(grad):
            found = torch.cat([self._unlike(rows) for rows in torch.split(x, self.block)])
        return found.double()

    def _unlike(self, x: Tensor) -> Tensor:
        if isinstance(self.objective, Classifier):
            z = self.objective.logits(self.nets, x, self.task)
            return free_energy(z, several=self.task.labels == "several")
        assert isinstance(self.objective, Generative)
        return self.objective.unlike(*self._told(x))

    def retrieve(self, query: object, top: int = 5, gallery: Pairs | None = None) -> list[Found]:
        """The things that lie nearest to a text or a picture: texts for a picture, pictures for a text.

        gallery: pairs to search, those of the study if none are given. Raises UserError for what cannot be asked.
        """
        if not isinstance(self.objective, Aligner):
            raise UserError(f"{self.run.objective} {self.does} and finds no pairs; use {self.verb}.")
        if gallery is None and self.folder is None:
            raise UserError("This model does not know the pairs of its study: give some, model.retrieve(..., gallery=)")
        return retrieve(self, query, top, gallery or Pairs.load(self.folder / "data.safetensors"))  # type: ignore[operator]

    def zero_shot(
        self, source: object, classes: Sequence[str], size: Side = None, templates: Sequence[str] = TEMPLATES
    ) -> Table:
        """The class of every picture by the names of the classes alone, and a probability of each.

        templates: sentences with {} for the name; a class is the mean of what they say of it. Notes of the table say
        how many are right, where the pictures lie in folders named as classes.
        """
        if not isinstance(self.objective, Aligner):
            raise UserError(f"{self.run.objective} {self.does} and knows no names; --classes needs the goal align.")
        return zero_shot(self, read_pictures(source, size=size, like=self.shape, labels=True), classes, templates)

    def embed(self, source: object, size: Side = None) -> Table:
        """Where new rows lie: columns z1 .. ze of length 1, whose inner product is the cosine.

        Columns are found by name, as in `predict`. Raises UserError for missing columns and unknown categories, and if
        the objective embeds nothing.
        """
        if not isinstance(self.objective, Embedder):
            raise UserError(f"{self.run.objective} {self.does} and embeds nothing; use {self.verb}.")
        table = self.read(source, size)
        with torch.no_grad():
            z = torch.cat([self.objective.embed(self.nets, x) for x in self.blocks(table)])
        names, which = named(table)
        found = np.concatenate([which, torch.nn.functional.normalize(z.double(), dim=1).numpy()], axis=1)
        places = [Column(f"z{i + 1}", "number") for i in range(z.shape[1])]
        return Table(Schema((*names, *places)), found, f"{self.run.objective} embeddings", notes=table.notes)

    def blocks(self, table: Table | Pictures) -> Iterator[Tensor]:
        """Rows in the model's encoding, some at a time."""
        for start in range(0, len(table), self.block):
            yield torch.from_numpy(self.encoder.encode(table.values[start : start + self.block]))

    def predict(self, source: object, size: Side = None) -> Table:
        """The labels of new rows and their calibrated probabilities: `predicted ...`, and one `p(...)` a class.

        Columns are found by name, in any order; others are left out with a note, and values far from the training rows
        are noted. Raises UserError for missing columns and unknown categories, naming them.
        """
        if not isinstance(self.objective, Classifier):
            raise UserError(f"{self.run.objective} {self.does} and predicts no labels; use {self.verb}.")
        table, several = self.read(source, size), self.task.labels == "several"
        with torch.no_grad():
            z = torch.cat([self.objective.logits(self.nets, x, self.task) for x in self.blocks(table)]).double()
        z = z / self.record["temperature"]
        p = (z.sigmoid() if several else z.softmax(1)).numpy()
        values = (p > 0.5).astype(np.float64) if several else np.array(self.record["values"])[p.argmax(1)][:, None]
        target = msgspec.convert(self.record["target"], tuple[Column, ...])
        said = [msgspec.structs.replace(column, name=f"predicted {column.name}") for column in target]
        chances = [Column(f"p({name})", "number") for name in self.record["classes"]]
        names, which = named(table)
        found = np.concatenate([which, values, p], axis=1)
        schema = Schema((*names, *said, *chances))
        return Table(schema, found, f"{self.run.objective} predictions", notes=table.notes)


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
            model = Model(record, tensors, nets)
            model.folder = folder.parent if folder.name == "best" else None
            return model
    raise StudyError(
        f"'{path}' holds no trained model. Give the folder of a finished comparison (it has a folder 'best')."
    )
