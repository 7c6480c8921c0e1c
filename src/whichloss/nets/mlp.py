"""Multilayer perceptrons for vectors, and the features that tell a network the time."""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn


class MLP(nn.Sequential):
    """A perceptron: `depth` hidden layers of `width` units, ReLU or (smooth) SiLU between them."""

    def __init__(self, inputs: int, outputs: int, width: int = 128, depth: int = 3, smooth: bool = False) -> None:
        activation = nn.SiLU if smooth else nn.ReLU
        sizes = [inputs] + [width] * depth
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), activation()]
        super().__init__(*layers, nn.Linear(sizes[-1], outputs))


def builder(
    width: int = 128,
    depth: int = 3,
    own: Mapping[str, Callable[[int, int], nn.Module]] | None = None,
    given: int = 0,
) -> Callable[..., nn.Module]:
    """A maker of networks by role; `own` holds the user's makers f(inputs, outputs) for some roles.

    given: inputs that every network has beside those asked for, and last: the class of a row.
    """

    def build(role: str, inputs: int, outputs: int, *, smooth: bool = False) -> nn.Module:
        if own and role in own:
            return own[role](inputs + given, outputs)
        return MLP(inputs + given, outputs, width, depth, smooth)

    return build


def time_features(t: Tensor, count: int = 16) -> Tensor:
    """Fourier features of a time in [0, 1]: t (n, 1) -> (n, count).

    phi_k(t) = sin(2^(k/2) pi t / 2), cos(...): from half a wave to 2^(count/4) waves over the run of t.
    """
    angle = t * (0.5 * math.pi * 2.0 ** (0.5 * torch.arange(count // 2, dtype=t.dtype)))
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
