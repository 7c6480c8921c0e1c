"""The loss goes home with the person: one training file, torch only, made from this package's own source.

The recommended objective's class, the losses, samplers and networks it uses are taken from their files (`inline`); a
short preamble reads the rows and a short loop trains.
"""

from pathlib import Path

from ..data import Encoder
from ..errors import StudyError, UserError
from ..nets import MLP
from ..objectives import find
from .inline import inline
from .judge import Judge
from .model import Model, load
from .store import write
from .work import judge_of, make_lanes

PREAMBLE = Path(__file__).with_name("export_preamble.py.txt")
LONGEST = 200


def export(run: str | Path, script: str | Path) -> tuple[Path, Path]:
    """Write the script and, beside it, the training rows as CSV. Raises StudyError without a finished run."""
    folder, script = Path(run), Path(script)
    model = load(folder)
    if model.record["own networks"]:
        raise UserError(
            "This run used your own networks; they cannot be written into one file. Use whichloss.load instead."
        )
    if not (folder / "data.safetensors").exists():
        raise StudyError(f"'{folder}' has no data.safetensors; give the folder of the comparison, not of the model.")
    rows = script.with_name(f"{script.stem}_rows.csv")
    judge = judge_of(str(folder.resolve()))
    train = judge.split(model.run.seed).train
    judge.table.rows(train).to_csv(rows)
    write(script, source(model, judge, rows.name).encode())
    return script, rows


def source(model: Model, judge: Judge, rows: str) -> str:
    """The text of the script."""
    text = PREAMBLE.read_text()
    _, lanes = make_lanes(judge, (model.run,), None)
    setting = ", ".join(f"{k}={v!r}" for k, v in model.run.setting.items())
    kind = find(model.run.objective)
    known = {name: value for name, value in vars(model.objective).items() if isinstance(value, str)}
    imports, definitions = inline((MLP, kind), known)
    values = {
        "NAME": model.run.objective,
        "SOURCE": model.record["source"],
        "ROWS": rows,
        "STEPS": str(model.record["steps"]),
        "BATCH": str(lanes.batch),
        "SEED": str(model.run.seed),
        "AVERAGE": repr(model.objective.average),
        "MAKE": f"{kind.__name__}({setting})",
        "WIDTH": str(model.run.width),
        "SCORE": f"{model.record['score']:.3g}",
        "COLUMNS": columns(model.encoder),
        "JITTER": repr([round(float(v), 7) for v in model.encoder.jitter]),
        "IMPORTS": "\n".join(line for line in imports if line not in text.splitlines()),
        "OBJECTIVE": definitions,
    }
    for name, value in values.items():
        text = text.replace(f"<{name}>", value)
    return text


def columns(encoder: Encoder) -> str:
    """The encoding as one literal line per column."""
    lines = []
    for column, block in zip(encoder.schema.columns, encoder.blocks, strict=True):
        entry = (
            column.name, column.kind, column.unit, list(column.categories), column.decimals,
            block.width, block.mean, block.scale, block.factor, list(block.shares),
        )  # fmt: skip
        lines.append(f"    {entry!r},")
    return "\n".join(lines)
