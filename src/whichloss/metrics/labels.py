"""How good are predicted probabilities? Scores, lower is better, as functions of the judging rows' weights.

Rows have one label of K, or several (each 0 or 1). Every score is a smooth function of the weight w_j of each row
(1 / m each), so that its derivative says what one row more or less would change (Hampel, 1974):

    influence_j = dS/dw_j,      Var(S) ~ Var_j(influence_j) / m

For log-loss and other means that is the row's own loss minus the mean; for AUROC it is DeLong's (1988) variance.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot

from ..errors import UserError, nearest

BINS = 15
LOG_T = math.log(20.0)
TIE = 1e-9  # log-odds that differ by less are the same: neighbours' votes give few values, and rounding more
LEAST_GAIN = 1e-9  # in log-loss, for a temperature other than 1
Kind = Literal["one", "several"]


@dataclass(frozen=True)
class Outcome:
    """A score on some rows, its standard error over rows, and each row's influence (m,)."""

    value: float
    se: float
    influence: Tensor


@dataclass(frozen=True)
class Predicted:
    """Predictions on m rows: logits (m, K) float64, targets (m, K) of 0 and 1, and what a row may have.

    positive: of two classes the one that is searched for; average precision is that of its ranking.
    """

    logits: Tensor
    targets: Tensor
    kind: Kind = "one"
    positive: int = 1

    @property
    def p(self) -> Tensor:
        """Probabilities (m, K)."""
        return self.logits.softmax(1) if self.kind == "one" else self.logits.sigmoid()

    @property
    def chosen(self) -> Tensor:
        """The predicted labels (m, K) as 0 and 1: the likeliest class, or all labels above one half."""
        if self.kind == "several":
            return (self.logits > 0).double()
        return one_hot(self.logits.argmax(1), self.logits.shape[1]).double()

    @property
    def judged(self) -> list[int]:
        """The labels ranked one against the rest: the positive one of two classes, else all."""
        two = self.kind == "one" and self.logits.shape[1] == 2
        return [self.positive] if two else list(range(self.logits.shape[1]))


def predicted(logits: Tensor, y: Tensor, positive: int = 1) -> Predicted:
    """Logits (m, K) with y (m,), whole numbers, or (m, K) of 0 and 1. UserError for other shapes and values."""
    if logits.ndim != 2 or len(y) != len(logits) or (y.ndim == 2 and y.shape != logits.shape) or not len(y):
        raise UserError(f"logits must be (m, K) and y (m,) or (m, K); got {tuple(logits.shape)} and {tuple(y.shape)}.")
    z, top = logits.double(), 1 if y.ndim == 2 else logits.shape[1] - 1
    if not z.isfinite().all():
        row = int((~z.isfinite()).any(1).nonzero()[0, 0])
        raise UserError(f"logits, row {row + 1}: {z[row].tolist()} is not finite. Has the model diverged?")
    if bool(((y < 0) | (y > top) | (y != y.round())).any()):
        raise UserError(f"y must be whole numbers from 0 to {top}; got {float(y.min()):g} to {float(y.max()):g}.")
    if y.ndim == 2:
        return Predicted(z, y.double(), "several")
    return Predicted(z, one_hot(y.long(), top + 1).double(), positive=positive)


def log_loss(found: Predicted, w: Tensor) -> Tensor:
    """-sum_j w_j log p(y_j | x_j); the mean over labels where rows have several."""
    if found.kind == "one":
        return -(w @ (found.logits.log_softmax(1) * found.targets).sum(1))
    t = found.targets
    return -(w @ (t * logsigmoid(found.logits) + (1 - t) * logsigmoid(-found.logits)).mean(1))


def brier(found: Predicted, w: Tensor) -> Tensor:
    """sum_j w_j sum_c (p_c - t_c)^2 (Brier, 1950); the mean over labels where rows have several."""
    squares = (found.p - found.targets).square()
    return w @ (squares.sum(1) if found.kind == "one" else squares.mean(1))


def error(found: Predicted, w: Tensor) -> Tensor:
    """1 - accuracy: the share of wrong labels."""
    right = found.chosen * found.targets
    if found.kind == "one":
        return 1 - w @ right.sum(1)
    return w @ (found.chosen - found.targets).abs().mean(1)


