"""The ranking table and the pairwise matrix, ready to print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..study.records import Row, Study
from .lookup import columns_of, of_role, rope, span
from .wording import score_name, wording
from .words import NONE, figures, fixed, flop, hundredths, percent, places

STATES = {
    "not started": "not started: its loss has hardly left that of a trivial predictor",
    "needs longer": "needs longer: its score still falls at the end of the budget",
}
ROLES = {
    "baseline": "simple baseline",
    "ceiling": "the best to expect",
    "cheat": "shows what copying scores",
    "derived": "costs no training",
}


@dataclass(frozen=True)
class Cell:
    """A table cell: its text, what it sorts by (None goes last), and what a pointer over it says."""

    text: str
    sort: float | None = None
    tip: str = ""
    under: str = ""  # in small print


@dataclass(frozen=True)
class Line:
    """One line of the ranking table."""

    row: Row
    rank: str
    mark: str  # recommended, tied
    note: str
    cells: tuple[Cell, ...]


def heads(study: Study) -> tuple[tuple[str, str], ...]:
    """The columns of the ranking table, and what each holds."""
    said = wording(study)
    score = said.score.format(name=score_name(study))
    return (
        ("score (95 % interval)", f"{score}, mean over seeds: lower is better; the interval is over seeds, {TEST}"),
        ("behind the leader (95 % interval)", f"paired difference to the leader; its interval is {OVER}"),
        ("P(beats leader)", "estimated probability that it scores better than the leader on a new seed"),
        *OWN_HEADS[columns_of(study)],
        ("failed", "failed runs, each counted at the baseline's score or worse; Wilson's 95 % interval on pointing"),
        ("group", "finalists that share a letter cannot be told apart"),
        ("training (FLOP)", "counted floating-point operations of one run"),
        ("a row (FLOP)", f"counted floating-point operations of one {said.use} row"),
        ("parameters", "of all its networks"),
        ("tuning", "validation score of the best setting tried, and of the one that ships; sorts by the gain"),
    )


TEST, OVER = "on this test split", "over seeds and test rows"
OWN_HEADS = {
    "generate": (("skill", "0: the best simple baseline; 1: fresh real rows. Higher is better"),),
    "classify": (
        ("last epoch", "mean score of the last snapshot; the score is that of the best snapshot by validation"),
        ("accuracy", "share of labels predicted right, mean over seeds; small: the mean of the classes' shares"),
        ("AUROC", "of each class against the rest, averaged: the chance that a row of it ranks above another"),
        ("calibration error", "small: what a perfectly calibrated model with these probabilities would show"),
    ),
    "embed": (
        ("kNN accuracy", "share of classes that the nearest training rows tell right, mean over seeds"),
        ("probe accuracy", "of logistic regression on the embeddings of the training rows"),
        ("effective rank", "how many directions of the embedding are in use"),
    ),
    "compare": (
        ("AUROC", "how often a pair that is alike has the higher cosine than one that is not, mean over seeds"),
        ("called right", "share of pairs, at the cosine that suits validation pairs best; small: by chance"),
        ("effective rank", "how many directions of the embedding are in use"),
    ),
    "search": (
        ("recall@1", "how often what belongs to it is found first, mean over seeds and both ways"),
        ("recall@10", "how often it is among the first ten"),
        ("effective rank", "how many directions of the embedding are in use"),
    ),
}


def groups(study: Study) -> list[tuple[str, str, list[Line]]]:
    """(title, explanation, lines): finalists, screened only, anchors."""
    rows = of_role(study, "objective")
    final = [r for r in rows if r.stage == "final"]
    rest = [r for r in rows if r.stage != "final"]
    anchors = [r for r in study.ranked() if r.role != "objective"]
    seeds = len(final[0].scores) if final else 0
    screened = len(rest[0].scores) if rest else 0
    made = [
        ("Finalists", f"{seeds} fresh seeds, judged on the test rows", final, 1),
        ("Screened only", f"{screened} seeds, judged on validation rows, not confirmed", rest, len(final) + 1),
        ("Anchors", "the same test rows: what any score must be read against", anchors, 0),
    ]
    return [(a, b, [line(study, r, k + i if k else 0) for i, r in enumerate(rows)]) for a, b, rows, k in made if rows]


def line(study: Study, row: Row, rank: int) -> Line:
    """One line."""
    answer = study.answer
    mark = "recommended" if row.name == answer.recommended else ""
    if not mark and row.name in answer.tied and len(answer.tied) > 1:
        mark = "tied"
    note = STATES.get(row.state, row.state) if row.role == "objective" else ROLES[row.role]
    digits = places(rope(study))
    within = " to ".join(fixed(end, digits) for end in span(study, row))
    cells = (
        Cell(fixed(row.mean, digits), row.mean, under=within + ", validation rows" * (row.stage != "final")),
        *against(study, row, digits),
        *own(study, row, digits),
        failures(row),
        Cell(row.letters or NONE, ord(row.letters[0]) if row.letters else None),
        Cell(flop(row.training_flops).removesuffix("FLOP") if row.training_flops else NONE, row.training_flops or None),
        Cell(flop(row.use_flops).removesuffix("FLOP") if row.use_flops else NONE, row.use_flops or None),
        parameters(row),
        tuning(row, digits),
    )
    return Line(row, str(rank) if rank else "", mark, note, cells)


def own(study: Study, row: Row, digits: int) -> tuple[Cell, ...]:
    """The columns of the study's goal."""
    if study.goal == "classify":
        return predicts(row, digits)
    return embeds(row) if study.goal in ("embed", "align") else (gap(row),)


