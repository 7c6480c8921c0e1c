"""Tables of predictions: every score of every line, every class, who is taken for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import UserError
from ..metrics.labels import SCORES, Predicted
from ..study.records import Row, Study
from .predictions import Prediction, Predictions
from .words import NONE, cut, figures, fixed, hundredths, percent, quoted

METRICS = (  # name, title, way
    ("accuracy", "accuracy", 1),
    ("balanced-accuracy", "balanced accuracy", 1),
    ("macro-f1", "macro-F1", 1),
    ("auroc", "AUROC", 1),
    ("average-precision", "average precision", 1),
    ("log-loss", "log-loss", -1),
    ("brier", "Brier", -1),
    ("calibration error", "calibration error", -1),
    ("calibration error if calibrated", "of a calibrated model", 0),
    ("debiased calibration error", "debiased, squared", -1),
    ("temperature", "temperature", 0),
)
MOST_CLASSES = 20  # of a confusion matrix
CONFUSIONS = 12  # listed where there are more classes


@dataclass(frozen=True)
class Cell:
    """A mean over seeds, what it sorts by, its standard deviation on pointing, and the same of the last epoch."""

    text: str
    sort: float | None = None
    tip: str = ""
    under: str = ""


def metrics(study: Study) -> dict[str, Any]:
    """Every score of every line: best by validation, last epoch, after temperature scaling."""
    heads = [f"{title} {({1: '↑', 0: '', -1: '↓'})[way]}".strip() for _, title, way in METRICS]
    lines = [(row, [cell(row, name) for name, _, _ in METRICS]) for row in study.ranked()]
    return {"heads": heads, "lines": lines}


def cell(row: Row, name: str) -> Cell:
    """One score of one line."""
    if name not in row.metrics:
        return Cell(NONE)
    mean, spread = row.metrics[name]
    last = f"last {scaled(row.last_metrics, name)}" if name in row.last_metrics else ""
    return Cell(scaled(row.metrics, name), mean, f"± {figures(spread)} over seeds", last)


def scaled(found: Mapping[str, tuple[float, float]], name: str) -> str:
    """0.107 → 0.093: a mean, and after temperature scaling where that changes it."""
    after = found.get(f"{name}, scaled")
    return form(name, found[name][0]) + (f" → {form(name, after[0])}" if after else "")


def form(name: str, value: float) -> str:
    """Shares in hundredths, the rest with two to four decimals."""
    if name in ("accuracy", "balanced-accuracy", "macro-f1"):
        return hundredths(value)
    return fixed(value, {"debiased calibration error": 4, "temperature": 2}.get(name, 3))


@dataclass(frozen=True)
class OfClass:
    """One class as a prediction treats it."""

    rows: int
    said: int
    recall: float | None
    precision: float | None
    f1: float | None
    auroc: float | None
    average_precision: float | None


def of_class(found: Predicted, c: int) -> OfClass:
    """Recall, precision and ranking of one class against the rest; None where nothing is to be divided."""
    truth, said = found.targets[:, c], found.chosen[:, c]
    rows, named, right = int(truth.sum()), int(said.sum()), float((truth * said).sum())
    alone = Predicted(scores(found, c)[:, None], truth[:, None], "several")
    return OfClass(
        rows,
        named,
        right / rows if rows else None,
        right / named if named else None,
        2 * right / (rows + named) if rows + named else None,
        gain("auroc", alone),
        gain("average-precision", alone),
    )


def scores(found: Predicted, c: int) -> torch.Tensor:
    """What ranks the rows for one class."""
    if found.kind == "several":
        return found.logits[:, c]
    rest = found.logits.clone()
    rest[:, c] = float("-inf")
    return found.logits[:, c] - rest.logsumexp(1)


def gain(name: str, found: Predicted) -> float | None:
    """1 - score, where rows can be ranked."""
    try:
        return 1 - float(SCORES[name](found, torch.full((len(found.logits),), 1 / len(found.logits)).double()))
    except UserError:
        return None


def per_class(rows: Predictions) -> dict[str, Any]:
    """Every class: of the first line all numbers, of the others recall."""
    known = rows.known
    if not known:
        return {}
    first, others = known[0], known[1:]
    lines = []
    for c, name in enumerate(rows.classes):
        own = of_class(first.found, c)  # type: ignore[arg-type]
        cells: list[tuple[str, float | None]] = [(f"{own.rows:,}", own.rows), (f"{own.said:,}", own.said)]
        cells += [(hundredths(v), v) for v in (own.recall, own.precision, own.f1)]
        cells += [(fixed(v, 3), v) for v in (own.auroc, own.average_precision)]
        theirs = [of_class(p.found, c).recall for p in others]  # type: ignore[arg-type]
        lines.append((name, cells + [(hundredths(v), v) for v in theirs]))
    heads = ["rows", "predicted", "recall", "precision", "F1", "AUROC", "average precision"]
    heads += [f"recall of {p.name}" for p in others]
    return {"name": first.name, "heads": heads, "lines": lines, "entirely": entirely(first.found)}  # type: ignore[arg-type]


def entirely(found: Predicted) -> str:
    """The share of the rows of which every label is right, where rows have several."""
    if found.kind == "one":
        return ""
    return hundredths(float((found.chosen == found.targets).all(1).double().mean()))


def confusion(p: Prediction, classes: Sequence[str]) -> dict[str, Any]:
    """Rows by true and predicted class, shaded by the share of the true class."""
    assert p.found is not None
    counts = p.found.targets.T @ p.found.chosen
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    lines = [
        (name, [mark(int(counts[i, j]), float(shares[i, j]), i == j) for j in range(len(classes))])
        for i, name in enumerate(classes)
    ]
    return {"name": p.name, "role": p.row.role, "seed": p.seed, "lines": lines, "rows": int(counts.sum())}


def mark(count: int, share: float, right: bool) -> dict[str, Any]:
    """One cell."""
    shade = 0 if not count else 1 + (share > 0.05) + (share > 0.25)
    return {"text": f"{count:,}" if count else "·", "shade": shade if right else -shade, "tip": percent(share)}


def confusions(rows: Predictions) -> list[dict[str, Any]]:
    """Who is taken for whom, of every line shown; nothing where rows have several labels or classes are many."""
    if rows.judge.labels.kind == "several" or len(rows.classes) > MOST_CLASSES:
        return []
    return [confusion(p, [cut(name, 14) for name in rows.classes]) for p in rows.known]


def mistaken(rows: Predictions) -> list[tuple[str, list[str]]]:
    """The most frequent mistakes in words, where there are too many classes for a matrix."""
    if rows.judge.labels.kind == "several" or len(rows.classes) <= MOST_CLASSES:
        return []
    out = []
    for p in rows.known:
        assert p.found is not None
        counts = p.found.targets.T @ p.found.chosen
        counts.fill_diagonal_(0)
        top = counts.flatten().argsort(descending=True)[:CONFUSIONS].tolist()
        pairs = [divmod(i, len(rows.classes)) for i in top]
        names = list(map(quoted, rows.classes))
        said = [f"{names[i]} as {names[j]}: {int(counts[i, j])}" for i, j in pairs if counts[i, j]]
        out.append((p.name, said))
    return out
