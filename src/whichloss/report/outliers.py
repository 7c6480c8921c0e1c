"""Outliers: what each line of the ranking table finds of them, by which scores, and what that means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import msgspec
import numpy as np
import torch

from ..errors import StudyError
from ..metrics.outliers import auroc_error
from ..study import rank
from ..study.generate.outliers import OutlierJudge
from ..study.goals import judge_of
from ..study.judge import Which
from ..study.plan import Run
from ..study.records import Row, Study
from ..study.store import unpack
from .charts import BLUE, COLOURS, INK, REAL, SOFT, Axis, Figure, data, figure, hover, small, wide
from .diagrams import diagonal, points, roc, shares
from .lookup import of_role
from .ranking import ROLES, Cell
from .words import NONE, cut, figures, fixed, hundredths, listed, named, percent, several

AREA = "outlier AUROC"
ALARM = 0.05  # false alarms at the threshold that is drawn
TOLD = (0.01, ALARM, 0.1, 0.2, 0.5)  # that are told in numbers
QUARTILES = (0.25, 0.5, 0.75)
HUES = (BLUE, "var(--green)", "var(--violet)", "var(--red)", INK)  # of objectives, solid
DASHES = ([6, 3], [2, 2], [8, 3, 2, 3], [4, 1])  # of simple detectors
BINS = (16, 48)  # of a histogram, by the number of rows or outliers, whichever is smaller
TALL = 330


@dataclass(frozen=True, eq=False)
class Scored:
    """How unlike the data one run finds the judging rows (m,) and the outliers (n,)."""

    seed: int
    inside: np.ndarray
    outside: np.ndarray
    auroc: float  # as the run was judged

    @property
    def curve(self) -> np.ndarray:
        """Its ROC curve."""
        return roc(
            np.concatenate([self.inside, self.outside]), np.repeat([0, 1], [len(self.inside), len(self.outside)])
        )

    def threshold(self, alarm: float = ALARM) -> float:
        """The score that at most a share `alarm` of the judging rows exceeds."""
        return float(np.sort(self.inside)[-1 - math.floor(alarm * len(self.inside) + 1e-9)])

    def finds(self, alarm: float = ALARM) -> float:
        """The share of outliers beyond that score."""
        return float((self.outside > self.threshold(alarm)).mean())


@dataclass(frozen=True, eq=False)
class Line:
    """One line of the ranking table that scores rows, and its runs that are on disk, by seed."""

    row: Row
    runs: tuple[Scored, ...]

    @property
    def name(self) -> str:
        """The objective or detector."""
        return self.row.name

    @property
    def auroc(self) -> float:
        """Its mean over seeds."""
        return self.row.metrics[AREA][0]

    @property
    def final(self) -> bool:
        """Was it judged on the test rows?"""
        return self.row.stage == "final"

    @property
    def curve(self) -> np.ndarray:
        """Its mean ROC curve, whose area is the mean AUROC."""
        return np.asarray(np.mean([run.curve for run in self.runs], axis=0))

    def finds(self, alarm: float = ALARM) -> float | None:
        """The mean share of outliers found at that rate of false alarms."""
        return float(np.mean([run.finds(alarm) for run in self.runs])) if self.runs else None

    def span(self, overlap: float) -> tuple[float, float] | None:
        """The 95 % interval of its AUROC over seeds; None for one seed."""
        if len(self.runs) < 2:
            return None
        _, low, high = rank.interval([run.auroc for run in self.runs], overlap)
        return max(low, 0.0), min(high, 1.0)


def load(study: Study, folder: Path) -> list[Line]:
    """Every line that scores rows, highest AUROC first. Raises UserError or StudyError where tables or plan are
    missing."""
    judge = judge_of(str(folder.resolve()))
    assert isinstance(judge, OutlierJudge)
    lines = [Line(row, tuple(read(row, folder / "runs", judge))) for row in study.ranked() if AREA in row.metrics]
    return sorted(lines, key=lambda line: -line.auroc)


def read(row: Row, runs: Path, judge: OutlierJudge) -> list[Scored]:
    """The runs of a line; one that failed, is missing, damaged or without scores is left out."""
    file, _, array = row.sample.partition("#")
    which: Which = "test" if row.stage == "final" else "validation"
    detector, out = array.removeprefix("samples/"), []
    for seed, name in names(file, bool(array), runs, len(row.scores)):
        try:
            record, arrays = unpack(runs / f"{name}.safetensors")
        except StudyError:
            continue
        unlike = arrays.get(f"unlike/{detector}" if array else "unlike")
        metrics = (record[detector] if array else record).get("metrics", {}) if unlike is not None else {}
        if unlike is not None and AREA in metrics and len(unlike) > len(judge.halves[which]):
            inside, outside = (part.double().numpy() for part in judge.parted(unlike, which))
            out.append(Scored(seed, inside, outside, metrics[AREA]))
    return out


def names(file: str, anchor: bool, runs: Path, count: int) -> list[tuple[int, str]]:
    """(seed, file) of a line's runs: seeds follow one another from its first run that lived."""
    if anchor:
        stem, _, first = file.rpartition("-")
        return [(seed, f"{stem}-{seed}") for seed in range(int(first), int(first) + count)]
    try:
        run = msgspec.convert(unpack(runs / f"{file}.safetensors")[0]["run"], Run)
    except (StudyError, KeyError, msgspec.ValidationError):
        return []
    others = [msgspec.structs.replace(run, seed=run.seed + k) for k in range(count)]
    return [(run.seed, run.id) for run in others]


