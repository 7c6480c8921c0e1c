"""What a loss is made of, read from its autograd graph: whom its gradient reaches, and by which operations.

The graph is the record of what was computed, however it was written and imported; reading it changes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

MOST = 50_000  # nodes that are read
VIEWS = (
    "View", "Reshape", "UnsafeView", "Squeeze", "Unsqueeze", "Transpose", "T", "Permute", "Clone", "ToCopy", "Alias",
    "Select", "Slice", "Expand", "Mul", "Div",
)  # fmt: skip  # they change shapes and scales, not what the numbers are


@dataclass(frozen=True)
class Told:
    """A cross-entropy in a loss: log-probabilities (n, K), labels (n,), the axis of its softmax."""

    log_p: Tensor
    labels: Tensor
    axis: int  # counted from the last one, -1
    twice: bool  # was a softmax taken of what another softmax returned?
    node: Any = field(repr=False, default=None)


@dataclass(frozen=True)
class Guessed:
    """A squared error in a loss: predicted minus wanted (n, ...), and what was wanted where the graph has kept it."""

    error: Tensor
    wanted: Tensor | None = None
    constant: bool = False  # does one side learn nothing?


@dataclass(frozen=True)
class Scored:
    """A binary cross-entropy in a loss: logits, or probabilities, and the targets, of one shape."""

    scores: Tensor
    targets: Tensor
    logits: bool


@dataclass(frozen=True)
class Reading:
    """One loss: the parameters that its gradient reaches, other leaves, the names of its operations, cross-entropies
    and squared errors, and what its activations returned."""

    parameters: frozenset[int]  # id of each
    leaves: tuple[Tensor, ...]  # that want a gradient and are no parameters
    operations: frozenset[str]
    told: tuple[Told, ...]
    guessed: tuple[Guessed, ...]
    scored: tuple[Scored, ...]
    dead: tuple[float, ...]  # of every rectifier: the share of its units that no row of the batch moved
    products: tuple[float, ...]  # of products of two learnt matrices: how unlike the lengths of their rows are
    norms: tuple[
        tuple[int, tuple[int, ...]], ...
    ]  # of every norm: how many axes its input has, over which it was taken
    saturated: tuple[float, ...]  # of every sigmoid and tanh: the share of its outputs that stand at a bound
    graph: frozenset[Any] = field(repr=False)  # its nodes


def nodes_of(root: Any) -> Iterator[Any]:
    """Every node of a graph, the loss's own first."""
    seen, waiting = {root}, [root]
    while waiting and len(seen) < MOST:
        node = waiting.pop()
        yield node
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                waiting.append(below)


def kind(node: Any) -> str:
    """The operation: "NllLoss" for NllLossBackward0."""
    return str(node.name()).partition("Backward")[0].removeprefix("torch::autograd::")


def read(loss: Tensor) -> Reading:
    """What this loss is made of. The graph must not have been freed: before backward."""
    parameters, leaves, operations = set[int](), list[Tensor](), set[str]()
    found: dict[str, list[Any]] = {
        "told": [],
        "guessed": [],
        "scored": [],
        "dead": [],
        "saturated": [],
        "norms": [],
        "products": [],
    }
    graph = frozenset(nodes_of(loss.grad_fn)) if loss.grad_fn is not None else frozenset()
    for node in graph:
        variable = getattr(node, "variable", None)
        if variable is not None:
            if isinstance(variable, torch.nn.Parameter):
                parameters.add(id(variable))
            else:
                leaves.append(variable)
            continue
        name = kind(node)
        operations.add(name)
        for what, one in READERS.get(name, _nothing)(node):
            found[what].append(one)
    parts = {what: tuple(ones) for what, ones in found.items()}
    return Reading(frozenset(parameters), tuple(leaves), frozenset(operations), graph=graph, **parts)


def _nothing(node: Any) -> Iterator[tuple[str, Any]]:
    yield from ()


def _cross_entropy(node: Any) -> Iterator[tuple[str, Any]]:
    if _saved(node, "self") is not None and _saved(node, "target") is not None:
        yield "told", _told(node)


def _squared(node: Any) -> Iterator[tuple[str, Any]]:
    found, wanted = _saved(node, "self"), _saved(node, "target")
    if found is not None and wanted is not None and found.shape == wanted.shape:
        below = [one for one, _ in node.next_functions]
        if below[0] is None:  # written the other way round
            found, wanted = wanted, found
        yield "guessed", Guessed(found - wanted, wanted, None in below)


def _power(node: Any) -> Iterator[tuple[str, Any]]:
    """(a - b)^2, one of which learns nothing."""
    error = _saved(node, "self")
    below = [one for one, _ in node.next_functions if one is not None]
    if error is None or error.ndim < 2 or getattr(node, "_saved_exponent", 0) != 2 or not below:
        return
    if kind(below[0]) == "Sub":
        sides = [one for one, _ in below[0].next_functions]
        if len(sides) == 2 and (sides[0] is None) != (sides[1] is None):
            yield "guessed", Guessed(error if sides[1] is None else -error, constant=True)


def _binary(node: Any) -> Iterator[tuple[str, Any]]:
    scores, targets = _saved(node, "self"), _saved(node, "target")
    if scores is not None and targets is not None:
        yield "scored", Scored(scores, targets, "WithLogits" in kind(node))


def _rectified(node: Any) -> Iterator[tuple[str, Any]]:
    result = _saved(node, "result")
    if result is not None and result.ndim >= 2 and len(result) > 1:
        yield "dead", float((result.flatten(1).amax(0) <= 0).float().mean())