def balanced_error(found: Predicted, w: Tensor) -> Tensor:
    """1 - the mean recall over the classes that occur; over both values of every label where rows have several."""
    t, c = found.targets, found.chosen
    if found.kind == "several":
        t, c = torch.cat([t, 1 - t], 1), torch.cat([c, 1 - c], 1)
    there = t.sum(0) > 0
    t, c = t[:, there], c[:, there]
    return 1 - ((w @ (t * c)) / (w @ t)).mean()


def f1_error(found: Predicted, w: Tensor) -> Tensor:
    """1 - macro F1, F1 = 2 TP / (2 TP + FP + FN), over the classes that occur or are predicted; 0 if none."""
    size = w @ (found.targets + found.chosen)
    there = size > 0
    if not there.any():
        return size.sum()
    return 1 - (2 * (w @ (found.targets * found.chosen))[there] / size[there]).mean()


def auroc_error(found: Predicted, w: Tensor) -> Tensor:
    """1 - P(a row with the label ranks above one without), ties half; mean over labels that some have and some lack."""
    return 1 - _mean_over_labels(found, w, _auroc)


def average_precision_error(found: Predicted, w: Tensor) -> Tensor:
    """1 - sum_k (recall_k - recall_{k-1}) precision_k, the mean over labels; chance is the label's share."""
    return 1 - _mean_over_labels(found, w, _average_precision)


