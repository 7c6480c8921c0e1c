"""What a person sees while a study runs: the plan first, then a live table, and findings as they appear."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table as Grid

from .data import Pairs, Pictures, Table
from .data.describe import concerns
from .data.pixels import said, shade
from .nets.clip import TRAINED
from .report.words import quoted
from .study.align.judge import PairJudge
from .study.align.signal import PairSignal
from .study.classify.judge import Labelled
from .study.classify.signal import LEVEL, Signal
from .study.embed.given import AlikeJudge
from .study.embed.signal import AlikeSignal
from .study.embed.views import ViewJudge
from .study.judge import Judge, Preflight
from .study.plan import Group, Plan
from .study.store import Store
from .study.verdict import listed
from .task import Finding

SPEED, CONVOLUTIONS = 2.5e10, 4.5e10  # operations per second and core, for a first guess at the time
START, SEEING = 10.0, 150.0  # seconds for starting workers, checks, anchors and the report; for pictures, features too
DRAWING = 11.0  # seconds of a core to draw the pictures of a run and to judge them
STAGES = {
    "tune": "settings tried, one seed each, half the compute",
    "screen": "every objective, chosen setting",
    "final": "finalists on fresh seeds, judged on test rows",
    "twin": "the leader under another name: it must tie",
    "fewer rows": "finalists on fewer training rows",
}


def plan_lines(plan: Plan, judge: Judge, folder: Path, workers: int | None = None) -> list[str]:
    """What will be run: objectives, runs, compute, time. workers: processes, one per core unless told otherwise."""
    parts, b = judge.split(1), plan.budget
    total = sum(flops for _, _, flops in plan.stages())
    cores = len(os.sched_getaffinity(0))
    labels = judge.target if isinstance(judge, Labelled) else ()
    pictures = judge.pictures is not None
    suspicious = suspicions(judge.table, labels) if isinstance(judge.table, Table) else ()
    lines = [
        f"[bold]{escape(judge.table.source)}[/]: {extent(judge, len(labels))}; {len(parts.train):,} train, "
        f"{len(parts.validation):,} tune, {len(parts.test):,} judge",
        *target_lines(judge),
        f"goal {plan.goal}, budget {escape(b.name)}: {plain(b.flops)} operations per run, " + networks(judge, b.width),
        f"objectives: {escape(', '.join(plan.objectives))}",
        *skipped_lines(plan),
        *(f"[yellow]note[/] {escape(note)}" for note in (*judge.notes, *suspicious)),
        *kept_lines(folder),
    ]
    stages = [stage for stage in plan.stages() if stage[1]]
    for name, count, flops in stages:
        lines.append(f"  {name:10} {count:4} runs  {plain(flops, 2):>7} operations  {STAGES[name]}")
    start, speed = (SEEING, CONVOLUTIONS) if pictures else (START, SPEED)
    runs = sum(runs for _, runs, _ in stages)
    judging = DRAWING * runs if pictures and plan.goal == "generate" else 0.0
    seconds = start + (total / speed + judging) / min(workers or cores, cores)
    by = f" with {workers} worker{'s' * (workers > 1)}" if workers else ""
    lines.append(
        f"  in all     {runs:4} runs  {plain(total, 2):>7} operations, about "
        f"{duration(seconds)}{by} on {cores} core{'s' * (cores > 1)}; results in {escape(str(folder))}"
    )
    return lines


def networks(judge: Judge, width: int) -> str:
    """What is trained, roughly."""
    if isinstance(judge, PairJudge) and judge.pictures is not None:
        return f"CLIP's networks in the size {TRAINED}"
    return f"convolutional networks of {width // 4} channels" if judge.pictures else f"networks of 3 x {width}"


def extent(judge: Judge, labels: int) -> str:
    """344 rows, 8 columns (12 encoded dimensions); or 10,000 pictures of 16 x 16, grey; or pairs."""
    if isinstance(judge.table, Pairs):
        return f"{len(judge.table):,} pairs of {judge.table.said}"
    if isinstance(judge.table, Pictures):
        return f"{len(judge.table):,} pictures of {said(judge.table.shape[1:])}, {shade(judge.table.shape)}"
    columns, dims = len(judge.table.schema.columns) - labels, judge.task.dim
    kinds = f"{columns} column{'s' * (columns > 1)} ({dims} encoded dimension{'s' * (dims > 1)})"
    return f"{len(judge.table):,} rows, {kinds}"


def skipped_lines(plan: Plan) -> list[str]:
    """What cannot run, a line for each reason."""
    reasons = dict.fromkeys(plan.skipped.values())
    names = {why: listed([name for name, w in plan.skipped.items() if w == why]) for why in reasons}
    return [f"[yellow]skipped[/] {escape(f'{names[why]}: {why}')}" for why in reasons]


def suspicions(table: Table, labels: Sequence[str], most: int = 5) -> list[str]:
    """What looks wrong with the columns that are no labels."""
    found = [f"{c.what[0].upper()}{c.what[1:]}. {c.advice}" for c in concerns(table, besides=labels)]
    more = len(found) - most
    return found[:most] + [f"{more} more suspicions: see `whichloss describe`."] * (more > 0)


def target_lines(judge: Judge) -> list[str]:
    """What is to be predicted, and what decides; or what rows are given."""
    if told := judge.described_by:
        return [f"given {escape(told['given'])}: {len(told['classes'])} classes ({escape(some(told['classes']))})"]
    if isinstance(judge, PairJudge):
        return [f"decided by recall@1 both ways; {len(np.unique(judge.table.groups)):,} units that a split keeps whole"]
    if isinstance(judge, AlikeJudge):
        alike = f"{int(judge.alike.sum()):,} of {len(judge.alike):,} pairs are alike"
        kept = f"{len(np.unique(judge.table.groups)):,} units that a split keeps whole"
        return [f"{alike}; decided by how well cosines tell which (AUROC); {kept}"]
    if isinstance(judge, ViewJudge):
        return ["no labels: two views of a row must find each other; decided by recall@1"]
    if not isinstance(judge, Labelled):
        return []
    names, kind = judge.labels.names, judge.labels.kind
    shown = some(names)
    if kind == "several":
        what = f"{len(names)} labels, of which a row may have several: {shown}"
    else:
        what = f"{', '.join(judge.target)}: {len(names)} classes{' in order' * (kind == 'ordered')} ({shown})"
    rare = f" of {quoted(names[judge.labels.positive])}, the rarer class" if judge.labels.two else ""
    does = "predicts" if judge.goal == "classify" else "alike are rows of equal"
    return [f"{does} {escape(what)}; decided by {judge.metric}{escape(rare) * (judge.metric == 'average-precision')}"]


def some(names: Sequence[str]) -> str:
    """The first classes."""
    return ", ".join(map(quoted, names[:8])) + (", ..." if len(names) > 8 else "")


def measured_lines(preflight: Preflight) -> list[str]:
    """What the preflight found of labels: signal, and what to beware of."""
    if isinstance(preflight, PairSignal):
        found = "signal" if preflight.seen else "no signal that a cheap probe can see"
        said = (
            f"a cheap probe's prediction lies nearer to its own partner than to another's {preflight.told:.1%} of the "
        )
        said += f"time ({preflight.chance_low:.1%} to {preflight.chance_high:.1%} with shuffled units; "
        return [f"{found}: {said}p = {preflight.p:.2g})", *preflight.cautions()]
    if isinstance(preflight, AlikeSignal):
        found = "signal" if preflight.seen else "no signal that a cheap probe can see"
        chance = (
            f"{preflight.chance_low:.1%} to {preflight.chance_high:.1%} with shuffled labels; p = {preflight.p:.2g}"
        )
        said = f"a cheap probe tells alike from not alike in {preflight.accuracy:.1%} of the pairs, balanced ({chance})"
        return [f"{found}: {said}", *preflight.cautions()]
    if not isinstance(preflight, Signal):
        return []
    found = "signal" if preflight.p < LEVEL else "no signal that a cheap probe can see"
    chance = f"{preflight.chance_low:.1%} to {preflight.chance_high:.1%} with shuffled labels"
    said = f"a cheap probe predicts {preflight.accuracy:.1%}, balanced over classes ({chance}; p = {preflight.p:.2g})"
    return [f"{found}: {said}", *preflight.why(), *preflight.cautions()]


def kept_lines(folder: Path) -> list[str]:
    """What an earlier command left in the folder."""
    shared = ("preflight-", "anchors-", "free-")
    kept = sum(not path.name.startswith(shared) for path in (folder / "runs").glob("*.safetensors"))
    says = f"{kept} finished run{'s' * (kept > 1)} in {folder}: those of this plan are not run again"
    return [escape(says)] if kept else []


def plain(number: float, digits: int = 6) -> str:
    """2e11, as a person types it."""
    return f"{number:.{digits}g}".replace("e+", "e").replace("e0", "e")


def duration(seconds: float) -> str:
    """4 min 12 s"""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Terminal:
    """A live table: one line per objective, its state in each stage, best score so far."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.live = Live(console=self.console, refresh_per_second=4, transient=True)
        self.started = time.monotonic()
        self.done: dict[tuple[str, str], list[float | None]] = {}
        self.total: dict[tuple[str, str], int] = {}
        self.share: dict[str, float] = {}
        self.groups: dict[str, Group] = {}
        self.names: list[str] = []

    def __enter__(self) -> "Terminal":
        self.live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.__exit__(kind, error, trace)

    def planned(self, plan: Plan, judge: Judge, store: Store) -> None:
        """The plan is printed before."""

    def measured(self, preflight: Preflight) -> None:
        """What was measured before training: the first line plain, what to beware of as notes."""
        for number, line in enumerate(measured_lines(preflight)):
            if number:
                self.note(line)
            else:
                self.console.print(line, soft_wrap=True, highlight=False)

    def stage(self, name: str, groups: Sequence[Group]) -> None:
        """A stage begins."""
        for group in groups:
            key = (group.runs[0].objective, group.stage)
            self.total[key] = self.total.get(key, 0) + len(group.runs)
            self.groups[group.id] = group
            if key[0] not in self.names:
                self.names.append(key[0])
        if groups and not self.console.is_terminal:  # a log shows no live table
            runs, passed = sum(len(group.runs) for group in groups), duration(time.monotonic() - self.started)
            self.console.print(f"{name}: {runs} runs; {passed} so far", soft_wrap=True, highlight=False)
        self.draw()

    def progress(self, group: Group, step: int, steps: int) -> None:
        """A group is under way."""
        self.share[group.id] = step / steps
        self.draw()

    def finished(self, group: Group, records: Sequence[Mapping[str, Any]]) -> None:
        """A group is on disk."""
        self.share.pop(group.id, None)
        key = (group.runs[0].objective, group.stage)
        for record in records:
            quarters = [q for q in record.get("quarters", []) if q is not None]
            score = record.get("score", min(quarters, default=None))
            self.done.setdefault(key, []).append(None if record["failed"] else score)
            if record["failed"]:
                self.say("red", "failed", f"{key[0]} ({group.stage}): {record['failed']}")
        self.draw()

    def found(self, finding: Finding) -> None:
        """A finding appears."""
        colour = "red" if finding.level == "fault" else "yellow"
        self.say(colour, finding.level, f"{finding.objective}: {finding.says} {finding.remedy}")

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self.say("yellow", "note", text)

    def say(self, colour: str, what: str, text: str) -> None:
        """One line above the table."""
        self.console.print(f"[{colour}]{what}[/] {escape(' '.join(text.split()))}", soft_wrap=True, highlight=False)

    def draw(self) -> None:
        """Redraw the table."""
        self.live.update(self.grid())

    def grid(self) -> Grid:
        """The table as it stands."""
        grid = Grid(title=f"{duration(time.monotonic() - self.started)}", title_justify="left", box=None)
        stages = list(dict.fromkeys(stage for _, stage in self.total))
        for column in ("", *stages, "score so far"):
            grid.add_column(column, justify="left" if not column else "right")
        for name in self.names:
            cells = [self.cell(name, stage) for stage in stages]
            scores = [
                s for (n, stage), v in self.done.items() if n == name and stage != "tune" for s in v if s is not None
            ]
            mean = f"{sum(scores) / len(scores):.4f}" if scores else ""
            grid.add_row(escape(name), *cells, mean)
        return grid

    def cell(self, name: str, stage: str) -> str:
        """How far an objective is in a stage."""
        total, done = self.total.get((name, stage), 0), len(self.done.get((name, stage), []))
        if not total:
            return ""
        running = sum(
            share * len(self.groups[i].runs)
            for i, share in self.share.items()
            if self.groups[i].stage == stage and self.groups[i].runs[0].objective == name
        )
        return "[green]done[/]" if done == total else f"{(done + running) / total:.0%}"
