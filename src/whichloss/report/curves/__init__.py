"""The curves that make a card plain, drawn from whichloss's own losses and samplers."""

from functools import lru_cache

from .draw import Panel


@lru_cache(maxsize=256)
def panels(name: str) -> tuple[Panel, ...]:
    """The panels of a card, in order; none where no picture helps."""
    from . import adversarial, chains, classification, distances, embeddings, energies, sampling

    known = classification.OF | distances.OF | adversarial.OF | sampling.OF | chains.OF | energies.OF | embeddings.OF
    return tuple(known[name]()) if name in known else ()


__all__ = ["Panel", "panels"]
