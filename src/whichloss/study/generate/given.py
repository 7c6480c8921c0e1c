"""Rows generated given their class: a column of the table, or the labels of pictures.

Networks are told the class and draw the rest; classes are asked for in the shares of the training rows. What is drawn
goes back beside its class, so that all judging is that of rows drawn as a whole: a row of the wrong class is a wrong
row. Beside it stands, for each class, how its rows compare with real ones, and whether they look like that class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ... import metrics
from ...data import Column, Encoder, Pictures, Schema, Split, Table, evenly, split
from ...data.pictures import LABEL
from ...data.pixels import taken
from ...data.write import names_of
from ...engines import trim
from ...errors import DataUnfit, UserError, nearest
from ...objectives import Nets
from ...objectives.base import Objective
from ...task import Task
from ...train import Lanes
from ..judge import Anchor, Scored, Weights, Which
from . import anchors, damages
from .judge import SampleJudge
from .pictures import PictureJudge, simple

MOST, FEWEST = 100, 10  # classes; rows that each needs: some to learn from, to choose by, and to be judged by
MOST_WHOLE = 20  # whole numbers with more distinct values are amounts, not classes
EACH = 8  # pictures of every class kept for the report
JUDGED = 4  # rows of a class on each side, below which nothing is said of it
NEIGHBOURS, KNOWN = 5, 5000  # training rows that say what a row looks like; how many are asked


@dataclass(frozen=True, eq=False)
class Given:
    """The classes that rows are given: `codes` (n,) their places in `names`, `values` the data's own codes of these."""

    name: str
    names: tuple[str, ...]
    codes: np.ndarray
    values: tuple[float, ...]
    column: Column | None = None  # of a table

    @classmethod
    def of(cls, data: Table | Pictures, name: str) -> "Given":
        """The classes of a column, or of labelled pictures. Raises UserError and DataUnfit for what are no classes."""
        if isinstance(data, Pictures):
            found = _labels(data, name)
        else:
            if name not in data.schema.names:
                raise UserError(
                    f"--given '{name}': {data.source} has no such column; {nearest(name, data.schema.names)}"
                )
            found = _column(data, name)
        counts = np.bincount(found.codes, minlength=len(found.names))
        if len(found.names) < 2:
            raise DataUnfit(f"--given '{name}' is always '{found.names[0]}': there is nothing to choose. Leave it out.")
        if len(found.names) > MOST:
            raise DataUnfit(
                f"--given '{name}' has {len(found.names):,} classes; at most {MOST} are supported. Join rare classes, "
                "or leave --given out."
            )
        if counts.min() < FEWEST:
            what = "picture" if isinstance(data, Pictures) else "row"
            rare, fewest = found.names[int(counts.argmin())], int(counts.min())
            raise DataUnfit(
                f"--given '{name}': the class '{rare}' has {fewest} {what}{'s' * (fewest != 1)}; at least "
                f"{FEWEST} are needed to train, choose and judge. Join rare classes, or leave their {what}s out."
            )
        return found


def _labels(pictures: Pictures, name: str) -> Given:
    if name != LABEL:
        raise UserError(f"--given '{name}': pictures have no columns; what they can be given is '{LABEL}'.")
    if pictures.labels is None:
        raise UserError(
            f"--given {LABEL}: {pictures.source} holds pictures without labels. Give a folder with one folder per "
            "class, or an IDX file beside its file of labels."
        )
    return Given(name, pictures.classes, pictures.labels, tuple(map(float, range(len(pictures.classes)))))


def _column(table: Table, name: str) -> Given:
    j = table.position(name)
    column, values = table.schema.columns[j], table.values[:, j]
    gone = np.isnan(values)
    found, codes = np.unique(values[~gone], return_inverse=True)
    whole = len(found) <= MOST_WHOLE and bool((found == np.rint(found)).all())
    if column.kind == "date" or (column.kind in ("number", "integer") and not whole):
        kind = {"integer": "whole numbers", "number": "numbers", "date": "dates"}[column.kind]
        raise DataUnfit(
            f"--given '{name}' is a column of {kind} with {len(found):,} distinct values, not of classes (whole "
            f"numbers are taken for classes up to {MOST_WHOLE} of them). If they are classes, write them as words; if "
            "they are amounts, make classes of them (above 30: yes or no)."
        )
    if gone.any():
        raise UserError(
            f"--given '{name}': {gone.sum():,} of {len(gone):,} rows have none (the first is row "
            f"{int(np.argmax(gone)) + 1}). Leave these rows out, or give them a class."
        )
    return Given(name, tuple(names_of(column, found)), codes.astype(np.int64), tuple(found.tolist()), column)


