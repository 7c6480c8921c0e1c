"""What a person sees while a study runs: the plan first, then a live table, and findings as they appear."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid

from .study.judge import Judge
from .study.plan import Group, Plan
from .study.store import Store
from .task import Finding

SPEED = 2.5e10  # operations per second and core, for a first guess at the time
STAGES = {
    "tune": "settings tried, one seed each, half the compute",
    "screen": "every objective, chosen setting",
    "final": "finalists on fresh seeds, judged on test rows",
    "twin": "the leader under another name: it must tie",
    "fewer rows": "finalists on fewer training rows",
}


def plan_lines(plan: Plan, judge: Judge, folder: Path) -> list[str]:
    """What will be run: objectives, runs, compute, time."""
    import os

    parts, b = judge.split(1), plan.budget
    total = sum(flops for _, _, flops in plan.stages())
    cores = len(os.sched_getaffinity(0))
    lines = [
        f"[bold]{judge.table.source}[/]: {len(judge.table):,} rows, {len(judge.table.schema.columns)} columns "
        f"({judge.space.dim} encoded dimensions); {len(parts.train):,} train, {len(parts.validation):,} tune, "
        f"{len(parts.test):,} judge",
        f"goal {plan.goal}, budget {b.name}: {b.flops:g} operations per run, networks of 3 x {b.width}",
        f"objectives: {', '.join(plan.objectives)}",
        *(f"[yellow]skipped[/] {name}: {why}" for name, why in plan.skipped.items()),
        *(f"[yellow]note[/] {note}" for note in judge.table.notes),
    ]
    for name, runs, flops in plan.stages():
        lines.append(f"  {name:10} {runs:4} runs  {flops:8.2g} operations  {STAGES[name]}")
    lines.append(
        f"  in all     {sum(r for _, r, _ in plan.stages()):4} runs  {total:8.2g} operations, about "
        f"{duration(total / SPEED / cores)} on {cores} cores; results in {folder}"
    )
    return lines


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

    def stage(self, name: str, groups: Sequence[Group]) -> None:
        """A stage begins."""
        for group in groups:
            key = (group.runs[0].objective, group.stage)
            self.total[key] = self.total.get(key, 0) + len(group.runs)
            self.groups[group.id] = group
            if key[0] not in self.names:
                self.names.append(key[0])
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
                self.console.print(f"[red]failed[/] {key[0]} ({group.stage}): {record['failed']}")
        self.draw()

    def found(self, finding: Finding) -> None:
        """A finding appears."""
        colour = "red" if finding.level == "fault" else "yellow"
        self.console.print(f"[{colour}]{finding.level}[/] {finding.objective}: {finding.says} {finding.remedy}")

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self.console.print(f"[yellow]note[/] {text}")

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
            grid.add_row(name, *cells, mean)
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
