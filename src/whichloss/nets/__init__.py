"""Default networks per data type and size."""

from . import clip, pictures
from .mlp import MLP, builder, time_features

__all__ = ["MLP", "builder", "clip", "pictures", "time_features"]
