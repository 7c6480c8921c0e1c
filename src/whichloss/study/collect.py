"""From finished runs to a Study: verdict, findings, what was known of the data. Pure reading of what is on disk."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ..data import Pictures, Table, describe
from ..doctor import Outcome, symptoms
from ..metrics.copies import COPYING
from ..objectives import find
from ..task import Finding
from . import rank, verdict
from .anchors import AnchorJob
from .plan import Run
from .rank import Scores
from .records import Answer, Data, Row, Split
from .run import Found

SEEDS_OF_A_CLAIM = 16


def finalist(found: Found, name: str, runs: Sequence[Run], row: Row) -> Scores:
    """What the interval needs: paired scores and the mean influence of every test row over seeds."""
    influences = []
    for run in runs:
        record, arrays = found.store.read(run.id)
        if record["failed"]:
            worst = found.floor(run.seed, "test")[1]
            job = AnchorJob("", found.plan.data, run.seed, "test")
            influences.append(found.store.read(job.id)[1][f"influence/{worst}"])
        else:
            influences.append(arrays["influence"])
    return Scores(
        name,
        found.scores(runs),
        np.mean(influences, axis=0),
        sum(bool(found.store.read(run.id)[0]["failed"]) for run in runs),
        row.use_flops,
        row.training_flops,
    )


def baseline(found: Found, row: Row) -> Scores:
    """A simple model as a contestant, on the same seeds and rows."""
    jobs = [AnchorJob("", found.plan.data, seed, "test") for seed in found.plan.seeds("final")]
    influences = [found.store.read(job.id)[1][f"influence/{row.name}"] for job in jobs]
    return Scores(row.name, row.scores, np.mean(influences, axis=0), 0, 0.0, 0.0)


def answer(found: Found, table: Sequence[Row]) -> tuple[Answer, dict[str, Any]]:
    """The verdict and the study's audit of itself."""
    by_name = {row.name: row for row in table}
    contestants = [finalist(found, n, found.runs("final", n), by_name[n]) for n in found.finalists]
    promise = not found.preflight.refusal(found.judge)
    decided = verdict.judge(contestants, rope=found.preflight.rope, overlap=found.judge.overlap, promise=promise)
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
            f"({beside(simple.mean, row.mean, 6 if against.apart else 2)}): consider whether you need a network at all."
        )
    area, spread = row.metrics.get("outlier AUROC", (1.0, 0.0))
    if found.judge.score_name == "1 - auroc" and area - 2 * spread <= 0.5:
        said.append(f"{row.name} finds outliers no better than guessing does (AUROC {area:.2f}).")
    said += found.preflight.cautions()
    if getattr(found.preflight, "duplicates", 0):
        said.append("Keep one row of each, or name what they share with --group.")
    if row.metrics.get("copy test p", (1.0, 0.0))[0] < COPYING:
        said.append(f"{row.name} lies suspiciously close to its training rows: it may be copying them.")
    if audit_failed:
        said.append(
            f"The audit failed: {found.finalists[0]} did not tie with its own twin. "
            "Do not trust small differences here."
        )
    if found.plan.budget.seeds < SEEDS_OF_A_CLAIM:
        said.append(
            f"Indicative only: {found.plan.budget.seeds} fresh seeds at budget {found.plan.budget.name}. "
            "A larger budget may change the order."
        )
    return said


def beside(a: float, b: float, most: int) -> str:
    """0.12 against 0.10: as many figures each, and more if it takes more to part them; both 0.69 if `most` do not."""
    for digits in range(2, most + 1):
        shown = verdict.figures(a, digits), verdict.figures(b, digits)
        if shown[0] != shown[1]:
            return " against ".join(shown)
    return f"both {shown[0]}"


def findings(found: Found, table: Sequence[Row]) -> tuple[Finding, ...]:
    """Contract findings, then the symptoms that at least half of an objective's seeds show."""
    by_name = {row.name: row for row in table}
    out = [*found.contracts, *(f for one in found.reaches for f in one.findings(found.plan.goal))]
    for name in found.plan.objectives:
        runs = found.runs(by_name[name].stage, name)
        seen: dict[str, list[Finding]] = {}
        for run in runs:
            record = found.store.read(run.id)[0]
            ended = outcome(record, found.scores([run])[0], by_name, found)
            for finding in symptoms(name, record.get("curves", {}), ended):
                seen.setdefault(finding.rule, []).append(finding)
        out += [most(f) for f in seen.values() if 2 * len(f) >= len(runs)]
    return tuple(out)


def most(findings: Sequence[Finding]) -> Finding:
    """The one that stands for all seeds: a fault if most are."""
    faults = [f for f in findings if f.level == "fault"]
    return faults[0] if 2 * len(faults) > len(findings) else findings[0]


def outcome(record: Mapping[str, Any], score: float, table: Mapping[str, Row], found: Found) -> Outcome:
    """How a run ended, for the doctor."""
    metrics = record.get("metrics", {})
    real = table["fresh real rows"].metrics if "fresh real rows" in table else {}
    return Outcome(
        score=score,
        baseline=min(row.mean for row in table.values() if row.role == "baseline"),
        noise=found.preflight.rope,
        failed=bool(record["failed"]),
        why_failed=record["failed"],
        spread_ratio=metrics.get("spread"),
        coverage=metrics.get("coverage"),
        real_coverage=real["coverage"][0] if real else None,
        share_difference=metrics.get("share difference"),
        real_share_difference=real["share difference"][0] if "share difference" in real else None,
        least_share=metrics.get("least share"),
        copies_p=metrics.get("copy test p"),
        loss_skill=record.get("loss skill"),
        level_skills=tuple(record.get("skill by level") or ()),
        collapse=record.get("collapse"),
        least=record.get("least"),
        directions=record.get("directions"),
        effective_rank=metrics.get("effective rank"),
        training_accuracy=record.get("training balanced accuracy"),
        accuracy=metrics.get("balanced-accuracy"),
        guessed=found.preflight.guessed,
        quarter_scores=tuple(record.get("quarters", ())),
    )


def data(found: Found) -> Data:
    """What was understood of the data and how it was split."""
    table, judge = found.judge.table, found.judge
    plain = isinstance(table, Table)
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
        dim=judge.task.dim,
        columns=() if not plain else tuple(msgspec.to_builtins(c) for c in table.schema.columns),
        shape=judge.task.shape,
        fingerprint=table.fingerprint,
        split=Split(len(parts.train), len(parts.validation), len(parts.test), judge.size(1), how),
        notes=table.notes,
        lines=() if isinstance(table, Pictures) else tuple(describe(table).lines()),
        **judge.described_by,
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
