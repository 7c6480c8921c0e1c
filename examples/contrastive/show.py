"""From runs to tables and a conclusion; every sentence follows from the numbers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from replay.show import placed, plain, table
from scipy.stats import binomtest

from whichloss.study.classify.signal import LEVEL, Signal

from .settings import ALIKE, DATA, LOSSES, PARTS

SURE = 0.001  # p of as many right answers by guessing, below which an accuracy is above chance
HEADING, LEAD = "Why did my contrastive learning not work?", "Measured: "
HEAD = (
    "what is changed", "train %", "test %", "against a guess", "untrained %", "cos alike", "cos others",
    "untrained", "loss", "least", "constant",
)  # fmt: skip
BY_HEART = 0.9  # of the training pictures told right by other training pictures: their labels are known by heart
KINDS = ("alike", "other")
Runs = Mapping[str, Sequence[Mapping[str, float]]]


@dataclass(frozen=True)
class Shown:
    """All runs by part and name, one a seed; the signal tests by kind of data; tested pictures of a run."""

    runs: Mapping[str, Runs]
    told: Mapping[str, Sequence[Signal]]
    source: str
    tested: int

    def chance(self, part: str) -> float:
        """The accuracy of a guess."""
        return 1 / (self.tested if next(iter(PARTS[part].values())).data == "views" else 8)

    def above(self, part: str, name: str) -> bool:
        """Are there more right answers over all seeds than a guess gives in one study of a thousand?"""
        n = self.tested * len(self.runs[part][name])
        hits = round(sum(run["test accuracy"] for run in self.runs[part][name]) * self.tested)
        return float(binomtest(hits, n, self.chance(part), alternative="greater").pvalue) < SURE

    def rows(self, part: str) -> list[tuple[str, ...]]:
        """A line of the table for every setting."""
        lines = []
        for name, runs in self.runs[part].items():
            of = {key: np.array([run[key] for run in runs]) for key in runs[0]}
            right = [said(100 * of[f"{look} accuracy"], 1) for look in ("train", "test")]
            verdict = "above" if self.above(part, name) else "no better"
            before = said(100 * of["untrained test accuracy"], 1)
            cosines = [f"{said(of[f'test {kind}'])} ({of[f'test {kind} spread'].mean():.2f})" for kind in KINDS]
            ends = [f"{of[level].mean():.3f}" for level in ("least", "constant")]
            start = said(of["untrained test other"])
            lines.append((name, *right, verdict, before, *cosines, start, said(of["loss"], 3), *ends))
        return lines

    def signals(self) -> list[tuple[str, ...]]:
        """A line of the table of permutation tests for every kind of data."""
        return [
            (
                DATA[kind],
                ", ".join(f"{s.p:.3f}" for s in told),
                said(np.array([100 * s.accuracy for s in told]), 1),
                " to ".join(
                    f"{100 * np.mean(ends):.1f}"
                    for ends in zip(*((s.chance_low, s.chance_high) for s in told), strict=True)
                ),
                f"{sum(s.p >= LEVEL for s in told)} of {len(told)}",
            )
            for kind, told in self.told.items()
        ]

    @property
    def conclusion(self) -> list[str]:
        """What the numbers say."""
        first, real, each = PARTS
        runs, tried = self.runs[first], [n for n, s in PARTS[first].items() if s.data in ("noise", "fresh")][1:]
        lifted = [name for name in tried if self.above(first, name)]
        learnt = [name for name in tried if mean(runs[name], "train accuracy") >= BY_HEART]
        cured, endless = "real pictures with their labels", runs["endless noise"]
        cause = "So it is the data." if self.above(first, cured) and not lifted else "So it is not the data alone."
        refused = {kind: f"{sum(s.p >= LEVEL for s in told)} of {len(told)}" for kind, told in self.told.items()}
        return [
            f"Of {len(tried)} remedies that keep noise and random labels, {len(lifted)} do better than a guess "
            f"({', '.join(lifted) or 'none'}), though {len(learnt)} tell the training pictures' classes "
            f"({', '.join(learnt) or 'none'}).",
            f"Real pictures with their labels, all else as it failed: {percent(runs['nothing'])} becomes "
            f"{percent(runs[cured])}. The same pictures with shuffled labels: "
            f"{percent(runs['real pictures, labels shuffled'])}. {cause}",
            f"The permutation test finds no signal in noise at {refused['noise']} seeds, in shuffled labels at "
            f"{refused['shuffled']}, in real ones at {refused['real']}: it would have told, before training.",
            f"Where noise never repeats, cosines end at {mean(endless, 'test other'):.2f} and the loss at "
            f"{mean(endless, 'loss'):.3f}; a constant cosine of logit(2/3) = {math.log(ALIKE / (1 - ALIKE)):.3f}, the "
            f"best that pictures which say nothing allow, has {mean(endless, 'constant'):.3f}.",
            self.losses(real, "of 8 classes"),
            self.losses(each, "each its own class"),
        ]

    def losses(self, part: str, what: str) -> str:
        """How far the raw cosine lies from the other losses."""
        raw, *others = [LOSSES[setting.loss].title for setting in PARTS[part].values()]
        scores = {name: np.array([run["test accuracy"] for run in self.runs[part][name]]) for name in (raw, *others)}
        gaps = [f"{name} {100 * (scores[name] - scores[raw]).mean():+.1f}" for name in others]
        ahead = [name for name in others if (scores[name] > scores[raw]).all()]
        return (
            f"Real pictures, {what}: the raw cosine has {percent(self.runs[part][raw])}; "
            f"{', '.join(gaps)}; ahead of it at every seed: {', '.join(ahead) or 'none'}."
        )


def mean(runs: Sequence[Mapping[str, float]], key: str) -> float:
    """Over seeds."""
    return float(np.mean([run[key] for run in runs]))


def percent(runs: Sequence[Mapping[str, float]]) -> str:
    """Test accuracy."""
    return f"{said(np.array([100 * run['test accuracy'] for run in runs]), 1)} %"


def said(values: np.ndarray, digits: int = 2) -> str:
    """mean ± standard deviation over seeds."""
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


SIGNALS = ("labels", "p, each seed", "probe %", "shuffled labels %", "refused")


def markdown(shown: Shown) -> str:
    """All tables and the conclusion."""
    n, seeds = shown.tested, len(next(iter(shown.told.values())))
    told = f"{shown.source}, {n} pictures to learn from and {n} to be tested on, mean ± sd over {seeds} seeds."
    parts = [told, "\n".join(f"- {line}" for line in shown.conclusion), as_markdown([SIGNALS, *shown.signals()])]
    for part in PARTS:
        parts += [f"**{part}** (a guess: {100 * shown.chance(part):.1f} %)", as_markdown([HEAD, *shown.rows(part)])]
    return "\n\n".join(parts)


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    head, *lines = rows
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def write(shown: Shown, out: Path) -> None:
    """Print the tables; write contrastive_why.md and every number into contrastive_why.json."""
    out.mkdir(parents=True, exist_ok=True)
    table("Is there a signal in the labels?", SIGNALS, shown.signals())
    for part in PARTS:
        table(f"{part} (a guess: {100 * shown.chance(part):.1f} %)", HEAD, shown.rows(part))
    print("\n" + "\n".join(shown.conclusion))
    keep = ("p", "accuracy", "chance_low", "chance_high")
    signals = {kind: [{key: getattr(s, key) for key in keep} for s in told] for kind, told in shown.told.items()}
    numbers = {"runs": shown.runs, "signals": signals, "conclusion": shown.conclusion, "source": shown.source}
    (out / "contrastive_why.json").write_text(json.dumps(plain(numbers), indent=1, allow_nan=False) + "\n")
    (out / "contrastive_why.md").write_text(markdown(shown) + "\n", encoding="utf-8")
    print(f"\n{out / 'contrastive_why.md'}\n{out / 'contrastive_why.json'}")


def publish(shown: Shown, root: Path) -> None:
    """End the section of examples/README.md with these tables instead of the last ones."""
    placed(root / "examples/README.md", HEADING, LEAD, markdown(shown))
