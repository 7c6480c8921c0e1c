"""The networks of CLIP (Radford et al., 2021): encoders of pictures and of texts into one space."""

from .sizes import CLIP, SIZES, TRAINED, Size, builder, find, picture_encoder, text_encoder

__all__ = ["CLIP", "SIZES", "TRAINED", "Size", "builder", "find", "picture_encoder", "text_encoder"]
