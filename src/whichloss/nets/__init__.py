"""Default networks per data type and size."""

from .mlp import MLP, builder, time_features

__all__ = ["MLP", "builder", "time_features"]
