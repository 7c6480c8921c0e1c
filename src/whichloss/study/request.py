"""A comparison as asked for: understood and planned first, then run."""

import time as clock
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..data import Column, Pairs, Pictures, Table, is_pictures, read, read_pairs, read_pictures
from ..data.columns import PAIRED as ASK_ALIGN
from ..data.pair_columns import is_file, two_blocks
from ..data.pair_read import holds_pictures_in_pairs
from ..data.pictures import LABEL
from ..data.pixels import option
from ..engines import Local
from ..errors import DataUnfit, StudyError, UserError, nearest
from ..metrics.labels import SCORES
from .budget import Budget, budget
from .classify.target import Target
from .embed.given import METRIC as PAIRED
from .embed.judge import METRICS as EMBEDDED
from .embed.views import METRIC as VIEWED
from .finish import make_study, save_best
from .generate.features import check_asked
from .generate.given import Given
from .generate.outliers import METRICS, parted
from .goals import GOALS, make_judge
from .judge import Judge
from .nets import Makers, load_file
from .plan import Plan
from .records import Study
from .run import Runner, Watcher, claim, default_folder, make_plan
from .store import Store, write

NO_PICTURES = "--size is the side of pictures; this data is a table. Leave it out."
DECIDES = {"classify": "log-loss", "embed": EMBEDDED[0]}  # the score that decides unless another is asked for
QUICK_PICTURES, QUICK_SIDE = 10_000, 16  # what the budget "quick" takes of larger pictures, and of more of them


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
            judge = claim(store, self.plan, self.judge, self.command)
            with Local(self.workers) as engine:
                runner = Runner(self.plan, judge, store, engine, self.nets, watcher, self.anyway)
                try:
                    found = runner.run()
                except DataUnfit:
                    forget(self.folder, self.plan, judge)
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
    given: str | None = None,
    anyway: bool = False,
    size: str | float = "quick",
    side: int | tuple[int, int] | None = None,
    features: str | None = None,
    first: str | None = None,
    second: str | None = None,
    objectives: Sequence[str] | None = None,
    nets: Makers | str | Path | None = None,
    group: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    seeds: int | None = None,
    settings: int | None = None,
    out: str | Path | None = None,
    engine: str = "local",
    workers: int | None = None,
    command: str = "",
) -> Request:
    """Understand the data and plan the study; nothing is trained or written. Raises UserError and DataUnfit."""
    aligned = of_pairs(data, goal, side, group, first, second, target, metric, {
        "outliers": outliers is not None, "given": given, "features": features, "time": time, "drop": drop,
    })  # fmt: skip
    pictures = aligned is None and is_pictures(data)
    spent: Budget = budget(size, seeds, pictures or (aligned is not None and aligned.pictures is not None), settings)
    check_engine(engine)
    if workers is not None and workers < 1:
        raise UserError(f"--workers must be at least 1; got {workers}.")
    if aligned is not None:
        judge = aligned
    elif pictures:
        others = {"target": target, "metric": metric, "outliers": outliers is not None, "time": time, "drop": drop}
        whole = read_pictures(data, size=side, group=group)
        found = quick(whole, resize=side is None) if spent.name == "quick" else whole
        try:
            judge = of_pictures(found, goal, others, given, features)
        except DataUnfit as error:  # perhaps all of them would do
            raise DataUnfit(f"{error} {found.notes[-1]}" if len(found) < len(whole) else str(error)) from error
    else:
        if side is not None:
            raise UserError(NO_PICTURES)
        if features is not None:
            raise UserError("--features are what pictures are compared by; this data is a table. Leave it out.")
        table = data if isinstance(data, Table) else read(data, group=group, time=time, drop=drop)
        table, strange = parted(data, table, outliers, group=group, time=time, drop=drop)
        taken = dict.fromkeys([drop] if isinstance(drop, str) else drop, "--drop") | {group: "--group", time: "--time"}
        goal, asked = understood(goal, target, metric, table, taken, strange)
        table = perhaps_pairs(table, goal, asked)
        judge = make_judge(table, goal, asked | asked_given(given, goal, table, taken, strange), strange)
    own = load_file(nets) if isinstance(nets, str | Path) else nets
    plan = make_plan(judge, spent, objectives, own)
    folder = Path(out) if out else default_folder(judge.table)
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"'{folder}' is a file; --out needs a folder.")
    return Request(judge.table, plan, judge, folder, command, own, workers, anyway)


