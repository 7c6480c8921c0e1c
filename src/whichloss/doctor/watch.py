"""Watching a training loop that is not ours: hooks on networks, optimisers and autograd, and not a line changed in it.

A look watches one round closely, from one step of every optimiser to the next. Looks come densely at first, then ever
more rarely, and no more often than a share of the time allows; between them the loop runs as it always does, but for
one test of every loss: is it a finite number?
"""

import linecache
import math
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from . import seen
from .graph import first_bad, read
from .trace import Loss, Network, Trace

SHARE, MOST = 0.02, 0.06  # of the time that looks may take, beside those of the first rounds; the few that must be
DENSE = 5  # rounds that are all looked at
RARER, MUST, SURE = 20, 1.5, 2  # then one round in every so many of those that have passed; one before they grow by
# MUST, and by SURE whatever it costs: what has not been looked at since half of its life cannot be judged
DEEP, LONG = 3, 1000  # lists within lists, and entries of each, that are searched for layers
OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLANTED = os.path.join(OURS, "doctor", "faults")  # loops that are watched like any other
THEIRS = os.path.dirname(os.path.abspath(torch.__file__))
LIBRARIES = ("site-packages", "dist-packages")
SITES = 50  # places of backward() that are told apart by who called them
CALLS, BYTES, FEW = 64, 2**27, 8  # of a look that are kept: calls, bytes of their inputs, and calls whatever their size
TABLES = (nn.Embedding, nn.EmbeddingBag)
NONE, ZERO, SOME = range(3)  # of a gradient
LONGEST = 200  # steps of a look; an optimiser that takes none in so many is idle
RESTARTS = 3  # new optimisers for which the first rounds are counted anew


@dataclass
class Call:
    """One use of a watched network in a look."""

    network: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    source: str  # the network that made its first input, "data", or "leaf": an input that wants a gradient itself
    attached: bool  # was that input part of a graph?
    args: tuple[Any, ...] = ()  # as it was called
    kwargs: dict[str, Any] = field(default_factory=dict)
    pulls: dict[str, float] = field(default_factory=dict)  # loss -> slope at the output, summed over the rows
    sizes: dict[str, float] = field(default_factory=dict)  # loss -> mean size of that slope
    still: dict[str, float] = field(default_factory=dict)  # loss -> the share of rows where it is 0

    def again(self, module: nn.Module, x: Tensor, *others: Tensor) -> Tensor:
        """What the network says of other rows in the place of the first, beside the same other arguments; of others in
        the places of the next ones. Raises RuntimeError where the rows came by name."""
        if not self.args or self.args[0] is not self.inputs[0]:
            raise RuntimeError("the rows are no first argument")

        def cut(given: Any) -> Any:
            return (
                given[: len(x)] if isinstance(given, Tensor) and given.shape[:1] == self.inputs[0].shape[:1] else given
            )

        rest = [cut(a) if b is None else b for a, b in zip_longest(self.args[1:], others)]
        found: Tensor = _tensor(module(x, *rest, **{name: cut(given) for name, given in self.kwargs.items()}))
        return found


@dataclass
class Slope:
    """One use of autograd.grad or backward for a slope in an input."""

    x: Tensor
    slope: Tensor
    kept: bool  # create_graph: the slope is part of a loss


class Hook:
    """A hook of this module alone: a copy of the module, or one that was saved, has one that does nothing."""

    def __init__(self, does: Callable[..., None]) -> None:
        self.does = does

    def __call__(self, *given: Any) -> None:
        """What the hook does."""
        self.does(*given)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")  # takes anything, gives None, and needs no whichloss to be read


