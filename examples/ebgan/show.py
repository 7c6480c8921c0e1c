"""From runs on disk to tables, a page and a conclusion; every sentence follows from the numbers."""

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import vl_convert
from PIL import Image
from replay.show import BLUE, INK, OCHRE, RED, band, inline, level, placed, plain, styled, table
from scipy.stats import t as student

from whichloss.data.write import aside

from .forms import FORMS, SHAPE

COLUMNS = {  # name in the runs: heading, digits
    "Frechet": ("Frechet", 3),
    "KID": ("KID", 4),
    "coverage": ("coverage", 3),
    "PT": ("PT", 3),
    "PT as computed": ("PT as computed", 3),
    "active hinges": ("active hinges", 2),
    "E(x) / m": ("E(x) / m", 3),
    "E(G(z)) / m": ("E(G(z)) / m", 3),
    "L_D / m": ("L_D / m", 3),
    "cosine": ("cosine", 3),
    "relative error": ("rel. error", 4),
    "cosine of the energy's": ("cosine, energy", 3),
    "relative error of the energy's": ("rel. error, energy", 4),
    "PT's pull / energy's": ("PT's pull", 3),
    "noise energy / data energy": ("noise / data", 1),
}
BRIEF = ("Frechet", "coverage", "PT", "active hinges", "cosine of the energy's", "relative error of the energy's")


@dataclass(frozen=True)
class Run:
    """One form after some steps with one seed: numbers and pictures as they lie on disk."""

    name: str
    step: int
    seed: int
    numbers: Mapping[str, Any]
    pictures: Mapping[str, np.ndarray]

    def score(self, key: str) -> float:
        """A number, nan where the run diverged."""
        return float(self.numbers["scores"].get(key, math.nan))