@dataclass(frozen=True, eq=False)
class GivenJudge(SampleJudge):
    """Rows of a table, generated given one of its columns."""

    given: str = ""

    @property
    def asked(self) -> Mapping[str, object]:
        """What is given."""
        return {**super().asked, "given": self.given}

    @property
    def method(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is done, a sentence each."""
        free = self.table.groups is None and self.table.times is None
        return (
            *super().method,
            f"Every network is told the {self.given} of a row, one-hot, and draws the rest; {self.given} is asked for "
            f"in the shares of the training rows{', which every part of the rows keeps' * free}.",
            f"Agreement: the share of rows whose {NEIGHBOURS} nearest training rows are mostly of the class that was "
            "asked for.",
        )

    @cached_property
    def classes(self) -> Given:
        """What rows are given."""
        return Given.of(self.table, self.given)

    @cached_property
    def places(self) -> list[int]:
        """The columns that are generated."""
        return [j for j, c in enumerate(self.table.schema.columns) if c.name != self.given]

    @cached_property
    def inputs(self) -> np.ndarray:
        """The values that are generated (n, columns)."""
        return self.table.values[:, self.places]

    @cached_property
    def schema(self) -> Schema:
        """The columns that are generated."""
        return Schema(tuple(self.table.schema.columns[j] for j in self.places))

    @cached_property
    def bare(self) -> Encoder:
        """The space that rows are compared in, without the given column."""
        return Encoder.fit(self.schema, self.inputs[self.rest])

    @property
    def task(self) -> Task:
        """Rows, each given one of the classes."""
        return replace(super().task, dim=self.bare.dim, classes=len(self.classes.names), labels="one")

    @lru_cache(maxsize=64)  # noqa: B019  one judge per process
    def split(self, seed: int) -> Split:
        """Training, validation and test rows of a seed, each with the classes' shares where rows are drawn freely."""
        return split(self.table, seed=seed, strata=self.classes.codes)

    @property
    def described_by(self) -> Mapping[str, Any]:
        """The column and its classes."""
        return {"given": self.given, "classes": self.classes.names}

    def told(self, rows: np.ndarray) -> Tensor:
        """The classes of these rows, one-hot (n, K)."""
        return one_hot(torch.from_numpy(self.classes.codes[rows]), len(self.classes.names)).float()

    def encoded(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding of what is generated, and the rows in it, their classes last."""
        encoder, x = self.alone(rows)
        return encoder, torch.cat([x, torch.from_numpy(self.classes.codes[rows])[:, None].to(x)], dim=1)

    def alone(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding of what is generated, and the rows in it."""
        encoder = Encoder.fit(self.schema, self.inputs[rows])
        return encoder, torch.from_numpy(encoder.encode(self.inputs[rows]))

    def answers(
        self, lanes: Lanes, encoders: Sequence[Any], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Any]:
        """What every lane draws, each row beside the class that was asked for; None where a lane has diverged."""
        drawn = super().answers(lanes, encoders, seeds, weights, which, name)
        told = lanes.told(max((len(rows) for rows in drawn if rows is not None), default=1)).argmax(dim=2).numpy()
        return [None if x is None else self.joined(x, y[: len(x)]) for x, y in zip(drawn, told, strict=True)]

    def joined(self, rows: np.ndarray, codes: np.ndarray) -> Any:
        """Rows beside their classes: rows of the user's table."""
        values = np.array(self.classes.values)[codes]
        return np.insert(rows, self.table.position(self.given), values, axis=1)

    def parts(self, answer: Any) -> tuple[np.ndarray, np.ndarray]:
        """Rows that can be judged as a whole, and their classes (n,), -1 for none of them."""
        values = answer[:, self.table.position(self.given)]
        same = values[:, None] == np.array(self.classes.values)
        return answer, np.where(same.any(1), same.argmax(1), -1)

    def points(self, rows: np.ndarray) -> Tensor:
        """What says of which class a row looks: the other columns, as points."""
        return torch.from_numpy(self.bare.encode(rows[:, self.places])).double()

    def points_of(self, numbers: np.ndarray) -> Tensor:
        """The same of real rows."""
        return self.points(self.table.values[numbers])

    def describe(self, answer: Any, seed: int, which: Which) -> dict[str, float]:
        """The descriptive metrics, and those of every class."""
        rows, codes = self.parts(answer)
        return super().describe(rows, seed, which) | self.by_class(rows, codes, seed, which)

    def by_class(self, rows: np.ndarray, codes: np.ndarray, seed: int, which: Which) -> dict[str, float]:
        """MMD^2 of each class's rows against real rows of the class; the agreement, of each class and of all."""
        numbers, x = self.numbers(seed, which), self.points(rows)
        own, right = self.classes.codes[numbers], torch.from_numpy(self.looks_like(x, seed) == codes).double()
        found = {"agreement": float(right.mean())}
        for k, name in enumerate(self.classes.names):
            there = torch.from_numpy(codes == k)
            if min(int(there.sum()), int((own == k).sum())) < JUDGED:
                continue
            real = metrics.MmdReference(self.points_of(numbers[own == k]), self.widths_of(k))
            found[f"{self.score_name} given {name}"] = real.score(x[there]).value
            found[f"agreement given {name}"] = float(right[there].mean())
        return found

    @lru_cache(maxsize=MOST)  # noqa: B019
    def widths_of(self, k: int) -> tuple[float, float, float]:
        """The bandwidths for rows of one class, from those that are not test rows."""
        rows = self.points_of(evenly(self.rest[self.classes.codes[self.rest] == k], KNOWN))
        return metrics.bandwidths(rows) if (rows != rows[0]).any() else self.widths

    @lru_cache(maxsize=8)  # noqa: B019
    def known(self, seed: int) -> tuple[Tensor, Tensor]:
        """Training rows as points, and their classes, one-hot."""
        some = evenly(self.split(seed).train, KNOWN)
        return self.points_of(some), self.told(some)

    def looks_like(self, x: Tensor, seed: int) -> np.ndarray:
        """The class (n,) of most of the nearest training rows."""
        known, classes = self.known(seed)
        near = torch.cdist(x, known).topk(min(NEIGHBOURS, len(known)), dim=1, largest=False).indices
        return np.asarray(classes[near].sum(dim=1).argmax(dim=1).numpy())

    def loss_skills(
        self, objective: Objective, nets: Nets, x: Tensor, encoder: Any, seed: int
    ) -> dict[str, float | tuple[float, ...] | None]:
        """None: the losses that frame it are those of rows without a class."""
        return {"loss skill": None}

    def maps(self, lanes: Lanes, encoder: Any, weights: Weights) -> dict[str, np.ndarray]:
        """Nothing: there is a plane for every class."""
        return {}

    def kept(self, answer: Any, seed: int) -> dict[str, np.ndarray]:
        """What the report draws, and the classes of it."""
        rows, codes = self.parts(answer)
        kept = super().kept(rows, seed)
        return kept | {"given": codes[: len(kept["samples"])]}

    def about(self, arrays: Mapping[str, np.ndarray]) -> dict[str, object]:
        """What is given: its name, its classes, and how often each occurs among the rows that are not test rows."""
        given = self.classes
        shares = np.bincount(given.codes[self.rest], minlength=len(given.names)) / len(self.rest)
        return {
            "given": {
                "name": given.name,
                "classes": list(given.names),
                "values": list(given.values),
                "shares": shares.tolist(),
                "schema": msgspec.to_builtins(self.table.schema) if given.column else None,
            }
        }


@dataclass(frozen=True)
class Told:
    """Pictures (n, d) and their classes (n,)."""

    rows: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True, eq=False)
class GivenPictures(GivenJudge, PictureJudge):
    """Pictures, generated given their labels."""

    table: Pictures  # type: ignore[assignment]

    @property
    def method(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is done, a sentence each."""
        return (
            *super().method,
            "The score compares pictures beside the class that was asked for: two classes are as far apart as two "
            "pictures usually are.",
        )

    @property
    def inputs(self) -> np.ndarray:
        """The bytes of all pictures."""
        return self.table.values

    @cached_property
    def bare(self) -> Any:
        """Bytes to [-1, 1] and back."""
        return self.space

    def alone(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding, and the numbers of these pictures."""
        return PictureJudge.encoded(self, rows)

    def joined(self, rows: np.ndarray, codes: np.ndarray) -> Told:
        """Pictures and their classes."""
        return Told(rows, codes)

    def parts(self, answer: Any) -> tuple[np.ndarray, np.ndarray]:
        """The pictures, and their classes."""
        return answer.rows, answer.codes

    def points(self, rows: np.ndarray) -> Tensor:
        """Features."""
        return self.place(rows)

    def points_of(self, numbers: np.ndarray) -> Tensor:
        """Features of real pictures."""
        return self.at(numbers)

    def beside(self, points: Tensor, codes: np.ndarray) -> Tensor:
        """Features beside their classes: two classes are as far apart as two pictures usually are."""
        apart = self.widths[1] / 2**0.5
        return torch.cat([points, apart * one_hot(torch.from_numpy(codes), len(self.classes.names))], dim=1)

    def compared(self, numbers: np.ndarray) -> Tensor:
        """Features of real pictures beside their classes."""
        return self.beside(self.at(numbers), self.classes.codes[numbers])

    def damaged(self, numbers: np.ndarray, draw: int) -> Iterator[tuple[str, float, Tensor]]:
        """Every planted damage; what is exchanged for others keeps the class that was asked for."""
        for kind, size, points, places in damages.planted(self, numbers, draw):
            yield kind, size, self.beside(points, self.classes.codes[numbers[places]])

    def score(self, answer: Any, seed: int, which: Which) -> Scored:
        """The primary metric, of pictures beside the classes that were asked for."""
        real = self.real(0 if which == "test" else seed, which)
        return real.score(self.beside(self.place(answer.rows), answer.codes))

    def glimpse(self, answer: Any) -> np.ndarray:
        """The first pictures."""
        return super().glimpse(self.parts(answer)[0])

    def kept(self, answer: Any, seed: int) -> dict[str, np.ndarray]:
        """Some pictures, their classes, and some more, so that the report can show some of every class."""
        kept, codes = super().kept(answer, seed), answer.codes
        each = np.concatenate([np.flatnonzero(codes == k)[:EACH] for k in np.unique(codes)])
        more = np.setdiff1d(each, np.arange(len(kept["samples"])))
        own = {"samples": answer.rows[more], "given": codes[more]}
        return kept | {name: np.concatenate([kept[name], values]) for name, values in own.items()}

    def maps(self, lanes: Lanes, encoder: Any, weights: Weights) -> dict[str, np.ndarray]:
        """Ways between pictures of one class, and what is rebuilt."""
        return PictureJudge.maps(self, lanes, encoder, weights)

    def anchors(self, seed: int, which: Which) -> Iterator[Anchor]:
        """Simple models of every class; fresh real pictures and copies of training pictures, with their labels."""
        parts, fresh = self.split(seed), self.fresh(seed)
        codes, learnt = self.classes.codes[fresh], self.classes.codes[parts.train]
        found = {name: np.empty((len(fresh), self.space.dim), np.uint8) for name in self.roles}
        for k in np.unique(codes):
            own, train = codes == k, parts.train[learnt == k]
            train = train if len(train) > 1 else parts.train  # groups may part a class from training
            known, real = (taken(self.table.values, n) for n in (evenly(train, anchors.FIT), fresh[own]))
            for anchor in simple(known, real, self.space, seed):
                found[anchor.name][own] = anchor.answer
        trim()
        for name in self.roles:
            yield Anchor(name, Told(found.pop(name), codes))
