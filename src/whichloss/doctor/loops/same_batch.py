"""One batch again and again."""

from collections.abc import Iterator
import numpy as np

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        looks = len(loss.values)
        if len(loss.rows) < 64 or looks < 5:
            continue
        different = len(np.unique(loss.rows, axis=0)) / len(loss.rows)
        if different < 0.25:
            yield say.fault(
                "same rows again",
                f"Of {len(loss.rows)} rows that came to {loss.site} in the last looks only {different:.0%} differ.",
                "The loader gives the same batch each time, or the data hold few rows.",
                "Take a new batch each step (next(iterator), shuffle=True); count the rows of the data.",
                {"different": different},
            )
