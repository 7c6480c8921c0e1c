"""A comparison as asked for: understood and planned first, then run."""

import time as clock
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..data import Table, read
from ..engines import Local
from ..errors import DataUnfit, StudyError, UserError, nearest
from ..metrics.labels import SCORES
from .budget import Budget, budget
from .finish import make_study, save_best
from .generate.outliers import FEWEST, METRICS
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
    table, strange = parted(data, table, outliers, group=group, time=time, drop=drop)
    judge = make_judge(table, *understood(goal, target, metric, table, strange), strange)
    own = load_file(nets) if isinstance(nets, str | Path) else nets
    plan = make_plan(judge, spent, objectives, own)
    folder = Path(out) if out else default_folder(table)
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"'{folder}' is a file; --out needs a folder.")
    return Request(table, plan, judge, folder, command, own, workers, anyway)


def check_engine(engine: str) -> None:
    """Only the local engine exists."""
    if engine != "local":
        raise UserError(
            f"--engine {engine} is not available in this version; leave it out to use the processes of this machine."
        )


def parted(data: object, table: Table, outliers: object, **options: Any) -> tuple[Table, Table | None]:
    """The rows to learn and the outliers: a table of its own, or the rows where a 0/1 column of the data is 1."""
    if outliers is None:
        return table, None
    marked = outliers if isinstance(outliers, str) and outliers in table.schema.names else ""
    if not marked:
        if isinstance(outliers, str) and not Path(outliers).exists() and not outliers.startswith("toy:"):
            raise UserError(
                f"--outliers '{outliers}' is neither a file nor a column of {table.source}; "
                f"{nearest(outliers, table.schema.names)}"
            )
        strange = read(outliers, schema=table.schema)
        return table, enough(strange, str(outliers) if isinstance(outliers, str) else "the outliers")
    if isinstance(data, Table):
        raise UserError(f"--outliers '{marked}': give the outliers of a Table as rows of their own, not as a column.")
    mark = table.values[:, table.position(marked)]
    if (
        not set(np.unique(mark).tolist()) <= {0.0, 1.0}
        or table.schema.columns[table.position(marked)].kind == "category"
    ):
        raise UserError(
            f"--outliers '{marked}': this column must be 0 or 1 in every row (1: an outlier). Found "
            f"{', '.join(map(str, table.rows(slice(4)).column(marked)))} ..."
        )
    options["drop"] = (*options["drop"], marked)
    rest = read(data, **options)
    return rest.rows(mark == 0), enough(rest.rows(mark == 1), f"the column '{marked}'")


def enough(outliers: Table, where: str) -> Table:
    """The outliers, if they are enough to choose by and to judge by."""
    if len(outliers) < FEWEST:
        raise UserError(
            f"--outliers: {where} holds {len(outliers)} outliers; at least {FEWEST} are needed, half to choose by and "
            "half to judge by."
        )
    return outliers


def understood(
    goal: str | None, target: str | Sequence[str] | None, metric: str | None, table: Table, outliers: Table | None
) -> tuple[str, dict[str, Any]]:
    """The goal, inferred from --target where it is not given, and what else makes its judge."""
    known_goal(goal)
    columns = tuple(target.split(",") if isinstance(target, str) else target or ())
    columns = tuple(name.strip() for name in columns if name.strip())
    goal = goal or ("classify" if columns else "generate")
    if goal == "generate":
        return goal, drawn(columns, metric, outliers)
    if outliers is not None:
        raise UserError(f"--outliers belongs to the goal 'generate'; '{goal}' predicts labels. Leave it out.")
    if not columns:
        raise UserError(f"--goal {goal} needs --target: the column of labels, or several 0/1 columns with commas.")
    for name in columns:
        if name not in table.schema.names:
            hint = nearest(name, table.schema.names)
            raise UserError(f"--target '{name}': {table.source} has no such column; {hint}")
    if len(set(columns)) < len(columns) or len(columns) == len(table.schema.names):
        raise UserError(f"--target '{','.join(columns)}': name each label column once, and leave some to predict from.")
    if metric is not None and metric not in SCORES:
        raise UserError(f"--metric '{metric}': {nearest(metric, tuple(SCORES))}")
    return goal, {"target": columns, "metric": metric or "log-loss"}


def drawn(columns: tuple[str, ...], metric: str | None, outliers: Table | None) -> dict[str, Any]:
    """What makes the judge of the goal generate."""
    if columns:
        raise UserError(
            f"--target '{','.join(columns)}' belongs to the goal 'classify'; 'generate' learns all columns together. "
            "Leave --target out."
        )
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
