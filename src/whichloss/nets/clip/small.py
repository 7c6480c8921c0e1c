"""A convolutional picture encoder that trains on a processor in a minute: patches, strided convolutions, one linear.

Nothing is computed at full size, where pixels are many and tell little. The last map is not averaged: in a small
picture it matters what is where. GroupNorm (Wu & He, 2018), so that rows are independent and lanes allow it.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import pad

from .vit import Shape


class SmallConv(nn.Module):
    """Rows of pictures (B, C H W), C, H, W = `shape` -> (B, outputs).

    Squares of `patch` pixels become one place of the first width; sides are halved once for each further width.
    """

    def __init__(self, shape: Shape, outputs: int, widths: Sequence[int], patch: int) -> None:
        super().__init__()
        self.shape = shape
        self.border = [0, -shape[2] % patch, 0, -shape[1] % patch]  # so that every pixel lies in a patch
        layers: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], patch, patch)]
        for a, b in pairwise(widths):
            layers += [*_active(a), nn.Conv2d(a, b, 3, 2, padding=1)]
        self.see = nn.Sequential(*layers, *_active(widths[-1]), nn.Flatten())
        places = math.prod(math.ceil(math.ceil(side / patch) / 2 ** (len(widths) - 1)) for side in shape[1:])
        self.project = nn.Linear(widths[-1] * places, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # channels last in memory suits convolutions; under vmap there is no memory_format
        picture = pad(x.reshape(-1, *self.shape), self.border).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        out: Tensor = self.project(self.see(picture))
        return out


def _active(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(max(1, channels // 16), channels), nn.ReLU()]
