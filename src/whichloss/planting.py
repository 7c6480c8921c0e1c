"""The benchmark of planted faults, run in workers: `whichloss bench faults`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from .doctor.faults import Planted, jobs, work
from .engines import Failure, Local
from .errors import UserError


def bench(
    full: bool = False,
    families: Sequence[str] | None = None,
    workers: int | None = None,
    out: Path | None = None,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> list[Planted]:
    """All runs. `out`, a line of JSON for each as it ends, is read first: the same command goes on where it stopped.

    Raises UserError for an unknown family, or a file that is something else.
    """
    asked = list(jobs(full, families))
    found = {run.job: run for run in _earlier(out)} if out is not None and out.exists() else {}
    left = [job for job in asked if job not in found]
    told(len(asked) - len(left), len(asked))
    with Local(workers) as engine:
        for done, outcome in enumerate(engine.map(work, left), len(asked) - len(left) + 1):
            if isinstance(outcome.result, Failure):
                raise UserError(f"{outcome.item}: {outcome.result.reason}")
            found[outcome.item] = outcome.result
            if out is not None:
                with out.open("ab") as file:
                    file.write(msgspec.json.encode(outcome.result) + b"\n")
            told(done, len(asked))
    return [found[job] for job in asked]


def _earlier(out: Path) -> Iterator[Planted]:
    for number, line in enumerate(out.read_text().splitlines(), 1):
        try:
            yield msgspec.json.decode(line, type=Planted)
        except msgspec.DecodeError as error:
            raise UserError(
                f"'{out}', line {number}: no run of this benchmark ({error}). Give another --out, or take the line out."
            ) from None
