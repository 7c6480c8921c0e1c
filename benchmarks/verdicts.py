"""The whole comparison, quick budget, on five data sets: wall and CPU time, ranking, verdict.

    python benchmarks/verdicts.py [--data ring8 grid25 penguins wine breast-cancer] [--out FOLDER]

Writes FOLDER/verdicts.json; each comparison stays in FOLDER/NAME with its report.
"""

import argparse
import json
import os
import resource
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import whichloss

PENGUINS = Path(__file__).parents[1] / "examples" / "data" / "penguins.csv"


def table(name: str):
    """What compare reads: a toy, the shipped table, or one of scikit-learn's, features only."""
    if name == "penguins":
        return str(PENGUINS)
    if name in ("wine", "breast-cancer"):
        from sklearn import datasets

        found = getattr(datasets, f"load_{name.replace('-', '_')}")()
        return {str(column): found.data[:, j] for j, column in enumerate(found.feature_names)}
    return f"toy:{name}"


def cpu() -> float:
    """CPU seconds of this process and of its finished children."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, who))


class Memory(Thread):
    """The most memory that this process and its descendants hold together, in GiB: shared pages count once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.ended = 0.0, Event()

    def run(self) -> None:
        while not self.ended.wait(0.5):
            self.most = max(self.most, sum(map(self.held, [os.getpid(), *self.below(os.getpid())])) / 2**20)

    def below(self, process: int) -> list[int]:
        """The processes started by one, and by those."""
        with suppress(OSError):
            own = [
                int(p) for t in Path(f"/proc/{process}/task").iterdir() for p in (t / "children").read_text().split()
            ]
            return own + [found for one in own for found in self.below(one)]
        return []

    def held(self, process: int) -> int:
        """KiB, shared pages by share."""
        with suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return 0

    def __enter__(self) -> "Memory":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()


def measured(name: str, folder: Path, budget: str, data: object = None, **asked) -> dict:
    """One comparison, its times and its answer."""
    wall, used = time.perf_counter(), cpu()
    with Memory() as memory:
        found = whichloss.compare(table(name) if data is None else data, budget=budget, out=folder / name, **asked)
    study = found.study
    return {
        "data": name,
        "rows": study.data.rows,
        "dimensions": study.data.dim,
        "peak GiB": round(memory.most, 2),
        "wall s": round(time.perf_counter() - wall, 1),
        "cpu s": round(cpu() - used, 1),
        "verdict": study.answer.kind,
        "recommended": study.answer.recommended,
        "tied": study.answer.tied,
        "sentence": study.answer.sentence,
        "caution": study.answer.caution,
        "noise of the score": study.preflight["rope"],
        "ranking": [
            [row.name, row.role, row.stage, row.mean, row.low, row.high, row.failures, row.skill]
            for row in study.ranked()
        ],
    }


def show(result: dict) -> None:
    """The result as text."""
    print(f"\n{result['data']}: {result['rows']:,} rows, {result['dimensions']} dimensions; ", end="")
    print(f"{result['wall s']:.0f} s wall, {result['cpu s']:.0f} CPU s, {result['peak GiB']} GiB; ", end="")
    print(f"noise {result['noise of the score']:.2g}")
    for name, role, stage, mean, low, high, failures, skill in result["ranking"]:
        known = "" if skill is None else f"  skill {skill:.2f}"
        lost = f"  {failures} failed" if failures else ""
        print(f"  {name:26s} {role:10s} {stage:7s} {mean:9.5f} [{low:9.5f}, {high:9.5f}]{known}{lost}")
    print(f"  {result['verdict']}: {result['sentence']}\n  recommended: {result['recommended']}. {result['caution']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["ring8", "grid25", "penguins", "wine", "breast-cancer"])
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--out", type=Path, default=Path("verdicts"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    results = []
    for name in asked.data:
        results.append(measured(name, asked.out, asked.budget))
        show(results[-1])
        (asked.out / "verdicts.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
