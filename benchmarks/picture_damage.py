"""Do the metrics of pictures rise with planted damage, and from which strength do they leave the ceiling?

Real pictures that nothing was trained on are blurred, covered with noise, reduced to a few classes, or exchanged for
training pictures, and judged against test pictures as samples are. The ceiling is the same pictures undamaged, over
20 draws. A metric sees a damage from the first strength whose mean over seeds lies beyond 95 % of the ceiling (*).
Spearman's rank correlation is that of strength and value over all seeds; 1: more damage, worse value. Digits of
scikit-learn at 8 x 8; Fashion-MNIST's test files at 16 x 16 where --data names their folder.

    python benchmarks/picture_damage.py [--data FOLDER] [--seeds 5] [--rows 1000] [--out picture_damage.json]
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from whichloss import metrics
from whichloss.data import Pictures, read_pictures
from whichloss.rng import key
from whichloss.study.generate.damages import blurred, whole
from whichloss.study.generate.pictures import PictureJudge

CEILING = 20  # draws of undamaged pictures
STRENGTHS: dict[str, tuple[float, ...]] = {
    "blur, sd in pixels": (0.3, 0.4, 0.5, 0.7, 1.0, 1.5),
    "noise, sd in levels": (2, 4, 8, 16, 32, 64),
    "classes kept": (9, 8, 7, 5, 3, 1),
    "share of copies": (0.05, 0.1, 0.2, 0.4, 0.7, 1.0),
}
BETTER_HIGH = ("precision", "recall", "coverage")
Values = dict[str, float]


def digits() -> Pictures:
    """1,797 digits of 8 x 8, 17 grey levels."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    values = np.rint(x * 255 / 16).astype(np.uint8)
    return Pictures(values, (1, 8, 8), "digits", y.astype(np.int64), tuple(map(str, range(10))))


def damaged(judge: PictureJudge, numbers: np.ndarray, seed: int) -> Iterator[tuple[str, float, np.ndarray]]:
    """(damage, strength, pictures) of every damage at every strength."""
    generator = np.random.Generator(np.random.PCG64(key("planted", seed)))
    rows, labels = judge.table.values[numbers], judge.table.labels
    assert labels is not None
    noise = generator.standard_normal(rows.shape)
    left = generator.permutation(len(judge.table.classes))
    taken = judge.table.values[generator.choice(judge.split(seed).train, len(rows))]
    make: dict[str, Callable[[float], np.ndarray]] = {
        "blur, sd in pixels": lambda s: blurred(rows, judge.table.shape, s),
        "noise, sd in levels": lambda s: whole(rows + s * noise),
        "classes kept": lambda s: rows[
            generator.choice(np.flatnonzero(np.isin(labels[numbers], left[: int(s)])), len(rows))
        ],
        "share of copies": lambda s: np.concatenate([taken[: round(s * len(rows))], rows[round(s * len(rows)) :]]),
    }
    for kind, strengths in STRENGTHS.items():
        for strength in strengths:
            yield kind, strength, make[kind](strength)


def judged(judge: PictureJudge, rows: np.ndarray, seed: int) -> Values:
    """Every metric of some pictures, as a study takes them."""
    y, x = judge.at(judge.numbers(0, "test", len(rows))), judge.place(rows)
    near = metrics.neighbours(x, y)
    return {
        "MMD^2": judge.real(0, "test").score(x).value,
        "KID": metrics.kid(x, y),
        "Frechet": metrics.frechet(x, y),
        "precision": near.precision,
        "recall": near.recall,
        "coverage": near.coverage,
        "copy test z": judge.copying(judge.versions(rows[: len(judge.held_out)]), seed).z,
    }


def measure(pictures: Pictures, seeds: int, rows: int) -> dict[str, object]:
    """The ceiling, and of every damage the values, the order, and the first strength that is seen."""
    judge = PictureJudge(pictures)
    n = min(rows, judge.size(1))

    def fresh(seed: int) -> np.ndarray:
        generator = np.random.Generator(np.random.PCG64(key("fresh", seed)))
        return generator.permutation(judge.split(seed).validation)[:n]

    real = [judged(judge, pictures.values[fresh(seed)], seed) for seed in range(1, CEILING + 1)]
    names = list(real[0])
    sign = {name: -1 if name in BETTER_HIGH else 1 for name in names}
    limit = {name: float(np.quantile([sign[name] * r[name] for r in real], 0.95)) for name in names}
    found: dict[tuple[str, float], list[Values]] = {}
    for seed in range(1, seeds + 1):
        for kind, strength, sample in damaged(judge, fresh(seed), seed):
            found.setdefault((kind, strength), []).append(judged(judge, sample, seed))
    ceiling = {name: float(np.mean([r[name] for r in real])) for name in names}
    print(f"\n{pictures!r}, {judge.eyes.name}; {n} pictures on each side, {seeds} seeds\n")
    print(f"{'':28}" + "".join(f"{name:>13}" for name in names))
    print(f"{'ceiling, mean':28}" + "".join(f"{ceiling[name]:13.4g}" for name in names))
    print(f"{'ceiling, 95 %':28}" + "".join(f"{sign[name] * limit[name]:13.4g}" for name in names))
    out: dict[str, object] = {"ceiling": ceiling, "limit": limit, "rows": n, "seeds": seeds}
    for kind, strengths in STRENGTHS.items():
        mean = {s: {name: float(np.mean([v[name] for v in found[kind, s]])) for name in names} for s in strengths}
        for s in strengths:
            marks = {name: "*" if sign[name] * mean[s][name] > limit[name] else " " for name in names}
            print(f"{kind + ' ' + format(s, 'g'):28}" + "".join(f"{mean[s][n]:12.4g}{marks[n]}" for n in names))
        harm = {name: [(place, sign[name] * v[name]) for place, s in enumerate(strengths) for v in found[kind, s]]
                for name in names}  # fmt: skip
        order = {name: float(spearmanr(*zip(*pairs, strict=True)).statistic) for name, pairs in harm.items()}
        first = {name: next((s for s in strengths if sign[name] * mean[s][name] > limit[name]), None) for name in names}
        steps = {name: bool(np.all(np.diff([sign[name] * mean[s][name] for s in strengths]) >= 0)) for name in names}
        print(f"{'  Spearman':28}" + "".join(f"{order[name]:12.2f} " for name in names))
        print(f"{'  mean never falls back':28}" + "".join(f"{'yes' if steps[name] else 'no':>12} " for name in names))
        seen = {name: "never" if s is None else f"{s:g}" for name, s in first.items()}
        print(f"{'  seen from':28}" + "".join(f"{seen[name]:>12} " for name in names) + "\n")
        out[kind] = {"spearman": order, "never falls": steps, "first": first,
                     "mean": {format(s, "g"): m for s, m in mean.items()}}  # fmt: skip
    return out


def main() -> None:
    """Measure both data sets and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with Fashion-MNIST's IDX files")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1000, help="pictures on each side, at most")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    sets = {"digits": digits()}
    files = sorted(asked.data.glob("t10k-images-idx3-ubyte*")) if asked.data else []
    if files:
        sets["Fashion-MNIST"] = read_pictures(files[0], size=16)
    found = {name: measure(pictures, asked.seeds, asked.rows) for name, pictures in sets.items()}
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
