"""How much a study spends: compute per run, settings tried, seeds screened, finalists and their fresh seeds."""

import math
from dataclasses import dataclass, replace

from ..errors import UserError


@dataclass(frozen=True)
class Budget:
    """`flops` is the training compute of one run (one objective, one setting, one seed)."""

    name: str
    flops: float
    settings: int  # tried per objective, one seed each, at half the compute
    screen: int  # seeds per objective
    finalists: int
    seeds: int  # fresh seeds per finalist
    width: int  # units in each hidden layer of the default networks
    shares: tuple[float, ...] = ()  # the finalists again on these shares of the rows


BUDGETS = {
    "quick": Budget("quick", 2e11, 3, 3, 2, 8, 64),
    "standard": Budget("standard", 1e12, 8, 4, 3, 16, 128),
    "thorough": Budget("thorough", 1e13, 32, 4, 3, 24, 128, (0.25, 0.5)),
}
SMALLEST = 1e6
PICTURES = 12.0  # a convolution's weight is used at every pixel; with this the quick study takes 45 minutes on 2 cores


def budget(text: str | float, seeds: int | None = None, pictures: bool = False, settings: int | None = None) -> Budget:
    """A budget by name or by compute per run ("3e11"); names stand for more where rows are pictures. Raises UserError
    on anything else."""
    named = {k: replace(b, flops=b.flops * PICTURES) for k, b in BUDGETS.items()} if pictures else BUDGETS
    if str(text) in named:
        chosen = named[str(text)]
    else:
        try:
            flops = float(text)
        except ValueError:
            flops = math.nan
        if not SMALLEST <= flops < math.inf:
            raise UserError(
                f"--budget must be one of {', '.join(BUDGETS)} or a number of floating-point operations per run "
                f"of at least {SMALLEST:g}; got '{text}'."
            )
        nearest = min(named.values(), key=lambda b: abs(math.log(b.flops / flops)))
        chosen = replace(nearest, name=f"{flops:g}".replace("e+0", "e").replace("e+", "e"), flops=flops)
    if seeds is not None:
        if seeds < 2:
            raise UserError(f"--seeds must be at least 2, since an interval needs a spread; got {seeds}.")
        chosen = replace(chosen, seeds=seeds)
    if settings is not None:
        if settings < 1:
            raise UserError(f"--settings must be at least 1, the default setting; got {settings}.")
        chosen = replace(chosen, settings=settings)
    return chosen
