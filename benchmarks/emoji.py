"""Emoji drawings and their names: how often a new drawing finds its name first, after so many CPU seconds of training.

Trained on three vendors' drawings of 85 % of the concepts (4,065 pairs), one thread. Judged by a vendor that drew none
of them, among the names of all 1,595 concepts (chance .06 %), and by the concepts left out, among their 240 names
(chance .4 %). A reference run (CLIP, 0.76 M + 0.49 M weights) reaches 20.4 and 16.7 % in 75 CPU seconds, 27.3 and
17.1 % in 150.

    scripts/fetch-emoji --pairs FOLDER
    python benchmarks/emoji.py FOLDER [--objectives clip,siglip] [--seconds 75,150] [--seeds 3] [--set word_dropout=0.3]
"""

import csv
import statistics
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from measure import keep, parser, settle, table

from whichloss.data import read_pairs
from whichloss.metrics.embeddings import retrieve
from whichloss.objectives import Objective, find
from whichloss.rng import Rng, key
from whichloss.study.align.judge import PairJudge
from whichloss.study.nets import network_builder
from whichloss.train import Lanes, train

TRAINED, UNSEEN = ("noto", "twemoji", "openmoji"), "fluent-emoji-flat"
LEFT_OUT = 240  # concepts
WARM = 20  # steps by which the rate is measured


def parts(rows: list[dict[str, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs trained on, those of an unseen vendor, and one drawing of each concept left out."""
    concepts = sorted({row["concept"] for row in rows})
    out = set(np.random.Generator(np.random.PCG64(key("emoji"))).permutation(concepts)[:LEFT_OUT])
    known = [i for i, row in enumerate(rows) if row["vendor"] in TRAINED and row["concept"] not in out]
    unseen = [i for i, row in enumerate(rows) if row["vendor"] == UNSEEN]
    new = [i for i, row in enumerate(rows) if row["vendor"] == TRAINED[0] and row["concept"] in out]
    return np.array(known), np.array(unseen), np.array(new)


def run(judge: PairJudge, objective: Objective, known: np.ndarray, seconds: float, seed: int) -> tuple:
    """Trains for about so many CPU seconds; the lanes, their weights, the code, steps, and CPU seconds spent."""
    code, encoded = judge.encoded(known)
    units = torch.from_numpy(np.unique(judge.units(known), return_inverse=True)[1])[None]
    lanes = Lanes(
        objective, judge.task, network_builder(judge.task, 64), Rng(Rng.of(seed).key.reshape(-1)), encoded[None],
        torch.tensor([len(encoded)]), torch.zeros(1, judge.task.dim), pixels=judge.pixels, units=units,
    )  # fmt: skip
    warm = train(lanes, 10 * WARM)
    next(warm)  # traces
    start = time.process_time()
    for _ in islice(warm, WARM):
        pass
    steps = int(seconds * WARM / (time.process_time() - start))
    start = time.process_time()
    *_, (state, _) = train(lanes, steps)
    return lanes, state.weights, code, steps, time.process_time() - start


def main() -> None:
    settle()
    options = parser(__doc__ or "")
    options.add_argument("folder", type=Path, help="of scripts/fetch-emoji --pairs")
    options.add_argument("--objectives", default="clip")
    options.add_argument("--seconds", default="75,150", help="CPU seconds of each run")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the objectives")
    given = options.parse_args()
    with (given.folder / "pairs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known, unseen, new = parts(rows)
    judge = PairJudge(read_pairs(given.folder / "pairs.csv", concept="concept"))
    setting = {name: float(value) for name, value in (pair.split("=") for pair in given.set)}
    found = []
    for seed in range(1, given.seeds + 1):
        for name in given.objectives.split(","):
            for seconds in map(float, given.seconds.split(",")):
                lanes, weights, code, steps, spent = run(judge, find(name)(**setting), known, seconds, seed)
                line = {"objective": name, "asked, s": seconds, "seed": seed, "CPU s": spent, "steps": steps}
                for label, rows_ in (("unseen vendor", unseen), ("unseen concepts", new)):
                    a, b = map(torch.from_numpy, judge.told_of(lanes, weights, judge.seen(code, rows_)))
                    units = torch.from_numpy(judge.table.groups[rows_])
                    there = retrieve(a, b, units, units)
                    line |= {f"{label}, {k}": 100 * float(there.found(k).mean()) for k in (1, 5)}
                found.append(line)
                print(line, flush=True)
    table(found)
    for name in given.objectives.split(","):
        for seconds in map(float, given.seconds.split(",")):
            mine = [line for line in found if line["objective"] == name and line["asked, s"] == seconds]
            said = []
            for label in ("unseen vendor", "unseen concepts"):
                values = [line[f"{label}, 1"] for line in mine]
                spread = f" +- {statistics.stdev(values):.1f}" if len(values) > 1 else ""
                said.append(f"{label} {statistics.mean(values):.1f}{spread} %")
            print(f"{name}, {seconds:g} CPU s: found first, {', '.join(said)}")
    keep(given.out, "emoji", {"runs": found, "setting": setting})


if __name__ == "__main__":
    main()
