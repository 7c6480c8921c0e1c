"""What watching costs: five ordinary loops with and without `whichloss.watch`, in turns, in CPU seconds.

The loop itself is compared; what comes once at its end, the findings and the page, is told apart.

python benchmarks/watching.py [--rounds 3] [--longer 1] [--out watching.json]
"""

import contextlib
import inspect
import io
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from measure import keep, parser, settle, summary, table

import whichloss

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from watching import public_loops


class Timed:
    """A watch, or nothing in its place, whose CPU seconds inside and at its end are kept."""

    def __init__(self, inner: Any, times: list[tuple[float, float]]) -> None:
        self.inner, self.times = inner, times

    def __enter__(self) -> Any:
        found = self.inner.__enter__()
        self.began = time.process_time()
        return found

    def __exit__(self, *error: Any) -> None:
        ended = time.process_time()
        self.inner.__exit__(*error)
        self.times.append((ended - self.began, time.process_time() - ended))


def run(loop: Any, steps: int, watched: bool, times: list[tuple[float, float]]) -> Any:
    """One loop, watched or not; what it gives."""
    kept = whichloss.watch
    with contextlib.redirect_stdout(io.StringIO()):
        whichloss.watch = lambda **given: Timed(  # type: ignore[assignment]
            kept(**given) if watched else contextlib.nullcontext(SimpleNamespace()), times
        )
        try:
            return loop(steps)
        finally:
            whichloss.watch = kept


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--longer", type=int, default=1, help="as many times the steps of the tests")
    given = options.parse_args()
    settle()
    rows: list[dict[str, Any]] = []
    for loop in public_loops.LOOPS:
        steps, seen = given.longer * inspect.signature(loop).parameters["steps"].default, None
        plain: list[tuple[float, float]] = []
        watched: list[tuple[float, float]] = []
        for turn in range(given.rounds + 1):  # the first warms up
            for which in (False, True) if turn % 2 else (True, False):
                found = run(loop, steps, which, watched if which else plain)
                seen = found if which else seen
        trace = seen.trace
        ratio = summary([b / a for (a, _), (b, _) in zip(plain[1:], watched[1:], strict=True)])
        faults = [f.rule for f in seen.findings if f.level == "fault"]
        rows.append(
            {"loop": loop.__name__, "steps": trace.steps, "ms a step": 1e3 * plain[1][0] / max(1, trace.steps)}
            | {f"watched / plain, {name}": value for name, value in ratio.items()}
            | {"own share": trace.share, "looks": len(trace.looks), "s at the end": watched[-1][1]}
            | {"faults": ", ".join(faults) or "none"}
        )
    table(rows)
    keep(given.out, "watching", {"rows": rows})


if __name__ == "__main__":
    main()
