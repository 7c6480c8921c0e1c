"""Which loss, where labels are wrong, classes rare, or both? scikit-learn's digits, a 64-256-10 MLP, balanced accuracy.

Six losses learn from the same rows, weights and batches of each seed, under four conditions: clean, 30 % of the labels
replaced by another class, classes from common to 20 x rarer, and both. A seed redraws the split, which classes are
rare, the noise and the first weights. The prior is counted from the labels as they are given, wrong ones included.
Judged by clean test rows, after the last epoch and after the epoch that was best on clean validation rows. Prints
means over seeds and paired differences with two-sided 95 % t intervals. The last table asks whether the prior shift
in front of a robust loss beats either alone where noise and imbalance meet. All of it at two learning rates, since the
answer depends on whether the net gets as far as learning wrong labels by heart, which the share of training labels
that it returns shows: at 3e-3 it does, and the composition wins; at 1e-3 it does not, and the shift alone is as good.

    python benchmarks/label_noise.py [--seeds 12] [--first 0] [--epochs 60] [--rates 3e-3 1e-3] [--out label_noise.json]
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from measure import cpu, keep, parser, settle, table
from scipy.stats import t as student
from sklearn.datasets import load_digits
from torch import Tensor, nn

from whichloss.losses.classification import cross_entropy
from whichloss.losses.long_tail import logit_adjustment, prior_shift
from whichloss.losses.noisy_labels import generalised_cross_entropy, symmetric_cross_entropy

CLASSES, NOISE, IMBALANCE = 10, 0.3, 20
TRAIN, VALIDATION = 100, 20  # rows of a class at most; the rest, 54 to 63 of each, is the test set
BATCH = 64
LAST, EARLY, LEARNT = range(3)
CONDITIONS = {"clean": (0.0, 1), "noise": (NOISE, 1), "tail": (0.0, IMBALANCE), "both": (NOISE, IMBALANCE)}
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of logits, labels and the prior
LOSSES: dict[str, Loss] = {
    "CE": lambda z, y, prior: cross_entropy(z, y),
    "GCE": lambda z, y, prior: generalised_cross_entropy(z, y),
    "SCE": lambda z, y, prior: symmetric_cross_entropy(z, y),
    "LA": logit_adjustment,
    "LA + GCE": lambda z, y, prior: generalised_cross_entropy(prior_shift(z, prior), y),
    "LA + SCE": lambda z, y, prior: symmetric_cross_entropy(prior_shift(z, prior), y),
}
PAIRS = (("LA + SCE", "SCE"), ("LA + SCE", "LA"), ("LA + GCE", "GCE"), ("LA + GCE", "LA"))


@dataclass(frozen=True)
class Rows:
    x: Tensor
    y: Tensor


def split(seed: int, noise: float, imbalance: float) -> tuple[Rows, Rows, Rows]:
    """(train with its noise and rare classes, clean validation, clean test)."""
    rng = np.random.default_rng(seed)
    x, y = load_digits(return_X_y=True)
    train, validation, test = [], [], []
    for rank, c in enumerate(rng.permutation(CLASSES)):
        rows = rng.permutation(np.flatnonzero(y == c))
        count = round(TRAIN * imbalance ** (-rank / (CLASSES - 1)))
        train += rows[:count].tolist()
        validation += rows[TRAIN : TRAIN + VALIDATION].tolist()
        test += rows[TRAIN + VALIDATION :].tolist()
    given = y.copy()
    wrong = rng.permutation(train)[: round(noise * len(train))]
    given[wrong] = (y[wrong] + rng.integers(1, CLASSES, len(wrong))) % CLASSES
    features, labels = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    return (
        Rows(features[train], torch.tensor(given[train])),
        Rows(features[validation], labels[validation]),
        Rows(features[test], labels[test]),
    )


def balanced_accuracy(net: nn.Module, rows: Rows) -> float:
    """Mean recall of the classes, in per cent."""
    with torch.no_grad():
        right = (net(rows.x).argmax(1) == rows.y).double()
    return 100 * float(torch.stack([right[rows.y == c].mean() for c in range(CLASSES)]).mean())


def trained(
    loss: Loss, seed: int, epochs: int, rate: float, rows: tuple[Rows, Rows, Rows]
) -> tuple[float, float, float]:
    """Balanced test accuracy after the last epoch and after the one best in validation; per cent of labels learnt."""
    train, validation, test = rows
    torch.manual_seed(seed)  # the same first weights and batches for every loss
    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, CLASSES))
    adam = torch.optim.Adam(net.parameters(), lr=rate)
    prior = torch.bincount(train.y, minlength=CLASSES).clamp(min=1).double()  # a class of which all labels were lost
    prior = prior / prior.sum()
    best, early = -1.0, 0.0
    for _ in range(epochs):
        for batch in torch.randperm(len(train.y)).split(BATCH):
            adam.zero_grad()
            loss(net(train.x[batch]), train.y[batch], prior).mean().backward()
            adam.step()
        if (now := balanced_accuracy(net, validation)) > best:
            best, early = now, balanced_accuracy(net, test)
    with torch.no_grad():
        learnt = 100 * float((net(train.x).argmax(1) == train.y).double().mean())
    return balanced_accuracy(net, test), early, learnt


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Mean and half width of the two-sided 95 % t interval over seeds."""
    n = len(differences)
    return float(differences.mean()), float(student.ppf(0.975, n - 1) * differences.std(ddof=1) / n**0.5)


