"""Studies of predictions made up with known mistakes, and the folders that real ones would leave."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import made_up
import msgspec
import numpy as np
import torch

from whichloss.data import Table, read
from whichloss.metrics import labels as measure
from whichloss.study import rank, store, verdict
from whichloss.study.classify.judge import LabelJudge
from whichloss.study.records import Row, Study
from whichloss.task import Finding

GAIN = {  # how far an objective's logits lean to the truth
    "cross-entropy": 3.0,
    "gce": 2.9,
    "weighted-cross-entropy": 2.6,
    "label-smoothing": 2.2,
    "squared": 0.0,  # every run fails
}
ANCHORS = {"logistic regression": 2.5, "nearest neighbours": 1.5, "majority class": 0.0}
DERIVED = "cross-entropy, adjusted after training"
COUNTS = {"Adelie": 320, "Chinstrap": 60, "Gentoo": 220}
ROPE = 0.015
PREFLIGHT: dict[str, Any] = {
    "rows": 96,
    "rope": ROPE,
    "p": 0.002,
    "accuracy": 0.91,
    "chance_low": 0.28,
    "chance_high": 0.39,
    "probed": 480,
    "counts": COUNTS,
    "all_rows": 600,
    "several": False,
    "duplicates": 3,
    "contradicting": 1,
    "leaks": [{"columns": ["arrived", "departed"], "balanced_accuracy": 0.993}],
    "absences": [{"column": "arrived", "label": "Gentoo", "rows": 12}],
    "noise": 0.12,
    "suspects": [{"row": 17, "label": "Adelie", "likely": "Gentoo", "probability": 0.004}],
    "imbalance": 320 / 60,
    "why": ["About 12% of the labels look wrong.", "The classes are uneven."],
}


def species(rows: int = 600, names: Sequence[str] = tuple(COUNTS)) -> Table:
    """Three classes, or as many as there are names, and two columns that tell them apart."""
    g = np.random.default_rng(5)
    shares = np.array([COUNTS.get(name, 100) for name in names], float)
    kind = np.concatenate([np.repeat(np.arange(len(names)), 12), g.choice(len(names), rows, p=shares / shares.sum())])
    length = g.normal(kind, 1)
    return read({"species": np.array(names, object)[kind], "bill": length.round(2), "mass": g.normal(size=len(kind))})


def tagged(rows: int = 500) -> Table:
    """Two label columns of 0 and 1, and one column."""
    g = np.random.default_rng(6)
    x = g.normal(size=rows)
    red, round_ = (x + g.normal(size=rows) > 0).astype(int), (g.random(rows) < 0.2).astype(int)
    return read({"red": red, "round": round_, "x": x.round(3)})


def leaning(truth: torch.Tensor, classes: int, gain: float, seed: int) -> torch.Tensor:
    """Logits that lean to the truth."""
    g = np.random.default_rng(seed)
    hit = truth.double() if truth.ndim == 2 else torch.nn.functional.one_hot(truth, classes).double()
    return gain * (hit - 0.5 * (truth.ndim == 2)) + torch.from_numpy(g.normal(size=hit.shape))


def described(judge: LabelJudge, gain: float, which: str, seeds: int) -> tuple[list[np.ndarray], list[dict]]:
    """Logits and metrics of every seed."""
    out, said = [], []
    for seed in range(1, seeds + 1):
        y = judge.truth(seed, which)  # type: ignore[arg-type]
        z = leaning(y, len(judge.labels.names), gain, seed)
        found = measure.describe(measure.predicted(z, y))
        cool = measure.describe(measure.predicted(z / 0.8, y))
        said.append(found | {f"{n}, scaled": cool[n] for n in measure.OF_PROBABILITIES} | {"temperature": 0.8})
        out.append(z.float().numpy())
    return out, said


def spread(found: list[dict]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation."""
    return {name: (float(np.mean([f[name] for f in found])), 0.01) for name in found[0]}


def kept(folder: Path, name: str, run: dict | None, arrays: dict[str, np.ndarray]) -> None:
    """A run on disk."""
    store.write(folder / "runs" / f"{name}.safetensors", store.pack({"run": run} if run else {}, arrays))