def of_pairs(
    data: object,
    goal: str | None,
    side: int | tuple[int, int] | None,
    group: str | None,
    first: str | None,
    second: str | None,
    target: str | Sequence[str] | None,
    metric: str | None,
    others: Mapping[str, Any],
) -> Judge | None:
    """The judge of pairs, or None where the data is none; options that belong to other goals are refused."""
    if are_labelled(data, goal, target, metric, first, second):
        return of_labelled(data, goal, side, group, first, second, target, metric, others)
    if goal != "align" and not isinstance(data, Pairs):
        if named := "first" if first else "second" if second else "":
            raise UserError(
                f"--{named} names columns of pairs; add --goal align, or --goal embed if --target says which pairs are "
                "alike, or leave it out."
            )
        return None
    if goal == "embed":
        raise UserError(
            f"{data!r} have no labels, and --goal embed learns from pairs that are alike or not: give a table and "
            "--target, or three arrays (a, b, labels). Pairs alone are for --goal align."
        )
    if goal not in (None, "align"):
        raise UserError(f"--goal {goal} learns rows or pictures; {data!r} are pairs, which --goal align learns.")
    only_pairs({"target": target, "metric": metric, **others})
    return make_judge(read_pairs(data, first=first, second=second, concept=group, size=side), "align", {})


def only_pairs(others: Mapping[str, object]) -> None:
    """Refuse options of other goals where the data is pairs."""
    for name, value in others.items():
        if value:
            raise UserError(f"--{name} does not belong to the goal 'align', which learns pairs. Leave it out.")


def are_labelled(
    data: object,
    goal: str | None,
    target: str | Sequence[str] | None,
    metric: str | None,
    first: str | None,
    second: str | None,
) -> bool:
    """Is this about pairs that a label calls alike or not? Where sides are named, or the score of such pairs; three
    arrays; or a table with two columns of picture files beside the target."""
    if isinstance(data, Pairs):
        return data.labels is not None
    if goal != "embed":
        return False
    if first or second or metric == PAIRED or (isinstance(data, tuple) and len(data) == 3):
        return True
    columns = label_names(target)
    return len(columns) == 1 and not is_pictures(data) and holds_pictures_in_pairs(data, columns[0])


def of_labelled(
    data: object,
    goal: str | None,
    side: int | tuple[int, int] | None,
    group: str | None,
    first: str | None,
    second: str | None,
    target: str | Sequence[str] | None,
    metric: str | None,
    others: Mapping[str, Any],
) -> Judge:
    """The judge of pairs that are alike or not; options that belong to other goals are refused."""
    if goal not in (None, "embed"):
        raise UserError(f"--goal {goal} has no use for pairs that are alike or not; {data!r} are for --goal embed.")
    for name, value in others.items():
        if value:
            raise UserError(f"--{name} does not belong to pairs that are alike or not. Leave it out.")
    if metric not in (None, PAIRED):
        raise UserError(f"--metric '{metric}': pairs that are alike or not are judged by {PAIRED}. Leave it out.")
    columns = label_names(target)
    if isinstance(data, Pairs | tuple):
        if columns:
            raise UserError(
                f"--target '{','.join(columns)}' names a column of a table; the labels of these pairs come with them: "
                "leave it out."
            )
    elif len(columns) != 1:
        named = f"'{','.join(columns)}' names {len(columns)} columns" if columns else "is not given"
        raise UserError(
            f"--target {named}: pairs to embed need one, the column that says which are alike (1) and which are not "
            "(0). Pairs without one are for --goal align."
        )
    label = columns[0] if columns else None
    pairs = read_pairs(data, first=first, second=second, concept=group, size=side, label=label)
    if pairs.labels is None:
        raise UserError(f"{pairs!r} have no labels: give three arrays (a, b, labels), or a table and --target.")
    return make_judge(pairs, "embed", {})


