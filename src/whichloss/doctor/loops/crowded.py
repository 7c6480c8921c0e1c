"""Embeddings that all point much the same way, where cosines are the scores of pairs."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import unlearnt
from ..say import Say
from ..trace import Trace

NEAR, ALIKE = 0.5, 0.2  # the mean cosine of pairs that are not alike, and its spread


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        low, high = loss.curves.get("least score", []), loss.curves.get("most score", [])
        mean, wide = loss.late("mean score of others", 0.25), loss.late("spread of others", 0.25)
        cosines = loss.judged and low and high and min(low) >= -1.001 and max(high) <= 1.001
        if cosines and mean is not None and wide is not None and mean > NEAR and wide < ALIKE and unlearnt(loss):
            yield say.fault(
                "embedding collapse",
                f"Pairs that {loss.site} is told are not alike have a cosine of {mean:.2f} all the same, and it "
                f"differs by {wide:.2f} only: all embeddings point much the same way.",
                "Nothing tells the rows apart (labels without signal, a score without a bias), so one cosine for all "
                "pairs is the best that this loss can find; networks with ReLUs start near there.",
                "First see that there is a signal in the labels; then a scale and a bias, or a loss with negatives "
                "(supcon, clip).",
                {"mean cosine": mean, "spread": wide},
                "Wang & Isola, 2020",
            )
