"""The study in a terminal and in a notebook: the ranking table and the closing lines."""

import html
from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING

from ..objectives import Aligner, Embedder
from ..study.records import Row, Study
from ..task import Finding
from .lookup import columns_of, compared, of_role, searched, several_labels, things, wanted
from .ranking import skill
from .wording import score_name
from .words import NONE, duration, figures, fixed, flop, hundredths, listed, places, several

if TYPE_CHECKING:
    from rich.table import Table

GENERATED = (
    "* recommended. Score: MMD², lower is better. Skill: 0 best simple baseline, 1 fresh real rows. A row: FLOP."
)
DETECTED = "* recommended. Score: 1 - AUROC of outliers, lower is better. A row: FLOP to draw one."
PREDICTED = (
    "* recommended. Score: {name}, lower is better; last: at the last epoch. Calib.: calibration error. A row: FLOP. "
    "v: on validation rows."
)
EMBEDDED = "* recommended. Score: {name}, lower is better. {means}. Rank: effective, of {size}. v: on validation rows."
HEADS = {
    "generate": ("", "objective", "score ± 95 %", "skill", "failed", "group", "a row"),
    "classify": ("", "objective", "score ± 95 %", "last", "acc. %", "AUROC", "calib.", "group", "a row"),
    "embed": ("", "objective", "score ± 95 %", "kNN %", "probe %", "rank", "group", "a row"),
    "search": ("", "objective", "score ± 95 %", "R@1 %", "R@10 %", "rank", "group", "a row"),
    "compare": ("", "objective", "score ± 95 %", "AUROC %", "right %", "rank", "group", "a pair"),
}


def heads(study: Study) -> tuple[str, ...]:
    """The columns of the table."""
    return HEADS[columns_of(study)]


def caption(study: Study) -> str:
    """What the columns of the table hold."""
    if study.goal == "classify":
        return PREDICTED.format(name=score_name(study))
    if study.goal in ("embed", "align"):
        means = {"search": "R@k: recall among k", "compare": "Right: called alike or not"}.get(
            columns_of(study), "Probe: linear"
        )
        size = (Aligner if study.goal == "align" else Embedder).size
        return EMBEDDED.format(name=score_name(study), means=means, size=size)
    return DETECTED if study.score_name == "1 - auroc" else GENERATED


def lines(study: Study) -> list[tuple[Row, tuple[str, ...]]]:
    """The ranking table as text; anchors last."""
    digits = places(float(study.preflight.get("rope") or 0.0))
    out: list[tuple[Row, tuple[str, ...]]] = []
    for number, row in enumerate(study.ranked(), 1):
        own = row.role == "objective"
        star = " *" if row.name == study.answer.recommended else ""
        failed = f"{row.failures} of {len(row.scores)}" if own else ""
        state, group = row.state, row.letters or ("screen" if row.stage == "screen" else "")
        mark = "v" * (study.goal != "generate" and row.stage != "final")
        if study.goal != "generate":
            group, middle = row.letters, (predicted(row, digits) if study.goal == "classify" else embedded(row))
            state = "; ".join(filter(None, (state, f"{failed} failed" * bool(row.failures))))
        else:
            middle = (skill(row), failed)
        cells = (
            str(number) if own else "",
            f"{row.name}{star}{f' ({state})' if state else ''}",
            f"{fixed(row.mean, digits)} ± {fixed(row.high - row.mean, digits)}{mark}",
            *middle,
            group,
            flop(row.use_flops).removesuffix("FLOP").strip() if row.use_flops else "",
        )
        out.append((row, cells))
    return out


def predicted(row: Row, digits: int) -> tuple[str, ...]:
    """The last epoch's score, accuracy in hundredths, AUROC, calibration error."""
    mean = {name: pair[0] for name, pair in row.metrics.items()}
    return (
        fixed(row.last, digits),
        fixed(100 * mean["accuracy"], 1) if "accuracy" in mean else NONE,
        fixed(mean.get("auroc"), 3),
        fixed(mean.get("calibration error"), 3),
    )


def embedded(row: Row) -> tuple[str, ...]:
    """Two accuracies, in hundredths, and the effective rank."""
    mean = {name: pair[0] for name, pair in row.metrics.items()}
    names = shown(mean)
    right = [fixed(100 * mean[name], 1) if name in mean else NONE for name in names]
    return (*right, fixed(mean.get("effective rank"), 1))


def shown(metrics: Container[str]) -> tuple[str, str]:
    """The two accuracies of embeddings that tables show."""
    ways = (("recall@1", "recall@10"), ("auroc", "pair accuracy"))
    return next((way for way in ways if way[1] in metrics), ("knn-accuracy", "probe-accuracy"))


