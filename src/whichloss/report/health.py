"""Training health: which kinds of trouble each objective showed, and the curves that show it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import altair as alt

from ..study.records import Row, Study
from ..task import Finding
from .charts import BLUE, SOFT, Figure, data, figure, small
from .lookup import of_role
from .words import figures

LOG2 = math.log(2)


@dataclass(frozen=True)
class Family:
    """A kind of trouble: its title, what it means, and words that place a rule in it."""

    title: str
    means: str
    words: tuple[str, ...]


FAMILIES = (
    Family("copying", "rows too close to training rows", ("copy", "copie", "memor")),
    Family(
        "coverage",
        "collapse, lost modes, too little or too much spread",
        ("collapse", "coverage", "mode", "spread", "narrow", "diversity"),
    ),
    Family(
        "finite",
        "numbers that became infinite, failed runs",
        ("nan", "finite", "diverg", "explod", "overflow", "failed", "crash"),
    ),
    Family(
        "critic and generator",
        "the game between two networks",
        (
            "critic",
            "discriminator",
            "generator",
            "hinge",
            "margin",
            "slope",
            "lipschitz",
            "saturat",
            "penalty",
            "clip",
            "game",
            "player",
        ),
    ),
    Family(
        "energy and chains",
        "energies, Langevin steps, persistent chains, rows that measure log Z",
        ("energ", "chain", "langevin", "sampler", "accept", "partition", "proposal"),
    ),
    Family(
        "noise and time",
        "noise levels, schedules, time as an input",
        ("noise level", "schedule", "snr", "time", "velocity", "denois", "prior"),
    ),
    Family(
        "learning",
        "not started, not finished, getting worse again",
        ("start", "longer", "learn", "vanish", "stagnat", "oscillat", "worse", "budget", "loss"),
    ),
    Family(
        "definition",
        "checked before training: value, gradient, who moves",
        ("contract", "gradient", "formula", "invarian", "move", "leak", "sign", "shape"),
    ),
)
ORDER = (7, 2, 6, 3, 4, 5, 1, 0)  # the order in the matrix, from before training to what came out
ADVERSARIAL, ENERGY, NOISED, LEARNING, DEFINITION = 3, 4, 5, 6, 7
PREDICTING = (2, LEARNING, DEFINITION)  # what a network that predicts can always show
COVERAGE = 1  # and one that embeds
SEARCH = (0, 1, 4, 3, 5, 2, 6, 7)  # the special before the general
SYMBOLS = {"healthy": "✓", "note": "!", "fault": "✕", "not applicable": "·", "unknown": "?"}

# What a curve tends to when the generator's law is the data's and the critic is the best one.
EQUILIBRIA: dict[tuple[str, str], tuple[float, str]] = {
    ("gan", "loss 0:D"): (2 * LOG2, "2 log 2, where D = 1/2"),
    ("gan", "loss 1:G"): (LOG2, "log 2, where D = 1/2"),
    ("gan-minimax", "loss 0:D"): (2 * LOG2, "2 log 2, where D = 1/2"),
    ("gan-minimax", "loss 1:G"): (-LOG2, "\u2212log 2, where D = 1/2"),
    ("lsgan", "loss 0:D"): (0.25, "1/4, where D = 1/2"),
    ("lsgan", "loss 1:G"): (0.125, "1/8, where D = 1/2"),
    ("hinge-gan", "loss 0:D"): (2.0, "2, where the laws are equal"),
    ("wgan", "loss 0:D"): (0.0, "0, where the laws are equal"),
    ("wgan-gp", "critic gap / slope"): (0.0, "0, where the laws are equal"),
    ("wgan", "critic gap / slope"): (0.0, "0, where the laws are equal"),
    ("cd", "energy gap"): (0.0, "0: chains and data alike"),
    ("pcd", "energy gap"): (0.0, "0: chains and data alike"),
    ("r3gan", "loss 0:D"): (LOG2, "log 2, where the critic cannot tell a pair"),
    ("r3gan", "loss 1:G"): (LOG2, "log 2, where the critic cannot tell a pair"),
}
SHARED = {
    "critic accuracy": (0.5, "0.5: guessing"),
}


def family_of(finding: Finding) -> int:
    """The family of a finding's rule; `learning` if no word of it is known."""
    rule = finding.rule.lower()
    if rule.startswith("contract"):
        return DEFINITION
    return next((i for i in SEARCH if any(word in rule for word in FAMILIES[i].words)), LEARNING)


def applies(row: Row, family: int) -> bool:
    """Can an objective show this kind of trouble?"""
    name = row.name.rsplit("/", 1)[-1].lower()
    if family == ADVERSARIAL:
        return {"G", "D"} <= set(row.parameters) or "gan" in name
    if family == ENERGY:
        words = ("pcd", "energy", "ebm", "score-matching", "ebgan", "langevin")
        return any(w in name for w in words) or any("energ" in c or "chain" in c for c in row.curves)
    if family == NOISED:
        return any(w in name for w in ("ddpm", "diffusion", "flow", "score-matching"))
    return True


def status(study: Study, row: Row, family: int) -> str:
    """healthy, note, fault, not applicable, or unknown where no run lived to show it."""
    here = [f for f in study.findings if f.objective == row.name and family_of(f) == family]
    if any(f.level == "fault" for f in here):
        return "fault"
    if here:
        return "note"
    if family == LEARNING and row.state:
        return "note"
    dead = row.failures == len(row.scores)
    if FAMILIES[family].title == "finite" and row.failures:
        return "fault" if dead else "note"
    if not applies(row, family):
        return "not applicable"
    return "unknown" if dead and FAMILIES[family].title != "definition" else "healthy"


