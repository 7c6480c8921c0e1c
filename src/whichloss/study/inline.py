"""One objective and all it uses as plain definitions, dependencies first: this package's own source, made short.

Docstrings, annotations and guards are left out, names of other modules become plain names, and the fields hold the
values that the run had. `fold` then decides whatever is known.
"""

import ast
import importlib
import importlib.util
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from ..errors import UserError
from .fold import bound, fold, name_of, reached

KEPT = {"networks", "updates", "memory", "refresh", "sample"}  # methods that training and sampling call
# class attributes that only the study reads
STUDY = {"search", "suited", "probes", "pictures", "rough", "scores", "average", "stops_gradient", "goal"}
WIDEST = 120
GIVEN, CLASSES = "nets.given", "data.y.shape[1]"  # no script generates rows given a class
# modules whose few names the script defines itself
VOCABULARY = {"whichloss.objectives", "whichloss.objectives.base", "whichloss.rng", "whichloss.task"}
Found = dict[tuple[str, str], ast.stmt]


def inline(kind: type, fields: Mapping[str, object]) -> tuple[set[str], list[str]]:
    """(import lines, definitions) of a class whose fields have these values. Raises UserError if that cannot be."""
    found: Found = {}
    _collect(kind.__module__, kind.__name__, found)
    if not found:
        raise UserError(
            f"'{_file(kind.__module__)}' holds losses only, and one file needs the whole objective. Write it with "
            "`whichloss new-objective NAME`, put your losses into its class, and compare again."
        )
    family = {base.__name__ for base in kind.__mro__}
    plain = _Plain(family, fields)
    nodes = _one_class([plain.visit(node) for node in found.values()], kind)
    nodes = reached(nodes, kind.__name__, family, KEPT)
    twice = [name for name, count in Counter(map(name_of, nodes)).items() if count > 1]
    if twice:
        raise UserError(f"{kind.__name__} cannot become one file: it uses two things named '{twice[0]}'. Rename one.")
    nodes = fold(nodes, lambda left: reached(left, kind.__name__, family, KEPT))
    used = {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}
    lines = {line for home, _ in found for name, line in _foreign(home) if name in used}
    return lines, [_text(node) for node in nodes]


def _one_class(nodes: list[ast.stmt], kind: type) -> list[ast.stmt]:
    """The class with what its bases hold, unless one of them calls super()."""
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    line = [classes[base.__name__] for base in reversed(kind.__mro__) if base.__name__ in classes]
    if any(isinstance(n, ast.Name) and n.id == "super" for node in line for n in ast.walk(node)):
        return nodes
    parts = {name_of(part): part for node in line for part in node.body}  # a later one takes an earlier one's place
    line[-1].body, line[-1].bases = list(parts.values()), []
    return [node for node in nodes if node not in line[:-1]]


def _collect(module: str, name: str, found: Found) -> None:
    """The definition of a name and, before it, of every name of this package that it uses."""
    node = _definition(module, name)
    if node is None or (module, name) in found:
        return
    resolve = _Resolve(module, local := set(bound(node)))
    found[module, name] = resolve.visit(node)
    clash = resolve.qualified & local
    if clash:
        raise UserError(f"'{name}' cannot become one file: it has a variable '{min(clash)}' and calls a function so.")
    for home, used in sorted(resolve.used):
        if home == module or (home.startswith("whichloss.") and home not in VOCABULARY):
            _collect(home, used, found)
    found[module, name] = found.pop((module, name))


def _source(module: str) -> str:
    return _file(module).read_text()


def _file(module: str) -> Path:
    return Path(importlib.import_module(module).__file__ or "")


def _definition(module: str, name: str) -> ast.stmt | None:
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return next((n for n in ast.parse(_source(module)).body if isinstance(n, kinds) and name_of(n) == name), None)


def _imports(module: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """(name here, (module that defines it, its name there)) of what a module imports from this package."""
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.ImportFrom):
            path = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(path, module.rpartition(".")[0]) if node.level else path
            if base.partition(".")[0] == "whichloss":
                yield from ((a.asname or a.name, _home(importlib.import_module(base), a.name)) for a in node.names)


def _home(module: ModuleType, name: str) -> tuple[str, str]:
    return getattr(getattr(module, name, None), "__module__", module.__name__), name


def _foreign(module: str) -> Iterator[tuple[str, str]]:
    """(name, import line) of what a module takes from elsewhere."""
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0):
            base = node.module if isinstance(node, ast.ImportFrom) else None
            for alias in node.names:
                if (base or alias.name).partition(".")[0] != "whichloss":
                    line = f"{f'from {base} ' if base else ''}import {ast.unparse(alias)}"
                    yield alias.asname or alias.name.partition(".")[0], line


def import_lines(lines: set[str]) -> list[str]:
    """The lines sorted and gathered: one for all modules, one for the names of each."""
    names: dict[str, list[str]] = defaultdict(list)
    plain = []
    for line in sorted(lines):
        head, _, name = line.partition(" import ")
        if name:
            names[head].append(name)
        else:
            plain.append(head.removeprefix("import "))
    first = [f"import {', '.join(plain)}"] if plain else []
    return first + [f"{head} import {', '.join(of)}" for head, of in names.items()]


