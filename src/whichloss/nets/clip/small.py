"""A convolutional picture encoder that trains on a processor in a minute: strided convolutions, then a linear layer.

The last map is not averaged: in a small picture it matters what is where. GroupNorm (Wu & He, 2018), so that rows are
independent and lanes allow it.
"""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from .vit import Shape


class SmallConv(nn.Module):
    """Rows of pictures (B, C H W), C, H, W = `shape` -> (B, outputs); `stem` pixels a side become one, then sides are
    halved once for each further width."""

    def __init__(self, shape: Shape, outputs: int, widths: Sequence[int], stem: int) -> None:
        super().__init__()
        self.shape = shape
        layers: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 4, stem, padding=2 - stem // 2)]
        for a, b in itertools.pairwise(widths):
            layers += [*_active(a), nn.Conv2d(a, b, 3, 2, padding=1)]
        self.see = nn.Sequential(*layers, *_active(widths[-1]), nn.Flatten())
        sides = [_side(side, stem, len(widths) - 1) for side in shape[1:]]
        self.project = nn.Linear(widths[-1] * math.prod(sides), outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # channels last in memory suits convolutions; under vmap there is no memory_format
        picture = x.reshape(-1, *self.shape).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        out: Tensor = self.project(self.see(picture))
        return out


def _active(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(max(1, channels // 16), channels), nn.ReLU()]


def _side(side: int, stem: int, halvings: int) -> int:
    side = (side - 4 + 2 * (2 - stem // 2)) // stem + 1
    for _ in range(halvings):
        side = (side + 1) // 2
    return side
