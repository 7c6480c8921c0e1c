"""What the report shows of predictions: the kept logits of a few lines of the table, and the labels they meet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import StudyError
from ..metrics.labels import Predicted
from ..study.classify.judge import LabelJudge
from ..study.goals import judge_of
from ..study.records import Row, Study
from ..study.store import unpack
from .lookup import kept, of_role

RIVALS = 2  # finalists shown beside the recommended objective


@dataclass(frozen=True)
class Prediction:
    """The predictions of one line's first run that lived for its judging rows; None, and why, if it has none."""

    row: Row
    found: Predicted | None
    temperature: float = 1.0
    absent: str = ""
    seed: int | None = None  # None: a simple model

    @property
    def name(self) -> str:
        """The objective or anchor."""
        return self.row.name

    @property
    def scaled(self) -> Predicted:
        """The same with the temperature that suits the validation rows."""
        assert self.found is not None
        return replace(self.found, logits=self.found.logits / self.temperature)


@dataclass(frozen=True)
class Predictions:
    """The recommended objective first, then its nearest rivals and the best simple baseline."""

    judge: LabelJudge
    shown: tuple[Prediction, ...]

    @property
    def known(self) -> list[Prediction]:
        """Those that there are."""
        return [p for p in self.shown if p.found is not None]

    @property
    def classes(self) -> Sequence[str]:
        """The names of the labels."""
        return self.judge.labels.names


def load(study: Study, folder: Path) -> Predictions:
    """Read the labels and the predictions. Raises UserError or StudyError where table or plan are missing."""
    judge = judge_of(str(folder.resolve()))
    assert isinstance(judge, LabelJudge)
    return Predictions(judge, tuple(read(row, folder, judge) for row in picked(study)))


def picked(study: Study) -> list[Row]:
    """The recommended objective, its nearest rivals among the finalists, the best simple baseline."""
    first = study.row(study.answer.recommended)
    others = [r for r in of_role(study, "objective") if r is not first and r.stage == "final"]
    return [first, *others[:RIVALS], *of_role(study, "baseline")[:1]]


def read(row: Row, folder: Path, judge: LabelJudge) -> Prediction:
    """One line's predictions; what is missing or damaged is said, not hidden."""
    if not row.sample:
        return Prediction(row, None, absent="every run failed, so there are no predictions to show")
    file = row.sample.partition("#")[0]
    try:
        run = kept(row, folder)
    except StudyError:
        return Prediction(row, None, absent=f"runs/{file}.safetensors is missing or damaged")
    arrays, suffix, seed, which = run.arrays, run.suffix, run.split, run.which
    logits = arrays.get(f"logits{suffix}")
    if logits is None or logits.shape != (len(judge.truth(seed, which)), len(judge.labels.names)):
        return Prediction(row, None, absent=f"runs/{file}.safetensors holds no predictions of these rows")
    heat = arrays.get(f"temperature{suffix}")
    found = judge.predicted(logits, seed, which)
    return Prediction(row, found, 1.0 if heat is None else float(heat[0]), seed=run.seed)


def saved(folder: Path) -> int | None:
    """The seed of the run whose model stands in RUN/best."""
    try:
        return int(unpack(folder / "best" / "model.safetensors")[0]["run"]["seed"])
    except (StudyError, KeyError):
        return None
