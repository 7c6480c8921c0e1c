"""Where training happens: on a GPU where there is one, else on the processor; chosen once.

What is read and drawn stays on the processor (a draw is the same number on any device). A step's batch, weights and
memory go to the device; whatever leaves `train` (samples, checkpoints, curves) comes back.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch.utils._pytree import tree_map

from ..errors import UserError

VARIABLE, PRECISION = "WHICHLOSS_DEVICE", "WHICHLOSS_PRECISION"


@cache
def device() -> torch.device:
    """The device that trains: the one named by WHICHLOSS_DEVICE, or the first GPU, or the processor.

    Raises UserError where the named device is not there.
    """
    name = os.environ.get(VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).splitlines()[0]
        raise UserError(
            f"{VARIABLE} is '{name}', and nothing can be trained there ({why}). Give cpu, cuda or cuda:1, or leave it "
            "out: then a GPU is used where there is one."
        ) from error
    return found


def precision() -> AbstractContextManager[None]:
    """float32, or with WHICHLOSS_PRECISION=bfloat16 products and convolutions of a step in half the bytes; weights stay
    as they are. Raises UserError for another precision."""
    name = os.environ.get(PRECISION) or "float32"
    if name not in ("float32", "bfloat16"):
        raise UserError(f"{PRECISION} is '{name}'; give bfloat16, or float32, which is usual.")
    return nullcontext() if name == "float32" else torch.autocast(device().type, torch.bfloat16, cache_enabled=False)


def there(tree: Any) -> Any:
    """Every tensor of a nest of dicts and tuples, on the device."""
    return tree_map(lambda leaf: leaf.to(device()), tree)


def back(tree: Any) -> Any:
    """Every tensor of a nest of dicts and tuples, on the processor."""
    return tree_map(lambda leaf: leaf.cpu(), tree)
