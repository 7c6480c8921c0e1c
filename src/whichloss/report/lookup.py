"""What the report looks up in a study again and again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..study.classify.signal import LEVEL
from ..study.judge import Which
from ..study.records import Row, Study
from ..study.store import unpack
from ..study.verdict import say_needed


@dataclass(frozen=True)
class Kept:
    """A line's first run as it lies on disk: its arrays, what their names end in, its seed, None of a simple model,
    and the rows that judged it."""

    arrays: Mapping[str, np.ndarray]
    suffix: str
    seed: int | None
    which: Which

    @property
    def split(self) -> int:
        """The seed of the split; a simple model is judged on test rows, which are the same for all."""
        return 1 if self.seed is None else self.seed


def kept(row: Row, folder: Path) -> Kept:
    """What lies on disk of a line. Raises StudyError where its file is missing or damaged."""
    file, _, array = row.sample.partition("#")
    record, arrays = unpack(folder / "runs" / f"{file}.safetensors")
    run = record.get("run") or {}
    which: Which = "test" if run.get("judge", "test") == "test" else "validation"
    return Kept(arrays, array.removeprefix("samples"), run.get("seed"), which)


def rope(study: Study) -> float:
    """The standard deviation of the score on real rows; a thousandth of the largest score if it is unknown or nothing
    but rounding, as where a simple detector finds every outlier."""
    value, largest = float(study.preflight.get("rope") or 0.0), max(abs(r.mean) for r in study.rows)
    return value if value > 1e-9 * largest else max(1e-6, largest / 1000)


def clear(study: Study) -> bool:
    """Did the preflight see a signal in the labels, or look for none?"""
    return float(study.preflight.get("p", 0.0)) < LEVEL


def several_labels(study: Study) -> bool:
    """May a row have several labels?"""
    return bool(study.preflight.get("several", False))


def things(study: Study) -> str:
    """What the data is made of, in sentences."""
    if compared(study):
        return "pairs"
    return "pictures" if study.data.shape else "rows"


def searched(study: Study) -> bool:
    """Are embeddings judged by searching among them?"""
    return any("recall@1" in row.metrics for row in study.rows)


def compared(study: Study) -> bool:
    """Are embeddings judged by given pairs, alike or not?"""
    return any("pair accuracy" in row.metrics for row in study.rows)


def columns_of(study: Study) -> str:
    """Which columns the ranking tables have."""
    return "search" if searched(study) else "compare" if compared(study) else study.goal


def outliers(study: Study) -> bool:
    """Were outliers given, and did anything score them?"""
    return any("outlier AUROC" in row.metrics for row in study.rows)


def wanted(study: Study) -> str:
    """What would decide, in the words of the verdict; nothing where it is decided or where nothing would."""
    seeds, rows = study.answer.seeds_needed, study.answer.rows_needed
    if not clear(study) or (seeds is None and rows is None):
        return ""
    return say_needed(seeds, rows, study.answer.differences[0]["rows"], study.overlap > 0)


def unbiased(study: Study) -> bool:
    """Is the score an unbiased MMD², whatever it is taken in? Then it may be negative by chance."""
    return study.score_name.startswith("MMD^2")


def span(study: Study, row: Row) -> tuple[float, float]:
    """The 95 % interval, cut off where no score can be: MMD² and the debiased calibration error may be negative."""
    floor = float("-inf") if unbiased(study) or study.score_name == "calibration" else 0.0
    return max(row.low, floor), max(row.high, floor)


def of_role(study: Study, role: str) -> list[Row]:
    """The lines of a role, best first."""
    return [row for row in study.ranked() if row.role == role]


def level(study: Study) -> float:
    """What the band of noise lies round: the score of fresh real rows, or else of the best simple baseline."""
    held = of_role(study, "ceiling") or of_role(study, "baseline")
    return held[0].mean if held else 0.0
