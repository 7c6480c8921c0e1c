"""Watching a training loop of the user's own: `with whichloss.watch(...)`, and `whichloss doctor train.py`."""

import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import nn
from torch.optim.optimizer import Optimizer

from .doctor.loops import examine
from .doctor.watch import Watch
from .errors import UserError
from .task import Finding

PAGE = "whichloss-health.html"


class Watched:
    """A loop under watch; afterwards its `trace` and `findings`."""

    def __init__(self, watch: Watch, page: str | Path | None) -> None:
        self.page, self.findings, self.trace = page, tuple[Finding, ...](), watch.trace
        self._watch = watch
        self._watch.on_bad = lambda text: print(f"whichloss: {text}.", file=sys.stderr, flush=True)

    def __enter__(self) -> "Watched":
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(error)

    def finish(self, error: BaseException | None = None) -> None:
        """Stop watching, say what was found, write the page."""
        from .report import loop

        self._watch.stop(error)
        self.findings = examine(self.trace)
        for line in loop.lines(self.trace, self.findings):
            print(line)
        if self.page is not None:
            print(f"page: {loop.write(self.trace, self.findings, Path(self.page))}")


def watch(
    *,
    optimizers: Iterable[Optimizer] = (),
    page: str | Path | None = PAGE,
    name: str = "the loop",
    **networks: nn.Module,
) -> Watched:
    """Watch a PyTorch loop: `with whichloss.watch(generator=G, critic=D, optimizers=[a, b]) as w: ...`.

    Nothing else in the loop changes. What was found is said at its end, on Ctrl-C and on a crash, and at once where a
    loss stops being a finite number; the page holds the curves. Optimisers that are not given are noticed when they
    step. Raises UserError where no network is given, or something else is.
    """
    if not networks:
        raise UserError("watch() needs the networks, by name: whichloss.watch(generator=G, critic=D).")
    for word, network in networks.items():
        if not isinstance(network, nn.Module):
            raise UserError(f"watch({word}=...): a torch.nn.Module is needed; got {type(network).__name__}.")
    optimizers = tuple(optimizers) if not isinstance(optimizers, Optimizer) else (optimizers,)
    for one in optimizers:
        if not isinstance(one, Optimizer):
            raise UserError(f"watch(optimizers=...): torch optimisers are needed; got {type(one).__name__}.")
    return Watched(Watch(networks, optimizers, name), page)


class Searching(Watch):
    """A watch that finds the networks by itself, at the first backward: what the running functions call them."""

    def _backward(self, old: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.modules:
            for name, module in networks_here().items():
                self.add(name, module)
        return super()._backward(old, tensors, *args, **kwargs)


def networks_here() -> dict[str, nn.Module]:
    """Networks with parameters that the functions now running hold, by the names of their variables; no part of
    another one."""
    found: dict[str, nn.Module] = {}
    frame: Any = sys._getframe(1)
    while frame is not None:
        for space in (frame.f_locals, frame.f_globals if frame.f_code.co_name == "<module>" else {}):
            for name, value in list(space.items()):
                held = value.__dict__ if hasattr(value, "__dict__") and not isinstance(value, (nn.Module, type)) else {}
                own = {name: value} | {f"{name}.{k}": v for k, v in held.items() if name == "self"}
                for word, one in own.items():
                    if isinstance(one, nn.Module) and any(p.requires_grad for p in one.parameters()):
                        found.setdefault(word, one)
        frame = frame.f_back
    parts = {id(part) for one in found.values() for part in list(one.modules())[1:]}
    whole, seen = {}, set[int]()
    for name, one in found.items():
        if id(one) not in parts and id(one) not in seen:
            seen.add(id(one))
            whole[name] = one
    return whole


def run(script: Path, arguments: list[str], page: Path | None, seconds: float | None) -> Watched:
    """Run a script as python would, under watch; `seconds`: stop it after so long."""
    import runpy
    import signal

    if not script.is_file():
        raise UserError(f"'{script}' is no file. Give the script that trains: whichloss doctor train.py")
    watched = Watched(Searching({}, (), script.name), page)
    argv, path = sys.argv, list(sys.path)
    sys.argv, sys.path[0:0] = [str(script), *arguments], [str(script.parent.resolve())]
    error: BaseException | None = None
    if seconds:
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    watched._watch.start()
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as left:
        error = left if left.code not in (None, 0) else None
    except KeyboardInterrupt as stopped:
        error = stopped
    except Exception as raised:
        error = raised
        traceback.print_exc()
    finally:
        if seconds:
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.argv, sys.path[:] = argv, path
    watched.finish(error)
    return watched


def _stop(*_: object) -> None:
    raise KeyboardInterrupt
