"""Why did my contrastive learning not work? A setting that fails, one change at a time, and what would have told.

A small convolutional network, a raw cosine as the logit of binary cross-entropy, noise with random labels: test
accuracy is chance, every cosine near .7, the loss stuck. Each remedy that people try changes that setting in one
place; then every loss is trained on real pictures, where the data is no fault any more, with 8 classes and with as
many classes as pictures. Before any of it a permutation test of the labels says which data can be learned from.

--data is the folder of Fashion-MNIST's IDX files; without it, scikit-learn's digits.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from contrastive.settings import PARTS, Setting
from contrastive.show import Shown, publish, write
from contrastive.training import CLASSES, Data, make, pool, train

from whichloss.data import Pictures
from whichloss.errors import UserError
from whichloss.study.classify.pictures import PictureLabelJudge
from whichloss.study.classify.signal import Signal

EACH, QUICK = 32, 16  # pictures of a class to learn from, and as many to be tested on
TESTED = ("noise", "shuffled", "real")  # data whose labels are put to the test before training


def signal(data: Data) -> Signal:
    """What is measured before training: do labels follow from pictures more than shuffled ones do?"""
    look = data.looks["test"]
    values = (torch.cat([look.known, look.asked]) * 255).round().byte().flatten(1).numpy()
    names = tuple(str(code) for code in range(data.classes))
    codes = torch.cat([look.codes, look.truth]).numpy()
    shape = tuple(data.x.shape[1:])
    return PictureLabelJudge(Pictures(values, shape, labels=codes, classes=names), metric="accuracy").preflight()


def played(real: Pictures, quick: bool, seed: int) -> tuple[dict[str, Signal], dict[Setting, dict[str, float]]]:
    """The tests of the labels, and every setting trained, with one seed."""
    torch.set_num_threads(1)
    each = QUICK if quick else EACH
    told = {kind: signal(make(kind, real, each, seed)) for kind in TESTED}
    done: dict[Setting, dict[str, float]] = {}
    for setting in dict.fromkeys(setting for settings in PARTS.values() for setting in settings.values()):
        asked = replace(setting, epochs=setting.epochs // 30) if quick else setting
        done[setting] = train(asked, make(setting.data, real, each, seed), seed)
        print(f"seed {seed}: {setting}: test accuracy {done[setting]['test accuracy']:.1%}", flush=True)
    return told, done


def run(given: argparse.Namespace) -> None:
    """Train everything with every seed, then show it."""
    if min(given.seeds, 2 * given.jobs) < 2:
        raise UserError(f"--seeds must be at least 2, to have a spread, --jobs 1; got {given.seeds} and {given.jobs}.")
    each = QUICK if given.quick else EACH
    play = partial(played, pool(given.data, each), given.quick)
    if given.jobs == 1:
        found = [play(seed) for seed in range(given.seeds)]
    else:
        with ProcessPoolExecutor(given.jobs, get_context("spawn")) as workers:
            found = list(workers.map(play, range(given.seeds)))
    told = {kind: [signals[kind] for signals, _ in found] for kind in TESTED}
    runs = {
        part: {name: [done[setting] for _, done in found] for name, setting in settings.items()}
        for part, settings in PARTS.items()
    }
    shown = Shown(runs, told, "scikit-learn's digits" if given.data is None else "Fashion-MNIST", CLASSES * each)
    write(shown, given.out)
    if given.publish:
        publish(shown, Path(__file__).parents[1])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files; else scikit-learn's digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="processes; each takes a seed at a time")
    parser.add_argument("--out", type=Path, default=Path("contrastive_why"), help="folder for the tables and numbers")
    parser.add_argument("--quick", action="store_true", help="half of the pictures, few epochs: a smoke test")
    parser.add_argument("--publish", action="store_true", help="write the tables into README.md")
    try:
        run(parser.parse_args())
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
