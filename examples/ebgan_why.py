"""Why did my EBGAN not work? The paper's loss against a popular form of it, and every difference alone, on pictures.

One network, four lines of loss: the popular form detaches the target of the generator's energy, divides all codes by
one norm, hinges the mean of the batch, and takes a margin of 1 whatever the data's scale (ebgan/forms.py). Both are
trained side by side, then every one of these deviations alone under the paper's loss, then one change of the network
at a time, which is where people look first. What each costs is a paired difference over seeds.

--data is the folder of Fashion-MNIST's four IDX files. Every run is on disk once it is done; with --resume what is
there is kept, so that a batch may be cut, or shared by processes with different --only. A GPU is used if there is one.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ebgan.forms import FORMS, SHAPE
from ebgan.show import Run, Shown, publish, write
from ebgan.training import BATCH, KEPT, Judge, agreement, at_the_end, blindness, drawn, train
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from whichloss.data import Pictures, read_pictures
from whichloss.data.write import aside
from whichloss.errors import UserError
from whichloss.study.generate.features import Features, learned

SAMPLES, WEIGHTS = 2000, 128  # pictures judged per run; weights that finite differences move


@dataclass(frozen=True)
class Plan:
    """What was asked for; `long` is the number of steps of the two forms side by side."""

    out: Path
    data: Pictures
    seeds: int
    steps: int
    long: int
    samples: int
    weights: int

    def points(self, name: str) -> list[int]:
        """After how many steps a form is judged."""
        return sorted({self.steps, self.long}) if FORMS[name][0] == "both" else [self.steps]

    def asked(self, name: str, step: int, seed: int) -> dict[str, Any]:
        """What a run is."""
        known = {"name": name, "step": step, "seed": seed, "samples": self.samples, "weights": self.weights}
        return known | {"form": asdict(FORMS[name][2]), "data": self.data.fingerprint}

    def path(self, name: str, step: int, seed: int) -> Path:
        """Where a run lies."""
        return self.out / f"{name}-{step}-{seed}.safetensors"

    def found(self, name: str, step: int, seed: int) -> Run | None:
        """A run on disk, if it is there. Raises UserError where it is damaged or another one."""
        path = self.path(name, step, seed)
        if not path.exists():
            return None
        try:
            with safe_open(str(path), "numpy") as file:
                numbers = json.loads(file.metadata()["numbers"])
                pictures = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except Exception as error:
            raise UserError(f"'{path}' is damaged: {error}. Move it away, and it is trained again.") from error
        if numbers.pop("asked") != self.asked(name, step, seed):
            raise UserError(f"'{path}' holds a run with other settings or data. Give another --out, or move it away.")
        return Run(name, step, seed, numbers, pictures)

    def judged(self, judge: Judge) -> Iterator[Run]:
        """Every run on disk that belongs to this plan, with its scores; one that diverged has none."""
        for name in FORMS:
            for step in self.points(name):
                for run in (run for seed in range(self.seeds) if (run := self.found(name, step, seed))):
                    scores = judge(run.pictures["samples"]) if run.pictures else {}
                    yield replace(run, numbers=run.numbers | {"scores": run.numbers["scores"] | scores})

    def play(self, name: str, seed: int, values: Tensor) -> None:
        """Train one form with one seed, and put it on disk at every point."""
        form = FORMS[name][2]
        for run in train(form, values, seed, self.points(name)):
            pictures = drawn(form, run, self.samples)
            scores = at_the_end(run) | agreement(form, run, self.weights)
            scores["noise energy / data energy"] = blindness(form, run, values)
            numbers = {"asked": self.asked(name, run.step, seed), "margin": run.m, "seconds": run.seconds}
            numbers |= {"scores": scores, "curves": run.curves}
            with aside(self.path(name, run.step, seed)) as part:
                save_file(pictures, part, {"numbers": json.dumps(numbers)})
            told = f"E(x) {scores['E(x) / m']:.2f} m, E(G(z)) {scores['E(G(z)) / m']:.2f} m"
            print(f"{name}, seed {seed}, {run.step:,} steps: {told}, {run.seconds:.0f} s of CPU time", flush=True)


def labelled(folder: Path, part: str) -> Pictures:
    """The pictures of one part, "train" or "t10k"."""
    paths = sorted(folder.glob(f"{part}-images-idx3-ubyte*"))
    if not paths:
        raise UserError(f"'{folder}' holds no {part}-images-idx3-ubyte(.gz). Give the folder of Fashion-MNIST.")
    data = read_pictures(paths[0])
    if data.shape != SHAPE or data.labels is None or len(data) < BATCH:
        raise UserError(
            f"'{paths[0]}' holds {data!r}; these networks take at least {BATCH} grey pictures of 28 x 28 with labels "
            f"beside them ({part}-labels-idx1-ubyte)."
        )
    return data


def eyes(data: Pictures, out: Path) -> Features:
    """The features, trained on the labels of the training pictures once and kept."""
    path = out / "features"
    if not path.exists():
        learned(data, np.arange(len(data))).save(path)
    return Features.load(path)


def run(given: argparse.Namespace) -> None:
    """Train what is not there yet, then show everything that is."""
    names = given.only.split(",") if given.only else list(FORMS)
    if unknown := sorted(set(names) - set(FORMS)):
        raise UserError(f"--only: there is no {', '.join(unknown)}; there are {', '.join(FORMS)}.")
    real, test = labelled(given.data, "train"), labelled(given.data, "t10k")
    n, weights = (min(200, len(test)), 16) if given.quick else (min(SAMPLES, len(test)), WEIGHTS)
    plan = Plan(given.out, real, given.seeds, given.steps, round(given.epochs * (len(real) // BATCH)), n, weights)
    if min(given.seeds, given.steps, plan.long) < 1:
        raise UserError("--seeds, --steps and --epochs must leave at least one seed and one step to train.")
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.resume and any(given.out.glob("*.safetensors")):
        raise UserError(f"'{given.out}' holds runs already. Add --resume to keep them, or give another --out.")
    values = torch.from_numpy(np.array(real.values)).to("cuda" if torch.cuda.is_available() else "cpu")
    for seed in range(given.seeds):
        for name in names:
            if not all(plan.found(name, step, seed) for step in plan.points(name)):
                plan.play(name, seed, values)
    features = eyes(real, given.out)
    judge = Judge(features, features.of(np.asarray(test.values[:n])))
    shuffled = [np.random.default_rng(seed).permutation(len(real))[:n] for seed in range(given.seeds)]
    ceiling = [judge(np.asarray(real.values[np.sort(rows)])) for rows in shuffled]
    some = np.asarray(test.values[:KEPT])
    named = f"{features.kind.rstrip('s')} features"
    shown = Shown(list(plan.judged(judge)), ceiling, some, named, n, plan.steps, plan.long)
    write(shown, given.out)
    if given.publish:
        publish(shown, Path(__file__).parents[1])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of Fashion-MNIST's four IDX files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=5, help="of the two forms side by side")
    parser.add_argument("--steps", type=int, default=1500, help="of every change alone")
    parser.add_argument("--only", metavar="NAMES", help=f"train some of {', '.join(FORMS)}; commas between")
    parser.add_argument("--out", type=Path, default=Path("ebgan_why"), help="folder for the runs and what they show")
    parser.add_argument("--resume", action="store_true", help="keep the runs that are in --out")
    parser.add_argument("--quick", action="store_true", help="few samples and differences: a smoke test")
    parser.add_argument("--publish", action="store_true", help="write the tables into README.md and the card")
    try:
        run(parser.parse_args())
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
