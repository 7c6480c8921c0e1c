"""A comparison as asked for: understood and planned first, then run."""

import time as clock
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ..data import Table, read
from ..engines import Local
from ..errors import DataUnfit, StudyError, UserError, nearest
from .budget import Budget, budget
from .finish import make_study, save_best
from .judge import Judge
from .nets import Makers, load_file
from .plan import Plan
from .records import Study
from .run import Runner, Watcher, claim, default_folder, make_plan
from .store import Store, write

GOALS = ("generate",)
MOST_CLASSES = 20  # whole numbers with more distinct values are amounts, not labels
COMING = ("classify", "embed", "align")


@dataclass(frozen=True)
class Request:
    """A comparison, as asked for."""

    table: Table
    plan: Plan
    judge: Judge
    folder: Path
    command: str
    nets: Makers | None
    workers: int | None

    def run(self, watcher: Watcher) -> Study:
        """Run what is not on disk yet and write study.json, best/ and the model card."""
        started, store = clock.time(), Store(self.folder)
        with store.lock():
            claim(store, self.plan, self.judge.table, self.command)
            with Local(self.workers) as engine:
                runner = Runner(self.plan, self.judge, store, engine, self.nets, watcher)
                try:
                    found = runner.run()
                except DataUnfit:
                    forget(self.folder, self.plan)
                    raise
            for text in store.damaged:
                watcher.note(text)
            study = make_study(found, self.command, started)
            write(self.folder / "study.json", msgspec.json.format(msgspec.json.encode(study)))
            save_best(found, study, self.folder, self.nets)
        return study


def request(
    data: object,
    *,
    goal: str | None = None,
    target: str | None = None,
    size: str | float = "quick",
    objectives: Sequence[str] | None = None,
    nets: Makers | str | Path | None = None,
    group: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    seeds: int | None = None,
    out: str | Path | None = None,
    engine: str = "local",
    workers: int | None = None,
    command: str = "",
) -> Request:
    """Understand the data and plan the study; nothing is trained or written. Raises UserError and DataUnfit."""
    spent: Budget = budget(size, seeds)
    check_engine(engine)
    if workers is not None and workers < 1:
        raise UserError(f"--workers must be at least 1; got {workers}.")
    table = data if isinstance(data, Table) else read(data, group=group, time=time, drop=drop)
    check_goal(goal, target, table)
    judge = Judge(table)
    own = load_file(nets) if isinstance(nets, str | Path) else nets
    plan = make_plan(judge, spent, objectives, own)
    folder = Path(out) if out else default_folder(table)
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"'{folder}' is a file; --out needs a folder.")
    return Request(table, plan, judge, folder, command, own, workers)


def check_engine(engine: str) -> None:
    """Only the local engine exists."""
    if engine != "local":
        raise UserError(
            f"--engine {engine} is not available in this version; leave it out to use the processes of this machine."
        )


def check_goal(goal: str | None, target: str | None, table: Table) -> None:
    """The goals of this version, and what is no goal at all."""
    if target is not None:
        if target not in table.schema.names:
            raise UserError(
                f"--target '{target}': {table.source} has no such column; {nearest(target, table.schema.names)}"
            )
        place = table.position(target)
        column, values = table.schema.columns[place], table.values[:, place]
        many = column.kind == "integer" and len(np.unique(values[~np.isnan(values)])) > MOST_CLASSES
        if (many or column.kind in ("number", "date")) and goal in (None, "classify"):
            kind = {"integer": "whole number"}.get(column.kind, column.kind)
            raise DataUnfit(
                f"--target '{target}' is a column of {kind}s: regression is no goal of whichloss. "
                f"Supported: {', '.join(GOALS)}. Leave --target out to learn the whole table."
            )
        if goal in (None, "classify"):
            raise UserError(
                f"The goal 'classify' (--target '{target}') is not available in this version. "
                f"Supported: {', '.join(GOALS)}. Leave --target out to learn the whole table, '{target}' included."
            )
        if goal in GOALS:
            raise UserError(
                f"--target '{target}' belongs to the goal 'classify'; '{goal}' learns all columns together. "
                "Leave --target out."
            )
    known_goal(goal)


def known_goal(goal: str | None) -> None:
    """Refuse what is no goal, or not yet one."""
    if goal is None or goal in GOALS:
        return
    supported = f"Supported: {', '.join(GOALS)}"
    if goal in COMING:
        raise UserError(f"The goal '{goal}' is not available in this version. {supported} (leave --goal out).")
    hint = nearest(goal, GOALS + COMING)
    if hint.startswith("did you mean"):
        raise UserError(f"There is no goal '{goal}': {hint} {supported}.")
    raise DataUnfit(
        f"'{goal}' is no goal of whichloss. {supported} (leave --goal out). Regression, video and free text are not."
    )


def forget(folder: Path, plan: Plan) -> None:
    """Remove what a refused study left, unless anything was trained there: it must not stand in the way of more rows
    under the same name."""
    mine = [folder / "data.safetensors", folder / "plan.json", folder / "runs" / f"power-{plan.data}.safetensors"]
    if {path.name for path in (folder / "runs").glob("*")} <= {mine[-1].name}:
        for path in mine:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            (folder / "runs").rmdir()