def shown(differences: np.ndarray) -> str:
    mean, half = interval(differences)
    return f"{mean:+.1f} +- {half:.1f}"


def measured(seeds: Sequence[int], epochs: int, rate: float) -> dict[str, dict[str, np.ndarray]]:
    """Condition, loss: (seeds, 3), as `trained` returns them."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for condition, (noise, imbalance) in CONDITIONS.items():
        data = {seed: split(seed, noise, imbalance) for seed in seeds}
        found[condition] = {
            name: np.array([trained(loss, seed, epochs, rate, data[seed]) for seed in seeds])
            for name, loss in LOSSES.items()
        }
    return found


def report(found: Mapping[str, Mapping[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Print all tables; the rows of the last."""
    for when, which in ((LAST, "the last epoch"), (EARLY, "the epoch best in validation")):
        print(f"\nBalanced accuracy after {which}, mean over seeds (difference from CE):")
        scores = {c: {name: values[:, when] for name, values in losses.items()} for c, losses in found.items()}
        cell = lambda own, ce: f"{own.mean():.1f} ({shown(own - ce)})"
        table([{"loss": n} | {c: cell(own[n], own["CE"]) for c, own in scores.items()} for n in LOSSES])
    print("\nShare of the training labels, wrong ones included, that the net returns after the last epoch:")
    table([{"loss": n} | {c: f"{own[n][:, LEARNT].mean():.0f} %" for c, own in found.items()} for n in LOSSES])
    print("\nThe composition against each of its parts, where noise and imbalance meet:")
    rows = []
    for one, other in PAIRS:
        last, early, _ = (found["both"][one] - found["both"][other]).T
        row = {"difference": f"({one}) - {other}", "last": shown(last), "early": shown(early)}
        rows.append(row | {"seeds won": int((last > 0).sum())})
    table(rows)
    return rows


def verdict(both: Mapping[str, np.ndarray]) -> str:
    """Whether both intervals of LA + SCE after the last epoch exclude 0."""
    intervals = [interval((both[one] - both[other])[:, LAST]) for one, other in PAIRS[:2]]
    least = min(mean - half for mean, half in intervals)
    return f"LA + SCE {'beats' if least > 0 else 'does NOT beat'} both SCE and LA (least bound {least:+.1f})"


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--seeds", type=int, default=12)
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--epochs", type=int, default=60)
    options.add_argument("--rates", type=float, nargs="+", default=[3e-3, 1e-3])
    given = options.parse_args()
    settle()
    seeds = range(given.first, given.first + given.seeds)
    kept = {}
    for rate in given.rates:
        print(f"\n# Learning rate {rate:g}, {given.seeds} seeds from {given.first} on, {given.epochs} epochs")
        found: dict[str, dict[str, np.ndarray]] = {}
        seconds = cpu(lambda rate=rate, found=found: found.update(measured(seeds, given.epochs, rate)))
        rows = report(found)
        says = verdict(found["both"])
        print(f"{says}; {seconds:.0f} CPU s")
        scores = {c: {name: values.tolist() for name, values in losses.items()} for c, losses in found.items()}
        kept[f"{rate:g}"] = {"scores": scores, "pairs": rows, "verdict": says, "seconds": seconds}
    keep(given.out, "label_noise", kept)


if __name__ == "__main__":
    main()
