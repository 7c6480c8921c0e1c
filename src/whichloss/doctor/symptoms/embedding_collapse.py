"""All embeddings lie in one place, or on one line."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    rank = record.outcome.effective_rank
    if rank is not None and rank < 2:
        yield record.say.fault(
            "embedding collapse",
            f"Embeddings use {rank:.1f} directions: all rows lie in one place, or on one line.",
            "Nothing in the loss, or too little of it, keeps different rows apart; or the first steps were too long.",
            "Lower lr, raise what keeps rows apart (variance, margin, more negatives), or try supcon or simclr.",
            {"effective rank": rank},
            "Wang & Isola, 2020; Bardes et al., 2022",
        )
