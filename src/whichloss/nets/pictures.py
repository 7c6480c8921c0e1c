"""Convolutional networks for pictures: critics, generators and a compact U-Net, all of about the same size.

A picture is a row of d = C H W numbers, channel first; only the networks know its shape. What a network is follows from
what goes in and what comes out:

    d (and conditioning) -> few    critic, encoder, classifier, energy
    few -> d                       generator, decoder
    d (and conditioning) -> d, 2d  U-Net: noise, velocity, score; the conditioning (the time) enters every block
    d (and conditioning) -> k d    U-Net of half the channels: the splines of one of a flow's four couplings
    anything else                  perceptron: energies of codes, heads of embeddings

Sides are halved while they have 8 pixels or more (28 -> 14 -> 7, 9 -> 4) by 4 x 4 convolutions, which see every pixel,
also where a side is odd, and all but the edge equally often; their transposes bring them back (Radford et al., 2016).

No output is bounded. Noise, velocities and scores have no bound. A decoder's error must have a slope where it is wrong,
and tanh has none at -1 and 1, where most pixels of drawings lie. A generator that leaves [-1, 1] is told so by its
critic; what is left of it is rounded to the nearest level that a picture can hold when rows become pictures again.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from .mlp import MLP

Shape = tuple[int, ...]  # channels, height, width
Size = tuple[int, int]
FEATURES = 16  # of the time, in the U-Net whose size all networks take
PARTS = ("Enc", "Dec")  # an autoencoder is one network in two roles: each gets half of the weights
DRAW = ("G", "Dec")  # draw pictures of whatever goes in, even if that is as wide as a picture
TELL = ("F",)  # see pictures and tell of them, even if they tell as many numbers as a picture has
HEADS = ("H",)  # see what another network has told


def builder(
    shape: Shape,
    width: int = 64,
    own: Mapping[str, Callable[[int, int], nn.Module]] | None = None,
    given: int = 0,
) -> Callable[..., nn.Module]:
    """A maker of networks by role for pictures (C, H, W); width / 4 channels at the top, twice as many below.

    `own` holds the user's makers f(inputs, outputs) for some roles. given: inputs that every network has beside those
    asked for, and last: the class of a picture, part of the conditioning.
    """
    d, top = math.prod(shape), max(4, width // 16 * 4)

    def build(role: str, inputs: int, outputs: int, *, smooth: bool = False) -> nn.Module:
        if own and role in own:
            return own[role](inputs + given, outputs)
        part = role in PARTS
        if role in HEADS:
            return MLP(inputs + given, outputs, width, smooth=smooth)
        if inputs >= d and outputs % d == 0 and role not in (*DRAW, *TELL):
            return UNet(shape, inputs - d + given, outputs // d, top if outputs <= 2 * d else top // 8 * 4 or 4)
        if inputs >= d and role not in DRAW:
            features = inputs - d + given
            inner = _inner(Critic, shape, top, part, features, outputs)
            return Critic(shape, features, outputs, top, inner, smooth)
        if outputs == d:
            inner = _inner(Generator, shape, top, part, inputs + given)
            return Generator(shape, inputs + given, top, inner, smooth, norm=not part)
        return MLP(inputs + given, outputs, width, smooth=smooth)

    return build


class Critic(nn.Module):
    """Halving convolutions, one more, a linear layer: (B, d + features) -> (B, outputs). No normalisation, so that a
    penalty on the slope of one row means something.

    LeakyReLU, or SiLU where a second derivative in the input is needed (it is 0 almost everywhere with the former).
    """

    def __init__(self, shape: Shape, features: int, outputs: int, top: int, inner: int, smooth: bool = False) -> None:
        super().__init__()
        self.shape, sizes = shape, _sizes(shape)
        widths = [*_widths(top, len(sizes))[:-1], inner]
        activation = nn.SiLU if smooth else lambda: nn.LeakyReLU(0.2)
        layers: list[nn.Module] = [nn.Conv2d(shape[0], top, 3, padding=1), activation()]
        for (a, b), size in zip(pairwise(widths), sizes, strict=False):
            layers += [_down(a, b, size), activation()]
        self.see = nn.Sequential(*layers, nn.Conv2d(inner, inner, 3, padding=1))
        self.told = nn.Linear(features, inner) if features else None
        self.judge = nn.Sequential(activation(), nn.Flatten(), nn.Linear(inner * math.prod(sizes[-1]), outputs))
        _keep_size(self)

    def forward(self, x: Tensor) -> Tensor:
        picture, features = _apart(x, self.shape)
        seen = self.see(picture)
        if self.told is not None:
            seen = seen + self.told(features)[:, :, None, None]
        out: Tensor = self.judge(seen)
        return out


class Generator(nn.Module):
    """A small map, doubled until it is a picture: (B, inputs) -> (B, d).

    GroupNorm (Wu & He, 2018), but none in a decoder, which is part of an energy.
    """

    def __init__(
        self, shape: Shape, inputs: int, top: int, inner: int, smooth: bool = False, norm: bool = True
    ) -> None:
        super().__init__()
        sizes = _sizes(shape)
        widths = [*_widths(top, len(sizes))[:-1], inner]

        activation = nn.SiLU if smooth else nn.ReLU

        def active(channels: int) -> list[nn.Module]:
            return [_norm(channels), activation()] if norm else [activation()]

        self.map = (*sizes[-1], inner)
        self.begin = nn.Linear(inputs, math.prod(self.map))
        layers = [activation(), nn.Conv2d(inner, inner, 3, padding=1), *active(inner)]
        for (a, b), size in reversed(list(zip(pairwise(widths), sizes, strict=False))):
            layers += [_up(b, a, size), *active(a)]
        self.draw = nn.Sequential(*layers, nn.Conv2d(top, shape[0], 3, padding=1), nn.Flatten())
        _keep_size(self)

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.draw(self.begin(z).view(-1, *self.map).permute(0, 3, 1, 2))
        return out


class UNet(nn.Module):
    """Down to a small map and up again, with shortcuts at every size: (B, d + features) -> (B, outputs d).

    A block on the way down and one on the way up at every size, no attention (Ronneberger et al., 2015; Ho et al.,
    2020).
    """

    def __init__(self, shape: Shape, features: int, outputs: int, top: int) -> None:
        super().__init__()
        self.shape, sizes = shape, _sizes(shape)
        widths, known = _widths(top, len(sizes)), 4 * top if features else 0
        steps = list(zip(pairwise(widths), sizes, strict=False))
        clock = [nn.Linear(features, known), nn.SiLU(), nn.Linear(known, known), nn.SiLU()] if features else []
        self.clock = nn.Sequential(*clock)
        self.first = nn.Conv2d(shape[0], top, 3, padding=1)
        self.falling = nn.ModuleList(Block(c, c, known) for c in widths)
        self.down = nn.ModuleList(_down(a, b, size) for (a, b), size in steps)
        self.up = nn.ModuleList(_up(b, a, size) for (a, b), size in steps)
        self.rising = nn.ModuleList(Block(2 * a, a, known) for a in widths[:-1])
        self.last = nn.Sequential(_norm(top), nn.SiLU(), nn.Conv2d(top, outputs * shape[0], 3, padding=1), nn.Flatten())
        with torch.no_grad():  # starts near 0, the best constant, but not at it: then a loss may not see its data
            for p in self.last[2].parameters():
                p.mul_(0.01)

    def forward(self, x: Tensor) -> Tensor:
        picture, features = _apart(x, self.shape)
        known = self.clock(features)
        h, kept = self.first(picture), []
        for block, down in zip(self.falling, self.down, strict=False):
            kept.append(block(h, known))
            h = down(kept[-1])
        h = self.falling[-1](h, known)
        for up, block in zip(reversed(self.up), reversed(self.rising), strict=True):
            h = block(torch.cat([up(h), kept.pop()], dim=1), known)
        out: Tensor = self.last(h)
        return out


class Block(nn.Module):
    """h + conv(silu(norm(conv(silu(norm(h))) + what is known))): (B, a, H, W) -> (B, b, H, W)."""

    def __init__(self, a: int, b: int, known: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(a), nn.SiLU(), nn.Conv2d(a, b, 3, padding=1))
        self.told = nn.Linear(known, b) if known else None
        self.second = nn.Sequential(_norm(b), nn.SiLU(), nn.Conv2d(b, b, 3, padding=1))
        self.short = nn.Conv2d(a, b, 1) if a != b else nn.Identity()

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        h = self.first(x)
        if self.told is not None:
            h = h + self.told(known)[:, :, None, None]
        out: Tensor = self.short(x) + self.second(h)
        return out


def _apart(x: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """The picture (B, C, H, W), channels last in memory, which suits convolutions; the conditioning (B, features)."""
    d = math.prod(shape)
    picture = x[:, :d].reshape(-1, *shape).permute(0, 2, 3, 1).contiguous()  # under vmap there is no memory_format
    return picture.permute(0, 3, 1, 2), x[:, d:]


def _sizes(shape: Shape) -> list[Size]:
    """From the picture's size down to the smallest map: every side of 8 or more is halved, rounded down."""
    sizes = [(shape[1], shape[2])]
    while max(sizes[-1]) >= 8:
        h, w = sizes[-1]
        sizes.append((h // 2 if h >= 8 else h, w // 2 if w >= 8 else w))
    return sizes


def _widths(top: int, levels: int) -> list[int]:
    return [top] + [2 * top] * (levels - 1)


def _down(a: int, b: int, size: Size) -> nn.Module:
    kernel, stride, _ = _halving(size)
    return nn.Conv2d(a, b, kernel, stride, padding=1)


def _up(a: int, b: int, size: Size) -> nn.Module:
    """To `size`, from what `_down` makes of it."""
    kernel, stride, rest = _halving(size)
    return nn.ConvTranspose2d(a, b, kernel, stride, padding=1, output_padding=rest)


def _halving(size: Size) -> tuple[Size, Size, Size]:
    """Kernel, stride, and the row or column that doubling half of an odd side leaves over."""
    h, w = (side >= 8 for side in size)
    return (3 + h, 3 + w), (1 + h, 1 + w), (h * (size[0] % 2), w * (size[1] % 2))


def _keep_size(net: nn.Module) -> None:
    """Weights of variance 2 / fan-in in all layers but the last, so that neither signals nor slopes fade on the way
    through layers without normalisation (He et al., 2015)."""
    layers = [part for part in net.modules() if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    for layer in layers[:-1]:
        fan_in = layer.weight[0].numel()
        if isinstance(layer, nn.ConvTranspose2d):  # weights (in, out, ...), of which a pixel meets 1 / stride^2
            fan_in = layer.weight[:, 0].numel() // math.prod(layer.stride)
        nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in))


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(max(1, channels // 4), channels)


@lru_cache(maxsize=256)
def _inner(make: Callable[..., nn.Module], shape: Shape, top: int, part: bool, *sizes: int) -> int:
    """Channels of the smallest map, a multiple of 4, that bring a network nearest to the U-Net's number of weights."""
    choices = range(top, 64 * top, 4)
    with torch.device("meta"):
        wanted = _weights(UNet(shape, FEATURES, 1, top)) // (2 if part else 1)

        def beyond(inner: int) -> int:
            return _weights(make(shape, *sizes, top, inner)) - wanted

        first = bisect_left(choices, 0, key=beyond)
        return min(choices[max(0, first - 1) : first + 1], key=lambda inner: abs(beyond(inner)))


def _weights(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