def table(study: Study) -> "Table":
    """The ranking table for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    gap = 1 if study.goal == "classify" else 2  # nine columns fit a terminal of eighty
    grid = Table(
        box=None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
        header_style="bold",
        caption_justify="left",
        caption_style="dim",
    )
    grid.caption, columns = caption(study), heads(study)
    longest = min(28 if gap == 2 else 17, max(len(row.name) for row in study.rows))
    for head in columns:
        left, wide = head in ("objective", "group"), head == "objective"
        width = longest if wide else None
        grid.add_column(head, justify="left" if left else "right", no_wrap=not wide, min_width=width)
    stage = ""
    for row, cells in lines(study):
        section = row.role if row.role == "objective" else "anchor"
        if stage and stage != section:
            grid.add_row(*[""] * len(columns))
        stage = section
        style = "bold" if row.name == study.answer.recommended else None if section == "objective" else "dim"
        grid.add_row(*map(escape, cells), style=style)
    return grid


def closing(study: Study) -> list[str]:
    """The last lines of a command: what was run, the verdict, the recommendation, what went wrong."""
    from rich.markup import escape

    return [
        escape(said)
        for said in (
            totals(study),
            verdict(study),
            recommended(study),
            *why(study),
            *quality(study),
            *faults(study),
            *cautions(study),
        )
        if said
    ]


def totals(study: Study) -> str:
    """8 objectives, 80 runs, 0.41 PFLOP, 4 min 12 s, 3 failed runs counted"""
    objectives = [row for row in study.rows if row.role == "objective"]
    failed = sum(row.failures for row in objectives)
    parts = [
        several(len(objectives), "objective"),
        several(sum(count for _, count, _ in study.stages), "run"),
        flop(sum(operations for _, _, operations in study.stages)),
    ]
    if "wall seconds" in study.clock:
        parts.append(duration(study.clock["wall seconds"]))
    if failed:
        parts.append(f"{several(failed, 'failed run')} counted")
    return ", ".join(parts)


def verdict(study: Study) -> str:
    """better: a     tie: a, b (difference 0.002, 95 % interval -0.004 to 0.008; noise 0.006)"""
    answer, noise = study.answer, float(study.preflight.get("rope") or 0.0)
    against = [d for d in answer.differences if d["a"] == answer.leader]
    word = {"better": "better", "practically equivalent": "practically equivalent"}.get(answer.kind, "undecided")
    shown = [
        f"{d['b']} {figures(-d['mean'])} behind, 95 % interval {figures(-d['high'])} to {figures(-d['low'])}"
        for d in against
    ]
    tail = f"; noise of the score {figures(noise)}" if shown else ""
    facts = f" ({'; '.join(shown)}{tail})" if shown else ""
    return f"{word}: {', '.join(answer.tied)}{facts}"


def recommended(study: Study) -> str:
    """recommended: flow-matching. We recommend it because ..."""
    answer = study.answer
    reason = answer.reason.removeprefix(f"We recommend {answer.recommended} because ").rstrip(".")
    return f"recommended: {answer.recommended}{f', because {reason}' * bool(reason)}. {wanted(study)}".rstrip()


def why(study: Study) -> list[str]:
    """why: About 12 % of the labels look wrong. (what was measured before training)"""
    return [f"why: {fact}" for fact in study.preflight.get("why", ())]


def quality(study: Study) -> list[str]:
    """How well the recommended objective and the best simple baseline predict, or find outliers."""
    rows = [study.row(study.answer.recommended), *of_role(study, "baseline")[:1]]
    tell = {"generate": finds, "classify": predicts, "embed": tells, "align": tells}[study.goal]
    return [f"{row.name}: {said}" for row in rows if (said := tell(study, row))]


def finds(study: Study, row: Row) -> str:
    """outliers: AUROC 0.93, 95 % of them at 12 % false alarms, average precision 0.81 (0.20 by chance)"""
    mean = {name: pair[0] for name, pair in row.metrics.items()}
    if "outlier AUROC" not in mean:
        return ""
    auroc, precision, share = (fixed(mean[f"outlier {name}"], 3) for name in ("AUROC", "average precision", "share"))
    found = f"95 % of them at {hundredths(mean['outlier false alarms'])} false alarms"
    return f"outliers: AUROC {auroc}, {found}, average precision {precision} ({share} by chance)"


def tells(study: Study, row: Row) -> str:
    """its neighbours tell the class of 93 % of the rows, a linear probe of 94 %"""
    right = embedded(row)
    if study.goal == "align":
        chance = row.metrics.get("chance of recall@1", (0.0, 0.0))[0]
        first = f"{right[0]} % of the time ({hundredths(chance)} by chance)"
        return f"what belongs together is found first {first}, among ten {right[1]} %"
    if compared(study):
        share = hundredths(row.metrics["pair accuracy by chance"][0])
        called = f"it calls {right[1]} % of the pairs alike or not as they are labelled ({share} by chance)"
        return f"{called}, AUROC {right[0]} %"
    if searched(study):
        found = f"a view of a row finds its other view first {right[0]} % of the time, among ten {right[1]} %"
        return found.replace("row", things(study)[:-1])
    return f"neighbours tell the class of {right[0]} % of the {things(study)}, a linear probe of {right[1]} %"


def predicts(study: Study, row: Row) -> str:
    """log-loss 0.11, accuracy 96.9 %, balanced 97.1 %; calibration error 0.026 (0.026 if calibrated)"""
    mean, last = ({name: pair[0] for name, pair in m.items()} for m in (row.metrics, row.last_metrics))
    said = [f"{score_name(study)} {figures(row.mean)}"]
    share = "of all labels " * several_labels(study)
    for name, title in (("accuracy", f"accuracy {share}".strip()), ("balanced-accuracy", "balanced")):
        if name in mean:
            said.append(f"{title} {hundredths(mean[name])}")
    parts = [", ".join(said)]
    if row.last is not None and "accuracy" in last:
        parts.append(f"at the last epoch {figures(row.last)}, accuracy {hundredths(last['accuracy'])}")
    if "calibration error" in mean:
        ideal = fixed(mean.get("calibration error if calibrated"), 3)
        parts.append(f"calibration error {fixed(mean['calibration error'], 3)} ({ideal} if calibrated)")
    if row.role == "objective" and "log-loss, scaled" in mean:
        before, after = (figures(mean[name]) for name in ("log-loss", "log-loss, scaled"))
        heat = f"a temperature of {figures(mean['temperature'])}"
        parts += [f"{heat} takes log-loss from {before} to {after}"] * (before != after)
    return "; ".join(parts)


def findings(found: Sequence[Finding]) -> Iterator[str]:
    """All findings of a comparison, the faults of each objective first."""
    from rich.markup import escape

    for f in sorted(found, key=lambda f: (f.objective, f.level)):
        yield f"[bold]{escape(f.objective)}[/] {f.level}: {escape(f.rule)}: {escape(f.says)}"
        yield f"  cause: {escape(f.cause)}"
        yield f"  remedy: {escape(f.remedy)}"
    if not found:
        yield "No fault and nothing to note."


def faults(study: Study) -> list[str]:
    """fault: ebgan: hinge inactive ... -> margin 0.02 (2 more in the report)"""
    found = [f for f in study.findings if f.level == "fault"]
    out = []
    for name in dict.fromkeys(f.objective for f in found):
        first, *more = [f for f in found if f.objective == name]
        remedy = f" -> {first.remedy.rstrip('.')}" if first.remedy else ""
        out.append(f"fault: {name}: {first.says.rstrip('.')}{remedy}" + (f" ({len(more)} more)" if more else ""))
    notes = len(study.findings) - len(found)
    return out + ([f"{several(notes, 'note')} in the report, under Training health"] if notes else [])


def cautions(study: Study) -> list[str]:
    """What was not shown."""
    return [study.answer.caution] if study.answer.caution else []


STYLE = (
    "<style scoped>.whichloss td,.whichloss th{text-align:right;padding:2px 9px}.whichloss td:nth-child(2),"
    ".whichloss th:nth-child(2){text-align:left}.whichloss .anchor{opacity:.65}</style>"
)


def notebook(study: Study) -> str:
    """The answer and the ranking table as a small piece of HTML."""
    answer = study.answer
    titles = "".join(f"<th>{html.escape(head)}</th>" for head in heads(study))
    body = "".join(
        f'<tr class="{"" if row.role == "objective" else "anchor"}">'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for row, cells in lines(study)
    )
    said = "".join(f"<p>{html.escape(text)}</p>" for text in (answer.sentence, answer.reason, answer.caution) if text)
    tied = html.escape(listed(answer.tied) or NONE)
    name, kind, note = html.escape(answer.recommended), html.escape(answer.kind), html.escape(caption(study))
    table = f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
    return (
        f'{STYLE}<div class="whichloss"><p><b>{name}</b> ({kind}: {tied})</p>{said}{table}'
        f"<p><small>{note}</small></p></div>"
    )
