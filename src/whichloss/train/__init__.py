"""The only training loop: S seeds at once, updates in order, compute counted."""

from .cached import cached_gradient
from .count import count, extra_flops
from .lanes import Lanes, State, in_shares
from .loop import Loop, flops_per_step, sampling_weights, train

__all__ = [
    "Lanes",
    "Loop",
    "State",
    "cached_gradient",
    "count",
    "extra_flops",
    "flops_per_step",
    "in_shares",
    "sampling_weights",
    "train",
]
