"""Normal rows for every test of the metrics."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Draw = Callable[..., Tensor]


@pytest.fixture
def normal() -> Draw:
    generator = torch.Generator().manual_seed(0)

    def draw(n: int, d: int, std: float = 1.0, mean: float = 0.0) -> Tensor:
        return torch.randn(n, d, generator=generator, dtype=torch.float64) * std + mean

    return draw
