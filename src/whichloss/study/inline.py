"""One class and all it uses as plain definitions: this package's own source, docstrings, guards and dead branches off.

Strings among the class's fields are known, so `if self.schedule == "linear"` is decided here, and so is a function's
branch on an argument that every call gives alike. What nothing then reaches is left out.
"""

import ast
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

KEPT = {"networks", "updates", "memory", "refresh", "sample"}  # methods that training and sampling call
STUDY = {"search", "scores", "average", "stops_gradient"}  # class attributes that only the study reads
WIDEST = 120
VOCABULARY = (".base", ".rng", ".task")  # modules whose few names the script defines itself
Found = dict[tuple[str, str], ast.stmt]


def inline(kinds: Sequence[type], known: Mapping[str, str]) -> tuple[list[str], str]:
    """(import lines, definitions, dependencies first) of some classes; `known`: string fields and their values."""
    found: Found = {}
    for kind in kinds:
        _collect(kind.__module__, kind.__name__, found)
    nodes = [_Plain(known).visit(node) for node in found.values()]
    roots = {kind.__name__ for kind in kinds}
    text = ""
    while text != (text := ast.unparse(ast.Module(nodes, []))):  # until nothing more is decided
        nodes = _reached([_decided(node, nodes) for node in nodes], roots)
    outside = {name: line for home, _ in found for name, line in _foreign(home)}
    used = {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}
    return sorted({outside[name] for name in used & set(outside)}), _text(nodes)


def _collect(module: str, name: str, found: Found) -> None:
    """The definition of a name and, before it, of every name of this package that it uses."""
    if (module, name) in found:
        return
    node = _definition(_tree(module), name)
    if node is None:
        return
    scope = vars(importlib.import_module(module))
    modules = {n for n, v in scope.items() if isinstance(v, ModuleType) and v.__name__.startswith("whichloss.")}
    node = _Named(modules).visit(node)
    found[module, name] = node  # seen; moved behind its dependencies below
    imported = dict(_imports(module))
    for used in sorted({(n.id, getattr(n, "home", "")) for n in ast.walk(node) if isinstance(n, ast.Name)}):
        home, original = (scope[used[1]].__name__, used[0]) if used[1] else imported.get(used[0], (module, used[0]))
        if home.startswith("whichloss.") and not home.endswith(VOCABULARY):
            _collect(home, original, found)
    found[module, name] = found.pop((module, name))


def _tree(module: str) -> ast.Module:
    return ast.parse(Path(importlib.import_module(module).__file__ or "").read_text())


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


def _imports(module: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """(name here, (module that defines it, its name there)) of what a module imports from this package."""
    package = module.rsplit(".", 1)[0]
    for node in _tree(module).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                value = getattr(importlib.import_module(base), alias.name, None)
                yield alias.asname or alias.name, (getattr(value, "__module__", base), alias.name)


def _foreign(module: str) -> Iterator[tuple[str, str]]:
    """(name, import line) of what a module takes from elsewhere."""
    for node in _tree(module).body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, f"import {alias.name}") for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((alias.name, f"from {node.module} import {alias.name}") for alias in node.names)


class _Named(ast.NodeTransformer):
    """q.noised of an imported module q of this package becomes noised."""

    def __init__(self, modules: set[str]) -> None:
        self.modules = modules

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self.modules:
            plain = ast.Name(node.attr, node.ctx)
            plain.home = node.value.id  # type: ignore[attr-defined]
            return plain
        return node