def perhaps_pairs(table: Table, goal: str, asked: Mapping[str, Any]) -> Table:
    """A note where columns look like two things of a pair that the target calls alike or not."""
    if goal != "embed" or len(asked.get("target", ())) != 1:
        return table
    (target,) = asked["target"]
    column, found = table.schema.columns[table.schema.names.index(target)], two_blocks(table.schema.names, target)
    values = table.values[:, table.schema.names.index(target)]
    if not found or column.kind not in ("boolean", "integer") or not set(np.unique(values)) <= {0.0, 1.0}:
        return table
    note = (
        f"Columns form two blocks, '{found[0]}' and '{found[1]}', and '{target}' is 0 or 1. It is taken for the class "
        f"of a row; if every row is a pair and '{target}' says whether both things are alike, add --first '{found[0]}' "
        f"--second '{found[1]}'."
    )
    return replace(table, notes=(*table.notes, note))


def quick(pictures: Pictures, resize: bool) -> Pictures:
    """As many and as large pictures as the budget "quick" can learn from; a note says so."""
    taken = pictures.reduced(QUICK_PICTURES, QUICK_SIDE if resize else None)
    ways = [f"{option(pictures.shape[1:])} keeps their size"] * (taken.shape != pictures.shape)
    ways += ["--budget standard takes all"] * (len(taken) < len(pictures))
    if not ways:
        return pictures
    size = f" of up to {QUICK_SIDE} pixels a side" * (taken.shape != pictures.shape)
    note = f"The budget quick takes up to {QUICK_PICTURES:,} pictures{size}: {', '.join(ways)}."
    return replace(taken, notes=(*taken.notes, note))


def of_pictures(
    pictures: Pictures,
    goal: str | None,
    others: Mapping[str, Any],
    given: str | None = None,
    features: str | None = None,
) -> Judge:
    """The judge of pictures; options that belong to tables are refused."""
    known_goal(goal)
    target, metric = label_names(others["target"]), others["metric"]
    others = {name: value for name, value in others.items() if name not in ("target", "metric")}
    only_tables(pictures.source, others)
    if target not in ((), (LABEL,)):
        raise UserError(
            f"--target '{','.join(target)}': pictures have one label, '{LABEL}': their sub-folder, or their number in "
            f"an IDX file of labels. Leave --target out, and give --goal {goal or 'classify'}."
        )
    if goal in DECIDES or (goal is None and target):
        goal = goal or "classify"
        if given is not None:
            asked_given(given, goal, pictures, {}, None)
        if features is not None:
            raise UserError(f"--features belong to the goal 'generate'; '{goal}' compares no pictures. Leave it out.")
        if goal == "embed" and target and metric == VIEWED:
            known_metric(goal, metric)  # raises
        if goal == "embed" and (metric == VIEWED or (not (metric or target) and pictures.labels is None)):
            return make_judge(pictures, goal, {"metric": VIEWED})
        Target.of_pictures(pictures)  # raises where there are no labels
        return make_judge(pictures, goal, {"metric": known_metric(goal, metric)})
    for name, value in (("target", target), ("metric", metric)):
        if value:
            raise UserError(
                f"--{name} belongs to the goal 'classify' or 'embed'; 'generate' learns pictures whole. Leave it out."
            )
    check_asked(pictures, features)
    return make_judge(pictures, "generate", asked_given(given, "generate", pictures, {}, None) | {"features": features})


def only_tables(source: str, others: Mapping[str, object], holds: str = "pictures") -> None:
    """Refuse options of tables where the data is pictures, or pairs."""
    for name, value in others.items():
        if value:
            raise UserError(f"--{name} belongs to tables; {source} holds {holds}. Leave it out.")


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
        raise UserError(f"--outliers belongs to the goal 'generate'; '{goal}' judges by other things. Leave it out.")
    if goal == "embed" and not columns and metric in (None, VIEWED):
        return goal, {"metric": VIEWED}
    if goal == "embed" and not columns:
        raise UserError(f"--metric '{metric}' needs --target, the column of classes; without one {VIEWED} judges.")
    if not columns:
        raise UserError(f"--goal {goal} needs --target: the column of labels, or several 0/1 columns with commas.")
    check_labels(columns, table, taken)
    if goal == "embed" and len(columns) > 1:
        raise UserError(
            f"--target '{','.join(columns)}': embeddings are judged by one column of classes; name one of them, or "
            "--goal classify for several."
        )
    return goal, {"target": columns, "metric": known_metric(goal, metric)}


