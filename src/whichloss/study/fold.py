"""Partial evaluation of a few definitions: what is known is decided, what nothing then needs is left out.

Known are constants among the class's fields, arguments that every call gives alike, and variables that hold one
constant. A function that is used as a value, not only called, is left as it is, since its calls are not all seen.
"""

import ast
import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

COMPARE = {ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Is: operator.is_, ast.IsNot: operator.is_not}
Closed = dict[str, tuple[ast.FunctionDef, list[ast.Call]]]
Known = Mapping[str, ast.Constant]
LATER = (ast.Lambda, ast.FunctionDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)  # run at another time
EASY = 80  # characters that are read at a glance


def fold(nodes: list[ast.stmt], reached: Callable[[list[ast.stmt]], list[ast.stmt]]) -> list[ast.stmt]:
    """The definitions, decided as far as may be; `reached` keeps those that are still needed."""
    source = ""
    while source != (source := ast.unparse(ast.Module(nodes, []))):
        for empty in [n for node in nodes for n in ast.walk(node) if getattr(n, "body", None) == []]:
            empty.body = [ast.Pass()]  # type: ignore[attr-defined]
        closed = _closed(nodes)
        agreed = {name: _agreed(*entry) for name, entry in closed.items()}
        for node in nodes:
            _Decide(node, agreed.get(name_of(node), {}), closed).visit(node)
        for function, calls in _closed(nodes).values():
            _first_only(function, calls, nodes)
            _without_unused(function, calls)
        nodes = reached(nodes)
    return nodes


