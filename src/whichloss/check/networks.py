"""Reference networks whose answers are known, and which note where they were evaluated.

What a loss draws inside (the place of a gradient penalty, the noise of a diffusion loss) is read off these notes, so
that a random loss can be compared exactly.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .claim import Size, Source


class Network(nn.Module):
    """A network of float64 parameters that notes its inputs while `noting`, with the tensors' graphs cut."""

    style = ""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.noting = True

    def note(self, x: Tensor) -> None:
        """Keep x, taken out of torch.func's wrappers (inside a transform any operation on it would wrap it again)."""
        if self.noting:
            self.seen.append(torch.func.debug_unwrap(x, recurse=True))

    def settle(self) -> None:
        """Cut the graphs of what was noted, and note no more."""
        self.seen = [x.detach().clone() for x in self.seen]
        self.noting = False


class Critic(Network):
    """w . x + b, plus a/2 |x|^2, plus v . tanh(W x): of any one kind alone, or all together."""

    style = "column"

    def __init__(self, w: Tensor, a: Tensor, v: Tensor, weight: Tensor) -> None:
        super().__init__()
        self.w, self.a, self.v, self.weight = (nn.Parameter(p) for p in (w, a, v, weight))

    @staticmethod
    def draw(size: Size, source: Source) -> "Critic":
        """A critic with a slope that differs from place to place."""
        d = size.width
        return Critic(source.real((d,)), source.real(()), source.real((2,)), source.real((2, d)))

    @staticmethod
    def line(width: int) -> "Critic":
        """The critic of slope exactly 1 everywhere."""
        w = torch.arange(1.0, width + 1, dtype=torch.float64)
        nothing = torch.zeros((), dtype=torch.float64)
        return Critic(w / w.norm(), nothing, nothing.expand(2).clone(), torch.zeros(2, width, dtype=torch.float64))

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        self.note(x)
        x = x.flatten(1)
        score = x @ self.w + 0.5 * self.a * (x * x).sum(dim=1) + torch.tanh(x @ self.weight.T) @ self.v
        if self.style == "sigmoid":  # held within (.018, .982), where a log is no trouble
            score = torch.sigmoid(4 * torch.tanh(score / 4))
        return score if self.style == "flat" else score.unsqueeze(1)


class Generator(Network):
    """z -> z A + b."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)

    @staticmethod
    def draw(size: Size, source: Source) -> "Generator":
        """A generator from d to d numbers."""
        return Generator(source.real((size.width, size.width)), source.real((size.width,)))

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.a + self.b


class Autoencoder(Network):
    """x -> x E F, codes x E; in people's code it returns the reconstruction, or that and the codes."""

    style = "plain"

    def __init__(self, encode: Tensor, decode: Tensor) -> None:
        super().__init__()
        self.encode_by, self.decode_by = nn.Parameter(encode), nn.Parameter(decode)

    @staticmethod
    def draw(size: Size, source: Source) -> "Autoencoder":
        """An autoencoder with codes of two numbers."""
        return Autoencoder(source.real((size.width, 2)), source.real((2, size.width)))

    def encode(self, x: Tensor) -> Tensor:
        """The codes (B, 2)."""
        return x @ self.encode_by

    def decode(self, codes: Tensor) -> Tensor:
        """The reconstruction (B, d)."""
        return codes @ self.decode_by

    encoder, decoder = encode, decode

    def rebuilt(self, x: Tensor) -> Tensor:
        """The reconstruction (B, d), whatever the style."""
        return self.decode(self.encode(x))

    def forward(self, x: Tensor) -> Any:
        self.note(x)
        codes = self.encode(x)
        return (self.decode(codes), codes) if self.style == "pair" else self.decode(codes)


class Denoiser(Network):
    """(x_t, anything) -> x_t A + b; or, while probed, just `push`, so that the loss shows what it compares it with."""

    style = "plain"

    def __init__(self, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)
        self.push: Tensor | None = None
        self.target: Tensor | None = None  # what the loss wants of the network, where it squares the error

    @staticmethod
    def draw(size: Size, source: Source) -> "Denoiser":
        """A linear denoiser."""
        return Denoiser(0.5 * source.real((size.width, size.width)), source.real((size.width,)))

    def forward(self, x: Tensor, *rest: Any, **named: Any) -> Tensor:
        self.note(x)
        if self.push is not None:
            return self.push.reshape(x.shape)
        return (x.flatten(1) @ self.a + self.b).reshape(x.shape)
