"""The loss goes home with the person: one training file, torch only, made from this package's own source.

The recommended objective's class and the losses and samplers it uses are taken from their files (`inline`); the rest,
which reads the rows, trains and writes new ones, is a text whose lines say on what they depend:

    memory = objective.memory(...) #? memory            kept where the objective has a memory
    memory = {} #? not memory                              kept where it has none
"""

import ast
import dataclasses
import inspect
import math
import re
from collections.abc import Sequence
from pathlib import Path
from pprint import pformat
from textwrap import indent

import numpy as np

from ..data import Encoder, Pictures, Scale
from ..data.encode import Block
from ..data.schema import Column
from ..data.write import texts
from ..errors import StudyError, UserError
from ..objectives.base import Objective
from ..train.lanes import first_pictures
from .goals import judge_of
from .inline import import_lines, inline, joined, spaced
from .judge import Judge
from .model import Model, load
from .store import Store, write
from .work import QUARTERS, make_lanes

PREAMBLE = Path(__file__).with_name("export_preamble.py.txt")
LONGEST, WIDEST = 200, 120
SHORT = (1, 4, 8, LONGEST)  # definitions of up to so many lines follow each other without a blank line
ALWAYS = {
    "import csv", "import torch", "from pathlib import Path", "from types import SimpleNamespace",
    "from torch import nn",
}  # fmt: skip
PICTURED = ALWAYS - {"import csv"} | {"import numpy as np", "from whichloss.nets.pictures import builder"}
AS_ROWS = {
    "NEW": "new_rows.csv",
    "FIRST": "x",
    "BATCHROWS": "x[torch.randint(len(x), (BATCH,))]",
    "BLUR": "BLUR / SCALE",
    "MANY": "2000",
}
AS_PICTURES = {  # pictures stay bytes until a batch is drawn
    "NEW": "new_pictures.npy",
    "FIRST": "encode(x[torch.linspace(0, len(x) - 1, min(len(x), <MOST>)).long()])",
    "BATCHROWS": "encode(x[torch.randint(len(x), (BATCH,))])",
    "BLUR": "0.98 / 127.5",
    "MANY": "100",
}


def export(run: str | Path, script: str | Path) -> tuple[Path, Path]:
    """Write the script and, beside it, the training rows as CSV, or pictures as NPY.

    Raises StudyError without a finished run.
    """
    folder, script = Path(run), Path(script)
    model = load(folder)
    if model.record["own networks"]:
        raise UserError(
            "This run used your own networks; they cannot be written into one file. Use whichloss.load instead."
        )
    if model.task.goal != "generate":
        raise UserError(
            f"{model.run.objective} {model.does}; only generative objectives can be written into one file so far. "
            f"Use whichloss.load, or `whichloss {model.verb}`."
        )
    if model.choice.name:
        raise UserError(
            f"This run generates rows given {model.choice.name}; what does so cannot be written into one file so far. "
            f"Use whichloss.load, or `whichloss sample {run} --where {model.choice.name}={model.choice.classes[0]}`."
        )
    if not (folder / "data.safetensors").exists():
        raise StudyError(f"'{folder}' has no data.safetensors; give the folder of the comparison, not of the model.")
    rows = script.with_name(f"{script.stem}_{'pictures.npy' if model.shape else 'rows.csv'}")
    judge = judge_of(str(folder.resolve()))
    quarters = Store(folder).read(model.run.id)[0]["quarters"]
    text = source(model, judge, quarters, script.name, rows.name)
    seen = judge.table.rows(judge.split(model.run.seed).train)
    (seen.to_npy if isinstance(seen, Pictures) else seen.to_csv)(rows)
    write(script, text.encode())
    return script, rows


def source(model: Model, judge: Judge, quarters: list[float | None], script: str, rows: str) -> str:
    """The text of the script; `quarters`: the run's validation scores, the lowest of which chose the saved weights."""
    objective, steps = model.objective, model.record["steps"]
    best = min(range(QUARTERS), key=lambda k: math.inf if (score := quarters[k]) is None else score)
    batch = make_lanes(judge, (model.run,), None)[1].batch
    imports, definitions = inline(type(objective), fields(objective))
    known = facts(model.encoder, objective, definitions)
    needed = PICTURED if model.shape else {*ALWAYS, *(["import datetime"] if "dates" in known else [])}
    values = {
        "NAME": quoted(model.run.objective),
        "SOURCE": quoted(model.record["source"]),
        "SCRIPT": quoted(script),
        "ROWS": quoted(rows),
        "ROWSFILE": repr(rows),
        "FORMULA": quoted(inspect.cleandoc(type(objective).__doc__ or "")),
        "SCORE": f"{model.record['score']:.3g}",
        "STEPS": str(steps),
        "STOP": str(math.ceil(steps * (best + 1) / QUARTERS)),
        "BATCH": str(batch),
        "MOST": str(first_pictures(batch, model.task.dim)),
        "WIDTH": str(model.run.width),
        "SEED": str(model.run.seed),
        "AVERAGE": repr(objective.average),
        "KIND": type(objective).__name__,
        "IMPORTS": "\n".join(import_lines(needed | imports)),
        "MEASURE": judge.score_name,
    } | (AS_PICTURES | {"SHAPE": repr(model.shape)} if model.shape else AS_ROWS)
    return fitted(chosen(PREAMBLE.read_text(), known), values, definitions, model.encoder)


