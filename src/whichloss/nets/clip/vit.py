"""The vision transformer of CLIP: patches, a class token, a LayerNorm more before the transformer.

Dosovitskiy et al. (2021); Radford et al. (2021), section 2.4.
"""

import torch
from torch import Tensor, nn

from .transformer import Transformer

Shape = tuple[int, int, int]  # channels, height, width


class ViT(nn.Module):
    """Rows of pictures (B, C H W), C, H, W = `shape` -> (B, outputs): what the class token has become, projected.

    Patches are squares of `patch` pixels that do not overlap; what is left over right and below is not seen.
    """

    def __init__(self, shape: Shape, outputs: int, width: int, heads: int, depth: int, patch: int) -> None:
        super().__init__()
        self.shape, scale = shape, width**-0.5
        tokens = (shape[1] // patch) * (shape[2] // patch) + 1
        self.patches = nn.Conv2d(shape[0], width, patch, patch, bias=False)
        self.token = nn.Parameter(scale * torch.randn(width))
        self.places = nn.Parameter(scale * torch.randn(tokens, width))
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, heads, depth)
        self.project = nn.Parameter(scale * torch.randn(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        h = self.patches(x.reshape(-1, *self.shape)).flatten(2).mT  # (B, patches, width)
        h = torch.cat([self.token.expand(len(h), 1, -1), h], dim=1) + self.places
        h = self.transformer(self.before(h))
        out: Tensor = self.after(h[:, 0]) @ self.project
        return out
