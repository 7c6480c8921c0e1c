"""The ranking table: every objective, what is derived from one, and every anchor. Pure reading of what is on disk."""

from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any

from . import rank
from .anchors import AnchorJob
from .judge import Which
from .records import Row
from .run import Found, tuning_score

NOT_STARTED = 0.05  # of the loss skill


def rows(found: Found) -> tuple[Row, ...]:
    """The ranking table: every objective and every anchor."""
    anchored = anchor_rows(found)
    best = min(r.mean for r in anchored if r.role == "baseline")
    ceiling = next((r.mean for r in anchored if r.role == "ceiling"), None)
    table = [objective_row(found, name) for name in found.plan.objectives]
    for row in [*table, *anchored]:
        if row.stage == "final" and ceiling is not None:
            row.skill = rank.skill(row.mean, best, ceiling, found.preflight.rope)
    return (*table, *derived_rows(found, table), *anchored)


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
        use_flops=one.get("use flops", 0.0),
        collapse=one.get("collapse"),
        least=one.get("least"),
        curves={k: tuple(v) for k, v in one.get("curves", {}).items()},
        metrics=spread([r["metrics"] for r in lived]),
        last_metrics=spread([r.get("last metrics", {}) for r in lived]),
        quarters=quarters(lived),
        sample=next((run.id for run, r in zip(runs, records, strict=True) if not r["failed"]), ""),
    )
    row.failure_low, row.failure_high = rank.wilson(failures, len(records))
    row.last = fmean(r["last"] for r in lived) if lived else None
    row.loss_skill = average([r.get("loss skill") for r in lived])
    row.log_likelihood = average([r.get("log likelihood") for r in lived])
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
    for name, role in found.judge.roles.items():
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


def derived_rows(found: Found, table: Sequence[Row]) -> list[Row]:
    """What costs no training: rows computed from an objective's finished runs, on the rows that judged these."""
    out = []
    for name, source in found.judge.derived.items():
        row = next((row for row in table if row.name == source), None)
        runs = found.runs(row.stage, source) if row else []
        kept = [(run, *found.store.read(run.id)) for run in runs]
        lived = [(run, found.judge.derive(name, data, run.seed)) for run, record, data in kept if not record["failed"]]
        if row is None or len(lived) < 2:
            continue
        which: Which = "test" if row.stage == "final" else "validation"
        scores = tuple(found.judge.score(answer, run.seed, which).value for run, answer in lived)
        mean, low, high = rank.interval(scores, found.judge.overlap)
        described = spread([found.judge.describe(answer, run.seed, which) for run, answer in lived])
        out.append(
            Row(
                name=name, role="derived", stage=row.stage, scores=scores, mean=mean, low=low, high=high,
                metrics=described, failures=0, use_flops=row.use_flops,
            )
        )  # fmt: skip
    return out
