"""What the report shows of predictions: the kept logits of a few lines of the table, and the labels they meet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import StudyError
from ..metrics.labels import Predicted, predicted
from ..study.classify.judge import LabelJudge
from ..study.goals import judge_of
from ..study.judge import Which
from ..study.records import Row, Study
from ..study.store import unpack
from .lookup import of_role

RIVALS = 2  # finalists shown beside the recommended objective


@dataclass(frozen=True)
class Prediction:
    """The predictions of one line's first run for its judging rows; None, and why, if it has none."""

    row: Row
    found: Predicted | None
    temperature: float = 1.0
    absent: str = ""

    @property
    def name(self) -> str:
        """The objective or anchor."""
        return self.row.name

    @property
    def scaled(self) -> Predicted:
        """The same with the temperature that suits the validation rows."""
        assert self.found is not None
        return Predicted(self.found.logits / self.temperature, self.found.targets, self.found.kind)


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
    file, _, array = row.sample.partition("#")
    try:
        record, arrays = unpack(folder / "runs" / f"{file}.safetensors")
    except StudyError:
        return Prediction(row, None, absent=f"runs/{file}.safetensors is missing or damaged")
    run, suffix = record.get("run") or {"seed": 1, "judge": "test"}, array.removeprefix("samples")
    which: Which = "test" if run["judge"] == "test" else "validation"  # test rows are the same for all seeds
    logits, y = arrays.get(f"logits{suffix}"), judge.truth(run["seed"], which)
    if logits is None or logits.shape != (len(y), len(judge.labels.names)):
        return Prediction(row, None, absent=f"runs/{file}.safetensors holds no predictions of these rows")
    heat = arrays.get(f"temperature{suffix}")
    return Prediction(row, predicted(torch.from_numpy(logits), y), 1.0 if heat is None else float(heat[0]))
