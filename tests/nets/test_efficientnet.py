"""EfficientNet-Lite0: its shapes, its borders, and, where the weights are installed, what it sees."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch.nn import functional as F

from whichloss.errors import UserError
from whichloss.nets import efficientnet
from whichloss.nets.efficientnet import EfficientNetLite0, Same, pretrained

INSTALLED = pytest.mark.skipif(find_spec(efficientnet.PACKAGE) is None, reason="the extra 'features' is not installed")


def test_it_has_the_published_number_of_weights_and_stages():
    net = EfficientNetLite0()
    assert sum(p.numel() for p in net.parameters()) == 4_652_008  # 4.7 M (Liu, 2020)
    assert len(net._blocks) == 16 and sum(block.stays for block in net._blocks) == 9


@pytest.mark.parametrize("side", [7, 8, 33, 64])
@pytest.mark.parametrize("kernel, stride", [(1, 1), (3, 1), (3, 2), (5, 2)])
def test_borders_are_split_with_the_odd_pixel_right_and_below(side, kernel, stride):
    layer = Same(2, 3, kernel, stride, bias=False).double()
    x = torch.randn(1, 2, side, side + 3, dtype=torch.float64)
    out = layer(x)
    assert out.shape[2:] == (math.ceil(side / stride), math.ceil((side + 3) / stride))
    wide = F.pad(x, (8, 8, 8, 8))
    for i, j in [(0, 0), (out.shape[2] - 1, out.shape[3] - 1), (1, 2)]:
        corner = [
            8 + k * stride - max(0, (math.ceil(n / stride) - 1) * stride + kernel - n) // 2
            for k, n in zip((i, j), x.shape[2:], strict=True)
        ]
        seen = wide[0, :, corner[0] : corner[0] + kernel, corner[1] : corner[1] + kernel]
        assert torch.allclose(out[0, :, i, j], (layer.weight * seen).sum((1, 2, 3)))


def test_without_the_package_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    pretrained.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'whichloss\[features\]'"):
        pretrained()
    pretrained.cache_clear()


@INSTALLED
def test_another_file_is_refused(monkeypatch):
    monkeypatch.setattr(efficientnet, "PRINT", "0")
    pretrained.cache_clear()
    with pytest.raises(UserError, match="not the file that is expected"):
        pretrained()
    pretrained.cache_clear()


@INSTALLED
@pytest.mark.parametrize("name, kind", [("china.jpg", 698), ("flower.jpg", 985)])
def test_it_knows_a_palace_and_a_daisy(name, kind):
    """scikit-learn's two photographs: ImageNet's classes palace and daisy come first."""
    net = pretrained()
    x = torch.from_numpy(load_sample_image(name)[:, 100:527].copy()).permute(2, 0, 1)[None].float()
    logits = net.classes(net(F.interpolate(x, (224, 224), mode="bilinear", antialias=True)))
    assert int(logits.argmax()) == kind and not net.training


@INSTALLED
def test_a_picture_is_seen_alike_alone_and_among_others():
    x = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (5, 3, 40, 64))).float()
    net = pretrained()
    assert torch.allclose(net(x)[2:3], net(x[2:3]), atol=1e-4)
