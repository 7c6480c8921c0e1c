"""Losses where a row may have several labels, or none: logits and targets (B, K), per example.

UserError for wrong shapes or targets.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from ._log_odds import focal_term, sigmoid
from ._targets import check_chances, check_sets, check_setting
from .classification import Number


def asymmetric(
    z: Tensor, target: Tensor, *, gamma_pos: Number = 0.0, gamma_neg: Number = 4.0, clip: float = 0.05
) -> Tensor:
    """-t (1 - p)^{g+} log p - (1 - t) p_m^{g-} log(1 - p_m), p = sigma(z), p_m = [p - clip]^+: one per label, (B, K).

    z and target (0, 1 or a probability) of one shape. Easy negatives (p <= clip) cost nothing. gamma_pos = gamma_neg
    and clip = 0 is `focal`; all 0 is binary cross-entropy. Improper: recalibrate before reading sigma(z) as a
    probability. UserError for other shapes, targets outside [0, 1], a gamma < 0, clip outside [0, 1]. (Ridnik et al.,
    2021, who sum over labels and examples.)
    """
    check_chances("asymmetric", z, target)
    check_setting("asymmetric", "gamma_pos", gamma_pos, 0)
    check_setting("asymmetric", "gamma_neg", gamma_neg, 0)
    check_setting("asymmetric", "clip", clip, 0, 1)
    t = target.to(z)
    negative = focal_term(-z, gamma_neg) if clip == 0 else _clipped(z, gamma_neg, clip)
    return t * focal_term(z, gamma_pos) + (1 - t) * negative


def _clipped(z: Tensor, gamma: Number, clip: float) -> Tensor:
    """-p_m^gamma log(1 - p_m): the logarithm from its exact side, and no power of 0, whose slope is infinite."""
    p_m = relu(sigmoid(z) - clip)
    log = torch.where(z > 0, (sigmoid(-z) + clip).log(), torch.log1p(-p_m))
    return torch.where(p_m > 0, -(p_m.where(p_m > 0, 1) ** gamma) * log, 0)


def zlpr(z: Tensor, target: Tensor) -> Tensor:
    """log(1 + sum_{t = 0} e^{z_c}) + log(1 + sum_{t = 1} e^{-z_c}): (B, K), (B, K) -> (B,).

    Ranks every present label above the threshold 0 and every absent one below: predict z > 0. UserError for other
    shapes, targets not 0 or 1. (Su et al., 2022.)
    """
    check_sets("zlpr", z, target)
    there, nothing = target.bool(), torch.finfo(z.dtype).min
    absent, present = z.masked_fill(there, nothing), (-z).masked_fill(~there, nothing)
    return _log_one_plus(absent) + _log_one_plus(present)


def _log_one_plus(z: Tensor) -> Tensor:
    """log(1 + sum_c e^{z_c})."""
    top = z.detach().amax(dim=1)
    return -logsigmoid(-(top + (z - top.unsqueeze(1)).logsumexp(dim=1)))
