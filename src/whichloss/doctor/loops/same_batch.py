"""One batch again and again."""

from collections.abc import Iterator

import numpy as np

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        if len(loss.rows) < 64 or loss.facts.get("labelled looks", 0.0) < 5:
            continue
        different = len(np.unique(loss.rows, axis=0))
        if different <= loss.facts.get("rows", 0.0):  # with all data in one batch that is as it should be
            yield say.note(
                "same rows again",
                f"The same {loss.facts['rows']:.0f} rows came to {loss.site} again and again.",
                "The loader gives the same batch each time, or all data are one batch.",
                "Take a new batch each step (next(iterator), shuffle=True); count the rows of the data.",
                {"different": float(different)},
            )