def section(study: Study, folder: Path) -> dict[str, Any]:
    """What the section holds."""
    lines = load(study, folder)
    drawn = [line for line in lines if line.runs]
    own = leading(study, drawn)
    silent = [row.name for row in of_role(study, "objective") if AREA not in row.metrics]
    first = drawn[0].runs[0] if drawn else None
    return {
        "says": sentences(study, lines),
        "rows": len(first.inside) if first else 0,
        "outliers": len(first.outside) if first else 0,
        "roc": curves(study, drawn) if drawn else None,
        "own": histogram(own, drawn.index(own), large=True) if own else None,
        "others": [histogram(line, i) for i, line in enumerate(drawn) if line is not own],
        "lines": [(line.row, notes(line), cells(line, study.overlap)) for line in lines],
        "numbers": [(line, numbers(line)) for line in drawn],
        "alarms": [percent(alarm) for alarm in TOLD],
        "absent": [line.name for line in lines if not line.runs],
        "silent": silent,
    }


def leading(study: Study, lines: Sequence[Line]) -> Line | None:
    """The recommended objective, else the finalist that finds most, else whatever finds most."""
    own = [line for line in lines if line.row.role == "objective"]
    order = sorted(own, key=lambda line: (line.name != study.answer.recommended, not line.final))
    return next(iter([*order, *lines]), None)


def simplest(lines: Sequence[Line]) -> Line | None:
    """The simple detector that finds most."""
    return next((line for line in lines if line.row.role == "baseline"), None)


def compared(a: Line, b: Line, overlap: float) -> rank.Difference | None:
    """AUROC errors, paired over seeds, judging rows and outliers; None where fewer than two seeds have both: those
    of the screen, which are judged on other rows, are seeds of their own."""
    seeds = sorted({run.seed for run in a.runs} & {run.seed for run in b.runs})
    if len(seeds) < 2:
        return None

    def errors(line: Line) -> rank.Scores:
        runs = [run for run in line.runs if run.seed in seeds]
        found = [auroc_error(torch.from_numpy(run.inside), torch.from_numpy(run.outside)) for run in runs]
        mean = np.mean([one.influence.numpy() for one in found], axis=0)
        return rank.Scores(line.name, tuple(one.value for one in found), mean, 0, 0.0, 0.0)

    return rank.difference(errors(a), errors(b), overlap=overlap)


