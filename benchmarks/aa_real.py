"""Real A/A studies: an objective against itself under another name, other noise, same seeds. Nobody should win.

    python benchmarks/aa_real.py [--studies 10] [--budget 2e10] [--out FOLDER]

Each study trains the objective and its double on fresh seeds and asks the tool for its verdict; "better" is a false
alarm. The audit inside every study (the leader against its twin) is counted too.
"""

import argparse
import json
import tempfile
from pathlib import Path

import whichloss

PENGUINS = str(Path(__file__).parents[1] / "examples" / "data" / "penguins.csv")
DATA = ("toy:ring8", "toy:two-normals-1d:4000", "toy:swissroll", "toy:moons", PENGUINS)
OBJECTIVES = (("gan", "GAN"), ("wgan_gp", "WGANGP"), ("r3gan", "R3GAN"), ("flow_matching", "FlowMatching"))
DOUBLE = '''"""An objective as it is, its noise drawn under another name."""

from dataclasses import dataclass

from whichloss.objectives.base import Update
from whichloss.objectives.{module} import {name} as Original


@dataclass(frozen=True)
class Double(Original):
    """The original; every loss draws from a stream of its own."""

    search = {{}}

    def updates(self):
        def apart(loss):
            return lambda nets, batch, rng: loss(nets, batch, rng["{stream}"])

        return [
            Update(u.moves, apart(u.loss), u.optimiser, u.times, u.project, u.active) for u in super().updates()
        ]
'''


def doubles(folder: Path, module: str, name: str) -> list[str]:
    """Two files with the same objective; only the names of their noise differ."""
    paths = []
    for stream in ("one", "other"):
        path = folder / f"{module}_{stream}.py"
        path.write_text(DOUBLE.format(module=module, name=name, stream=stream))
        paths.append(str(path))
    return paths


def study(number: int, budget: float, folder: Path) -> dict:
    """One A/A comparison."""
    data = DATA[number % len(DATA)]
    module, name = OBJECTIVES[number % len(OBJECTIVES)]
    found = whichloss.compare(
        data, objectives=doubles(folder, module, name), budget=budget, out=folder / str(number)
    ).study
    difference = found.answer.differences[0]
    return {
        "data": data if data.startswith("toy:") else "penguins",
        "objective": module.replace("_", "-"),
        "verdict": found.answer.kind,
        "difference": {k: v for k, v in difference.items() if isinstance(v, int | float)},
        "audit": dict(found.audit),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--budget", type=float, default=2e10)
    parser.add_argument("--out", type=Path, default=Path("aa_real.json"))
    asked = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.studies):
            results.append(study(number, asked.budget, Path(folder)))
            print(json.dumps(results[-1]), flush=True)
            asked.out.write_text(json.dumps(results, indent=1))
    winners = sum(r["verdict"] == "better" for r in results)
    print(f"{winners} of {len(results)} A/A studies named a winner")


if __name__ == "__main__":
    main()
