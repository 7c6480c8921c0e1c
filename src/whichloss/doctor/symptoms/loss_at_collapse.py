"""The loss has come to rest at the value that equal embeddings give."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    level, rank = record.outcome.collapse, record.outcome.effective_rank
    if level is None or not (record.outcome.bad or (rank is not None and rank < 2)):
        return  # a loss with little room below may rest near it and still tell rows apart
    for name, value in record.late("loss", 0.1).items():
        if abs(value - level) < 0.01 * abs(level):
            yield record.say.fault(
                "loss at its collapse value",
                f"'{name}' ended at {value:.4g}, about what equal embeddings give ({level:.4g}).",
                "The network learned nothing, or put all rows in one place; labels or views may say nothing.",
                "Overfit 64 rows first. If that fails too, lower lr; if it works, look at labels and views.",
                {"loss": value, "at collapse": level},
                "Radford et al., 2021; Hermans et al., 2017",
            )
