"""Losses and weights where some classes are rare in training but count as much as others later: per example.

z (B, K) logits, target (B,) class numbers, `counts` (K,) training rows of each class, `prior` (K,) their shares.
Predict with the unshifted z: training with z + log prior makes softmax(z) the posterior under equal classes.
UserError for wrong shapes or labels, and for counts or priors that are not above 0.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..errors import UserError
from ._log_odds import log_odds
from ._targets import check_labels, check_per_class, check_positive, check_probabilities, check_rows, check_setting
from .classification import Number, cross_entropy

NEVER_SEEN = "A class without rows cannot be learned: leave it out and renumber, or count pseudo-rows."


def prior_shift(z: Tensor, prior: Tensor, *, tau: Number = 1.0) -> Tensor:
    """z + tau log prior: (B, K), (K,) -> (B, K). In front of any loss on softmax(z) it makes rare classes count.

    generalised_cross_entropy(prior_shift(z, prior), y), for instance, where labels are wrong as well. After training
    without it, prior_shift(z, prior, tau=-1) is the cure at prediction. UserError for a prior that is not (K,), not
    above 0 or not of sum 1. (Menon et al., 2021.)
    """
    _check_prior("prior_shift", z, prior)
    return z + (tau * prior.log()).to(z.dtype)


def logit_adjustment(z: Tensor, target: Tensor, prior: Tensor, *, tau: Number = 1.0) -> Tensor:
    """Cross-entropy of z + tau log prior: (B,); consistent for the mean recall at tau = 1. (Menon et al., 2021.)"""
    _check_target("logit_adjustment", z, target)
    _check_prior("logit_adjustment", z, prior)
    return cross_entropy(prior_shift(z, prior, tau=tau), target)


def balanced_softmax(z: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """-log(n_y e^{z_y} / sum_c n_c e^{z_c}), n = counts: (B,); `logit_adjustment` at tau = 1. (Ren et al., 2020.)"""
    _check_target("balanced_softmax", z, target)
    check_per_class("balanced_softmax", "counts", counts, z, NEVER_SEEN)
    return cross_entropy(z + (counts / counts.sum()).log().to(z.dtype), target)


def ldam(z: Tensor, target: Tensor, counts: Tensor, *, margin: Number = 0.5, scale: Number = 30.0) -> Tensor:
    """Cross-entropy of scale (z - Delta_y e_y), Delta_c = margin (n_min / n_c)^{1/4}: (B,); rarer, wider margin.

    z are cosines in [-1, 1], of normalised features and class weights; on plain logits take scale = 1 or so.
    UserError for margin < 0, scale < 0. (Cao et al., 2019, whose second half, reweighting late in training, is
    cross_entropy's `weight` from `class_balanced_weights`.)
    """
    check_labels("ldam", z, target)
    check_per_class("ldam", "counts", counts, z, NEVER_SEEN)
    check_setting("ldam", "margin", margin, 0)
    check_setting("ldam", "scale", scale, 0)
    delta = (margin * (counts.min() / counts) ** 0.25).to(z.dtype)
    y = target.long()
    return -logsigmoid(log_odds(scale * z.scatter_add(1, y.unsqueeze(1), -delta[y].unsqueeze(1)), y))


def class_balanced_weights(counts: Tensor, *, beta: float = 0.999) -> Tensor:
    """(1 - beta) / (1 - beta^n_c), n = counts, scaled to the sum K: weights (K,) for `cross_entropy`.

    1 / n_c for beta -> 1, all 1 at beta = 0. UserError for counts that are not (K,) above 0, beta outside [0, 1).
    (Cui et al., 2019.)
    """
    if counts.ndim != 1:
        raise UserError(f"class_balanced_weights: 'counts' must be (K,), one per class; got {tuple(counts.shape)}.")
    check_positive("class_balanced_weights", "counts", counts, NEVER_SEEN)
    if not 0 <= beta < 1:
        raise UserError(f"class_balanced_weights: 'beta' must lie in [0, 1); got {beta}. The limit at 1 is 1 / counts.")
    log_beta = torch.tensor(beta, dtype=torch.float64, device=counts.device).log()
    effective = -torch.expm1(counts.double() * log_beta)  # 1 - beta^n, exact also for beta near 1
    weights = len(counts) / effective / (1 / effective).sum()
    return weights.to(counts.dtype if counts.is_floating_point() else torch.get_default_dtype())


def _check_prior(loss: str, z: Tensor, prior: Tensor) -> None:
    check_rows(loss, z, "z")
    check_per_class(loss, "prior", prior, z, NEVER_SEEN)
    check_probabilities(loss, "prior", prior.unsqueeze(0))


def _check_target(loss: str, z: Tensor, target: Tensor) -> None:
    check_rows(loss, z, "z")
    if not target.is_floating_point():  # cross-entropy looks at probabilities itself
        check_labels(loss, z, target)
