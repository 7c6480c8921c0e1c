"""A comparison as asked for: understood and planned first, then run."""

import time as clock
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..data import Column, Pictures, Table, is_pictures, read, read_pictures
from ..engines import Local
from ..errors import DataUnfit, StudyError, UserError, nearest
from ..metrics.labels import SCORES
from .budget import Budget, budget
from .finish import make_study, save_best
from .generate.outliers import METRICS, parted
from .goals import GOALS, make_judge
from .judge import Judge
from .nets import Makers, load_file
from .plan import Plan
from .records import Study
from .run import Runner, Watcher, claim, default_folder, make_plan
from .store import Store, write

COMING = ("embed", "align")


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
    anyway: bool = False

    def run(self, watcher: Watcher) -> Study:
        """Run what is not on disk yet and write study.json, best/ and the model card."""
        started, store = clock.time(), Store(self.folder)
        with store.lock():
            claim(store, self.plan, self.judge, self.command)
            with Local(self.workers) as engine:
                runner = Runner(self.plan, self.judge, store, engine, self.nets, watcher, self.anyway)
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
    target: str | Sequence[str] | None = None,
    metric: str | None = None,
    outliers: object = None,
    anyway: bool = False,
    size: str | float = "quick",
    side: int | tuple[int, int] | None = None,
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
    if isinstance(data, Pictures) or is_pictures(data):
        others = {"target": target, "metric": metric, "outliers": outliers, "time": time, "drop": drop}
        judge = of_pictures(read_pictures(data, size=side, group=group), goal, others)
    else:
        if side is not None:
            raise UserError("--size is the side of pictures; this data is a table. Leave it out.")
        table = data if isinstance(data, Table) else read(data, group=group, time=time, drop=drop)
        table, strange = parted(data, table, outliers, group=group, time=time, drop=drop)
        taken = dict.fromkeys([drop] if isinstance(drop, str) else drop, "--drop") | {group: "--group", time: "--time"}
        judge = make_judge(table, *understood(goal, target, metric, table, taken, strange), strange)
    own = load_file(nets) if isinstance(nets, str | Path) else nets
    plan = make_plan(judge, spent, objectives, own)
    folder = Path(out) if out else default_folder(judge.table)
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"'{folder}' is a file; --out needs a folder.")
    return Request(judge.table, plan, judge, folder, command, own, workers, anyway)


def of_pictures(pictures: Pictures, goal: str | None, others: Mapping[str, object]) -> Judge:
    """The judge of pictures; options that belong to tables are refused."""
    known_goal(goal)
    if goal == "classify":
        raise UserError("The goal 'classify' is not available for pictures in this version. Leave --goal out.")
    for name, given in others.items():
        if given:
            raise UserError(f"--{name} belongs to tables; {pictures.source} holds pictures. Leave it out.")
    return make_judge(pictures, "generate", {})


def check_engine(engine: str) -> None:
    """Only the local engine exists."""
    if engine != "local":
        raise UserError(
            f"--engine {engine} is not available in this version; leave it out to use the processes of this machine."
        )


def understood(
    goal: str | None,
    target: str | Sequence[str] | None,
    metric: str | None,
    table: Table,
    taken: Mapping[str | None, str],
    outliers: Table | None,
) -> tuple[str, dict[str, Any]]:
    """The goal, inferred from --target where it is not given, and what else makes its judge; columns that other
    options have taken out of the table."""
    known_goal(goal)
    columns = label_names(target)
    goal = goal or ("classify" if columns else "generate")
    if goal == "generate":
        return goal, drawn(columns, metric, table, outliers)
    if outliers is not None:
        raise UserError(f"--outliers belongs to the goal 'generate'; '{goal}' predicts labels. Leave it out.")
    if not columns:
        raise UserError(f"--goal {goal} needs --target: the column of labels, or several 0/1 columns with commas.")
    check_labels(columns, table, taken)
    if metric is not None and metric not in SCORES:
        raise UserError(f"--metric '{metric}': {nearest(metric, tuple(SCORES))}")
    return goal, {"target": columns, "metric": metric or "log-loss"}


def drawn(columns: tuple[str, ...], metric: str | None, table: Table, outliers: Table | None) -> dict[str, Any]:
    """What makes the judge of the goal generate."""
    if columns:
        raise UserError(
            f"--target '{','.join(columns)}' belongs to the goal 'classify'; 'generate' learns all columns together. "
            "Leave --target out."
        )
    enough_rows(table)
    if outliers is not None:
        if metric not in (None, *METRICS):
            raise UserError(f"--metric '{metric}': with --outliers {nearest(metric or '', METRICS)}")
        return {"metric": metric or METRICS[0]}
    if metric is not None:
        raise UserError(
            "--metric belongs to the goal 'classify', or to --outliers (auroc); 'generate' is judged by MMD^2. "
            "Leave it out."
        )
    return {}


def label_names(target: str | Sequence[str] | None) -> tuple[str, ...]:
    """The columns that --target names."""
    given = target.split(",") if isinstance(target, str) else target or ()
    columns = tuple(name.strip() for name in given if name.strip())
    if target is not None and not columns:
        raise UserError("--target is empty: name the column of labels, or leave --target out to learn the whole table.")
    return columns


def check_labels(columns: tuple[str, ...], table: Table, taken: Mapping[str | None, str]) -> None:
    """Refuse labels that are not in the table, or leave nothing beside them."""
    for name in columns:
        if name not in table.schema.names:
            if name in taken:
                raise UserError(f"'{name}' is both --target and {taken[name]}; choose one.")
            hint = nearest(name, table.schema.names)
            raise UserError(f"--target '{name}': {table.source} has no such column; {hint}")
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise UserError(f"--target '{','.join(columns)}' names '{twice}' twice: name each label column once.")
    if len(columns) == len(table.schema.names):
        raise UserError(
            f"--target '{','.join(columns)}': {table.source} has no other column to predict from. Name labels only, or "
            "add the columns that tell them."
        )


def enough_rows(table: Table) -> None:
    """A distribution over more dimensions than there are rows cannot be learned, and its copy test would be blind."""
    columns, dim = table.schema.columns, table.schema.dim
    if dim > len(table):
        wide = sorted(columns, key=Column.width, reverse=True)[:3]
        raise DataUnfit(
            f"{table.source} has {len(table)} rows but {dim} encoded dimensions; at least as many rows are needed. "
            f"Widest: {', '.join(f'{c.name} ({c.width()})' for c in wide)}. Add rows, or leave columns out with "
            "--drop."
        )


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
    mine = [
        folder / "data.safetensors",
        folder / "outliers.safetensors",
        folder / "plan.json",
        folder / "runs" / f"preflight-{plan.data}.safetensors",
    ]
    if {path.name for path in (folder / "runs").glob("*")} <= {mine[-1].name}:
        for path in mine:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            (folder / "runs").rmdir()
