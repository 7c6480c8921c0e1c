"""The anchors of one seed, judged and kept: what every table shows beside the objectives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .goals import judge_of
from .judge import Which
from .store import Store


@dataclass(frozen=True)
class AnchorJob:
    """The anchors of one seed, judged by its validation rows or by the test rows."""

    folder: str
    data: str
    seed: int
    judge: Which

    @property
    def id(self) -> str:
        """The name on disk."""
        return f"anchors-{self.data}-{self.judge}-{self.seed}"


def work(job: AnchorJob, tell: Callable[[Any], None]) -> None:
    """Draw, judge and keep every anchor of a seed."""
    store, judge = Store(job.folder), judge_of(job.folder)
    record: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for anchor in judge.anchors(job.seed, job.judge):
        score = judge.score(anchor.answer, job.seed, job.judge)
        record[anchor.name] = {
            "score": score.value,
            "se": score.se,
            "metrics": judge.describe(anchor.answer, job.seed, job.judge),
            "log likelihood": anchor.log_likelihood,
        }
        arrays[f"influence/{anchor.name}"] = score.influence.numpy()
        arrays |= {f"{kind}/{anchor.name}": kept for kind, kept in judge.kept(anchor.answer, job.seed).items()}
    store.write(job.id, record, arrays)
