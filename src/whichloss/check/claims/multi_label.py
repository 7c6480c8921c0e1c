"""Several labels at once, and classes in order."""

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from ..arguments import labels, logits, number, ranks
from ..claim import Form, Variant
from ._logits import bce_z, named, within


def _asymmetric(z: Tensor, target: Tensor, gamma_pos: float, gamma_neg: float, clip: float) -> Tensor:
    gamma_pos, gamma_neg = within(gamma_pos, -1e-9), within(gamma_neg, -1e-9)
    shifted = relu(torch.sigmoid(z) - clip)
    positives = target * torch.sigmoid(-z) ** gamma_pos * softplus(-z)
    return (positives - (1 - target) * shifted**gamma_neg * (1 - shifted).log()).sum(dim=1)


def _swapped(z: Tensor, target: Tensor, gamma_pos: float, gamma_neg: float, clip: float) -> Tensor:
    return _asymmetric(z, target, gamma_neg, gamma_pos, clip)


def _zlpr(kept: Tensor, z: Tensor) -> Tensor:
    """log(1 + sum of e^z over the kept)."""
    return (1 + (kept * z.exp()).sum(dim=1)).log()


def _corn(z: Tensor, target: Tensor, every: bool = False) -> Tensor:
    k, y = torch.arange(z.shape[1]), target.unsqueeze(1)
    each = bce_z(z, (y > k).double())
    return (each if every else (k <= y) * each).sum(dim=1)


CLAIMS = (
    named(
        "asymmetric",
        "-t (1 - p)^g+ log p - (1 - t) p_m^g- log(1 - p_m), p_m = [p - clip]+, summed over labels",
        Form(
            (logits(), labels()),
            {"sum over labels": _asymmetric},
            (
                number("gamma_pos", "gammapos pos", 0.0, (0.0, 1.0)),
                number("gamma_neg", "gammaneg neg", 4.0, (4.0, 1.0, 2.0)),
                number("clip", "clip m", 0.05, (0.05, 0.0, 0.1)),
            ),
            (
                Variant(
                    "the two gammas swapped",
                    _swapped,
                    "The large exponent is for negatives, of which there are many and easy ones.",
                    "gamma_pos for labels 1, gamma_neg for labels 0.",
                ),
            ),
            any_columns=True,
        ),
        "asymmetric-loss",
        "multi_label.asymmetric",
        "asl",
    ),
    named(
        "zlpr",
        "log(1 + sum_{t = 0} e^{z_c}) + log(1 + sum_{t = 1} e^{-z_c})",
        Form(
            (logits(), labels()),
            {
                "log(1 + sum_{t = 0} e^{z_c})": lambda z, target: _zlpr(1 - target, z),
                "log(1 + sum_{t = 1} e^{-z_c})": lambda z, target: _zlpr(target, -z),
            },
            variants=(
                Variant(
                    "the labels turned round",
                    lambda z, target: _zlpr(target, z) + _zlpr(1 - target, -z),
                    "It learns the opposite: labels that hold are pushed below 0.",
                    "e^z of the labels 0, e^-z of the labels 1.",
                ),
            ),
        ),
        "zlpr",
        "multi_label.zlpr",
    ),
    named(
        "corn",
        "sum_{k <= y} BCE(z_k, 1{y > k})",
        Form(
            (logits(), ranks()),
            {"sum_{k <= y} BCE(z_k, 1{y > k})": _corn},
            variants=(
                Variant(
                    "every threshold asked of every row",
                    lambda z, target: _corn(z, target, every=True),
                    "Thresholds above y are trained on rows that never reach them: the product of conditional "
                    "chances is then no law.",
                    "Only k <= y.",
                ),
                Variant(
                    "averaged over the questions asked, not over rows",
                    lambda z, target: _corn(z, target).sum() / (target + 1).clamp(max=z.shape[1]).sum(),
                    "The form of the authors' code: the sum is divided by the number of (row, threshold) pairs in the "
                    "batch, so a row weighs less where the others have high classes.",
                    "Sum over thresholds, then the mean over rows.",
                    fault=False,
                ),
            ),
        ),
        "corn",
        "ordinal.corn",
        "ordinal",
    ),
)
