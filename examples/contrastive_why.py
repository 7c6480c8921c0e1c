"""Why did my contrastive learning not work? A setting that fails, one change at a time, and what would have told.

A small convolutional network, a raw cosine as the logit of binary cross-entropy, noise with random labels: test
accuracy is chance, every cosine near .7, the loss stuck. Each remedy that people try changes that setting in one
place; then every loss is trained on real pictures, where the data is no fault any more, with 8 classes and with as
many classes as pictures. Before any of it a permutation test of the labels says which data can be learned from.

--data is the folder of Fashion-MNIST's IDX files; without it, scikit-learn's digits.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from contrastive.settings import PARTS, Setting
from contrastive.show import Shown, publish, write
from contrastive.training import Data, make, pool, train

from whichloss.data import Pictures
from whichloss.errors import UserError
from whichloss.study.classify.pictures import PictureLabelJudge
from whichloss.study.classify.signal import Signal

EACH = 32  # pictures of a class to learn from, and as many to be tested on
TESTED = ("noise", "shuffled", "real")  # data whose labels are put to the test before training


def signal(data: Data) -> Signal:
    """What is measured before training: do labels follow from pictures more than shuffled ones do?"""
    look = data.looks["test"]
    values = (torch.cat([look.known, look.asked]) * 255).round().byte().flatten(1).numpy()
    names = tuple(str(code) for code in range(data.classes))
    codes = torch.cat([look.codes, look.truth]).numpy()
    shape = tuple(data.x.shape[1:])
    return PictureLabelJudge(Pictures(values, shape, labels=codes, classes=names)).preflight()


def run(given: argparse.Namespace) -> None:
    """Train everything with every seed, then show it."""
    if given.seeds < 2:
        raise UserError(f"--seeds must be at least 2, to have a spread; got {given.seeds}.")
    started, each = time.process_time(), 16 if given.quick else EACH
    real = pool(given.data, each)
    told: dict[str, list[Signal]] = {kind: [] for kind in TESTED}
    runs: dict[str, dict[str, list[dict[str, float]]]] = {part: {name: [] for name in PARTS[part]} for part in PARTS}
    done: dict[tuple[Setting, int], dict[str, float]] = {}
    for seed in range(given.seeds):
        for kind in TESTED:
            told[kind].append(signal(make(kind, real, each, seed)))
        for part, settings in PARTS.items():
            for name, setting in settings.items():
                asked = replace(setting, epochs=-(-setting.epochs // 30)) if given.quick else setting
                if (asked, seed) not in done:  # some settings stand in two parts
                    done[asked, seed] = train(asked, make(asked.data, real, each, seed), seed)
                runs[part][name].append(done[asked, seed])
                print(f"seed {seed}, {name}: test accuracy {done[asked, seed]['test accuracy']:.1%}", flush=True)
    source = "scikit-learn's digits" if given.data is None else "Fashion-MNIST"
    shown = Shown(runs, told, source, 2 * each * 4, time.process_time() - started)
    write(shown, given.out)
    if given.publish:
        publish(shown, Path(__file__).parents[1])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files; else scikit-learn's digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("contrastive_why"), help="folder for the tables and numbers")
    parser.add_argument("--quick", action="store_true", help="half of the pictures, few epochs: a smoke test")
    parser.add_argument("--publish", action="store_true", help="write the tables into README.md")
    torch.set_num_threads(1)
    try:
        run(parser.parse_args())
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