class _Resolve(ast.NodeTransformer):
    """q.noised of an imported module q of this package becomes noised; `used` says where every name is defined."""

    def __init__(self, module: str, local: set[str]) -> None:
        self.module, self.local, self.scope = module, local, vars(importlib.import_module(module))
        self.imported = dict(_imports(module))
        self.used: set[tuple[str, str]] = set()
        self.qualified: set[str] = set()

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self.local:
            home, node.id = self.imported.get(node.id, (self.module, node.id))
            self.used.add((home, node.id))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        value = self.scope.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if not (isinstance(value, ModuleType) and value.__name__.partition(".")[0] == "whichloss"):
            return self.generic_visit(node)
        self.used.add(_home(value, node.attr))
        self.qualified.add(node.attr)
        return ast.Name(node.attr, node.ctx)


class _Plain(ast.NodeTransformer):
    """Leaves out docstrings, annotations and guards; the family's fields get their values."""

    def __init__(self, family: set[str], fields: Mapping[str, object]) -> None:
        self.family, self.fields = family, fields

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = _without_docstring(node.body)
        self.generic_visit(node)
        if len(node.body) > 1 and isinstance(node.body[-1], ast.Raise):  # after a loop that returns
            node.body.pop()
        node.returns = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return ast.copy_location(ast.Assign([node.target], node.value), node) if node.value else None

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """`a, _ = f()` becomes `a = f()[0]`."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Call) and ast.unparse(node.targets[0]).endswith(", _)"):
            names = node.targets[0].elts  # type: ignore[attr-defined]
            if len(names) == 2:
                node.targets, node.value = names[:1], ast.Subscript(node.value, ast.Constant(0), ast.Load())
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = _without_docstring(node.body)
        if node.name not in self.family:  # a dataclass needs its annotations
            node.body = [self.visit(n) if isinstance(n, ast.FunctionDef) else n for n in node.body]
            return node
        node.decorator_list = []
        node.bases = [base for base in node.bases if ast.unparse(base) not in ("Generative", "Objective")]
        node.body = [self.valued(n) for n in node.body if not self.needless(n)]
        return node

    def needless(self, node: ast.stmt) -> bool:
        """Whether training and sampling do without this part of the class."""
        if isinstance(node, ast.FunctionDef):
            return any(ast.unparse(d) == "abstractmethod" for d in node.decorator_list)
        return isinstance(node, ast.Assign | ast.AnnAssign) and (name_of(node) in STUDY or self.decides(name_of(node)))

    def valued(self, node: ast.stmt) -> ast.stmt:
        """The part of the class, a field with its value."""
        if isinstance(node, ast.AnnAssign) and name_of(node) in self.fields:
            value = ast.parse(repr(self.fields[name_of(node)]), mode="eval").body
            return ast.copy_location(ast.Assign([node.target], value), node)
        return self.visit(node)  # type: ignore[no-any-return]

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if all(isinstance(n, ast.Raise) for n in node.body) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        return ast.Constant(0) if ast.unparse(node) == CLASSES else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if ast.unparse(node) == GIVEN:
            return ast.Constant(None)
        known = ast.unparse(node.value) == "self" and self.decides(node.attr)
        return ast.Constant(self.fields[node.attr]) if known else node  # type: ignore[arg-type]

    def decides(self, name: str) -> bool:
        """Whether a field is of the sort on which branches depend: a word, a switch, nothing."""
        return name in self.fields and isinstance(self.fields[name], str | bool | None)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    return body[isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) :]


def _text(node: ast.stmt) -> str:
    """Source as short as it stays readable."""
    lines = joined([_bare(line) for line in ast.unparse(node).splitlines() if line])
    return "\n".join(map(_wrapped, lines))


def _bare(line: str) -> str:
    """`return (a, b)` and `c = (a, b)` without their brackets."""
    for head in ("return (", " = ("):
        before, found, rest = line.partition(head)
        bare = before + head[:-1] + rest[:-1]
        if found and _same(bare, line):
            return bare
    return line


def _wrapped(line: str) -> str:
    """A long line as two, parted at the last comma inside the fewest brackets."""
    margin = " " * (len(line) - len(line.lstrip()) + 4)
    commas = [i for i in range(WIDEST) if line.startswith(", ", i)] if len(line) > WIDEST else []
    for i in sorted(commas, key=lambda i: (sum(map(line[:i].count, "([{")) - sum(map(line[:i].count, ")]}")), -i)):
        parted = f"{line[: i + 1]}\n{margin}{line[i + 2 :]}"
        if _same(parted, line):
            return parted
    return line


def _same(one: str, other: str) -> bool:
    """Whether two texts are the same statement."""
    try:
        return ast.dump(ast.parse(one.strip())) == ast.dump(ast.parse(other.strip()))
    except SyntaxError:
        return False


def joined(lines: Sequence[str]) -> list[str]:
    """A block of one line beside its head."""
    out: list[str] = []
    depths = [len(line) - len(line.lstrip()) for line in lines] + [0]
    for i, line in enumerate(lines):
        head, own = (lines[i - 1].lstrip() if i else ""), line.lstrip()
        alone = depths[i] > depths[i - 1] and depths[i + 1] <= depths[i - 1] and not own.endswith(":")
        if alone and head.startswith(("def ", "if ", "for ")) and len(out[-1]) + len(own) < WIDEST:
            out[-1] += " " + own
        else:
            out.append(line)
    return out


def spaced(definitions: Sequence[str], short: int) -> str:
    """The definitions, with blank lines round all that have more lines than `short`."""
    parts, tight = list[str](), True
    for definition in definitions:
        small = len(definition.splitlines()) <= short
        parts += [""] * (not (tight and small)) + [definition]
        tight = small
    return "\n".join(parts).strip()
