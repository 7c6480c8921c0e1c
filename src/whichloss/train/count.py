"""Training compute, counted: the floating-point operations a piece of work really runs.

The formulas are those of `torch.utils.flop_counter` (matrix products and convolutions); its own mode does not work
inside `torch.func.grad`, so this one listens below the function transforms. Work the formulas cannot see (sorting,
assignment) is declared by `extra_flops`.
"""

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_extra: list[float] = [0.0]


def extra_flops(count: float) -> None:
    """Declare operations that the formulas cannot see."""
    _extra[0] += count


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        return out


def count(work: Callable[[], object]) -> float:
    """The floating-point operations of one call of `work`."""
    _extra[0] = 0.0
    with _Counter() as counter:
        work()
    return float(counter.flops) + _extra[0]