@dataclass(frozen=True)
class Cost:
    """How much worse than the paper's form, paired over seeds: the mean and half of its 95 % interval (t)."""

    name: str
    by: np.ndarray
    failed: int

    @property
    def mean(self) -> float:
        """Over seeds that ended."""
        return float(self.by.mean()) if len(self.by) else math.nan

    @property
    def half(self) -> float:
        """nan where there are fewer than two seeds."""
        n = len(self.by)
        return float(student.ppf(0.975, n - 1) * self.by.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan

    @property
    def kind(self) -> str:
        """What the interval says."""
        if self.failed:
            return f"diverges ({self.failed} of {self.failed + len(self.by)} seeds)"
        if math.isnan(self.half):
            return "one seed: not known"
        return "costs" if self.mean > self.half else "helps" if self.mean < -self.half else "within the spread"

    @property
    def said(self) -> str:
        """+1.23 ± 0.4."""
        return f"{self.mean:+.3f} ± {self.half:.3f}" if math.isfinite(self.half) else f"{self.mean:+.3f}"


@dataclass(frozen=True)
class Shown:
    """Everything there is to show."""

    runs: Sequence[Run]
    ceiling: Sequence[Mapping[str, float]]  # real pictures against real ones, as many
    real: np.ndarray
    features: str
    samples: int
    steps: int
    long: int

    @property
    def seeds(self) -> int:
        """How many there are at most."""
        return len({run.seed for run in self.runs})

    def of(self, name: str, step: int) -> list[Run]:
        """The seeds of a form."""
        return [run for run in self.runs if (run.name, run.step) == (name, step)]

    def cost(self, name: str, step: int) -> Cost:
        """Of a form in Frechet distance, against the paper's form with the same seeds."""
        scores = {run.seed: run.score("Frechet") for run in self.of("paper", step)}
        paper = {seed: score for seed, score in scores.items() if np.isfinite(score)}
        by = np.array([r.score("Frechet") - paper[r.seed] for r in self.of(name, step) if r.seed in paper])
        return Cost(name, by[np.isfinite(by)], int((~np.isfinite(by)).sum()))

    def rows(self, step: int, keys: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        """The head and the lines of a table: forms that were trained for so many steps."""
        head = ["form", "what differs", "seeds", "cost", "verdict", *(COLUMNS[key][0] for key in keys)]
        lines = []
        for name, (_, what, _) in FORMS.items():
            if runs := self.of(name, step):
                cost, own = self.cost(name, step), name == "paper"
                cells = [spread([run.score(key) for run in runs], COLUMNS[key][1]) for key in keys]
                told = ["", ""] if own or not len(cost.by) + cost.failed else [cost.said, cost.kind]
                lines.append([name, what, str(len(runs)), *told, *cells])
        cells = [spread([c[key] for c in self.ceiling if key in c], COLUMNS[key][1]) for key in keys]
        return head, [*lines, ["real pictures", "", str(len(self.ceiling)), "", "", *cells]]

    @property
    def conclusion(self) -> list[str]:
        """Sentences that the numbers alone decide."""
        said = []
        pair = self.cost("repository", self.long)
        if len(pair.by):
            ends = [spread([run.score("Frechet") for run in self.of(n, self.long)]) for n in ("paper", "repository")]
            said.append(
                f"After {self.long:,} steps the paper's loss is at a Frechet distance of {ends[0]} and the popular "
                f"form at {ends[1]}: a difference of {pair.said} ({pair.kind})."
            )
        costs = {axis: self.axis(axis) for axis in ("loss", "network")}
        if not any(costs.values()):
            return said
        if self.seeds < 2:
            return [*said, "One seed: nothing is known of the spread over seeds, so no cost can be told from chance."]
        for axis, some in costs.items():
            for kind, verb in (("costs", "cost more"), ("helps", "help by more")):
                if named := [f"{FORMS[c.name][1]} ({c.said})" for c in some if c.kind == kind]:
                    said.append(
                        f"Changes of the {axis} that alone {verb} than the spread over seeds: {list_of(named)}."
                    )
            if named := [f"{FORMS[c.name][1]}: {c.kind}" for c in some if c.failed]:
                said.append(f"Changes of the {axis} that do not always train: {list_of(named)}.")
            if named := [FORMS[c.name][1] for c in some if c.kind == "within the spread"]:
                said.append(f"Changes of the {axis} within the spread over seeds: {list_of(named)}.")
        bad = {axis: [c for c in some if c.failed or c.kind == "costs"] for axis, some in costs.items()}
        asked = {axis: f"{len(bad[axis])} of {len(costs[axis])} changes of the {axis}" for axis in bad}
        blame = [axis for axis in bad if bad[axis]]
        answer = f"It can be the {' and the '.join(blame)}" if blame else "None of them alone"
        said.append(f"{answer}: {list_of(list(asked.values()))} do harm alone that the seeds do not explain.")
        return said

    def axis(self, axis: str) -> list[Cost]:
        """The costs of all single changes on one axis, the largest first."""
        some = [self.cost(name, self.steps) for name, (on, _, _) in FORMS.items() if on == axis]
        return sorted((c for c in some if len(c.by) + c.failed), key=lambda c: (-c.failed, -np.nan_to_num(c.mean)))


def spread(values: Sequence[float], digits: int = 3) -> str:
    """mean ± standard deviation over seeds; seeds without the number are counted."""
    seen = np.array([v for v in values if math.isfinite(v)])
    if not len(seen):
        return ""
    said = f"{seen.mean():.{digits}f}" + (f" ± {seen.std(ddof=1):.{digits}f}" if len(seen) > 1 else "")
    return said if len(seen) == len(values) else f"{said} ({len(seen)} of {len(values)} seeds)"


def list_of(words: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def write(shown: Shown, out: Path) -> None:
    """Print the tables and the conclusion; write ebgan_why.json, .md and .html."""
    for step in sorted({shown.steps, shown.long}):
        table(title(shown, step), *shown.rows(step, BRIEF))
    print("\n" + "\n".join(shown.conclusion))
    record = {
        "features": shown.features,
        "samples": shown.samples,
        "steps": shown.steps,
        "long": shown.long,
        "conclusion": shown.conclusion,
        "costs": {
            f"{name}/{step}": {"mean": c.mean, "half": c.half, "kind": c.kind, "by seed": c.by}
            for step in sorted({shown.steps, shown.long})
            for name in FORMS
            if name != "paper" and len((c := shown.cost(name, step)).by) + c.failed
        },
        "ceiling": list(shown.ceiling),
        "runs": [
            {"name": r.name, "step": r.step, "seed": r.seed} | {k: v for k, v in r.numbers.items() if k != "curves"}
            for r in shown.runs
        ],
    }
    texts = {
        "json": json.dumps(plain(record), indent=1, allow_nan=False) + "\n",
        "md": markdown(shown),
        "html": page(shown),
    }
    for kind, text in texts.items():
        path = out / f"ebgan_why.{kind}"
        with aside(path) as part:
            part.write_text(text, encoding="utf-8")
        print(path)


def title(shown: Shown, step: int) -> str:
    """What a table says."""
    return f"After {step:,} steps: mean ± sd over seeds; cost: Frechet distance above the paper's form, 95 % interval"


def markdown(shown: Shown) -> str:
    """The tables and the conclusion for a README."""
    parts = [f"{shown.samples:,} pictures of every run, Frechet distance and coverage in {shown.features}.\n"]
    for step in sorted({shown.steps, shown.long}):
        head, lines = shown.rows(step, BRIEF)
        parts.append(f"{title(shown, step)}.\n\n{as_markdown([head, ['---'] * len(head), *lines])}")
    return "\n".join([*parts, *(f"- {said}" for said in shown.conclusion)]) + "\n"


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def publish(shown: Shown, root: Path) -> None:
    """Put the tables into examples/README.md, and the costs into EBGAN's card, English and Korean."""
    placed(root / "examples/README.md", "Why did my EBGAN not work?", "Measured: ", markdown(shown))
    head, lines = shown.rows(shown.steps, ("Frechet", "cosine of the energy's"))
    keep = [head.index(name) for name in ("what differs", "Frechet", "cost", "verdict", "cosine, energy")]
    rows = [[line[k] for k in keep] for line in (head, ["---"] * len(head), *lines)]
    told = f"""{shown.steps:,} steps of one network on Fashion-MNIST, mean ± sd over {shown.seeds} seeds; cost: Frechet
distance ({shown.features}) above the first line, paired, 95 % interval; cosine: the gradient that $G$ follows against
finite differences of the printed energy.\n\n"""
    card, heading = root / "src/whichloss/objectives/ebgan.md", "Cons and failure modes"
    placed(card, heading, "Measured by `examples/ebgan_why.py`: ", told + as_markdown(rows))
    told = f"""Fashion-MNIST에서 신경망 하나를 {shown.steps:,}걸음, 시드 {shown.seeds}개의 평균 ± 표준편차.
cost는 첫 줄보다 큰 프레셰 거리({shown.features})이고 시드끼리 짝지은 95 % 구간이다.
cosine은 $G$가 따르는 기울기와 찍힌 에너지의 유한 차분 사이의 코사인이다.\n\n[[1]]\n"""
    placed(card.with_suffix(".ko.md"), heading, "`examples/ebgan_why.py`로 잰 값: ", told)


STYLE = """
body{font:15px/1.5 DejaVu Sans,Verdana,sans-serif;color:#222;max-width:1180px;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;font-size:12px;margin:1em 0;display:block;overflow-x:auto}
td,th{padding:3px 8px;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}
.sheets{display:flex;flex-wrap:wrap;gap:18px}figure{margin:0;width:262px;font-size:12px}
figure img{width:262px;image-rendering:pixelated;display:block}
svg{max-width:100%;height:auto}
.costs td{color:#b8352f}"""


NOTES = (
    "Frechet distance, KID and coverage of {n} pictures against as many test pictures, in {features}; the line of real "
    "pictures compares as many training pictures. PT: mean squared cosine of the codes of fakes, and what the form "
    "computes for it. Active hinges: share of fakes whose term in the critic's loss has a slope. These, E and L_D are "
    "means over the last points of the curves. Cosine and rel. error: the gradient that G follows against central "
    "differences of the loss that is printed, and the same for the energy alone. PT's pull: its gradient on the "
    "pictures over the energy's. Noise / data: energy of shuffled pixels over that of pictures, 1 for an autoencoder "
    "that restores anything. Of twenty intervals of 95 % one errs."
)


def page(shown: Shown) -> str:
    """One HTML file that needs nothing else."""
    real = figure(shown.real, "real pictures", "")
    parts = [f"<p>{html.escape(said)}</p>" for said in shown.conclusion]
    if shown.axis("loss") or shown.axis("network"):
        parts += ["<h2>What each change costs</h2>", svg(costs(shown))]
    pair = {name: shown.of(name, shown.long) for name in ("paper", "repository")}
    if all(pair.values()):
        parts += [f"<h2>Side by side, {shown.long:,} steps</h2>", '<div class="sheets">', real]
        parts += [drawn(run) for runs in zip(*pair.values(), strict=False) for run in runs]
        parts += ["</div>", svg(alt.hconcat(*[energies(runs) for runs in pair.values()]))]
    parts += [f"<h2>Every change alone, {shown.steps:,} steps</h2>", '<div class="sheets">', real]
    parts += [drawn(runs[0]) for name in FORMS if (runs := shown.of(name, shown.steps))] + ["</div>"]
    parts.append("<h2>All numbers</h2>")
    for step in sorted({shown.steps, shown.long}):
        parts += [f"<p>{title(shown, step)}.</p>", grid(*shown.rows(step, list(COLUMNS)))]
    parts.append(f"<p>{html.escape(NOTES.format(n=f'{shown.samples:,}', features=shown.features))}</p>")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Why did my EBGAN not work?</title>'
    return f"{head}<style>{STYLE}</style><h1>Why did my EBGAN not work?</h1>\n" + "\n".join(parts) + "</html>\n"


def grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table, lines that cost something in red."""
    rows = [f"<tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>"]
    for line in lines:
        kind = ' class="costs"' if line[4].startswith(("costs", "diverges")) else ""
        rows.append(f"<tr{kind}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in line)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def drawn(run: Run) -> str:
    """What a run draws."""
    what = f"{run.name}, seed {run.seed}"
    if "samples" not in run.pictures:
        return f"<figure>{what}: diverged</figure>"
    return figure(run.pictures["samples"], what, f"{FORMS[run.name][1]}; Frechet {run.score('Frechet'):.2f}")


def figure(values: np.ndarray, name: str, says: str) -> str:
    """The first 64 pictures as a sheet, with its name."""
    framed = np.pad(values[:64].reshape(8, 8, *SHAPE[1:]), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=128)
    file = io.BytesIO()
    Image.fromarray(np.block([list(line) for line in framed])).save(file, "PNG", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    words = f"<b>{html.escape(name)}</b><br>{html.escape(says)}"
    return f'<figure><img src="{uri}" alt="{html.escape(name)}">{words}</figure>'


def costs(shown: Shown) -> Any:
    """The cost of every change with its interval."""
    rows = [
        {
            "what": FORMS[c.name][1],
            "axis": axis,
            "mean": c.mean,
            "low": c.mean - np.nan_to_num(c.half),
            "high": c.mean + np.nan_to_num(c.half),
        }
        for axis in ("loss", "network")
        for c in shown.axis(axis)
        if len(c.by)
    ]
    colour = alt.Color("axis:N", scale=alt.Scale(domain=["loss", "network"], range=[OCHRE, BLUE]), title="change of")
    y = alt.Y("what:N", sort=[row["what"] for row in rows], title=None, axis=alt.Axis(labelLimit=320))
    base = alt.Chart(inline(rows)).encode(y, colour)
    line = base.mark_rule(strokeWidth=2).encode(
        alt.X("low:Q", title="Frechet distance above the paper's form"), alt.X2("high:Q")
    )
    zero = alt.Chart(inline([{"x": 0}])).mark_rule(color=INK, strokeDash=[4, 3]).encode(alt.X("x:Q"))
    return (zero + line + base.mark_point(filled=True, size=60).encode(alt.X("mean:Q"))).properties(width=520)


def energies(runs: Sequence[Run]) -> Any:
    """Energies of data and fakes and the critic's loss, in margins; at equilibrium the loss is m."""
    curves = [run.numbers["curves"] for run in runs]
    share = np.array(curves[0]["step"]) / curves[0]["step"][-1]
    top = alt.Scale(domain=[0, 2.5])
    drawn = [
        band(
            share,
            np.array([c[key] for c in curves]).T / runs[0].numbers["margin"],
            title=f"{runs[0].name}: E(x) blue, E(G(z)) ochre, L_D red; in margins",
            y="energy / m",
            scale=top,
            colour=colour,
        )
        for key, colour in (("E(x)", BLUE), ("E(G(z))", OCHRE), ("L_D", RED))
    ]
    return alt.layer(*drawn, level(1.0, "L_D = m at equilibrium", 1.0)).properties(width=460, height=220)


def svg(chart: Any) -> str:
    """A chart as part of a page."""
    return str(vl_convert.vegalite_to_svg(styled(chart).to_dict()))