def _bounded(node: Any) -> Iterator[tuple[str, Any]]:
    result = _saved(node, "result")
    if result is not None and result.ndim >= 2 and result.shape[-1] > 1:
        low, high = (0.0, 1.0) if kind(node) == "Sigmoid" else (-1.0, 1.0)
        yield "saturated", float(((result < low + 0.01) | (result > high - 0.01)).float().mean())


def _norm(node: Any) -> Iterator[tuple[str, Any]]:
    x, axes = _saved(node, "self"), getattr(node, "_saved_dim", None)
    if x is not None and x.ndim > 1:
        yield "norms", (x.ndim, tuple(sorted(_axis(k, x.ndim) for k in axes or range(x.ndim))))


def _root_of_sum(node: Any) -> Iterator[tuple[str, Any]]:
    """sqrt of a sum of squares is a norm too."""
    below = next((one for one, _ in node.next_functions if one is not None), None)
    while below is not None and kind(below) == "Add":
        below = next((one for one, _ in below.next_functions if one is not None), None)
    sizes = getattr(below, "_saved_self_sym_sizes", ()) if below is not None and kind(below) == "Sum" else ()
    if len(sizes) > 1:
        axes = getattr(below, "_saved_dim", None)
        yield "norms", (len(sizes), tuple(sorted(_axis(k, len(sizes)) for k in axes or range(len(sizes)))))


def _product(node: Any) -> Iterator[tuple[str, Any]]:
    a, b = _saved(node, "self"), _saved(node, "mat2")
    if a is not None and b is not None and all(one is not None for one, _ in node.next_functions):
        lengths = a.norm(dim=1), b.norm(dim=0)
        yield "products", max(float(x.std() / x.mean().clamp(min=1e-12)) for x in lengths if len(x) > 1)


def _axis(k: int, axes: int) -> int:
    """An axis counted from the first; the graph keeps negative ones modulo 2^64."""
    k = k - (1 << 64) if k >= 1 << 63 else k
    return k % axes


READERS: dict[str, Callable[[Any], Iterator[tuple[str, Any]]]] = {
    "NllLoss": _cross_entropy,
    "NllLoss2D": _cross_entropy,
    "MseLoss": _squared,
    "Pow": _power,
    "BinaryCrossEntropyWithLogits": _binary,
    "BinaryCrossEntropy": _binary,
    "Relu": _rectified,
    "Sigmoid": _bounded,
    "Tanh": _bounded,
    "LinalgVectorNorm": _norm,
    "Norm": _norm,
    "Sqrt": _root_of_sum,
    "Mm": _product,
}


def _told(node: Any) -> Told:
    log_p, labels = _saved(node, "self"), _saved(node, "target")
    assert log_p is not None and labels is not None  # asked before
    above = _down(node, ("LogSoftmax",))
    axis = _axis(getattr(above, "_saved_dim", log_p.ndim - 1) if above is not None else log_p.ndim - 1, log_p.ndim)
    axis -= log_p.ndim
    twice = above is not None and _down(above, ("Softmax", "Sigmoid")) is not None
    return Told(log_p.detach(), labels, axis, twice, node)


def _down(node: Any, wanted: tuple[str, ...]) -> Any | None:
    """The next node below that is more than a view, if it is one of these."""
    while True:
        below = [found for found, _ in node.next_functions if found is not None]
        if not below:
            return None
        node = below[0]
        if kind(node) in wanted:
            return node
        if kind(node) not in VIEWS:
            return None


def _saved(node: Any, name: str) -> Tensor | None:
    try:
        found = getattr(node, f"_saved_{name}")
    except (AttributeError, RuntimeError):  # freed, or not kept
        return None
    return found.detach() if isinstance(found, Tensor) else None


def first_bad(loss: Tensor) -> str:
    """The operation that made a loss non-finite out of finite numbers, as far as the graph has kept them: ""."""
    best, depth = "", -1
    waiting = [(loss.grad_fn, 0)] if loss.grad_fn is not None else []
    seen = set[Any]()
    while waiting and len(seen) < MOST:
        node, level = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        names = [n.removeprefix("_saved_") for n in dir(node) if n.startswith("_saved_")]
        named = {n: _saved(node, n) for n in names}
        given = {n: v for n, v in named.items() if v is not None and n != "result" and v.is_floating_point()}
        result = named.get("result")
        finite = all(bool(v.isfinite().all()) for v in given.values())
        if given and finite and level > depth:
            why = _why(kind(node), given)
            if why or (result is not None and not result.isfinite().all()):
                best, depth = why or kind(node).lower(), level
        waiting += [(below, level + 1) for below, _ in node.next_functions if below is not None]
    return best


def _why(name: str, given: dict[str, Tensor]) -> str:
    x = given.get("self")
    if x is None or not x.numel():
        return ""
    least, most = float(x.min()), float(x.max())
    if name in ("Log", "Log2", "Log10") and least <= 0:
        return f"log of {least:.3g}"
    if name == "Log1P" and least <= -1:
        return f"log1p of {least:.3g}"
    if name == "Sqrt" and least < 0:
        return f"square root of {least:.3g}"
    if name == "Exp" and most > 88:
        return f"exp of {most:.3g}"
    if name == "Div" and (other := given.get("other")) is not None and bool((other == 0).any()):
        return "division by 0"
    if name == "Pow" and most > 1e19:
        return f"a power of {most:.3g}"
    return ""