def fitted(text: str, values: dict[str, str], definitions: Sequence[str], encoder: Encoder | Scale) -> str:
    """The text with all its values: with fewer blank lines, then with wider ones, until it is short enough."""
    pairs = () if isinstance(encoder, Scale) else zip(encoder.schema.columns, encoder.blocks, strict=True)
    entries = [entry(c, b, encoder.jitter) for c, b in pairs]
    columns = ",\n".join(pformat(e, width=WIDEST - 4, compact=True) for e in entries)
    width, whole = WIDEST, ""
    for short in SHORT:
        whole = filled(text, values, spaced(definitions, short), columns)
        if len(whole.splitlines()) <= LONGEST:
            return whole
    while len(whole.splitlines()) > LONGEST and len(columns.splitlines()) > 1:
        columns, width = pformat(entries, width=width, compact=True)[1:-1], 2 * width
        whole = filled(text, values, spaced(definitions, SHORT[-1]), columns)
    return whole


def filled(text: str, values: dict[str, str], definitions: str, columns: str) -> str:
    """The text with <NAME> replaced by the value of that name."""
    values = values | {"OBJECTIVE": definitions, "COLUMNS": indent(columns, "    ")}
    return re.sub(r"<([A-Z]+)>", lambda match: values[match[1]], text)


def quoted(text: str) -> str:
    """The text as it may stand in a docstring."""
    return text.replace("\\", "\\\\").replace('"', "'")


def chosen(text: str, known: set[str]) -> str:
    """The lines without a condition, or whose condition holds."""
    lines = []
    for line in text.splitlines():
        line, _, condition = line.partition(" #? ")
        if (condition.removeprefix("not ") in known) != condition.startswith("not ") or not condition:
            lines.append(line)
    return "\n".join(joined(lines)) + "\n"


def facts(encoder: Encoder | Scale, objective: Objective, definitions: Sequence[str]) -> set[str]:
    """The conditions that hold for a table, or pictures, and an objective."""
    kind, updates = type(objective), objective.updates()
    columns = () if isinstance(encoder, Scale) else encoder.schema.columns
    kinds = {kind_of(column) for column in columns}
    checks = {
        "words": kinds & {"constant", "category"},
        "dates": kinds & {"date", "timestamp"},
        "missing": any(c.missing and not c.constant and c.kind != "category" for c in columns),
        "pictures": isinstance(encoder, Scale),
        "table": isinstance(encoder, Encoder),
        "blur": encoder.jitter.any(),
        "average": objective.average,
        "memory": kind.memory is not Objective.memory,
        "refresh": kind.refresh is not Objective.refresh,
        "project": any(u.project for u in updates),
        "active": any(u.active != (0.0, 1.0) for u in updates),
        "integers": any(".integers(" in text for text in definitions),
    }
    return {name for name, holds in checks.items() if holds} | kinds | {type(u.optimiser).__name__ for u in updates}


def fields(objective: Objective) -> dict[str, object]:
    """The values of the objective's fields. Raises UserError for one that is no plain number or text."""
    values = {f.name: getattr(objective, f.name) for f in dataclasses.fields(objective)}
    for name, value in values.items():
        try:
            ast.literal_eval(repr(value))
        except (ValueError, SyntaxError):
            raise UserError(
                f"{type(objective).__name__}.{name} cannot be written into a file: {value!r}. "
                "Make it a number, a text or a tuple of them, or use whichloss.load instead."
            ) from None
    return values


def kind_of(column: Column) -> str:
    """The column's kind as the script tells them apart."""
    return "constant" if column.constant else column.unit or column.kind


def entry(column: Column, block: Block, jitter: np.ndarray) -> tuple[object, ...]:
    """What the script must know of a column; see the comment above its COLUMNS."""
    kind, digits = kind_of(column), column.decimals
    words = list(column.categories)
    centre = list(block.shares) if kind == "category" else [block.mean or 0.0, *block.shares][: block.width]
    scale = np.full(block.width, 1 / block.factor)
    if kind == "constant":
        words = texts(column, np.array([math.nan if block.mean is None else block.mean]))
    elif kind == "boolean":
        words = texts(column, np.array([0.0, 1.0]))
    elif kind == "timestamp":  # the mark of its time zone
        words, digits = ["Z" * texts(column, np.zeros(1))[0].endswith("Z")], 6 if digits is None else digits
    if kind not in ("constant", "category"):
        scale[0] *= block.scale
    blur = jitter[block.start : block.start + block.width] * scale
    places = 7 if kind == "category" else 13
    return column.name, kind, words, digits, short(centre, places), once(scale, 8), once(blur, 4)


def short(values: Sequence[float] | np.ndarray, digits: int) -> list[float]:
    """The values with so many digits."""
    return [float(f"{value:.{digits}g}") for value in values]


def once(values: np.ndarray, digits: int) -> list[float]:
    """The values, one for all where they agree."""
    rounded = short(values, digits)
    return rounded[:1] if len(set(rounded)) == 1 else rounded