def drawn(columns: tuple[str, ...], metric: str | None, table: Table, outliers: Table | None) -> dict[str, Any]:
    """What makes the judge of the goal generate."""
    if columns:
        raise UserError(
            f"--target '{','.join(columns)}' belongs to the goal 'classify' or 'embed'; 'generate' learns all columns "
            "together. Leave --target out."
        )
    enough_rows(table)
    if outliers is not None:
        if metric not in (None, *METRICS):
            raise UserError(f"--metric '{metric}': with --outliers {nearest(metric or '', METRICS)}")
        return {"metric": metric or METRICS[0]}
    if metric is not None:
        raise UserError(
            "--metric belongs to the goal 'classify' or 'embed', or to --outliers (auroc); generate has MMD^2. "
            "Leave it out."
        )
    return {}


def asked_given(
    given: str | None, goal: str, data: Table | Pictures, taken: Mapping[str | None, str], outliers: Table | None
) -> dict[str, str]:
    """The column that rows are generated given, where there is one."""
    if given is None:
        return {}
    if goal != "generate":
        raise UserError(f"--given '{given}' belongs to the goal 'generate', not to '{goal}'. Leave it out.")
    if outliers is not None:
        raise UserError("--given and --outliers do not go together in this version: leave one out.")
    if given in taken:
        raise UserError(f"'{given}' is both --given and {taken[given]}; choose one.")
    Given.of(data, given)
    if isinstance(data, Table) and all(c.constant or c.name == given for c in data.schema.columns):
        raise DataUnfit(f"--given '{given}': {data.source} has no other column that varies; none is left to generate.")
    return {"given": given}


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
        paired = any(c.kind == "category" and is_file(c.categories[0]) for c in columns)
        raise DataUnfit(
            f"{table.source} has {len(table)} rows but {dim} encoded dimensions; at least as many rows are needed. "
            f"Widest: {', '.join(f'{c.name} ({c.width()})' for c in wide)}. Add rows, or leave columns out with "
            f"--drop.{f' {ASK_ALIGN}' * paired}"
        )


def known_metric(goal: str, metric: str | None) -> str:
    """The score that decides between classifiers, or between embeddings."""
    if goal == "embed" and metric == VIEWED:
        raise UserError(f"--metric {VIEWED} judges without labels: leave --target out.")
    known = EMBEDDED if goal == "embed" else tuple(SCORES)
    if metric is not None and metric not in known:
        raise UserError(f"--metric '{metric}', of the goal '{goal}': {nearest(metric, known)}")
    return metric or DECIDES[goal]


def known_goal(goal: str | None) -> None:
    """Refuse what is no goal, or not yet one."""
    if goal is None or goal in GOALS:
        return
    supported = f"Supported: {', '.join(GOALS)}"
    hint = nearest(goal, GOALS)
    if hint.startswith("did you mean"):
        raise UserError(f"There is no goal '{goal}': {hint} {supported}.")
    raise DataUnfit(
        f"'{goal}' is no goal of whichloss. {supported} (leave --goal out). Regression, video and free text are not."
    )


def forget(folder: Path, plan: Plan, judge: Judge) -> None:
    """Remove what a refused study left, unless anything was trained there: it must not stand in the way of more rows
    under the same name."""
    mine = [folder / f"{name}.safetensors" for name in judge.tables] + [folder / "plan.json"]
    mine += [folder / "runs" / f"preflight-{plan.data}.safetensors"]
    if {path.name for path in (folder / "runs").glob("*")} <= {mine[-1].name}:
        for path in mine:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            (folder / "runs").rmdir()
