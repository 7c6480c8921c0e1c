"""From finished runs to a Study: rows, verdict, findings. Pure reading of what is on disk."""

from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any

import msgspec
import numpy as np

from ..data import describe
from ..doctor import Outcome, symptoms
from ..objectives import find
from ..task import Finding
from . import rank, verdict
from .anchors import ROLES, AnchorJob
from .plan import Run
from .rank import Scores
from .records import Answer, Data, Row, Split
from .run import Found, tuning_score

NOT_STARTED = 0.05  # of the loss skill
SEEDS_OF_A_CLAIM = 16


def rows(found: Found) -> tuple[Row, ...]:
    """The ranking table: every objective and every anchor."""
    anchored = anchor_rows(found)
    best = min(r.mean for r in anchored if r.role == "baseline")
    ceiling = next(r.mean for r in anchored if r.role == "ceiling")
    table = [objective_row(found, name) for name in found.plan.objectives]
    for row in [*table, *anchored]:
        if row.stage == "final":
            row.skill = rank.skill(row.mean, best, ceiling, found.power.rope)
    return (*table, *anchored)


def objective_row(found: Found, name: str) -> Row:
    """One objective: on the test rows if it is a finalist, else on the screen's validation rows."""
    stage = "final" if name in found.finalists else "screen"
    runs = found.runs(stage, name)
    records = [found.store.read(run.id)[0] for run in runs]
    lived = [r for r in records if not r["failed"]]
    scores = found.scores(runs)
    mean, low, high = rank.interval(scores, found.judge.overlap)
    failures = len(records) - len(lived)
    one: Mapping[str, Any] = lived[0] if lived else {}
    row = Row(
        name=name,
        role="objective",
        stage=stage,  # type: ignore[arg-type]
        scores=scores,
        mean=mean,
        low=low,
        high=high,
        failures=failures,
        reasons=tuple(dict.fromkeys(r["failed"] for r in records if r["failed"])),
        screen=found.scores(found.runs("screen", name)),
        setting=found.chosen[name],
        default=found.plan.settings[name][0],
        tuning=tuning(found, name),
        parameters=one.get("parameters", {}),
        steps=one.get("steps", 0),
        training_flops=one.get("flops", 0.0),
        sampling_flops=one.get("sampling flops", 0.0),
        curves={k: tuple(v) for k, v in one.get("curves", {}).items()},
        metrics=spread([r["metrics"] for r in lived]),
        quarters=quarters(lived),
        sample=next((run.id for run, r in zip(runs, records, strict=True) if not r["failed"]), ""),
    )
    row.failure_low, row.failure_high = rank.wilson(failures, len(records))
    row.last = fmean(r["last"] for r in lived) if lived else None
    row.loss_skill = average([r["loss skill"] for r in lived])
    row.log_likelihood = average([r["log likelihood"] for r in lived])
    row.state = "not started" if row.loss_skill is not None and row.loss_skill < NOT_STARTED else ""
    return row


def tuning(found: Found, name: str) -> tuple[tuple[Mapping[str, float], float | None], ...]:
    """Every setting tried and its validation score."""
    runs = found.runs("tune", name)
    scores = [tuning_score(found.store.read(run.id)[0]) for run in runs]
    return tuple((r.setting, s if s < float("inf") else None) for r, s in zip(runs, scores, strict=True))


def quarters(records: Sequence[Mapping[str, Any]]) -> tuple[float | None, ...]:
    """Mean validation score at 25, 50, 75 and 100 % of the budget."""
    return tuple(average(list(values)) for values in zip(*(r["quarters"] for r in records), strict=True))


def average(values: Sequence[float | None]) -> float | None:
    """The mean of those that are numbers; None if none is."""
    numbers = [v for v in values if v is not None]
    return fmean(numbers) if numbers else None