def sentences(study: Study, lines: Sequence[Line]) -> list[str]:
    """Does a trained model find more than a simple detector? What do AUROCs below a half mean? What does it cost?"""
    own, simple, chosen, out = leading(study, lines), simplest(lines), study.answer.recommended, []
    best = next((line for line in lines if line.row.role == "objective" and line.final), None)
    if not any(line.row.role == "objective" for line in lines):
        out.append("No objective gives every row a finite score.")
    elif chosen not in {line.name for line in lines}:
        out.append(f"{chosen} is recommended, but does not give every row a finite score.")
    elif own and best and study.score_name != "1 - auroc" and best.auroc > own.auroc:
        out.append(
            f"Outliers did not decide what is recommended. Of the finalists, {best.name} finds them best: "
            f"AUROC {fixed(best.auroc, 3)}."
        )
    if own and simple and own is not simple:
        out.append(versus(own, simple, compared(own, simple, study.overlap)))
    below = [line.name for line in lines if (line.span(study.overlap) or (0.0, line.auroc))[1] < 0.5]
    if below:
        out.append(
            f"{listed(below)}: AUROC below 0.5, so outliers look more ordinary than the rows themselves. That need not "
            "be a mistake: even the true density is high where rows crowd, and outliers that are less spread out than "
            "the rows can lie there. Turning the score round would find these outliers and miss others."
        )
    if own:
        alarms = hundredths(own.row.metrics["outlier false alarms"][0])
        out.append(f"To find 95 % of the outliers, {own.name} raises a false alarm for {alarms} of the rows.")
    return out


def versus(own: Line, simple: Line, d: rank.Difference | None) -> str:
    """Is the trained model better than the best simple detector, worse, or is that within the noise?"""
    worse = d is not None and d.apart and d.mean > 0
    both = " against ".join(fixed(line.auroc, 3) for line in ((simple, own) if worse else (own, simple)))
    if d is None:
        two = f"{own.name} and the best simple detector, {simple.name}"
        return f"{two}: AUROC {both}. Too few runs on the same rows to compare them."
    low, high = (fixed(end, 3) for end in ((d.low, d.high) if worse else (-d.high, -d.low)))
    told = f"AUROC {both}; 95 % interval of the difference {low} to {high}, over seeds, rows and outliers"
    if worse:
        return (
            f"The best simple detector, {simple.name}, finds outliers better than {own.name} ({told}). "
            "For outliers like these no network is needed."
        )
    how = "finds outliers better than" if d.apart else "cannot be told apart from"
    return f"{own.name} {how} the best simple detector, {simple.name} ({told})."


def cells(line: Line, overlap: float) -> tuple[Cell, ...]:
    """AUROC with its interval, what a threshold finds, false alarms, average precision and that of chance."""
    mean = {name: pair[0] for name, pair in line.row.metrics.items()}
    span, found = line.span(overlap), line.finds()
    alarms, precision, share = (mean[f"outlier {name}"] for name in ("false alarms", "average precision", "share"))
    runs = several(len(line.runs), "seed")
    return (
        Cell(fixed(line.auroc, 3), line.auroc, runs, " to ".join(fixed(end, 3) for end in span) if span else ""),
        Cell(hundredths(alarms), alarms),
        Cell(hundredths(found) if found is not None else NONE, found),
        Cell(fixed(precision, 3), precision, under=f"{fixed(share, 3)} by chance"),
    )


def notes(line: Line) -> str:
    """What a line is, in small print."""
    row, lost = line.row, len(line.row.scores) - len(line.runs)
    said = [
        ROLES.get(row.role, ""),
        "validation rows" * (not line.final),
        f"without {several(lost, 'run')}" * bool(lost),
    ]
    return ", ".join(filter(None, said))


def numbers(line: Line) -> list[str]:
    """The charts of a line in numbers."""
    run = line.runs[0]
    shown = [hundredths(line.finds(alarm)) for alarm in TOLD]
    quarters = [" · ".join(figures(x, 3) for x in np.quantile(part, QUARTILES)) for part in (run.inside, run.outside)]
    return [*shown, *quarters, figures(run.threshold(), 3)]