class Watch:
    """`with Watch(generator=G, critic=D): ...`: a `Trace` of the loop inside. See `whichloss.watch`."""

    def __init__(
        self, networks: Mapping[str, nn.Module], optimizers: Iterable[Optimizer] = (), name: str = "the loop"
    ) -> None:
        self.modules = dict(networks)
        self.given = list(optimizers)
        self.known = [weakref.ref(one) for one in self.given]  # those noticed are not kept alive
        self.trace = Trace(name)
        self.calls: list[Call] = []
        self.slopes: list[Slope] = []
        self.last: dict[Any, list[Any]] = {}  # what the last looks kept
        self.pending: dict[str, set[str]] = {}  # network -> losses whose gradient it holds
        self.uncleared: dict[str, dict[int, Tensor]] = {}  # network -> parameters stepped since they were last cleared
        self.held: set[int] = set()  # parameters that some optimiser had
        self.stepped: set[int] = set()  # optimisers, in this look
        self.idle: set[int] = set()  # optimisers that take no steps any more
        self.leader: weakref.ref[Optimizer] | None = self.known[0] if self.known else None  # whose steps are rounds
        self.ticks, self.led, self.opened, self.restarts = 0, 0, 0, 0  # steps of all; at the last round, look
        self.before: dict[int, tuple[list[Tensor], list[Tensor]]] = {}
        self.rounds, self.next, self.looked, self.looking, self.began = 0, 0, 0, True, 0.0
        self.busy = False  # with work of our own, in which networks and autograd may be asked
        self.own, self.first = 0.0, 0.0  # seconds spent on watching; on the first rounds
        self.counts: dict[int, int] = {}
        self.sites: dict[tuple[str, ...], str] = {}  # lines of the user's that lead to a backward() -> its name
        self.tables: set[int] = set()  # embeddings, most of whose rows get no gradient
        self.unsure = ""  # a gradient that is no finite number, with which nobody has stepped yet
        self.undo: list[Callable[[], None]] = []
        self.reached: set[int] = set()  # parameters that some loss reached
        self.arrived: dict[int, int] = {}  # of stepped parameters: the most that any step found, of NONE, ZERO, SOME
        self.on_bad: Callable[[str], None] = lambda text: None
        self.on_look: Callable[[int], None] = lambda step: None  # told each look's step at its end

    # --- entering and leaving

    def start(self) -> "Watch":
        """Set the hooks."""
        self.began = time.perf_counter()
        for name, module in self.modules.items():
            self.add(name, module)
        for handle in (
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ):
            self.undo.append(handle.remove)
        self._patch(torch.autograd, "backward", self._backward)
        self._patch(torch.autograd, "grad", self._grad)
        self._patch(torch.jit, "script", self._script)
        return self

    @property
    def optimizers(self) -> list[Optimizer]:
        """Those that hold parameters of a watched network."""
        return [one for ref in self.known if (one := ref()) is not None]

    def add(self, name: str, module: nn.Module) -> None:
        """Watch one more network."""
        self.modules[name] = module
        own = [p for p in module.parameters() if p.requires_grad]
        found = Network(name, sum(p.numel() for p in own))
        alike = [n for n, p in module.named_parameters() if p.ndim > 1 and len(p) > 1 and bool((p == p[:1]).all())]
        found.alike = tuple(alike)
        found.facts["parametrised"] = float(
            any(hasattr(p, "parametrizations") or hasattr(p, "weight_u") for p in module.modules())
        )
        found.facts["ends in tanh"] = float(isinstance([module, *module.modules()][-1], nn.Tanh))
        self.trace.networks[name] = found
        self.last[f"start {name}"] = [_marks(own)]
        self.tables |= {id(p) for part in module.modules() if isinstance(part, TABLES) for p in part.parameters()}
        self.last[f"unlisted {name}"] = [{n: _marks([p]) for n, p in _unlisted(module)}]
        self.undo.append(module.register_forward_hook(Hook(self._called(name)), with_kwargs=True).remove)

    def stop(self, error: BaseException | None = None) -> Trace:
        """Take the hooks away; the trace."""
        for undo in reversed(self.undo):
            undo()
        self.undo.clear()
        self.trace.share = self.own / max(time.perf_counter() - self.began, 1e-9)
        if isinstance(error, KeyboardInterrupt):
            self.trace.ended = "stopped by Ctrl-C"
        elif error is not None:
            self.trace.ended = f"ended by {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return self.so_far()

    def so_far(self) -> Trace:
        """The trace as if the loop had ended here."""
        self.trace.steps = max(self.counts.values(), default=0)
        with self._timed():
            self._parameters()
            seen.finish(self)
        return self.trace

    def _patch(self, module: Any, name: str, make: Callable[..., Any]) -> None:
        old = getattr(module, name)

        def new(*args: Any, **kwargs: Any) -> Any:
            return make(old, *args, **kwargs)

        setattr(module, name, new)
        self.undo.append(lambda: setattr(module, name, old))

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began, before, self.busy = time.perf_counter(), self.busy, True
        try:
            yield
        except Exception as error:  # a mistake of ours must not end a loop of theirs
            self.trace.trouble = self.trace.trouble or f"{type(error).__name__}: {error}"
        finally:
            self.busy = before
            self.own += 0.0 if before else time.perf_counter() - began

    # --- what the hooks see

    def _called(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
            if self.busy or not self.looking:
                return
            with self._timed():
                out = _tensor(out)
                inputs = tuple(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
                if not inputs or not isinstance(out, Tensor):
                    return
                source, attached = self._source(inputs[0]), inputs[0].grad_fn is not None
                call = Call(name, inputs, out, source, attached, args, kwargs)
                self.calls.append(call)
                if out.requires_grad:
                    out.register_hook(self._pulled(call))
                self._forget()

        return hook

    def _forget(self) -> None:
        """The oldest calls of a long look, as an evaluation in its midst makes it."""
        sizes = [sum(x.numel() * x.element_size() for x in call.inputs) for call in self.calls]
        while len(sizes) > FEW and (len(sizes) > CALLS or sum(sizes) > BYTES):
            del self.calls[0], sizes[0]

    def _source(self, x: Tensor) -> str:
        """Which network made this tensor, or a view of it."""
        place = _place(x)
        for call in reversed(self.calls):
            if _place(call.output) == place:
                return call.network
        if x.requires_grad and x.is_leaf:
            return "leaf"
        return "mixed" if x.grad_fn is not None else "data"

    def _pulled(self, told: Call) -> Callable[[Tensor], None]:
        at = weakref.ref(told)  # the call holds the output, whose graph holds the hook: nobody would free them

        def hook(slope: Tensor) -> None:
            call = at()
            if self.looking and self.site and call is not None and not self.busy:
                with self._timed(), torch.no_grad():
                    x = call.inputs[0]
                    rebuilt = x.shape == call.output.shape and x.numel() > len(x)  # an autoencoder's energy
                    own = slope * (call.output - x) if rebuilt else slope
                    each = slope.detach().reshape(len(slope), -1).norm(dim=1) if slope.ndim else slope.abs()
                    call.pulls[self.site] = call.pulls.get(self.site, 0.0) + float(own.sum())
                    call.sizes[self.site] = float(each.mean())
                    call.still[self.site] = float((each == 0).float().mean())

        return hook

    site = ""  # of the backward under way

    def _backward(self, old: Callable[..., Any], tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(tensors, Tensor | Sequence):
            tensors = tuple(tensors)
        loss = tensors if isinstance(tensors, Tensor) else tensors[0] if len(tensors) else None
        if not isinstance(loss, Tensor):
            return old(tensors, *args, **kwargs)
        if self.busy or (not self.looking and (self.trace.bad or not _wrong(loss))):
            return old(tensors, *args, **kwargs)
        chained: list[Tensor] = []
        self.unsure = ""
        with self._timed():
            self.site = self._read(loss)
            chained += (x for x in self._leaves if self.looking and (x.grad is None or not x.grad.any()))
        try:
            return old(tensors, *args, **kwargs)
        finally:
            with self._timed():
                for x in chained:
                    if x.grad is not None:
                        self.slopes.append(Slope(x.detach().clone(), x.grad.detach().clone(), False))
                if self.looking and self.site:
                    self._gradients()
            self.site = ""

    _leaves: tuple[Tensor, ...] = ()

    def _read(self, loss: Tensor) -> str:
        """Before backward: where it is, what it is made of, whom it reaches."""
        site, text = self._where()
        found = self.trace.losses.setdefault(site, Loss(site, text))
        value = float(loss.detach()) if loss.numel() == 1 else math.nan
        found.values.append(value)
        if _wrong(loss) and not self.trace.bad:
            operation = first_bad(loss)
            self._bad(f"the loss of {site} became {value}" + (f": {operation}" if operation else ""))
        reading = read(loss)
        self._leaves = reading.leaves
        found.operations |= reading.operations
        found.inputs |= bool(reading.leaves)
        self.reached |= reading.parameters
        for name, module in self.modules.items():
            own = [p for p in module.parameters() if id(p) in reading.parameters]
            if not own:
                continue
            found.reaches.add(name)
            if not _any(own[0].grad):
                self.pending[name] = set()
            stepped = self.uncleared.get(name, {})
            for key in [key for key, p in stepped.items() if not _any(p.grad)]:
                del stepped[key]
            if stepped.keys() & reading.parameters:
                found.stale.add(name)
            self.pending.setdefault(name, set()).add(site)
        seen.loss(self, found, reading, loss)
        return site

    def _gradients(self) -> None:
        """After backward: how large the gradient of every network is, at both of its ends."""
        for name in self.trace.losses[self.site].reaches:
            layers = [
                p
                for p in self.modules[name].parameters()
                if p.grad is not None and p.ndim > 1 and id(p) not in self.tables
            ]
            sizes = [float(p.grad.norm()) / p.numel() ** 0.5 for p in layers if p.grad is not None]
            if not sizes:
                continue
            network = self.trace.networks[name]
            network.note("gradient", math.sqrt(sum(float(p.grad.norm()) ** 2 for p in layers if p.grad is not None)))
            if len(sizes) > 1:
                network.note("first gradient", sizes[0])
                network.note("last gradient", sizes[-1])
            if not self.trace.bad and not all(map(math.isfinite, sizes)):
                named = reversed(list(self.modules[name].named_parameters()))
                worst = next((n for n, p in named if _nan(p.grad)), "its size")
                self.unsure = (
                    f"the gradient of {name} became infinite or NaN in backward at {self.site}, first in {worst}"
                )

    def _grad(self, old: Callable[..., Any], outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        found = old(outputs, inputs, *args, **kwargs)
        if self.looking and not self.busy:
            with self._timed():
                x = inputs if isinstance(inputs, Tensor) else inputs[0]
                if not isinstance(x, nn.Parameter) and isinstance(found[0], Tensor):
                    kept = bool(kwargs.get("create_graph", False))
                    self.slopes.append(Slope(x.detach().clone(), found[0].detach().clone(), kept))
        return found

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not any(optimizer is one for one in self.optimizers) and not self._notice(optimizer):
            return
        if self.unsure and not self.trace.bad:
            self._bad(self.unsure)
        if not self.looking:
            return
        with self._timed():
            own = [p for group in optimizer.param_groups for p in group["params"]]
            self.before[id(optimizer)] = own, [p.detach().clone() for p in own]
            for p in own:
                came = NONE if p.grad is None else SOME if p.grad.any() else ZERO
                self.arrived[id(p)] = max(came, self.arrived.get(id(p), NONE))
            ids = {id(p) for p in own if p.grad is not None}
            for name, module in self.modules.items():
                if any(id(p) in ids for p in module.parameters()):
                    for site in self.pending.get(name, ()):
                        self.trace.losses[site].moves.add(name)
                    self._stepped(name, own)
                    self.trace.networks[name].note("at the clip", seen.clipped(module))

    def _notice(self, optimizer: Optimizer) -> bool:
        """Note a new optimiser. Does it move a watched network?"""
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        self.held |= held
        if not any(id(p) in held for module in self.modules.values() for p in module.parameters()):
            return False
        self.known = [ref for ref in self.known if ref() is not None] + [weakref.ref(optimizer)]
        if self.restarts < RESTARTS:  # the first rounds are those in which all take part
            self.rounds, self.next, self.looked = 0, 0, 0
            self.restarts += 1
        return True

    def _stepped(self, name: str, own: list[Tensor]) -> None:
        """The first of a network's parameters that an optimiser moves stands for the others."""
        ids = {id(p) for p in self.modules[name].parameters()}
        first = next((p for p in own if id(p) in ids and p.grad is not None), None)
        if first is not None:
            self.uncleared.setdefault(name, {})[id(first)] = first

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not any(optimizer is one for one in self.optimizers):
            return
        self.counts[id(optimizer)] = self.counts.get(id(optimizer), 0) + 1
        self.ticks += 1
        self.idle.discard(id(optimizer))
        if self.leader is None or self.leader() is optimizer or self.ticks - self.led > LONGEST:
            self.leader, self.led = weakref.ref(optimizer), self.ticks
            self.rounds += not self.looking
        if not self.looking:
            if self.rounds >= self.next and self._allowed():
                self._open()
                self.uncleared = {}  # but for what has just been stepped; others may gather gradients
                for name in self.modules:
                    self._stepped(name, [p for group in optimizer.param_groups for p in group["params"]])
            return
        with self._timed():
            if id(optimizer) in self.before:
                self._moved(*self.before.pop(id(optimizer)))
            self.stepped.add(id(optimizer))
            waiting = {id(one) for one in self.optimizers} - self.stepped - self.idle
            if waiting and self.ticks - self.opened >= LONGEST:
                self.idle |= waiting
            if not waiting or waiting <= self.idle:
                self._close()

    def _moved(self, own: list[Tensor], before: list[Tensor]) -> None:
        with torch.no_grad():
            index = {id(p): k for k, p in enumerate(own)}
            for name, module in self.modules.items():
                mine = [index[id(p)] for p in module.parameters() if id(p) in index]
                if not mine:
                    continue
                change = math.sqrt(sum(float((own[k].detach() - before[k]).square().sum()) for k in mine))
                size = math.sqrt(sum(float(before[k].square().sum()) for k in mine))
                network = self.trace.networks[name]
                network.note("update", change / max(size, 1e-30))
                network.note("weights", size)

    def _where(self) -> tuple[str, str]:
        """Which backward() of the user's this is, as train.py:41, and its line; one that several lines come to, as
        helpers are, is told apart by them."""
        lines = _lines()
        if not lines:
            return "?", ""
        names = tuple(f"{Path(name).name}:{line}" for name, line in lines)
        if names not in self.sites:
            others = [known for known in self.sites if known[0] == names[0]]
            beside = [b for b, *known in zip_longest(names, *others) if b is not None and b not in known]
            many = len(self.sites) >= SITES or not beside
            self.sites[names] = names[0] if many or not others else f"{names[0]}, called at {beside[0]}"
        return self.sites[names], linecache.getline(*lines[0]).strip()

    def _script(self, old: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """TorchScript compiles hooks too, and cannot compile ours."""
        kept = [(module, dict(module._forward_hooks)) for module in self.modules.values()]
        for module, hooks in kept:
            for key in [key for key, hook in hooks.items() if isinstance(hook, Hook)]:
                del module._forward_hooks[key]
        try:
            return old(*args, **kwargs)
        finally:
            for module, hooks in kept:
                module._forward_hooks.update(hooks)

    # --- looks

    def _allowed(self) -> bool:
        if self.rounds < DENSE or self.rounds >= SURE * self.looked:
            return True
        share = MOST if self.rounds >= MUST * self.looked else SHARE
        return self.own - self.first < share * (time.perf_counter() - self.began)

    def _open(self) -> None:
        self.looking, self.opened = True, self.ticks
        self.stepped.clear()

    def _close(self) -> None:
        self.trace.looks.append(max(self.counts.values()))
        try:
            with suppress(RuntimeError):  # a network that cannot be asked again
                seen.look(self)
        finally:
            self._next()

    def _next(self) -> None:
        self.calls.clear()
        self.slopes.clear()
        self.before.clear()
        self.stepped.clear()
        self.rounds += 1
        if self.rounds == DENSE:
            self.first = self.own
        self.looked = self.rounds
        self.next = self.rounds + max(1, self.rounds // RARER) if self.rounds >= DENSE else self.rounds
        self.looking = self.next <= self.rounds and self._allowed()
        if self.looking:
            self._open()
        self.on_look(self.trace.looks[-1])

    def _bad(self, text: str) -> None:
        self.trace.bad, self.trace.bad_at = text, max(self.counts.values(), default=0)
        self.on_bad(text)

    def _parameters(self) -> None:
        """Which parameters nobody moves."""
        held = self.held | {id(p) for one in self.optimizers for group in one.param_groups for p in group["params"]}
        for name, module in self.modules.items():
            own = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
            start, now = self.last[f"start {name}"][0], _marks(p for _, p in own)
            kept = {n for (n, _), was, at in zip(own, start, now, strict=False) if was == at}
            network = self.trace.networks[name]
            network.facts["moved"] = float(len(kept) < len(own))
            network.unowned = tuple(n for n, p in own if id(p) not in held) if held else ()
            layers = dict(module.named_parameters())  # those that have learnt to differ since are alike no more
            network.alike = tuple(n for n in network.alike if n in layers and bool((layers[n] == layers[n][:1]).all()))
            network.without = tuple(
                n
                for n, p in own
                if id(p) in held
                and (
                    self.arrived.get(id(p), ZERO) < ZERO
                    if id(p) in self.reached
                    else self.arrived.get(id(p), NONE) < SOME
                )
            )
            network.still = tuple(n for n, p in own if id(p) in held and n in kept)
            (start,) = self.last[f"unlisted {name}"]
            network.unlisted = tuple(
                n
                for n, p in _unlisted(module)
                if id(p) in self.reached and id(p) not in held and start.get(n) == _marks([p])
            )


def _any(x: Tensor | None) -> bool:
    return x is not None and bool(x.any())


def _tensor(out: Any) -> Any:
    """What a network returned, or the first tensor of it."""
    if isinstance(out, Mapping):
        out = tuple(out.values())
    return next((x for x in out if isinstance(x, Tensor)), None) if isinstance(out, tuple | list) else out


def _marks(parameters: Iterable[Tensor]) -> list[tuple[float, float]]:
    """Two numbers of each parameter that any step changes."""
    with torch.no_grad():
        return [(float(p.double().sum()), float(p.double().square().sum())) for p in parameters]


def _unlisted(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters in lists, tuples and dicts of a network, which its parameters() does not give."""
    listed = {id(p) for p in module.parameters()}
    for place, part in module.named_modules():
        for name, value in vars(part).items():
            if isinstance(value, list | tuple | dict) and name not in ("_modules", "_parameters", "_buffers"):
                within = _within(f"{place}.{name}" if place else name, value)
                yield from ((n, p) for n, p in within if p.requires_grad and id(p) not in listed)


def _within(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, nn.Parameter]]:
    if isinstance(value, nn.Parameter):
        yield name, value
    elif isinstance(value, nn.Module):
        yield from ((f"{name}.{n}", p) for n, p in value.named_parameters())
    elif isinstance(value, list | tuple | dict) and depth < DEEP:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in islice(pairs, LONG):
            yield from _within(f"{name}[{key!r}]", one, depth + 1)


def _place(x: Tensor) -> int:
    try:
        return x.untyped_storage().data_ptr() or -id(x)
    except (RuntimeError, NotImplementedError):
        return -id(x)


def _wrong(loss: Tensor) -> bool:
    """Is this loss no finite number? Where it lies elsewhere than on the CPU, asking would wait for it."""
    return loss.device.type == "cpu" and loss.numel() == 1 and not math.isfinite(float(loss.detach()))


def _nan(x: Tensor | None) -> bool:
    return x is not None and not bool(x.isfinite().all())


def _lines() -> list[tuple[str, int]]:
    """The lines of the user's code that are being run, innermost first; of libraries only where there are none."""
    frame, own, any_ = sys._getframe(1), list[tuple[str, int]](), list[tuple[str, int]]()
    at: Any = frame
    while at is not None:
        name = at.f_code.co_filename
        if name.startswith(PLANTED) or not name.startswith((OURS, THEIRS, "<")):
            (any_ if any(part in name for part in LIBRARIES) else own).append((name, at.f_lineno))
        at = at.f_back
    return own or any_[:1]
