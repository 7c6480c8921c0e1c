"""Text encoders: the transformer of CLIP, and a bag of words that costs next to nothing.

A text is a row of ids (B, context), as `data.captions` writes it: start, the text, end, and padding after it. The end
is the highest id there is, so that its place is where a row has its maximum, whatever the padding (Radford et al.,
2021, section 2.4). Ids may be whole numbers of any type, floats too.
"""

import torch
from torch import Tensor, nn

from .transformer import Transformer


class TextTransformer(nn.Module):
    """Each token sees itself and those before it; the end of the text, projected: (B, context) -> (B, outputs)."""

    mask: Tensor

    def __init__(self, vocabulary: int, context: int, outputs: int, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.01 * torch.randn(context, width))
        self.transformer, self.norm = Transformer(width, heads, depth), nn.LayerNorm(width)
        self.project = nn.Parameter(width**-0.5 * torch.randn(width, outputs))
        nn.init.normal_(self.words.weight, std=0.02)
        future = torch.full((context, context), -torch.inf).triu(1)
        self.register_buffer("mask", future, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        ids = ids.long()
        h = self.norm(self.transformer(self.words(ids) + self.places, self.mask))
        end = ids.argmax(dim=1)[:, None, None].expand(-1, 1, h.shape[-1])
        out: Tensor = h.gather(1, end)[:, 0] @ self.project
        return out


class BagOfWords(nn.Module):
    """A perceptron of the mean of the words' vectors, without order: (B, context) -> (B, outputs).

    Start, end and padding do not count. An empty text is the perceptron of 0.
    """

    def __init__(self, vocabulary: int, outputs: int, width: int, inner: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.read = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, outputs))

    def forward(self, ids: Tensor) -> Tensor:
        ids = ids.long()
        place = torch.arange(ids.shape[1], device=ids.device)
        inside = ((place > 0) & (place < ids.argmax(dim=1, keepdim=True))).to(self.words.weight.dtype)
        total = (self.words(ids) * inside[:, :, None]).sum(dim=1)
        out: Tensor = self.read(total / inside.sum(dim=1, keepdim=True).clamp(min=1))
        return out
