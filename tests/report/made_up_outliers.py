"""Studies with outliers made up with known scores, and the folders that real ones would leave."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from made_up import make as make_samples

from whichloss.data import read
from whichloss.study import rank, store
from whichloss.study.generate.outliers import OutlierJudge, Seen
from whichloss.study.plan import Run
from whichloss.study.records import Row, Study

GAINS = {"flow": 2.0, "ml": -1.5, "autoencoder": 0.5, "gan": None}  # how far outliers score above rows; None: no scores
DETECTORS = {"Gaussian": -3.0, "Gaussian mixture": 1.0, "nearest neighbours": 1.2, "isolation forest": 0.8}
SEEDS = {"final": range(5, 21), "screen": range(1, 5)}
OVERLAP = 0.25


def make_judge(metric: str) -> OutlierJudge:
    """300 rows; 80 outliers, 40 of which judge."""
    g = np.random.default_rng(3)
    table = read({"x": g.normal(size=300), "y": g.normal(size=300)})
    return OutlierJudge(table, read({"x": g.normal(size=80), "y": g.normal(size=80)}, schema=table.schema), metric)


def answer(judge: OutlierJudge, name: str, gain: float, seed: int, which: Any) -> Seen:
    """Normal scores in a unit of their own, those of the outliers moved by `gain` standard deviations."""
    n, outside = len(judge.judged(seed, which)), len(judge.halves[which])
    z = np.random.default_rng([seed, len(name)]).normal(size=n)
    return Seen(np.empty((0, 0)), 7 * (z + gain * (np.arange(n) >= n - outside)) - 40)


def described(row: Row, judge: OutlierJudge, found: list[Mapping[str, float]]) -> None:
    """Mean and standard deviation over seeds; where outliers decide, they are the score."""
    values = {name: [f[name] for f in found] for name in found[0]}
    row.metrics = {**row.metrics, **{n: (float(np.mean(v)), float(np.std(v))) for n, v in values.items()}}
    if judge.ranks:
        row.scores = tuple(1 - v for v in values["outlier AUROC"])
        row.mean, row.low, row.high = rank.interval(row.scores, OVERLAP)


def objective(folder: Path, judge: OutlierJudge, row: Row, gain: float) -> None:
    """Every run of an objective that scores rows."""
    which, found, runs = "test" if row.stage == "final" else "validation", [], folder / "runs"
    samples = store.unpack(runs / f"{row.sample}.safetensors")[1]
    for seed in SEEDS[row.stage]:
        run = Run(data="d", objective=row.name, code="c", setting={}, seed=seed, flops=1e9, width=64, judge=which)
        own = answer(judge, row.name, gain, seed, which)
        found.append(judge.describe(own, seed, which))  # type: ignore[arg-type]
        record = {"run": msgspec.to_builtins(run), "metrics": found[-1]}
        store.write(runs / f"{run.id}.safetensors", store.pack(record, samples | judge.kept(own, run.seed)))
        row.sample = run.id if seed == SEEDS[row.stage][0] else row.sample
    described(row, judge, found)


def detectors(folder: Path, judge: OutlierJudge, anchors: list[Row]) -> list[Row]:
    """The anchors: where outliers decide, the simple detectors; else those of samples, some of which have a density."""
    if judge.ranks:
        plain = next(row for row in anchors if row.role == "baseline")
        anchors = [msgspec.structs.replace(plain, name=name, metrics={}) for name in DETECTORS]
    kept = {} if judge.ranks else store.unpack(folder / "runs" / "anchors-1.safetensors")[1]
    found: dict[str, list[Mapping[str, float]]] = {}
    for seed in SEEDS["final"]:
        record, arrays = {}, dict(kept)
        for row in anchors:
            row.sample = f"anchors-d-test-{SEEDS['final'][0]}#samples/{row.name}"
            record[row.name] = {"metrics": {}}
            if row.name in DETECTORS:
                own = answer(judge, row.name, DETECTORS[row.name], seed, "test")
                record[row.name] = {"metrics": judge.describe(own, seed, "test")}
                arrays[f"unlike/{row.name}"] = judge.kept(own, 1)["unlike"]
                found.setdefault(row.name, []).append(record[row.name]["metrics"])
        store.write(folder / "runs" / f"anchors-d-test-{seed}.safetensors", store.pack(record, arrays))
    for row in anchors:
        if row.name in found:
            described(row, judge, found[row.name])
    return anchors


def make(folder: Path, metric: str = "auroc", gains: Mapping[str, float | None] = GAINS, finalists: int = 2) -> Study:
    """A study with outliers, its folder written; the first objective is recommended."""
    judge = make_judge(metric)
    study = make_samples(folder, judge.table, names=tuple(gains), finalists=finalists, findings=())
    plan = {"goal": "generate", "asked": dict(judge.asked)}
    store.write(folder / "plan.json", msgspec.json.encode({"plan": plan}))
    for name, table in judge.tables.items():
        table.save(folder / f"{name}.safetensors")
    own = [row for row in study.rows if row.role == "objective"]
    for row in own:
        gain = gains[row.name]
        if gain is not None:
            objective(folder, judge, row, gain)
    study.rows = (*own, *detectors(folder, judge, [row for row in study.rows if row.role != "objective"]))
    study.score_name, study.overlap = judge.score_name, OVERLAP
    study.answer.recommended = study.answer.leader = next(iter(gains))
    return study
