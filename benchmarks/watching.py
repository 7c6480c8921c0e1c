"""What watching costs: five ordinary loops with and without `whichloss.watch`, in turns, in CPU seconds.

python benchmarks/watching.py [--rounds 3] [--out watching.json]
"""

import contextlib
import io
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from measure import interleaved, keep, parser, settle, summary, table

import whichloss

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from watching import public_loops


@contextlib.contextmanager
def unwatched(**_: Any) -> Iterator[SimpleNamespace]:
    """In the place of `whichloss.watch`."""
    yield SimpleNamespace()


def run(loop: Any, watch: Any, found: dict[str, Any]) -> None:
    """One loop, watched or not."""
    kept, whichloss.watch = whichloss.watch, watch
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            found[loop.__name__] = loop()
    finally:
        whichloss.watch = kept


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    settle()
    rows: list[dict[str, Any]] = []
    for loop in public_loops.LOOPS:
        found: dict[str, Any] = {}
        works = {"plain": partial(run, loop, unwatched, {}), "watched": partial(run, loop, whichloss.watch, found)}
        times = interleaved(works, given.rounds + 1)
        pairs = [*zip(times["plain"], times["watched"], strict=True)][1:]  # the first warms up
        ratio, trace = summary([b / a for a, b in pairs]), found[loop.__name__].trace
        faults = [f.rule for f in found[loop.__name__].findings if f.level == "fault"]
        rows.append(
            {"loop": loop.__name__, "ms a step": 1e3 * pairs[0][0] / max(1, trace.steps)}
            | {f"watched / plain, {name}": value for name, value in ratio.items()}
            | {"looks": len(trace.looks), "faults": ", ".join(faults) or "none"}
        )
    table(rows)
    keep(given.out, "watching", {"rows": rows})


if __name__ == "__main__":
    main()
