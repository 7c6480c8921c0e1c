"""Which objective finds a digit that it never saw? scikit-learn's 8 x 8 digits, rows of 64 numbers, one class held out.

The rows of nine classes are the data; those of the tenth are the outliers, on which nothing trains. `whichloss.compare`
lets AUROC decide: settings and snapshots on validation rows and one half of the outliers, the numbers on test rows and
the other half. False alarms: the share of ordinary rows that are flagged where 95 % of the outliers are. A detector
that guesses has AUROC .5, false alarms .95 and an average precision of the base rate, the share of outliers.

    python benchmarks/outlier_detection.py [--classes 0 8 | all] [--objectives ml nce ...] [--budget quick] [--seeds 8]
                                           [--out FOLDER]

Writes FOLDER/outlier_detection.json; each comparison stays in FOLDER/CLASS with its report.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from verdicts import cpu

import whichloss
from whichloss.errors import UserError

CLASSES = tuple(map(str, range(10)))
TOLD = ("outlier AUROC", "outlier false alarms", "outlier average precision")


def parted(held_out: int) -> tuple[np.ndarray, np.ndarray]:
    """The digits (n, 64) of nine classes, and those of the tenth."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x[y != held_out], x[y == held_out]


def budget(text: str) -> str | float:
    """A name, or operations per run."""
    try:
        return float(text)
    except ValueError:
        return text


def measured(held_out: int, folder: Path, **asked) -> dict:
    """One comparison: every line's numbers (mean, standard deviation over seeds), times and answer."""
    wall, used = time.perf_counter(), cpu()
    rows, strange = parted(held_out)
    study = whichloss.compare(rows, outliers=strange, metric="auroc", out=folder / str(held_out), **asked).study
    return {
        "class": held_out,
        "rows": len(rows),
        "outliers": len(strange),
        "wall s": round(time.perf_counter() - wall, 1),
        "cpu s": round(cpu() - used, 1),
        "sentence": study.answer.sentence,
        "caution": study.answer.caution,
        "skipped": dict(study.skipped),
        "lines": [
            {"name": r.name, "role": r.role, "stage": r.stage, "seeds": len(r.scores), "failures": r.failures}
            | {name: list(r.metrics[name]) for name in (*TOLD, "outlier share") if name in r.metrics}
            for r in study.ranked()
        ],
    }


def show(result: dict) -> None:
    """The result as text."""
    base = next((r["outlier share"][0] for r in result["lines"] if "outlier share" in r), float("nan"))
    print(f"\nclass {result['class']} held out: {result['rows']:,} rows, {result['outliers']} outliers; ", end="")
    print(
        f"{result['wall s']:.0f} s wall, {result['cpu s']:.0f} CPU s; base rate {base:.3f} where finalists are judged"
    )
    print(f"  {'':26s} {'':9s} {'seeds':>5s} {'AUROC':>13s} {'false alarms':>13s} {'avg precision':>13s} {'base':>7s}")
    for line in result["lines"]:
        cells = " ".join("{:>6.3f} ± {:.3f}".format(*line[n]) if n in line else f"{'-':>14s}" for n in TOLD)
        base = f" {line['outlier share'][0]:7.3f}" if "outlier share" in line else ""
        lost = f"  {line['failures']} failed" if line["failures"] else ""
        print(f"  {line['name']:26s} {line['stage']:9s} {line['seeds']:4d} {cells}{base}{lost}")
    print(f"  {result['sentence']}\n  {result['caution']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", nargs="+", default=["0", "8"], choices=(*CLASSES, "all"))
    parser.add_argument("--objectives", nargs="+", help="all that score rows, unless named")
    parser.add_argument("--budget", type=budget, default="quick", help="a name, or operations per run")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--out", type=Path, default=Path("outlier_detection"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    results = []
    for held_out in CLASSES if "all" in given.classes else given.classes:
        try:
            results.append(
                measured(int(held_out), given.out, budget=given.budget, objectives=given.objectives, seeds=given.seeds)
            )
        except UserError as error:
            parser.error(str(error))
        show(results[-1])
        (given.out / "outlier_detection.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
