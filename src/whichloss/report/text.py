"""The study in a terminal and in a notebook: the ranking table and the closing lines."""

import html
from typing import TYPE_CHECKING

from ..study.records import Row, Study
from .ranking import skill
from .words import NONE, duration, figures, fixed, flop, listed, places, several

if TYPE_CHECKING:
    from rich.table import Table

CAPTION = "* recommended. Score: MMD², lower is better. Skill: 0 best simple baseline, 1 fresh real rows. A row: FLOP."
HEADS = ("", "objective", "score ± 95 %", "skill", "failed", "group", "a row")


def lines(study: Study) -> list[tuple[Row, tuple[str, ...]]]:
    """The ranking table as text; anchors last."""
    digits = places(float(study.power.get("rope") or 0.0))
    out: list[tuple[Row, tuple[str, ...]]] = []
    for number, row in enumerate(study.ranked(), 1):
        own = row.role == "objective"
        star = " *" if row.name == study.answer.recommended else ""
        cells = (
            str(number) if own else "",
            f"{row.name}{star}{f' ({row.state})' if row.state else ''}",
            f"{fixed(row.mean, digits)} ± {fixed(row.high - row.mean, digits)}",
            skill(row),
            f"{row.failures} of {len(row.scores)}" if own else "",
            row.letters or ("screen" if row.stage == "screen" else ""),
            flop(row.sampling_flops).removesuffix("FLOP").strip() if row.sampling_flops else "",
        )
        out.append((row, cells))
    return out


def table(study: Study) -> "Table":
    """The ranking table for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    grid = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", caption_justify="left", caption_style="dim"
    )
    grid.caption = CAPTION
    longest = min(28, max(len(row.name) for row in study.rows))
    for head in HEADS:
        left, wide = head in ("objective", "group"), head == "objective"
        width = longest if wide else None
        grid.add_column(head, justify="left" if left else "right", no_wrap=not wide, min_width=width)
    stage = ""
    for row, cells in lines(study):
        section = row.role if row.role == "objective" else "anchor"
        if stage and stage != section:
            grid.add_row(*[""] * len(HEADS))
        stage = section
        style = "bold" if row.name == study.answer.recommended else None if section == "objective" else "dim"
        grid.add_row(*map(escape, cells), style=style)
    return grid


def closing(study: Study) -> list[str]:
    """The last lines of a command: what was run, the verdict, the recommendation, what went wrong."""
    from rich.markup import escape

    return [
        escape(said)
        for said in (totals(study), verdict(study), recommended(study), *faults(study), *cautions(study))
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
    answer, noise = study.answer, float(study.power.get("rope") or 0.0)
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
    more = f" About {answer.seeds_needed:,} seeds each would probably decide." if answer.seeds_needed else ""
    return f"recommended: {answer.recommended}" + (f", because {reason}." if reason else ".") + more


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
    heads = "".join(f"<th>{html.escape(head)}</th>" for head in HEADS)
    body = "".join(
        f'<tr class="{"" if row.role == "objective" else "anchor"}">'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for row, cells in lines(study)
    )
    said = "".join(f"<p>{html.escape(text)}</p>" for text in (answer.sentence, answer.reason, answer.caution) if text)
    tied = html.escape(listed(answer.tied) or NONE)
    name, kind, note = html.escape(answer.recommended), html.escape(answer.kind), html.escape(CAPTION)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return (
        f'{STYLE}<div class="whichloss"><p><b>{name}</b> ({kind}: {tied})</p>{said}{table}'
        f"<p><small>{note}</small></p></div>"
    )
