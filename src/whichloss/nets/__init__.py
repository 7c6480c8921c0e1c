"""Default networks per data type and size."""

from . import pictures
from .mlp import MLP, builder, time_features

__all__ = ["MLP", "builder", "pictures", "time_features"]
