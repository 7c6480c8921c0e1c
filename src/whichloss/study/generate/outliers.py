"""How models are judged that must also tell what does not belong: rows from elsewhere, given by the user.

No objective trains on these rows. One half of them, always the same, is seen while settings and snapshots are chosen,
the other half with the test rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data import Encoder, Table, evenly, read
from ...errors import UserError, nearest
from ...metrics.outliers import auroc_error, detection
from ...objectives import Generative, available, find
from ...objectives.base import Objective
from ...rng import key
from ...train import Lanes
from ..judge import Anchor, Preflight, Role, Scored, Weights, Which
from . import anchors
from .judge import SampleJudge

METRICS = ("mmd", "auroc")
FEWEST = 20  # outliers: half choose, half judge
NEIGHBOURS = 5
TREES = 200
DETECTORS: dict[str, Role] = {
    "Gaussian": "baseline",
    "Gaussian mixture": "baseline",
    "nearest neighbours": "baseline",
    "isolation forest": "baseline",
}


class Detection(Preflight, frozen=True, kw_only=True):
    """How well simple detectors find the outliers; rope: the standard error of the Gaussian mixture's AUROC."""

    outliers: int
    simple: dict[str, float]


@dataclass(frozen=True)
class Seen:
    """What a model answers: rows of the table, and how unlike the data it finds the judging rows, then the outliers."""

    rows: np.ndarray
    unlike: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class OutlierJudge(SampleJudge):
    """Samples as ever, and scores: what decides is either MMD^2 or, for `metric` auroc, how well outliers are found."""

    outliers: Table | None = None
    metric: str = "mmd"

    @property
    def tables(self) -> Mapping[str, Table]:
        """The rows and the outliers."""
        assert self.outliers is not None
        return {"data": self.table, "outliers": self.outliers}

    @property
    def asked(self) -> Mapping[str, object]:
        """The score, and which rows are outliers."""
        assert self.outliers is not None
        return {"outliers": self.outliers.fingerprint, "metric": self.metric}

    @property
    def ranks(self) -> bool:
        """Do outliers decide?"""
        return self.metric == "auroc"

    @property
    def measures(self) -> type[Preflight]:  # type: ignore[override]
        """What is measured before training."""
        return Detection if self.ranks else SampleJudge.measures

    @property
    def roles(self) -> Mapping[str, Role]:  # type: ignore[override]
        """The anchors: simple detectors where outliers decide."""
        return DETECTORS if self.ranks else SampleJudge.roles

    @property
    def score_name(self) -> str:  # type: ignore[override]
        """The score that decides, lower is better."""
        return "1 - auroc" if self.ranks else SampleJudge.score_name

    @property
    def method(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is done, a sentence each."""
        told = (
            "No objective trains on outliers; half of them are seen while settings and snapshots are chosen, the other "
            "half with the test rows.",
        )
        if not self.ranks:
            return (*SampleJudge.method, *told)
        rest = tuple(said for said in SampleJudge.method if not said.startswith("The score is"))
        return ("The score is 1 - AUROC: how often a row looks more unlikely than an outlier.", *rest, *told)

    @property
    def usual(self) -> tuple[str, ...]:
        """Where outliers decide: every objective that scores rows."""
        return tuple(n for n in available(self.goal) if not self.unfit(find(n))) if self.ranks else super().usual

    def unfit(self, kind: type[Objective]) -> str | None:
        """Where outliers decide, an objective must be able to score rows."""
        silent = not (issubclass(kind, Generative) and kind.scores)
        return (
            "it gives no row an energy or a density, so that it cannot tell outliers" if self.ranks and silent else None
        )

    @cached_property
    def halves(self) -> dict[Which, np.ndarray]:
        """The outliers (n, columns) that are seen with validation rows and with test rows."""
        assert self.outliers is not None
        order = np.random.Generator(np.random.PCG64(key("outliers"))).permutation(len(self.outliers))
        order = order[: 2 * self.most]
        return {"validation": self.outliers.values[order[::2]], "test": self.outliers.values[order[1::2]]}

    def judged(self, seed: int, which: Which) -> np.ndarray:
        """The judging rows, then the outliers."""
        return np.concatenate([self.table.values[self.numbers(seed, which)], self.halves[which]])

    def parted(self, unlike: np.ndarray, which: Which) -> tuple[Tensor, Tensor]:
        """The scores of the judging rows and of the outliers."""
        both, outside = torch.from_numpy(unlike), len(self.halves[which])
        return both[:-outside], both[-outside:]

    def preflight(self) -> Preflight:
        """How well simple detectors do, or the power of MMD^2."""
        if not self.ranks:
            return super().preflight()
        found = {a.name: self.score(a.answer, 1, "test") for a in self.anchors(1, "test")}
        assert self.outliers is not None
        simple = {name: 1 - one.value for name, one in found.items()}
        return Detection(
            rows=self.size(1), rope=found["Gaussian mixture"].se, outliers=len(self.outliers), simple=simple
        )

    def answers(
        self, lanes: Lanes, encoders: Sequence[Encoder], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Any]:
        """Rows drawn by every lane, and how unlike it finds the judging rows and the outliers."""
        look = name == "look"
        rows: list[np.ndarray | None] = [np.empty((0, 0))] * len(seeds)
        if not (look and self.ranks):
            rows = super().answers(lanes, encoders, seeds, weights, which, name)
        if look and not self.ranks:
            return [None if r is None else Seen(r) for r in rows]
        unlike = [self.unlike(lanes, weights, k, encoders[k], seed, which) for k, seed in enumerate(seeds)]
        lost = [r is None or (self.ranks and u is None) for r, u in zip(rows, unlike, strict=True)]
        return [None if gone else Seen(r, u) for r, u, gone in zip(rows, unlike, lost, strict=True)]  # type: ignore[arg-type]

    def unlike(
        self, lanes: Lanes, weights: Weights, lane: int, encoder: Encoder, seed: int, which: Which
    ) -> np.ndarray | None:
        """Energy, or minus log-density, of the judging rows and the outliers; None where there is none or no number."""
        objective, nets = lanes.trained(weights, lane)
        if not isinstance(objective, Generative) or not objective.scores:
            return None
        x = torch.from_numpy(encoder.encode(self.judged(seed, which)))
        with torch.no_grad():
            found = torch.cat([objective.unlike(nets, part) for part in torch.split(x, 2000)]).double()
        return found.numpy() if found.isfinite().all() else None

    def score(self, answer: Any, seed: int, which: Which) -> Scored:
        """What decides, lower is better."""
        if not self.ranks:
            return super().score(answer.rows if isinstance(answer, Seen) else answer, seed, which)
        return auroc_error(*self.parted(answer.unlike, which))

    def describe(self, answer: Any, seed: int, which: Which) -> dict[str, float]:
        """The metrics of samples, and of the search for outliers where the model scores rows."""
        found = super().describe(answer.rows, seed, which) if len(answer.rows) else {}
        return found if answer.unlike is None else found | detection(*self.parted(answer.unlike, which))

    def kept(self, answer: Any, seed: int) -> dict[str, np.ndarray]:
        """The first rows, and the scores."""
        kept = super().kept(answer.rows, seed) if len(answer.rows) else {}
        return kept if answer.unlike is None else kept | {"unlike": answer.unlike.astype(np.float32)}

    def anchors(self, seed: int, which: Which) -> list[Anchor]:
        """Simple detectors; where samples decide, the anchors of samples, with scores where they have a density."""
        train = self.table.values[self.split(seed).train]
        encoder = Encoder.fit(self.table.schema, train)
        found = dict(detectors(encoder.encode(train), encoder.encode(self.judged(seed, which)), seed))
        if self.ranks:
            return [Anchor(name, Seen(np.empty((0, 0)), unlike)) for name, unlike in found.items()]
        return [replace(a, answer=Seen(a.answer, found.get(a.name))) for a in super().anchors(seed, which)]


def detectors(train: np.ndarray, judged: np.ndarray, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """(name, how unlike the training rows each judged row is): densities, distances and trees (scikit-learn)."""
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import NearestNeighbors

    x, y = evenly(train, anchors.FIT).astype(np.float64), judged.astype(np.float64)
    for name, components in (("Gaussian", (1,)), ("Gaussian mixture", anchors.COMPONENTS)):
        yield name, -anchors.mixture(x, components, seed).score_samples(y)
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(x))).fit(x)
    yield "nearest neighbours", near.kneighbors(y)[0][:, -1]
    yield (
        "isolation forest",
        -IsolationForest(n_estimators=TREES, random_state=seed % (1 << 31)).fit(x).score_samples(y),
    )


def parted(data: object, table: Table, outliers: object, **options: Any) -> tuple[Table, Table | None]:
    """The rows to learn and the outliers: a table of its own, or the rows where a 0/1 column of the data is 1."""
    if outliers is None:
        return table, None
    marked = outliers if isinstance(outliers, str) and outliers in table.schema.names else ""
    if not marked:
        if isinstance(outliers, str) and not Path(outliers).exists() and not outliers.startswith("toy:"):
            raise UserError(
                f"--outliers '{outliers}' is neither a file nor a column of {table.source}; "
                f"{nearest(outliers, table.schema.names)}"
            )
        strange = read(outliers, schema=table.schema)
        where = str(outliers) if isinstance(outliers, str) else "the outliers"
        return table, others(enough(strange, where), table, where)
    if isinstance(data, Table):
        raise UserError(f"--outliers '{marked}': give the outliers of a Table as rows of their own, not as a column.")
    mark = table.values[:, table.position(marked)]
    if (
        not set(np.unique(mark).tolist()) <= {0.0, 1.0}
        or table.schema.columns[table.position(marked)].kind == "category"
    ):
        raise UserError(
            f"--outliers '{marked}': this column must be 0 or 1 in every row (1: an outlier). Found "
            f"{', '.join(map(str, table.rows(slice(4)).column(marked)))} ..."
        )
    options["drop"] = (*options["drop"], marked)
    rest = read(data, **options)
    if not (mark == 0).any():
        raise UserError(f"--outliers '{marked}': every row is marked as an outlier (1); at least some must be 0.")
    return rest.rows(mark == 0), enough(rest.rows(mark == 1), f"the column '{marked}'")


def others(outliers: Table, table: Table, where: str) -> Table:
    """The outliers, with a note where some of them are rows of the data."""
    known = {row.tobytes() for row in table.values}
    same = sum(row.tobytes() in known for row in outliers.values)
    if same == len(outliers):
        raise UserError(
            f"--outliers: all {same:,} rows of {where} are rows of the data as well. Give rows from elsewhere."
        )
    note = f"{same:,} of {len(outliers):,} outliers are rows of the data as well: nothing can tell those apart."
    return replace(outliers, notes=(*outliers.notes, note)) if same else outliers


def enough(outliers: Table, where: str) -> Table:
    """The outliers, if they are enough to choose by and to judge by."""
    if len(outliers) < FEWEST:
        raise UserError(
            f"--outliers: {where} holds {len(outliers)} outliers; at least {FEWEST} are needed, half to choose by and "
            "half to judge by."
        )
    return outliers