def embeds(row: Row) -> tuple[Cell, Cell, Cell]:
    """Two accuracies and the effective rank."""
    ways = (("recall@1", "recall@10"), ("auroc", "pair accuracy"))
    names = next((way for way in ways if way[1] in row.metrics), ("knn-accuracy", "probe-accuracy"))
    one, other, rank = (row.metrics.get(name, (None,))[0] for name in (*names, "effective rank"))
    chance = row.metrics.get("pair accuracy by chance")
    under = f"chance {hundredths(chance[0])}" if chance else ""
    return Cell(hundredths(one), one), Cell(hundredths(other), other, under=under), Cell(fixed(rank, 1), rank)


def gap(row: Row) -> Cell:
    """The skill."""
    return Cell(skill(row), row.skill, "" if row.stage == "final" else "only for finalists and anchors")


def predicts(row: Row, digits: int) -> tuple[Cell, Cell, Cell, Cell]:
    """The last epoch's score, accuracy, AUROC, calibration."""
    mean = {name: pair[0] for name, pair in row.metrics.items()}
    right, even, area = (mean.get(name) for name in ("accuracy", "balanced-accuracy", "auroc"))
    error, ideal = (mean.get(name) for name in ("calibration error", "calibration error if calibrated"))
    return (
        Cell(fixed(row.last, digits), row.last),
        Cell(hundredths(right), right, under=f"balanced {hundredths(even)}" if even is not None else ""),
        Cell(fixed(area, 3), area),
        Cell(fixed(error, 3), error, under=f"ideal {fixed(ideal, 3)}" if ideal is not None else ""),
    )


def skill(row: Row) -> str:
    """Two decimals where they mean something."""
    return fixed(row.skill, 2 if row.skill is not None and abs(row.skill) < 10 else 0)


def against(study: Study, row: Row, digits: int) -> tuple[Cell, Cell]:
    """Difference to the leader and the chance to beat it."""
    if row.name == study.answer.leader:
        return Cell("leader", 0.0), Cell(NONE)
    found = next((d for d in study.answer.differences if d["a"] == study.answer.leader and d["b"] == row.name), None)
    if found is None:
        return Cell(NONE), Cell(NONE)
    mean, low, high = -found["mean"], -found["high"], -found["low"]
    span = f"{fixed(low, digits)} to {fixed(high, digits)}"
    chance = 1 - found["probability"]
    tip = f"95 % interval {figures(1 - found['probability_high'])} to {figures(1 - found['probability_low'])}"
    return Cell(fixed(mean, digits), mean, under=span), Cell(fixed(chance, 2), chance, tip)


def failures(row: Row) -> Cell:
    """k of n, with the interval and the reasons."""
    if row.role != "objective":
        return Cell(NONE)
    reasons = "; ".join(row.reasons)
    tip = f"95 % interval {percent(row.failure_low)} to {percent(row.failure_high)}. {reasons}".strip()
    return Cell(f"{row.failures} of {len(row.scores)}", row.failures / max(1, len(row.scores)), tip)


def parameters(row: Row) -> Cell:
    """All networks together."""
    if not row.parameters:
        return Cell(NONE)
    total = sum(row.parameters.values())
    return Cell(f"{total:,}", total, ", ".join(f"{k} {v:,}" for k, v in row.parameters.items()))


def tuning(row: Row, digits: int) -> Cell:
    """What tuning gained."""
    if len(row.tuning) < 2:
        return Cell(NONE)
    first = row.tuning[0][1]
    lived = [s for _, s in row.tuning if s is not None]
    if not lived:
        return Cell("all failed")
    if first is None:
        return Cell(fixed(min(lived), digits), None, setting(row.setting), "shipped failed")
    if first == min(lived):
        return Cell(fixed(first, digits), 0.0, setting(row.setting), "as shipped")
    return Cell(fixed(min(lived), digits), first - min(lived), setting(row.setting), f"shipped {fixed(first, digits)}")


def setting(values: Mapping[str, float]) -> str:
    """lr 0.001, penalty 0.1"""
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def matrix(study: Study) -> dict[str, Any]:
    """P(row better than column). Finalists: fresh seeds, with intervals. Others: seeds of the screen, counted."""
    rows = of_role(study, "objective")
    return {
        "names": [r.name for r in rows],
        "lines": [(a.name, [pair(study, a, b) for b in rows]) for a in rows],
        "screened": any(r.stage != "final" for r in rows) and any(len(r.screen) for r in rows),
        "finalists": sum(r.stage == "final" for r in rows),
    }


