"""The ResNet of CLIP: three convolutions for a stem, means before what strides, attention for a pool.

He et al. (2016); ResNet-D: He et al. (2019); anti-aliased strides: Zhang (2019); Radford et al. (2021), section 2.4.

It has BatchNorm, as published, which ties the rows of a batch together and keeps running statistics: lanes forbid it in
training (`small-conv` has GroupNorm instead). It serves with weights that are already learned, and outside lanes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .vit import Shape

WIDENING = 4  # of a bottleneck's output


class Bottleneck(nn.Module):
    """x + norm(1x1 mean 3x3 1x1), each convolution of stride 1; a mean over squares does the striding."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        widen, norm, _ = _layer(b, WIDENING * b, 1)
        nn.init.zeros_(norm.weight)  # every block starts as its shortcut
        self.see = nn.Sequential(*_layer(a, b, 1), *_layer(b, b, 3), _mean(stride), widen, norm)
        widens = stride > 1 or a != WIDENING * b
        self.short = nn.Sequential(_mean(stride), *_layer(a, WIDENING * b, 1)[:-1]) if widens else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.see(x) + self.short(x))


class AttentionPool(nn.Module):
    """The mean over the map asks, the mean and every place answer: (B, d, h, w) -> (B, outputs)."""

    def __init__(self, places: int, width: int, heads: int, outputs: int) -> None:
        super().__init__()
        self.heads = heads
        self.places = nn.Parameter(width**-0.5 * torch.randn(places + 1, width))
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, outputs)
        for layer in (self.q, self.k, self.v, self.out):
            nn.init.normal_(layer.weight, std=width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        h = x.flatten(2).mT
        h = torch.cat([h.mean(dim=1, keepdim=True), h], dim=1) + self.places
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q(h[:, :1]), self.k(h), self.v(h))
        )
        weights = (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1)
        out: Tensor = self.out((weights @ v).transpose(1, 2).flatten(1))
        return out


class ResNet(nn.Module):
    """Rows of pictures (B, C H W), C, H, W = `shape` -> (B, outputs); sides are halved five times."""

    def __init__(self, shape: Shape, outputs: int, width: int, heads: int, blocks: Sequence[int]) -> None:
        super().__init__()
        self.shape = shape
        stem = [
            *_layer(shape[0], width // 2, 3, 2), *_layer(width // 2, width // 2, 3), *_layer(width // 2, width, 3)
        ]  # fmt: skip
        stages: list[nn.Module] = []
        a = width
        for stage, count in enumerate(blocks):
            b = width * 2**stage
            for number in range(count):
                stages.append(Bottleneck(a, b, 2 if stage and not number else 1))
                a = WIDENING * b
        self.see = nn.Sequential(*stem, _mean(2), *stages)
        self.pool = AttentionPool((shape[1] // 32) * (shape[2] // 32), a, heads, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pool(self.see(x.reshape(-1, *self.shape)))
        return out


def _layer(a: int, b: int, kernel: int, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d, nn.ReLU]:
    return nn.Conv2d(a, b, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU()


def _mean(stride: int) -> nn.Module:
    return nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
