"""What the losses of embeddings ask of their arguments: two sides of one shape, pair by pair."""

from torch import Tensor

from ..errors import UserError


def need_alike(loss: str, a: Tensor, b: Tensor) -> None:
    """UserError unless a and b are both (B, d)."""
    if a.shape != b.shape or a.ndim != 2:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise UserError(f"{loss}: 'a' and 'b' must both be (B, d), pair by pair; got {shapes}.")


def need_pairs(loss: str, a: Tensor, b: Tensor) -> None:
    """UserError unless a and b are both (B, d) and B is at least 2."""
    need_alike(loss, a, b)
    if len(a) < 2:
        raise UserError(f"{loss}: a single pair has no negatives; use batches of 2 pairs or more.")


def need_labels(loss: str, z: Tensor, labels: Tensor) -> None:
    """UserError unless z is (B, d), B at least 2, and labels (B,)."""
    if z.ndim != 2 or len(z) < 2 or labels.shape != z.shape[:1]:
        raise UserError(
            f"{loss}: 'z' must be (B, d) with B >= 2 and 'labels' (B,); got {tuple(z.shape)} and "
            f"{tuple(labels.shape)}. Two views of a row are two rows with one label."
        )
