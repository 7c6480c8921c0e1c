"""Losses for ordered classes 0 < 1 < ... < K - 1: per example.

z (B, K - 1): sigma(z_k) = P(y > k | y >= k), the chance to go on once k is reached. Any z gives a law, so ranks are
always consistent. UserError for wrong shapes or labels.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from ..errors import UserError
from ._targets import check_numbers


def corn(z: Tensor, target: Tensor) -> Tensor:
    """sum_{k <= y} BCE(z_k, 1{y > k}) = -log P(y) of `corn_probabilities`: (B, K - 1), (B,) -> (B,).

    Each threshold is asked only about the rows that reach it. The paper's mean divides by all those questions:
    corn(z, y).sum() / (y + 1).clamp(max=K - 1).sum(). UserError for wrong shapes, labels outside 0 .. K - 1.
    (Shi, Cao & Raschka, 2023.)
    """
    _check_thresholds("corn", z)
    check_numbers("corn", target, z, z.shape[1] + 1)
    k, y = torch.arange(z.shape[1], device=z.device), target.unsqueeze(1)
    went_on, stopped = (y > k).to(z), (y == k).to(z)
    return -(went_on * logsigmoid(z) + stopped * logsigmoid(-z)).sum(dim=1)


def corn_probabilities(z: Tensor) -> Tensor:
    """P(y = k) = prod_{j < k} sigma(z_j) (1 - sigma(z_k)), the last without its second factor: (B, K - 1) -> (B, K).

    The paper predicts the median, the number of k with P(y > k) > 1/2. UserError for z not (B, K - 1).
    """
    _check_thresholds("corn_probabilities", z)
    reach = pad(logsigmoid(z).cumsum(dim=1), (1, 0))
    return (reach + pad(logsigmoid(-z), (0, 1))).exp()


def _check_thresholds(loss: str, z: Tensor) -> None:
    if z.ndim != 2 or z.shape[1] < 1:
        raise UserError(f"{loss}: 'z' must be (B, K - 1), one column per threshold; got {tuple(z.shape)}.")