def objective(folder: Path, judge: LabelJudge, name: str, number: int, final: bool) -> Row:
    """One objective, its first run on disk."""
    dead, which = name == "squared", "test" if final else "validation"
    logits, found = described(judge, GAIN.get(name, 2.0), which, 8 if final else 3)
    values = tuple(f["log-loss"] for f in found)
    mean, low, high = rank.interval(values, 0.25)
    if not dead:
        run = {"seed": 1, "judge": which}
        kept(folder, f"run-{number}", run, {"logits": logits[0], "temperature": np.array([0.8])})
    row = Row(
        name=name,
        role="objective",
        stage="final" if final else "screen",
        scores=values,
        mean=mean,
        low=low,
        high=high,
        failures=len(values) if dead else 0,
        reasons=("diverged: weights became infinite by step 210",) if dead else (),
        metrics={} if dead else spread(found),
        last_metrics={} if dead else spread(found) | {"accuracy": (0.8125, 0.0)},
        last=None if dead else mean + 0.05,
        screen=values[:3],
        setting={"lr": 3e-3},
        default={"lr": 1e-3},
        tuning=(({"lr": 1e-3}, mean * 1.4), ({"lr": 3e-3}, mean), ({"lr": 1e-2}, None)),
        quarters=() if dead else (mean * 2, mean * 1.5, mean * 1.2, mean),
        steps=145,
        parameters={"F": 9411},
        training_flops=2e9,
        use_flops=18432.0,
        curves={} if dead else {"loss 0:F": made_up.curve("loss 0:F")},
        sample="" if dead else f"run-{number}",
    )
    row.failure_low, row.failure_high = rank.wilson(row.failures, len(values))
    return row


def anchor(folder: Path, judge: LabelJudge, name: str, arrays: dict[str, np.ndarray]) -> Row:
    """One simple model, its predictions among the anchors' arrays; or what is derived from cross-entropy."""
    logits, found = described(judge, ANCHORS.get(name, 2.9), "test", 8)
    values = tuple(f["log-loss"] for f in found)
    mean, low, high = rank.interval(values, 0.25)
    sample = ""
    if name in ANCHORS:
        arrays |= {f"logits/{name}": logits[0], f"temperature/{name}": np.array([0.5])}
        sample = f"anchors-1#samples/{name}"
    role = "baseline" if name in ANCHORS else "derived"
    return Row(
        name=name,
        role=role,
        stage="final",
        scores=values,
        mean=mean,
        low=low,
        high=high,
        metrics=spread(found),
        sample=sample,
    )  # type: ignore[arg-type]


def make(
    folder: Path,
    table: Table | None = None,
    target: Sequence[str] = ("species",),
    names: Sequence[str] = tuple(GAIN),
    finalists: int = 3,
    findings: Sequence[Finding] = (),
) -> Study:
    """A study of a table's labels, its folder written."""
    table = table or species()
    judge = LabelJudge(table, tuple(target))
    plan = {"goal": "classify", "asked": dict(judge.asked)}
    store.write(folder / "plan.json", msgspec.json.encode({"plan": plan}))
    table.save(folder / "data.safetensors")
    rows = [objective(folder, judge, name, i, i < finalists) for i, name in enumerate(names)]
    arrays: dict[str, np.ndarray] = {}
    rows += [anchor(folder, judge, name, arrays) for name in (DERIVED, *ANCHORS)]
    kept(folder, "anchors-1", None, arrays)
    g = np.random.default_rng(0)
    final = [
        rank.Scores(r.name, r.scores, 0.001 * g.normal(size=400), 0, r.use_flops, r.training_flops)
        for r in rows
        if r.role == "objective" and r.stage == "final"
    ]
    said = verdict.judge(final, rope=ROPE, overlap=0.25)
    for row in rows:
        row.letters = said.letters.get(row.name, "")
    (folder / "other").mkdir()
    base = made_up.make(folder / "other", made_up.mixed(100), names=("ddpm",), finalists=1)
    return msgspec.structs.replace(
        base,
        goal="classify",
        score_name=judge.score_name,
        data=msgspec.structs.replace(
            base.data,
            source=table.source,
            rows=len(table),
            dim=judge.task.dim,
            columns=tuple(msgspec.to_builtins(c) for c in table.schema.columns),
        ),
        answer=msgspec.structs.replace(
            base.answer,
            kind=said.kind,
            leader=said.leader,
            recommended=said.recommended,
            tied=said.tied,
            sentence=said.sentence,
            reason=said.reason,
            differences=tuple(msgspec.to_builtins(d) for d in said.differences),
        ),
        rows=tuple(rows),
        skipped={"ordinal": "the classes have no order"},
        findings=tuple(findings),
        preflight=PREFLIGHT
        | {"counts": counted(judge), "all_rows": len(table), "several": judge.labels.kind == "several"},
        audit={"objective": names[0], "ties": True, "difference": 1e-4, "low": -3e-4, "high": 5e-4},
        method=judge.method,
    )


def counted(judge: LabelJudge) -> dict[str, int]:
    """Rows of every class."""
    codes = judge.labels.codes
    counts = codes.sum(0) if codes.ndim == 2 else np.bincount(codes)
    return dict(zip(judge.labels.names, map(int, counts), strict=True))