def name_of(node: ast.stmt) -> str:
    """The name that a statement defines, "" if it is not one plain name."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    target = targets[0] if len(targets) == 1 else None
    return target.id if isinstance(target, ast.Name) else ""


def bound(node: ast.AST) -> Counter[str]:
    """How often each name is bound inside: arguments, assignments, loops, definitions; of a class, in its methods."""
    if isinstance(node, ast.ClassDef):
        return sum((bound(n) for n in node.body if isinstance(n, ast.FunctionDef)), Counter[str]())
    inside = list(ast.walk(node))
    names = [n.id for n in inside if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)]
    names += [n.arg for n in inside if isinstance(n, ast.arg)]
    return Counter(names + [n.name for n in inside if isinstance(n, ast.FunctionDef) and n is not node])


def reached(nodes: Sequence[ast.stmt], root: str, family: set[str], kept: set[str]) -> list[ast.stmt]:
    """What the root uses, directly or not; of the classes of its family, the methods in `kept` and what those call."""
    classes = [node for node in nodes if isinstance(node, ast.ClassDef) and node.name in family]
    called = _called([part for node in classes for part in node.body], kept)
    for node in classes:
        node.body = [part for part in node.body if not isinstance(part, ast.FunctionDef) or part.name in called]
    wanted, new = set[str](), {root}
    while new:
        wanted |= new
        new = {
            n.id for node in nodes if name_of(node) in new for n in ast.walk(node) if isinstance(n, ast.Name)
        } - wanted
    return [node for node in nodes if name_of(node) in wanted]


def _called(body: Sequence[ast.stmt], kept: set[str]) -> set[str]:
    """The methods in `kept` and those that they call; a class and its bases may both have one of a name."""
    methods = [n for n in body if isinstance(n, ast.FunctionDef)]
    names, wanted, new = {n.name for n in methods}, set[str](), kept
    while new:
        wanted |= new
        said = {a.attr for n in methods if n.name in new for a in ast.walk(n) if isinstance(a, ast.Attribute)}
        new = said & names - wanted
    return wanted


def _closed(nodes: Sequence[ast.stmt]) -> Closed:
    """The functions of which every use is a call with its arguments spelled out, and these calls."""
    inside = [n for node in nodes for n in ast.walk(node)]
    uses = Counter(n.id for n in inside if isinstance(n, ast.Name))
    calls = [n for n in inside if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and _plain(n)]
    local = {name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef) for name in bound(node)}
    closed = {}
    for node in nodes:
        if not isinstance(node, ast.FunctionDef) or node.args.vararg or node.args.kwarg or node.args.posonlyargs:
            continue
        own = [call for call in calls if call.func.id == node.name]  # type: ignore[attr-defined]
        cached = all("cache" in ast.unparse(d) for d in node.decorator_list)
        if cached and node.name not in local and len(own) == uses[node.name]:
            closed[node.name] = (node, own)
    return closed


def _plain(call: ast.Call) -> bool:
    return not any(isinstance(a, ast.Starred) for a in call.args) and all(k.arg for k in call.keywords)


def _given(function: ast.FunctionDef, call: ast.Call) -> dict[str, ast.expr]:
    """The expression of every parameter in a call, defaults included."""
    known = function.args
    names = [a.arg for a in known.args]
    given = dict(zip(names[len(names) - len(known.defaults) :], known.defaults, strict=True))
    given |= {a.arg: d for a, d in zip(known.kwonlyargs, known.kw_defaults, strict=True) if d}
    given |= dict(zip(names, call.args, strict=False))
    return given | {k.arg: k.value for k in call.keywords if k.arg}


def _agreed(function: ast.FunctionDef, calls: Sequence[ast.Call]) -> Known:
    """The parameters that are the same constant in every call and never change."""
    once = {name for name, count in bound(function).items() if count == 1}
    given = [_given(function, call) for call in calls]
    agreed = {}
    for name in once & set(given[0] if given else ()):
        values = [g.get(name) for g in given]
        if isinstance(first := values[0], ast.Constant) and len({ast.dump(v) for v in values if v}) == 1:
            agreed[name] = first
    return agreed


class _Decide(ast.NodeTransformer):
    """Puts constants in, takes the branch of every test between two of them, and replaces calls that only hand on."""

    def __init__(self, node: ast.stmt, agreed: Known, closed: Closed) -> None:
        self.top, self.agreed, self.closed = node, agreed, closed
        self.local, self.known = set(bound(node)), dict[str, ast.Constant]()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        count, outer = bound(node), self.known
        held = {
            name_of(n): n.value for n in node.body
            if isinstance(n, ast.Assign) and isinstance(n.value, ast.Constant) and count[name_of(n)] == 1
        }  # fmt: skip
        given = self.agreed if node is self.top else {}
        self.known = {k: v for k, v in outer.items() if k not in count} | held | dict(given)
        node.body = [n for n in node.body if name_of(n) not in held or not isinstance(n, ast.Assign)]
        self.generic_visit(node)
        self.known = outer
        ends = [i for i, n in enumerate(node.body) if isinstance(n, ast.Return)]
        node.body = _returned(node.body[: ends[0] + 1]) if ends else node.body
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        outer, count = self.known, bound(node)
        self.known = {k: v for k, v in outer.items() if k not in count}
        self.generic_visit(node)
        self.known = outer
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.known.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        compare, right = COMPARE.get(type(node.ops[0])), node.comparators[0]
        if compare and len(node.ops) == 1 and isinstance(node.left, ast.Constant) and isinstance(right, ast.Constant):
            return ast.Constant(compare(node.left.value, right.value))
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        ends, rest = isinstance(node.op, ast.Or), list[ast.expr]()
        for value in node.values:
            constant = isinstance(value, ast.Constant)
            if constant and bool(value.value) is ends:  # type: ignore[attr-defined]
                rest.append(value)
                break
            if not constant or value is node.values[-1]:
                rest.append(value)
        return ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0]

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        decided = isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Constant)
        return ast.Constant(not node.operand.value) if decided else node  # type: ignore[attr-defined]

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """1 ** y is 1, 1 ** y * x is x; 1.0 * x stays, it may be a change of type."""
        power = isinstance(node.left, ast.BinOp)
        self.generic_visit(node)
        one = isinstance(node.left, ast.Constant) and node.left.value == 1
        if one and isinstance(node.op, ast.Mult) and power:
            return node.right
        return node.left if one and isinstance(node.op, ast.Pow) else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        return node if not isinstance(node.test, ast.Constant) else node.body if node.test.value else node.orelse

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node if not isinstance(node.test, ast.Constant) else node.body if node.test.value else node.orelse

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """A call of a function that does nothing goes."""
        name = ast.unparse(node.value.func) if isinstance(node.value, ast.Call) else ""
        empty = name in self.closed and isinstance(self.closed[name][0].body[0], ast.Pass)
        return None if empty else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = self.closed.get(ast.unparse(node.func), (None, []))[0]
        inner = _handed_on(function) if function else None
        if function is None or inner is None or inner is node:
            return node
        given = _given(function, node)
        if {n.id for n in ast.walk(inner) if isinstance(n, ast.Name)} - set(given) & self.local:
            return node  # a variable here has the name of the function there
        return _Put(given).visit(deepcopy(inner))  # type: ignore[no-any-return]


def _returned(body: list[ast.stmt]) -> list[ast.stmt]:
    """`a = f(x)` and `return g(a)` at the end as one line, where that is short."""
    *before, held, last = [ast.Pass(), *body]
    if not (isinstance(last, ast.Return) and isinstance(held, ast.Assign) and (name := name_of(held))):
        return body
    uses = [n for n in ast.walk(last) if isinstance(n, ast.Name) and n.id == name]
    deferred = any(isinstance(n, LATER) and name in ast.unparse(n) for s in body for n in ast.walk(s))
    first = any(
        isinstance(n, ast.Call) and name not in {m.id for m in ast.walk(n) if isinstance(m, ast.Name)}
        for n in ast.walk(last)
    )
    merged = _Put({name: held.value}).visit(deepcopy(last))
    easy = len(uses) == 1 and not deferred and not first and len(ast.unparse(merged)) <= EASY
    return [*before[1:], merged] if easy else body


class _Put(ast.NodeTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, given: Mapping[str, ast.expr]) -> None:
        self.given = given

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return deepcopy(self.given.get(node.id, node))


def _handed_on(function: ast.FunctionDef) -> ast.expr | None:
    """What a function returns, if all it does is to return an argument or to call another with each argument once."""
    last = function.body[0]
    value = last.value if isinstance(last, ast.Return) and not function.decorator_list else None
    calls = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and not value.keywords
    parts = [value.func, *value.args] if calls else [value]  # type: ignore[union-attr]
    names = Counter(p.id for p in parts if isinstance(p, ast.Name))
    own = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
    simple = names.total() == len(parts) and function.name not in names and all(names[name] == 1 for name in own)
    return value if simple else None


def _first_only(function: ast.FunctionDef, calls: Sequence[ast.Call], nodes: Sequence[ast.stmt]) -> None:
    """f(...)[0] everywhere: f returns the first alone."""
    heads = [
        n for node in nodes for n in ast.walk(node)
        if isinstance(n, ast.Subscript) and n.value in calls and ast.unparse(n.slice) == "0"
    ]  # fmt: skip
    returns = [n for n in ast.walk(function) if isinstance(n, ast.Return)]
    nested = any(isinstance(n, ast.FunctionDef) and n is not function for n in ast.walk(function))
    if len(heads) == len(calls) and not nested and all(isinstance(r.value, ast.Tuple) for r in returns):
        for one in returns:
            one.value = one.value.elts[0]  # type: ignore[union-attr]
        for node in nodes:
            _Unwrap(heads).visit(node)


class _Unwrap(ast.NodeTransformer):
    """f(...) in the place of f(...)[0]."""

    def __init__(self, heads: Sequence[ast.Subscript]) -> None:
        self.heads = heads

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        return node.value if node in self.heads else node


def _without_unused(function: ast.FunctionDef, calls: Sequence[ast.Call]) -> None:
    """Drops the parameters that the body no longer names, here and in the calls."""
    own = function.args
    named = {n.id for part in function.body for n in ast.walk(part) if isinstance(n, ast.Name)}
    given = [_given(function, call) for call in calls]
    for name in {a.arg for a in (*own.args, *own.kwonlyargs)} - named:
        if any(isinstance(n, ast.Call) for g in given if name in g for n in ast.walk(g[name])):
            continue  # the call may do something else too
        places = [a.arg for a in own.args]
        place = places.index(name) if name in places else -1
        for call in calls:
            call.args = [a for i, a in enumerate(call.args) if i != place]
            call.keywords = [k for k in call.keywords if k.arg != name]
        _drop(own, name)


def _drop(own: ast.arguments, name: str) -> None:
    plain = [a for a in own.args if a.arg != name]
    required = len(own.args) - len(own.defaults)
    own.defaults = [d for a, d in zip(own.args[required:], own.defaults, strict=True) if a.arg != name]
    pairs = [(a, d) for a, d in zip(own.kwonlyargs, own.kw_defaults, strict=True) if a.arg != name]
    own.args, own.kwonlyargs, own.kw_defaults = plain, [a for a, _ in pairs], [d for _, d in pairs]