def matrix(study: Study) -> dict[str, Any]:
    """Objectives by families, and the symbol of every cell."""
    shown = {"generate": ORDER, "classify": PREDICTING}.get(study.goal, (*PREDICTING, COVERAGE))
    order = [i for i in ORDER if i in shown or i in map(family_of, study.findings)]
    families = [FAMILIES[i] for i in order]
    lines = []
    for number, row in enumerate(of_role(study, "objective")):
        cells = [status(study, row, i) for i in order]
        lines.append((number, row, [(state, SYMBOLS[state]) for state in cells]))
    return {"families": families, "lines": lines}


def details(study: Study) -> Iterator[dict[str, Any]]:
    """Per objective: findings, curves, and the curves in numbers."""
    for number, row in enumerate(of_role(study, "objective")):
        findings = sorted((f for f in study.findings if f.objective == row.name), key=lambda f: f.level)
        yield {
            "number": number,
            "row": row,
            "findings": [(f, FAMILIES[family_of(f)].title, evidence(f)) for f in findings],
            "curves": [curve(number, row, i, *pair) for i, pair in enumerate(losses_first(row.curves))],
            "table": [(name, *ends(v), levels_of(row, name)) for name, v in losses_first(row.curves)],
        }


def evidence(finding: Finding) -> list[tuple[str, str]]:
    """The numbers of a finding."""
    return [(name, figures(value, 3)) for name, value in finding.evidence.items()]


def known(values: Sequence[float | None]) -> list[float]:
    """Those that are numbers."""
    return [v for v in values if v is not None and math.isfinite(v)]


def levels_of(row: Row, name: str) -> list[tuple[float, str]]:
    """Where a curve tends at equilibrium; of embeddings, where it rests if all are equal, and the least there is."""
    if name.startswith("loss") and (row.collapse is not None or row.least is not None):
        known = (row.collapse, "where all embeddings are equal"), (row.least, "the least there is")
        return [(level, f"{figures(level, 3)}, {says}") for level, says in known if level is not None]
    level = EQUILIBRIA.get((row.name, name)) or SHARED.get(name)
    return [level] if level else []


def ends(values: Sequence[float | None]) -> tuple[str, str, str]:
    """A curve in numbers: medians of its first, middle and last tenth."""
    numbers = known(values)
    tenth, middle = max(1, len(numbers) // 10), len(numbers) // 2
    parts = numbers[:tenth], numbers[max(0, middle - tenth // 2) : middle + tenth], numbers[-tenth:]
    first, mid, last = (figures(median(part), 3) for part in parts)
    return first, mid, last


def curve(number: int, row: Row, i: int, name: str, values: Sequence[float | None]) -> Figure:
    """One recorded curve of the first seed, with its equilibrium line if it has one."""
    numbers = known(values)
    held = levels_of(row, name)
    tall = max(map(abs, numbers)) > 100 * max(1e-12, median(map(abs, numbers)))
    bent = {"type": "symlog", "constant": max(median(map(abs, numbers)), 1e-9)} if tall else {"zero": False}
    x = alt.X(
        "x:Q",
        axis=alt.Axis(title="% of the run", values=[0, 50, 100], grid=False),
        scale=alt.Scale(domain=[0, 100], nice=False),
    )
    y = alt.Y(
        "y:Q",
        axis=alt.Axis(title=None, tickCount=4, format=number_format(numbers)),
        scale=alt.Scale(**bent),
    )
    points = [
        {"x": 100 * (k + 1) / len(values), "y": None if v is None or not math.isfinite(v) else v}
        for k, v in enumerate(values)
    ]
    tips = [alt.Tooltip("x:Q", title="% of the run", format=".0f"), alt.Tooltip("y:Q", title=name, format=".3~g")]
    base = alt.Chart(data(points)).encode(x, y)
    layers = [base.mark_line(color=BLUE, strokeWidth=1.5), base.mark_point(size=30, opacity=0).encode(tooltip=tips)]
    for level, _ in held:
        rule = alt.Chart(data([{"y": level}])).mark_rule(color=SOFT, strokeDash=[4, 3], strokeWidth=1.3)
        layers.append(rule.encode(alt.Y("y:Q")))
    first, middle, last = ends(values)
    says = f"{row.name}, {name}: {first} at the start, {middle} half way, {last} at the end"
    note = f"dashed: {'; '.join(says for _, says in held)}" if held else ""
    return figure(f"curve-{number}-{i}", says, small(alt.layer(*layers)), plain(name), note)


def number_format(numbers: Sequence[float]) -> str:
    """Of an axis, by its largest number."""
    top = max(map(abs, numbers))
    return "~s" if top >= 1e4 else "~g" if top >= 1e-3 or top == 0 else "~e"


def losses_first(curves: Mapping[str, Sequence[float | None]]) -> list[tuple[str, Sequence[float | None]]]:
    """The curves that hold a number, losses before the rest."""
    kept = [(name, values) for name, values in curves.items() if known(values)]
    return sorted(kept, key=lambda pair: not pair[0].startswith("loss"))


def plain(name: str) -> str:
    """loss 0:D -> loss of D"""
    if name.startswith("loss ") and ":" in name:
        return f"loss of {name.split(':', 1)[1].replace('+', ' and ')}"
    return name
