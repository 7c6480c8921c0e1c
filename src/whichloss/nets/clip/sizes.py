"""CLIP's networks by name: two sizes of the paper, two that train on a processor."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from ...errors import UserError, nearest
from ..mlp import builder as perceptrons
from .resnet import ResNet
from .small import SmallConv
from .text import BagOfWords, TextTransformer
from .vit import Shape, ViT

PUBLISHED_WORDS, PUBLISHED_CONTEXT = 49_408, 77  # ids of the published vocabulary (the paper's 49,152 is nominal)
TEMPERATURE = 0.07  # at the start
TRAINED = "small-conv"  # what a comparison trains
TEXTS = ("words", "transformer")


@dataclass(frozen=True)
class Size:
    """One size: the networks, the width of the space they share, the picture it is meant for.

    words is None where only the transformer goes with it; lanes: whether it trains in lanes (no BatchNorm).
    """

    outputs: int
    shape: Shape
    picture: Callable[[Shape, int], nn.Module]
    transformer: Callable[[int, int, int], nn.Module]
    words: Callable[[int, int], nn.Module] | None = None
    multiple: int = 1
    lanes: bool = True


_PAPER = partial(TextTransformer, width=512, heads=8, depth=12)
_SMALL = partial(TextTransformer, width=128, heads=4, depth=2)
_WORDS = partial(BagOfWords, width=128, inner=256)
SIZES = {
    "RN50": Size(
        1024, (3, 224, 224), partial(ResNet, width=64, heads=32, blocks=(3, 4, 6, 3)), _PAPER, multiple=32, lanes=False
    ),
    "ViT-B/32": Size(
        512, (3, 224, 224), partial(ViT, width=768, heads=12, depth=12, patch=32), _PAPER, multiple=32
    ),
    "small-conv": Size(128, (3, 32, 32), partial(SmallConv, widths=(64, 128, 256), patch=4), _SMALL, _WORDS),
    "small-vit": Size(
        128, (3, 32, 32), partial(ViT, width=96, heads=4, depth=4, patch=4), _SMALL, _WORDS, multiple=4
    ),
}  # fmt: skip


def find(size: str) -> Size:
    """The size of this name. Raises UserError for any other."""
    if size not in SIZES:
        raise UserError(f"There is no CLIP network of size '{size}'; {nearest(size, SIZES)}")
    return SIZES[size]


def picture_encoder(size: str, shape: Shape | None = None, outputs: int | None = None) -> nn.Module:
    """Rows of pictures (B, C H W) -> (B, outputs), not normalised; shape (C, H, W) and outputs are the size's own if
    not given.

    Raises UserError for an unknown size and for a shape that its patches or strides do not divide.
    """
    known = find(size)
    c, h, w = shape or known.shape
    if h % known.multiple or w % known.multiple:
        raise UserError(
            f"{size} takes pictures whose sides are multiples of {known.multiple}; got {h} x {w} (height x width). "
            "Choose another size of pictures, or of the network."
        )
    return known.picture((c, h, w), outputs or known.outputs)


def text_encoder(
    size: str,
    vocabulary: int = PUBLISHED_WORDS,
    context: int = PUBLISHED_CONTEXT,
    outputs: int | None = None,
    text: str | None = None,
) -> nn.Module:
    """Ids (B, context), the highest of which ends a text -> (B, outputs), not normalised.

    text: 'words' (a bag of words, which the small sizes have by default) or 'transformer'. Raises UserError for an
    unknown size, and where there is no such text encoder of this size.
    """
    known = find(size)
    text = text or ("transformer" if known.words is None else "words")
    if text == "transformer":
        return known.transformer(vocabulary, context, outputs or known.outputs)
    if text not in TEXTS or known.words is None:
        have = TEXTS if known.words else TEXTS[1:]
        raise UserError(f"{size} has no text encoder '{text}'; {nearest(text, have)}")
    return known.words(vocabulary, outputs or known.outputs)


def builder(
    shape: tuple[int, ...],
    words: int,
    context: int,
    width: int = 64,
    own: Mapping[str, Callable[[int, int], nn.Module]] | None = None,
) -> Callable[..., nn.Module]:
    """A maker of networks by role for pairs: I sees pictures (C, H, W) if there is a shape, T reads `context` ids if
    there are words; vectors go through perceptrons. `own` holds the user's makers f(inputs, outputs) for some roles."""
    plain = perceptrons(width, own=own)

    def build(role: str, inputs: int, outputs: int, *, smooth: bool = False) -> nn.Module:
        if own and role in own:
            return own[role](inputs, outputs)
        if role == "I" and shape:
            return picture_encoder(TRAINED, (shape[0], shape[1], shape[2]), outputs)
        if role == "T" and words:
            return text_encoder(TRAINED, words, context, outputs)
        return plain(role, inputs, outputs, smooth=smooth)

    return build


class CLIP(nn.Module):
    """Both encoders and the logarithm of the scale, 1 / temperature, at its start ln(1 / .07), as published."""

    def __init__(self, size: str) -> None:
        super().__init__()
        self.picture, self.text = picture_encoder(size), text_encoder(size)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE)))