def spread(metrics: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation over seeds of every metric."""
    names = dict.fromkeys(name for m in metrics for name in m)
    values = {name: [m[name] for m in metrics if name in m] for name in names}
    return {name: (fmean(v), pstdev(v)) for name, v in values.items()}


def anchor_rows(found: Found) -> list[Row]:
    """The baselines, the ceiling and the cheat, on the final seeds and the test rows."""
    jobs = [AnchorJob("", found.plan.data, seed, "test") for seed in found.plan.seeds("final")]
    records = [found.store.read(job.id)[0] for job in jobs]
    out = []
    for name, role in ROLES.items():
        here = [record[name] for record in records]
        scores = tuple(r["score"] for r in here)
        mean, low, high = rank.interval(scores, found.judge.overlap)
        likely = average([r["log likelihood"] for r in here])
        out.append(
            Row(
                name=name,
                role=role,
                stage="final",
                scores=scores,
                mean=mean,
                low=low,
                high=high,
                metrics=spread([r["metrics"] for r in here]),
                log_likelihood=likely,
                sample=f"{jobs[0].id}#samples/{name}",
            )
        )
    return out


def finalist(found: Found, name: str, runs: Sequence[Run], row: Row) -> Scores:
    """What the interval needs: paired scores and the mean witness over seeds."""
    witnesses = []
    for run in runs:
        record, arrays = found.store.read(run.id)
        if record["failed"]:
            worst = found.floor(run.seed, "test")[1]
            job = AnchorJob("", found.plan.data, run.seed, "test")
            witnesses.append(found.store.read(job.id)[1][f"witness/{worst}"])
        else:
            witnesses.append(arrays["witness"])
    return Scores(
        name,
        found.scores(runs),
        np.mean(witnesses, axis=0),
        sum(bool(found.store.read(run.id)[0]["failed"]) for run in runs),
        row.sampling_flops,
        row.training_flops,
    )


def baseline(found: Found, row: Row) -> Scores:
    """A simple model as a contestant, on the same seeds and rows."""
    jobs = [AnchorJob("", found.plan.data, seed, "test") for seed in found.plan.seeds("final")]
    witnesses = [found.store.read(job.id)[1][f"witness/{row.name}"] for job in jobs]
    return Scores(row.name, row.scores, np.mean(witnesses, axis=0), 0, 0.0, 0.0)


def answer(found: Found, table: Sequence[Row]) -> tuple[Answer, dict[str, Any]]:
    """The verdict and the study's audit of itself."""
    by_name = {row.name: row for row in table}
    contestants = [finalist(found, n, found.runs("final", n), by_name[n]) for n in found.finalists]
    decided = verdict.judge(contestants, rope=found.power.rope, overlap=found.judge.overlap)
    for name, letters in decided.letters.items():
        by_name[name].letters = letters
    first = found.finalists[0]
    twin = finalist(found, f"{first} (twin)", found.runs("twin", first), by_name[first])
    own = contestants[0]
    tie = rank.difference(own, twin, overlap=found.judge.overlap)
    audit = {"objective": first, "ties": not tie.apart, "difference": tie.mean, "low": tie.low, "high": tie.high}
    simple = min((r for r in table if r.role == "baseline"), key=lambda r: r.mean)
    leader = next(c for c in contestants if c.name == decided.recommended)
    against = rank.difference(leader, baseline(found, simple), overlap=found.judge.overlap)
    said = Answer(
        kind=decided.kind,
        leader=decided.leader,
        recommended=decided.recommended,
        tied=decided.tied,
        sentence=decided.sentence,
        reason=decided.reason,
        caution=" ".join(cautions(found, by_name[decided.recommended], simple, against, tie.apart)),
        seeds_needed=decided.seeds_needed,
        rows_needed=decided.rows_needed,
        differences=tuple(msgspec.to_builtins(d) for d in decided.differences),
    )
    return said, audit


def cautions(found: Found, row: Row, simple: Row, against: rank.Difference, audit_failed: bool) -> list[str]:
    """What the verdict does not show, in words."""
    said = []
    if not against.apart or against.mean > 0:
        how = "scores better than" if against.apart else "cannot be told apart from"
        said.append(
            f"A simple baseline, {simple.name}, {how} {row.name} on this data "
            f"({simple.mean:.2g} against {row.mean:.2g}): consider whether you need a network at all."
        )
    if found.power.independent:
        said.append("The columns look independent of each other: only the shape of each column could be compared.")
    if row.metrics.get("copy test p", (1.0, 0.0))[0] < 0.01:
        said.append(f"{row.name} lies suspiciously close to its training rows: it may be copying them.")
    if audit_failed:
        said.append(
            f"The audit failed: {found.finalists[0]} did not tie with its own twin. "
            "Do not trust small differences here."
        )
    if found.plan.budget.seeds < SEEDS_OF_A_CLAIM:
        said.append(
            f"Indicative only: {found.plan.budget.seeds} fresh seeds at {found.plan.budget.flops:g} operations per run."
            " A larger budget may change the order."
        )
    return said


def findings(found: Found, table: Sequence[Row]) -> tuple[Finding, ...]:
    """Contract findings, then the symptoms that at least half of an objective's seeds show."""
    by_name = {row.name: row for row in table}
    simple = min(r.mean for r in table if r.role == "baseline")
    real = by_name["fresh real rows"]
    out = list(found.contracts)
    for name in found.plan.objectives:
        runs = found.runs(by_name[name].stage, name)
        seen: dict[str, list[Finding]] = {}
        for run in runs:
            record = found.store.read(run.id)[0]
            score = found.scores([run])[0]
            for finding in symptoms(name, record.get("curves", {}), outcome(record, score, simple, real, found)):
                seen.setdefault(finding.rule, []).append(finding)
        out += [most(f) for f in seen.values() if 2 * len(f) >= len(runs)]
    return tuple(out)


def most(findings: Sequence[Finding]) -> Finding:
    """The one that stands for all seeds: a fault if most are."""
    faults = [f for f in findings if f.level == "fault"]
    return faults[0] if 2 * len(faults) > len(findings) else findings[0]


def outcome(record: Mapping[str, Any], score: float, simple: float, real: Row, found: Found) -> Outcome:
    """How a run ended, for the doctor."""
    metrics = record.get("metrics", {})
    return Outcome(
        score=score,
        baseline=simple,
        ceiling=real.mean,
        noise=found.power.rope,
        failed=bool(record["failed"]),
        why_failed=record["failed"],
        spread_ratio=metrics.get("spread"),
        coverage=metrics.get("coverage"),
        real_coverage=real.metrics["coverage"][0],
        copies_p=metrics.get("copy test p"),
        loss_skill=record.get("loss skill"),
        quarter_scores=tuple(record.get("quarters", ())),
    )


def data(found: Found) -> Data:
    """What was understood of the data and how it was split."""
    table, judge = found.judge.table, found.judge
    parts = judge.split(1)
    how = "at random, redrawn for every seed; the test rows are the same for all"
    if judge.overlap:
        how = "five folds by seed (below 2,000 rows), with the Nadeau-Bengio correction; one set of test rows for all"
    if table.times is not None:
        how = "by time: the latest rows are the test rows"
    if table.groups is not None:
        how += "; groups stay whole"
    return Data(
        source=table.source,
        rows=len(table),
        dim=judge.space.dim,
        columns=tuple(msgspec.to_builtins(c) for c in table.schema.columns),
        fingerprint=table.fingerprint,
        split=Split(len(parts.train), len(parts.validation), len(parts.test), judge.size(1), how),
        notes=table.notes,
        lines=tuple(describe(table).lines()),
    )


def fewer_rows(found: Found) -> tuple[dict[str, Any], ...]:
    """The finalists again on smaller shares of the training rows."""
    out = []
    for share in found.plan.budget.shares:
        for name in found.finalists:
            runs = found.runs("fewer rows", name, share)
            mean, low, high = rank.interval(found.scores(runs), found.judge.overlap)
            out.append({"share": share, "name": name, "mean": mean, "low": low, "high": high})
    return tuple(out)


def family(name: str) -> str:
    """The first line of an objective's module: what it is in a sentence."""
    import inspect

    module = inspect.getmodule(find(name))
    return (inspect.getdoc(module) or "").splitlines()[0] if module else ""