def calibration_error(found: Predicted, w: Tensor) -> Tensor:
    """sum_b w_b [(mean gap)^2 - var(gap) / n_b], gap = right - sure, over bins of equal size, debiased.

    right: 1 where the predicted label holds, else 0; sure: its probability. Mean 0 for a calibrated model, whatever the
    number of rows, and so sometimes negative. (After Kumar, Liang & Ma, 2019, who take right (1 - right) as variance.)
    """
    sure, right = _confidence(found)
    gap, w = right - sure, w.repeat_interleave(len(sure) // len(w)) * (len(w) / len(sure))
    total = w.new_zeros(())
    for rows in _bins(sure):
        weight, spare = w[rows].sum(), max(len(rows) - 1, 1)
        mean, square = (w[rows] @ gap[rows]) / weight, (w[rows] @ gap[rows].square()) / weight
        total = total + weight * (mean.square() - (square - mean.square()) / spare)
    return total


SCORES: dict[str, Callable[[Predicted, Tensor], Tensor]] = {
    "log-loss": log_loss,
    "accuracy": error,
    "balanced-accuracy": balanced_error,
    "macro-f1": f1_error,
    "auroc": auroc_error,
    "average-precision": average_precision_error,
    "brier": brier,
    "calibration": calibration_error,
}
MEANS_OF_GAINS = {"accuracy", "balanced-accuracy", "macro-f1", "auroc", "average-precision"}  # shown as 1 - score


def score(name: str, found: Predicted) -> Outcome:
    """The score `name` with its standard error and every row's influence. UserError for an unknown name."""
    if name not in SCORES:
        raise UserError(f"There is no metric '{name}': {nearest(name, tuple(SCORES))}")
    m = len(found.logits)
    w = torch.full((m,), 1 / m, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        value = SCORES[name](found, w)
        (slope,) = torch.autograd.grad(value, w)
    influence = slope - slope.mean()
    return Outcome(float(value.detach()), float(influence.std() / m**0.5), influence)


OF_PROBABILITIES = ("log-loss", "brier", "calibration error", "debiased calibration error")  # a temperature changes


def describe(found: Predicted) -> dict[str, float]:
    """Every score as people know it: accuracy, not 1 - accuracy; what cannot be ranked is left out."""
    m = len(found.logits)
    w = torch.full((m,), 1 / m, dtype=torch.float64)
    out = {}
    for name, function in SCORES.items():
        try:
            value = float(function(found, w))
        except UserError:  # no label to rank
            continue
        out[name] = 1 - value if name in MEANS_OF_GAINS else value
    out["debiased calibration error"] = out.pop("calibration")
    out["calibration error"] = expected_calibration_error(found)
    out["calibration error if calibrated"] = calibrated_error(found)
    return out


def expected_calibration_error(found: Predicted) -> float:
    """ECE (Guo et al., 2017): sum_b (n_b / m) |right_b - sure_b|, equal bins; biased: see `calibrated_error`."""
    sure, right = _confidence(found)
    return _ece(right - sure, _bins(sure))


def calibrated_error(found: Predicted, draws: int = 20, seed: int = 0) -> float:
    """The ECE that a perfectly calibrated model with these confidences would show: labels drawn from them."""
    sure, _ = _confidence(found)
    bins, generator = _bins(sure), torch.Generator().manual_seed(seed)
    drawn = (torch.rand((draws, len(sure)), generator=generator, dtype=torch.float64) < sure).double()
    return sum(_ece(right - sure, bins) for right in drawn) / draws


def temperature(found: Predicted) -> float:
    """The T that minimises the log-loss of logits / T (Guo et al., 2017), in [1 / 20, 20]; 1 where nothing is gained.

    Against the targets (m t + 1) / (m + K), one more row of every class (Platt, 1999): few rows without a mistake are
    no reason to be certain, and would have T -> 0. Where the log-loss itself would rise, T = 1: they are no reason to
    doubt either. K = 2 where rows have several labels.
    """
    from scipy.optimize import minimize_scalar

    m, classes = len(found.logits), 2 if found.kind == "several" else found.logits.shape[1]
    w = torch.full((m,), 1 / m, dtype=torch.float64)
    smooth = (m * found.targets + 1) / (m + classes)

    def loss(log_t: float, targets: Tensor = smooth) -> float:
        return float(log_loss(Predicted(found.logits / math.exp(log_t), targets, found.kind), w))

    best = minimize_scalar(loss, bounds=(-LOG_T, LOG_T), method="bounded", options={"xatol": 1e-6})
    gained = best.fun < loss(0.0) - LEAST_GAIN and loss(best.x, found.targets) < loss(0.0, found.targets)
    return math.exp(best.x) if gained else 1.0


def _mean_over_labels(found: Predicted, w: Tensor, rank: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    shares = found.targets.sum(0)
    use = [c for c in found.judged if 0 < shares[c] < len(found.logits)]
    if not use:
        raise UserError("No label that some judging rows have and others lack: it cannot be ranked. Use more rows.")
    z = _log_odds(found)
    return torch.stack([rank(z[:, c], found.targets[:, c], w) for c in use]).mean()


def _log_odds(found: Predicted) -> Tensor:
    """log p / (1 - p), in the order of p: the likeliest class's from the other logits, where 1 - p would round to 0."""
    z = found.logits
    if found.kind == "several":
        return z
    top, log_p = z.argmax(1, keepdim=True), z.log_softmax(1)
    others = z.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True)
    return (log_p - torch.log1p(-log_p.exp())).scatter(1, top, z.gather(1, top) - others)


def _auroc(z: Tensor, t: Tensor, w: Tensor) -> Tensor:
    """sum_{t_i = 1, t_j = 0} w_i w_j ([z_i > z_j] + [z_i = z_j] / 2) / (W_1 W_0)."""
    order = z.argsort()
    group = _groups(z[order])
    lacks, has = (w * (1 - t))[order], (w * t)[order]
    tied = torch.zeros(int(group[-1]) + 1, dtype=w.dtype).index_add(0, group, lacks)
    below = tied.cumsum(0) - tied / 2
    return has @ below[group] / (has.sum() * lacks.sum())


def _average_precision(z: Tensor, t: Tensor, w: Tensor) -> Tensor:
    order = z.argsort(descending=True)
    group = _groups(z[order])
    empty = torch.zeros(int(group[-1]) + 1, dtype=w.dtype)
    has, all_ = (empty.index_add(0, group, v[order]) for v in (w * t, w))
    return (has * has.cumsum(0) / all_.cumsum(0)).sum() / has.sum()


def _groups(ordered: Tensor) -> Tensor:
    """The number of the run of equal values that each entry belongs to: equal but for rounding."""
    apart = (ordered[1:] - ordered[:-1]).abs() > TIE * (1 + ordered[1:].abs())
    return torch.cat([torch.zeros(1, dtype=torch.int64), apart.long().cumsum(0)])


def _confidence(found: Predicted) -> tuple[Tensor, Tensor]:
    """(sure, right): the probability of the predicted label and whether it holds; per label where rows have several."""
    if found.kind == "one":
        sure, at = found.p.max(1)
        return sure, found.targets.gather(1, at[:, None])[:, 0]
    return found.p.reshape(-1), found.targets.reshape(-1)


def _bins(sure: Tensor) -> list[Tensor]:
    """Rows in the order of `sure`, in parts of two rows or more: one has no variance."""
    return list(torch.tensor_split(sure.argsort(stable=True), max(1, min(BINS, len(sure) // 2))))


def _ece(gap: Tensor, bins: list[Tensor]) -> float:
    return float(sum(gap[b].sum().abs() for b in bins)) / len(gap)
