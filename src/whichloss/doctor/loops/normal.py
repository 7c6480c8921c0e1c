"""Rows that are compared by dot products of vectors that were not brought to length 1."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        spread, reach = loss.curves.get("spread of lengths", []), loss.curves.get("range of logits", [])
        if loss.facts.get("pairs") and spread and reach and max(spread) > 0.02:
            yield say.fault(
                "contract: not normalised",
                f"The logits at {loss.site} are dot products of embeddings whose lengths differ (range "
                f"{max(reach):.3g}).",
                "The embeddings were not divided by their lengths: long ones win, and the temperature means nothing.",
                "F.normalize(z, dim=1) before the product.",
                {"spread of lengths": max(spread)},
                "Chen et al., 2020",
            )