def curves(study: Study, lines: Sequence[Line]) -> Figure:
    """ROC curves, means over seeds: the recommended objective, the others that find most, every simple detector."""
    first = leading(study, lines)
    own = sorted((x for x in lines if x.row.role == "objective"), key=lambda x: x is not first)
    simple = [x for x in lines if x.row.role == "baseline"][: len(DASHES)]
    colours = dict(zip(own, HUES, strict=False)) | dict.fromkeys(simple, COLOURS["baseline"])
    dashes = {line: [1, 0] for line in own} | dict(zip(simple, DASHES, strict=False))
    shown = [line for line in lines if line in colours]
    labels = [f"{cut(line.name, 22)} {fixed(line.auroc, 3)}" for line in shown]
    legend = alt.Legend(
        title="AUROC",
        orient="bottom",
        columns=alt.ExprRef("width < 420 ? 1 : 2"),
        labelExpr=named(labels),
        symbolType="stroke",
        labelLimit=0,
    )
    places = list(range(len(shown)))
    x, y = shares("false alarms", "found")
    values = [{**q, "k": k, "n": line.name} for k, line in enumerate(shown) for q in points("roc", line.curve)]
    drawn = alt.Chart(data(values)).encode(
        x,
        y,
        alt.Color("k:N", scale=alt.Scale(domain=places, range=[colours[x] for x in shown]), legend=legend),
        alt.StrokeDash("k:N", scale=alt.Scale(domain=places, range=[dashes[x] for x in shown]), legend=legend),
        tooltip=hover({"n": "score of"}, {"x": "false alarms", "y": "found"}),
    )
    says = f"ROC curves of {', '.join(f'{x.name} (AUROC {fixed(x.auroc, 3)})' for x in shown)}"
    chart = alt.layer(diagonal(0, x, y), drawn.mark_line(strokeWidth=1.9))
    return figure("outlier-roc", says, wide(chart, TALL + 70), "ROC curves", "mean over seeds")


def histogram(line: Line, number: int, large: bool = False) -> Figure:
    """Where the scores of judging rows and of outliers lie, from the median judging row; straight near it, logarithmic
    beyond, for energies may reach far."""
    run = line.runs[0]
    middle = float(np.median(run.inside))
    inside, outside = run.inside - middle, run.outside - middle
    both = np.concatenate([inside, outside])
    spread = float(np.subtract(*np.quantile(inside, [0.75, 0.25]))) or float(np.ptp(both)) or 1.0
    axis = Axis(spread, float(both.min()) - spread / 10, float(both.max()) + spread / 10)
    bins = int(np.clip(3 * math.sqrt(min(len(inside), len(outside))), *BINS))
    bent = np.linspace(axis.bend(axis.low), axis.bend(axis.high), bins + 1)
    edges = np.sign(bent) * np.expm1(np.abs(bent)) * axis.noise
    heights = [np.histogram(np.clip(p, edges[0], edges[-1]), edges)[0] / len(p) for p in (inside, outside)]
    title = "score, from the median row's" if large else None
    form = f"format(datum.value, '{'~s' if axis.reach >= 1e4 else ',~r'}')"
    below = alt.Axis(values=axis.ticks(9 if large else 4), labelExpr=form, title=title, grid=False)
    x = alt.X("x:Q", scale=axis.scale(), axis=below)
    y = alt.Y("y:Q", axis=alt.Axis(title="share" if large else None, format="%", tickCount=3, grid=False))
    rows, strange = (
        alt.Chart(data([{"x": float(a), "y": float(b)} for a, b in zip(edges, [*h, h[-1]], strict=True)])).encode(x, y)
        for h in heights
    )
    colour = COLOURS[line.row.role]
    place = run.threshold() - middle
    mark = alt.Chart(data([{"x": place, "t": f"{percent(ALARM)} false alarms"}])).encode(x)
    layers = [
        rows.mark_area(interpolate="step-after", color=REAL, opacity=1),
        strange.mark_area(
            interpolate="step-after", color=colour, opacity=0.28, line={"color": colour, "strokeWidth": 1.5}
        ),
        mark.mark_rule(color=INK, strokeDash=[4, 3], strokeWidth=1.2),
    ]
    if large:
        side: Any = ("right", -5) if axis.place(place) > 0.6 else ("left", 5)
        words = mark.mark_text(color=SOFT, align=side[0], dx=side[1], baseline="top", fontSize=11)
        layers.append(words.encode(alt.Text("t:N"), y=alt.value(0)))
    told = f"{hundredths(run.finds())} found at {percent(ALARM)} false alarms"
    says = f"Scores of judging rows and of outliers, by {line.name}: {told}, AUROC {fixed(run.auroc, 3)}"
    chart = wide(alt.layer(*layers), TALL) if large else small(alt.layer(*layers))
    return figure(f"outlier-scores-{number}", says, chart, line.name, f"seed {run.seed}: {told}")