class _Plain(ast.NodeTransformer):
    """Leaves out docstrings, annotations and guards, and puts known fields in."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = known

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.body = _without_docstring(node.body)
        node.returns = None
        for argument in (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs):
            argument.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        name, inside = node.target.id if isinstance(node.target, ast.Name) else "", "." in ast.unparse(node.annotation)
        if "ClassVar" in ast.unparse(node.annotation) or name in self.known or node.value is None:
            return None
        if inside or not isinstance(node.value, ast.Constant):
            return ast.copy_location(ast.Assign([node.target], self.generic_visit(node).value), node)  # type: ignore[attr-defined]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = [n for n in _without_docstring(node.body) if not _assigns(n, STUDY)]
        node.bases = [base for base in node.bases if ast.unparse(base) != "Generative"]
        return node

    def visit_Raise(self, node: ast.Raise) -> None:
        return None

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        return node if node.body else None  # it only raised

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "self" and node.attr in self.known:
            return ast.Constant(self.known[node.attr])
        return node


def _assigns(node: ast.stmt, names: set[str]) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if text else body


def _decided(node: ast.stmt, nodes: Sequence[ast.stmt]) -> ast.stmt:
    """The definition with branches on constants taken, its own arguments included where all calls agree."""
    constants: dict[str, ast.Constant] = {}
    if isinstance(node, ast.FunctionDef):
        names = [n for other in nodes for n in ast.walk(other) if isinstance(n, ast.Name) and n.id == node.name]
        calls = [c for other in nodes for c in ast.walk(other) if isinstance(c, ast.Call) and c.func in names]
        if len(calls) == len(names):
            constants = _agreed(node.args, calls)
    return _Decide(constants).visit(node)  # type: ignore[no-any-return]


def _agreed(arguments: ast.arguments, calls: Sequence[ast.Call]) -> dict[str, ast.Constant]:
    defaults = dict(zip([a.arg for a in arguments.kwonlyargs], arguments.kw_defaults, strict=True))
    if arguments.defaults:
        defaults |= dict(
            zip([a.arg for a in arguments.args[-len(arguments.defaults) :]], arguments.defaults, strict=True)
        )
    agreed = {}
    for place, name in enumerate([a.arg for a in (*arguments.args, *arguments.kwonlyargs)]):
        given = [
            call.args[place] if place < len(call.args)
            else next((k.value for k in call.keywords if k.arg == name), defaults.get(name))
            for call in calls
        ]  # fmt: skip
        values = {g.value if isinstance(g, ast.Constant) and isinstance(g.value, str) else None for g in given}
        if len(values) == 1 and (value := values.pop()) is not None:
            agreed[name] = ast.Constant(value)
    return agreed


class _Decide(ast.NodeTransformer):
    """Takes the branch of every test between two constants."""

    def __init__(self, constants: Mapping[str, ast.Constant]) -> None:
        self.constants = constants

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.constants.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        sides = (node.left, *node.comparators)
        if len(sides) == 2 and all(isinstance(s, ast.Constant) for s in sides) and isinstance(node.ops[0], ast.Eq):
            return ast.Constant(sides[0].value == sides[1].value)  # type: ignore[attr-defined]
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        ends = isinstance(node.op, ast.Or)
        rest = [v for v in node.values if not (isinstance(v, ast.Constant) and v.value is not ends)]
        if any(isinstance(v, ast.Constant) and v.value is ends for v in rest):
            return ast.Constant(ends)
        return ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0] if rest else ast.Constant(not ends)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        return node if not isinstance(node.test, ast.Constant) else node.body if node.test.value else node.orelse

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node if not isinstance(node.test, ast.Constant) else node.body if node.test.value else node.orelse

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        ends = [i for i, n in enumerate(node.body) if isinstance(n, ast.Return)]
        node.body = node.body[: ends[0] + 1] if ends else node.body
        return node


def _reached(nodes: Sequence[ast.stmt], roots: set[str]) -> list[ast.stmt]:
    """What the roots use, directly or not; of classes, the methods in KEPT and what those call."""
    for node in nodes:
        if isinstance(node, ast.ClassDef) and not node.bases:
            node.body = _reached_methods(node.body)
    named = {_name(node): node for node in nodes}
    wanted, new = set[str](), set(roots)
    while new:
        wanted |= new
        new = {n.id for name in new for n in ast.walk(named[name]) if isinstance(n, ast.Name)} & set(named) - wanted
    return [node for node in nodes if _name(node) in wanted]


def _name(node: ast.stmt) -> str:
    return (
        node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ast.unparse(node).split(" ")[0].rstrip(":")
    )


def _reached_methods(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    methods = {n.name: n for n in body if isinstance(n, ast.FunctionDef)}
    wanted, new = set[str](), KEPT & set(methods)
    while new:
        wanted |= new
        said = {ast.unparse(a) for name in new for a in ast.walk(methods[name]) if isinstance(a, ast.Attribute)}
        new = {name for name in methods if f"self.{name}" in said} - wanted
    return [n for n in body if not isinstance(n, ast.FunctionDef) or n.name in wanted]


def _text(nodes: Sequence[ast.stmt]) -> str:
    """Source as short as it stays readable: a block of one line beside its head, no blank line between such."""
    parts, tight = list[str](), True
    for node in nodes:
        lines = _joined([line for line in ast.unparse(node).splitlines() if line])
        parts += [""] * (not (tight and len(lines) == 1)) + lines
        tight = len(lines) == 1
    return "\n".join(parts).strip()


def _joined(lines: Sequence[str]) -> list[str]:
    out: list[str] = []
    depths = [len(line) - len(line.lstrip()) for line in lines] + [0]
    for i, line in enumerate(lines):
        head = lines[i - 1].lstrip() if i else ""
        alone = (
            depths[i] > depths[i - 1] and depths[i + 1] <= depths[i - 1] and head.startswith(("def ", "if ", "for "))
        )
        if (
            alone
            and len(out[-1]) + len(line.lstrip()) < WIDEST
            and not line.lstrip().startswith(("if ", "for ", "def "))
        ):
            out[-1] += " " + line.lstrip()
        else:
            out.append(line)
    return out