def pair(study: Study, a: Row, b: Row) -> dict[str, Any] | None:
    """One cell of the matrix; None on the diagonal and where nothing is known."""
    if a.name == b.name:
        return None
    for d in study.answer.differences:
        p, low, high = d["probability"], d["probability_low"], d["probability_high"]
        if (d["a"], d["b"]) == (b.name, a.name):
            p, low, high = 1 - p, 1 - high, 1 - low
        elif (d["a"], d["b"]) != (a.name, b.name):
            continue
        tip = f"on {d['seeds']} fresh seeds; 95 % interval {low:.2f} to {high:.2f}"
        return {"text": f"{p:.2f}", "tip": tip, "shade": shade(p), "firm": True, "low": low, "high": high}
    if len(a.screen) != len(b.screen) or not a.screen:
        return None
    wins = sum((x < y) + (x == y) / 2 for x, y in zip(a.screen, b.screen, strict=True))
    text = f"{wins:g}/{len(a.screen)}"
    tip = f"better on {wins:g} of {len(a.screen)} seeds of the screen"
    return {"text": text, "tip": tip, "shade": shade(wins / len(a.screen)), "firm": False}


def shade(p: float) -> int:
    """-3 .. 3, for the cell's colour."""
    return round(6 * (p - 0.5))


METRICS: Sequence[tuple[str, str, int]] = (
    ("energy distance", "energy distance", -1),
    ("sliced W2", "sliced W₂", -1),
    ("exact W2", "exact W₂", -1),
    ("W1 per column", "W₁ per column", -1),
    ("correlation difference", "correlation difference", -1),
    ("two-sample accuracy", "accuracy of a classifier", -1),
    ("precision", "precision", 1),
    ("recall", "recall", 1),
    ("density", "density", 1),
    ("coverage", "coverage", 1),
    ("spread", "spread", 0),
    ("share difference", "difference of groups' shares", -1),
    ("least share", "least group's share over the real one", 0),
    ("modes covered", "modes covered", 1),
    ("modes covered at best", "modes a perfect sampler covers", 0),
    ("KL of modes", "KL of modes' shares", -1),
    ("KL floor", "its floor: a perfect sampler's", 0),
    ("channels told right", "channels told right", 0),
    ("high-quality share", "high-quality share", 1),
    ("KL to the density", "KL to the density", -1),
    ("class share difference", "shares of the classes, difference", -1),
    ("agreement", "of the class asked for", 1),
    ("copy test p", "copy test p", 0),
    ("copied share", "copied share", 0),
    ("Stein discrepancy", "Stein discrepancy of real rows", -1),
    ("temperature of samples", "temperature of samples", 0),
    ("auroc", "AUROC", 1),
    ("average precision", "average precision", 1),
    ("pair accuracy", "pair accuracy", 1),
    ("pair accuracy by chance", "by chance", 0),
    ("threshold", "threshold", 0),
    ("apart", "apart", 0),
    ("knn-accuracy", "kNN accuracy", 1),
    ("probe-accuracy", "linear probe accuracy", 1),
    ("recall@1", "recall@1", 1),
    ("recall@5", "recall@5", 1),
    ("recall@10", "recall@10", 1),
    ("chance of recall@1", "chance", 0),
    ("median rank", "median rank", -1),
    ("alignment", "alignment", -1),
    ("uniformity", "uniformity", -1),
    ("effective rank", "effective rank", 0),
)


APART = ("outlier ", "share of ", "classes told right")  # the names of what stands elsewhere


def metrics(study: Study) -> dict[str, Any]:
    """Every descriptive metric of every line's samples, mean ± standard deviation over seeds."""
    seen = {name for row in study.rows for name in row.metrics if name != "modes" and not name.startswith(APART)}
    seen -= {name for name in seen if " given " in name}
    order = [m for m in METRICS if m[0] in seen]
    others = sorted(seen - {m[0] for m in METRICS})
    order += [(name, name.replace("Frechet", "Fréchet"), -name.startswith(("KID", "Frechet"))) for name in others]
    lines = []
    for row in study.ranked():
        if row.metrics and not seen & set(row.metrics):
            continue
        cells = [row.metrics.get(name) for name, _, _ in order]
        likely = fixed(row.log_likelihood, 3)
        lines.append((row, [NONE if c is None else f"{figures(c[0])} ± {figures(c[1], 1)}" for c in cells] + [likely]))
    arrows = {-1: "↓", 0: "", 1: "↑"}
    heads = [f"{title} {arrows[way]}".strip() for _, title, way in order] + ["log-likelihood ↑"]
    if all(row.log_likelihood is None for row in study.rows):
        heads, lines = heads[:-1], [(row, cells[:-1]) for row, cells in lines]
    return {"heads": heads, "lines": lines}
