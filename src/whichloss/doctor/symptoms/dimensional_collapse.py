"""Embeddings that use few of their directions."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    rank, wanted = record.outcome.effective_rank, record.outcome.directions
    if rank is not None and wanted is not None and 2 <= rank < 0.1 * wanted:
        yield record.say.fault(
            "dimensional collapse",
            f"Embeddings use {rank:.1f} of {wanted:.0f} directions.",
            "The loss is content with few of them, or a layer before them is too narrow.",
            "If recall or accuracy is good, use shorter embeddings; else try vicreg, barlow-twins or simclr.",
            {"effective rank": rank, "directions": wanted},
            "Jing et al., 2022; Garrido et al., 2023",
        )
