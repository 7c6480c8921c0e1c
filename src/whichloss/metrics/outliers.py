"""Do scores tell rows from elsewhere? Ranks only: no threshold, no calibration, no partition function."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..errors import UserError
from .labels import Outcome, Predicted, predicted, score

CAUGHT = 95  # per cent of the outliers that must be found, for the false alarms


def as_labels(inside: Tensor, outside: Tensor) -> Predicted:
    """Scores of rows (m,) and of outliers (n,), higher = more unlike the rows, as predictions of "outlier" (m + n, 2).

    Ranks stand for the scores, which may be energies of any size. UserError for no rows and for scores not finite.
    """
    if inside.ndim != 1 or outside.ndim != 1 or not len(inside) or not len(outside):
        raise UserError(f"scores must be (m,) and (n,), none empty; got {tuple(inside.shape)}, {tuple(outside.shape)}.")
    both = torch.cat([inside, outside]).double()
    if not both.isfinite().all():
        raise UserError(
            f"{int((~both.isfinite()).sum())} of {len(both)} scores are not finite. Has the model diverged?"
        )
    rank = torch.unique(both, return_inverse=True)[1].double() / len(both)
    y = torch.cat([torch.zeros(len(inside)), torch.ones(len(outside))])
    return predicted(torch.stack([torch.zeros_like(rank), rank], dim=1), y)


def auroc_error(inside: Tensor, outside: Tensor) -> Outcome:
    """1 - P(an outlier scores above a row), ties half, with each row's influence (m + n,)."""
    return score("auroc", as_labels(inside, outside))


def detection(inside: Tensor, outside: Tensor) -> dict[str, float]:
    """AUROC, false alarms where 95 % of the outliers are found, average precision and the outliers' share.

    The share is the average precision of chance; AUROC and false alarms do not depend on it.
    """
    found = as_labels(inside, outside)
    z, caught = found.logits[:, 1], found.targets[:, 1] > 0
    threshold = z[caught].sort(descending=True).values[-(-len(outside) * CAUGHT // 100) - 1]
    return {
        "outlier AUROC": 1 - score("auroc", found).value,
        "outlier false alarms": float((z[~caught] >= threshold).double().mean()),
        "outlier average precision": 1 - score("average-precision", found).value,
        "outlier share": float(caught.double().mean()),
    }


def free_energy(logits: Tensor, several: bool = False) -> Tensor:
    """-log sum_c exp z_c of a classifier's logits (m, K), per row (m,): low where some class fits (Liu et al., 2020).

    Softmax cross-entropy says nothing of it: z + a(x) predicts alike for any a. Where rows have several labels, the
    sum of theirs, -sum_c log(1 + exp z_c) (Wang et al., 2021). UserError where logits are log-probabilities: 0 of any.
    """
    if several:
        return -softplus(logits).sum(dim=1)
    energy = -logits.logsumexp(dim=1)
    if len(energy) and bool((energy.abs() < 1e-5).all()):
        raise UserError("These logits are log-probabilities, whose free energy is 0: this classifier gives no energy.")
    return energy
