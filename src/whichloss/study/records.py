"""The study as values: what study.json holds and what the report draws. Only fields named `clock` tell the time."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ..task import Finding

Numbers = Mapping[str, float]


class Row(msgspec.Struct, kw_only=True):
    """One line of the ranking table: an objective, or an anchor."""

    name: str
    role: Literal["objective", "baseline", "ceiling", "cheat", "derived"]
    stage: Literal["final", "screen"]  # final: fresh seeds on the test rows; screen: on validation rows
    scores: tuple[float, ...]  # one per seed, failed runs at the baseline's score
    mean: float
    low: float  # 95 % interval over seeds
    high: float
    failures: int = 0
    failure_low: float = 0.0
    failure_high: float = 0.0
    reasons: tuple[str, ...] = ()
    skill: float | None = None
    loss_skill: float | None = None
    letters: str = ""
    state: str = ""  # "", "not started", "needs longer"
    metrics: Mapping[str, tuple[float, float]] = {}  # name -> mean, standard deviation over seeds
    last_metrics: Mapping[str, tuple[float, float]] = {}  # the same of the last snapshot
    log_likelihood: float | None = None
    collapse: float | None = None  # the loss where all embeddings are equal
    least: float | None = None  # the least loss that embeddings can reach
    last: float | None = None  # mean score of the last snapshot; `mean` is the best by validation
    quarters: tuple[float | None, ...] = ()  # mean validation score at 25, 50, 75, 100 % of the budget
    screen: tuple[float, ...] = ()
    setting: Numbers = {}
    default: Numbers = {}
    tuning: tuple[tuple[Numbers, float | None], ...] = ()  # settings tried and their validation scores
    parameters: Mapping[str, int] = {}
    steps: int = 0
    training_flops: float = 0.0
    use_flops: float = 0.0  # per row sampled or predicted
    curves: Mapping[str, tuple[float | None, ...]] = {}  # of the first seed, over the run
    sample: str = ""  # where in RUN/runs its rows lie: "file" or "file#array"


class Split(msgspec.Struct):
    """Numbers of rows."""

    train: int
    validation: int
    test: int
    judged: int  # on each side of every comparison
    how: str


class Data(msgspec.Struct, kw_only=True):
    """What was understood of the data."""

    source: str
    rows: int
    dim: int
    columns: tuple[Mapping[str, Any], ...]
    fingerprint: str
    split: Split
    notes: tuple[str, ...]
    lines: tuple[str, ...]
    shape: tuple[int, ...] = ()  # of a picture: channels, height, width
    given: str = ""  # the column of the class that every row is generated given; its classes
    classes: tuple[str, ...] = ()


class Answer(msgspec.Struct, kw_only=True):
    """The verdict, in words and numbers."""

    kind: Literal["better", "practically equivalent", "undecided"]
    leader: str
    recommended: str
    tied: tuple[str, ...]
    sentence: str
    reason: str
    caution: str  # what was not shown: a baseline as good, a failed audit, few seeds
    seeds_needed: int | None
    rows_needed: int | None
    differences: tuple[Mapping[str, Any], ...]


class Study(msgspec.Struct, kw_only=True):
    """Everything a comparison found."""

    version: str
    command: str
    goal: str
    score_name: str
    budget: Mapping[str, Any]
    stages: tuple[tuple[str, int, float], ...]  # stage, runs, floating-point operations
    data: Data
    answer: Answer
    rows: tuple[Row, ...]
    skipped: Mapping[str, str]
    findings: tuple[Finding, ...]
    preflight: Mapping[str, Any]
    audit: Mapping[str, Any]
    fewer_rows: tuple[Mapping[str, Any], ...]
    overlap: float
    method: tuple[str, ...]
    versions: Mapping[str, str]
    clock: Mapping[str, Any]

    def row(self, name: str) -> Row:
        """The line of an objective or anchor."""
        return next(row for row in self.rows if row.name == name)

    def ranked(self) -> list[Row]:
        """All lines: finalists by test score, then the others by screen score, then the anchors."""
        order = {"objective": 0, "derived": 1, "baseline": 2, "ceiling": 3, "cheat": 4}
        return sorted(self.rows, key=lambda r: (order[r.role], r.stage != "final", r.mean, r.name))


def without_clock(value: Any) -> Any:
    """A JSON value with every `clock` field taken out: what two runs of one study share to the byte."""
    if isinstance(value, dict):
        return {k: without_clock(v) for k, v in value.items() if k != "clock"}
    if isinstance(value, list):
        return [without_clock(v) for v in value]
    return value
