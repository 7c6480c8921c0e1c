"""What CLIP's picture and text transformers share (Radford et al., 2021; Vaswani et al., 2017).

Attention is written out, so that lanes, second derivatives and the count of compute see all of it; there is no dropout.
"""

import math

import torch
from torch import Tensor, nn


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), the approximation of GELU that CLIP was trained with (Hendrycks & Gimpel, 2016)."""
    return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    """softmax(q k^T / sqrt(d / heads) + mask) v, head by head: x (B, L, d), mask (L, L) -> (B, L, d)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        nn.init.normal_(self.qkv.weight, std=width**-0.5)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, L, d / heads) each
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        mixed = (scores if mask is None else scores + mask).softmax(dim=-1) @ v
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """x + attention(norm(x)), then h + mlp(norm(h)), four times as wide inside: (B, L, d) -> (B, L, d).

    depth: how many blocks there are; what they add starts smaller the more of them add up (Radford et al., 2019).
    """

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.second, self.widen, self.narrow = (
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )
        for last in (self.attention.out, self.narrow):
            nn.init.normal_(last.weight, std=(2 * depth * width) ** -0.5)
        nn.init.normal_(self.widen.weight, std=(2 * width) ** -0.5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        h = x + self.attention(self.norm(x), mask)
        out: Tensor = h + self.narrow(quick_gelu(self.widen(self.second(h))))
        return out


class Transformer(nn.Module):
    """`depth` blocks, one after the other: x (B, L, d), mask (L, L) -> (B, L, d)."""

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, depth) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x, mask)
        return x
