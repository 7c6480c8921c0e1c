"""The loss goes home with the person: one training file, torch only, made from this package's own source.

The recommended objective's class, the losses, samplers and networks it uses are taken from their files as they are
(docstrings and unused methods left out); a short preamble reads the rows and a short loop trains.
"""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from ..data import Encoder
from ..errors import StudyError, UserError
from ..nets import MLP
from ..objectives import find
from .judge import Judge
from .model import Model, load
from .store import write
from .work import judge_of, make_lanes

USED = {"networks", "updates", "memory", "refresh", "sample"}  # what training and sampling call
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
    _, lanes = make_lanes(judge, (model.run,), None)
    setting = ", ".join(f"{k}={v!r}" for k, v in model.run.setting.items())
    kind = find(model.run.objective)
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
        "OBJECTIVE": "\n\n".join(ast.unparse(node) for node in collected(MLP, kind)),
    }
    text = PREAMBLE.read_text()
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


def collected(*kinds: type) -> list[ast.stmt]:
    """The definitions of some classes and of everything of this package they use, dependencies first."""
    found: dict[tuple[str, str], ast.stmt] = {}
    for kind in kinds:
        _collect(kind.__module__, kind.__name__, found)
    return list(found.values())


def _collect(module: str, name: str, found: dict[tuple[str, str], ast.stmt]) -> None:
    if (module, name) in found:
        return
    tree = ast.parse(Path(importlib.import_module(module).__file__ or "").read_text())
    node = _definition(tree, name)
    if node is None:
        return
    node = _strip(node)
    found[module, name] = node  # marks it as seen; moved behind its dependencies below
    imported = dict(_imports(tree, module))
    for used in sorted({n.id for n in ast.walk(node) if isinstance(n, ast.Name)}):
        home, original = imported.get(used, (module, used))
        if (
            home.startswith("whichloss.")
            and not home.endswith((".base", ".rng", ".task"))
            and (home, original) != (module, name)
        ):
            _collect(home, original, found)
    found[module, name] = found.pop((module, name))


def _definition(tree: ast.Module, name: str) -> ast.stmt | None:
    for node in tree.body:
        names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
        if isinstance(node, ast.Assign):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        if name in names:
            return node
    return None


def _imports(tree: ast.Module, module: str) -> Iterator[tuple[str, tuple[str, str]]]:
    package = module.rsplit(".", 1)[0]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*up, base] if base else up)
            for alias in node.names:
                yield alias.asname or alias.name, _home(base, alias.name)


def _home(module: str, name: str) -> tuple[str, str]:
    """Where a name is defined, through the packages that pass it on."""
    if not module.startswith("whichloss"):
        return module, name
    value = getattr(importlib.import_module(module), name, None)
    return getattr(value, "__module__", module), name


class _Stripper(ast.NodeTransformer):
    """Leaves out docstrings, annotations and class attributes that only the study reads."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.body = _without_docstring(node.body)
        node.returns = None
        for argument in (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs):
            argument.annotation = None
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = _without_docstring(node.body)
        if any(isinstance(base, ast.Name) and base.id == "Generative" for base in node.bases):
            node.bases = []
            wanted = _reachable(node)
            node.body = [
                n for n in node.body
                if not (isinstance(n, ast.FunctionDef) and n.name not in wanted)
                and not (isinstance(n, ast.Assign) and n.targets[0].id in ("search", "scores", "average"))  # type: ignore[attr-defined]
                and not (isinstance(n, ast.AnnAssign) and "ClassVar" in ast.unparse(n.annotation))
            ]  # fmt: skip
        return node


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (body[1:] or [ast.Pass()]) if text else body


def _reachable(node: ast.ClassDef) -> set[str]:
    methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
    wanted, new = set[str](), USED & set(methods)
    while new:
        wanted |= new
        called = {
            a.attr for name in new for a in ast.walk(methods[name])
            if isinstance(a, ast.Attribute) and isinstance(a.value, ast.Name) and a.value.id == "self"
        }  # fmt: skip
        new = (called & set(methods)) - wanted
    return wanted


def _strip(node: ast.stmt) -> ast.stmt:
    return ast.fix_missing_locations(_Stripper().visit(node))  # type: ignore[no-any-return]
