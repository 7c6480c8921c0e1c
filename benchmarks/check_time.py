"""How long one `whichloss check` takes, for every loss it knows: name, answer, seconds of wall time on one thread.

The functions checked are the package's own, so every answer should be "equal" (or say why it is not).

    python benchmarks/check_time.py [NAME ...]
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from whichloss.check import check
from whichloss.check.claims import every


def own(covers: str) -> Callable[..., Any]:
    """The package's own function, "module.function"; with one kernel where it takes several."""
    module, name = covers.split(".")
    function = getattr(import_module(f"whichloss.losses.{module}"), name)
    return (lambda x, y, width=1.0: function(x, y, [width])) if name == "mmd" else function


def main(names: list[str]) -> None:
    """Print the table, then the slowest."""
    taken = {}
    for claim in every():
        if claim.covers and (not names or claim.name in names):
            answer = check(own(claim.covers[0]), claim.name)
            taken[claim.name] = answer.seconds
            print(f"{claim.name:36} {answer.verdict:10} {answer.seconds:6.2f} s  {answer.says}", flush=True)
    slowest = max(taken, key=taken.__getitem__)
    print(f"\n{len(taken)} checked; the slowest: {slowest}, {taken[slowest]:.2f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
