"""The data sheet and the method: facts as rows of two words."""

import time
from collections.abc import Mapping
from typing import Any

from ..study.records import Row, Study
from .lookup import clear, of_role, rope, several_labels, things, wanted
from .wording import wording
from .words import NONE, duration, figures, fixed, flop, hundredths, listed, percent, places, quoted, several

STANDARD = 1e12  # operations per run from which a study is more than indicative
STAGES = {
    "tune": "settings tried, one seed each, half the compute",
    "screen": "every objective at its chosen setting",
    "final": "finalists on fresh seeds, judged on the test rows",
    "twin": "the leader under another name: the two must tie",
    "fewer rows": "finalists again on fewer training rows",
}
DAMAGES = {
    "noise": "noise added, in standard deviations",
    "mixing": "share of rows replaced by independent columns",
    "hole": "share missing round one of them",
    "shift": "every row moved, in standard deviations",
    "grain": "noise added, in levels of 255",
    "blur": "blur, in pixels",
    "pixels": "share of pictures replaced by independent pixels",
    "one kind": "share of pictures replaced by those of one kind",
}


def headline(study: Study) -> str:
    """The answer in a line."""
    answer = study.answer
    if answer.kind == "better":
        return f"{answer.recommended} is the best of {several(len(of_role(study, 'objective')), 'objective')}"
    if len(answer.tied) < 2:
        return f"{answer.recommended}, compared with nothing"
    others = [name for name in answer.tied if name != answer.recommended]
    if answer.kind == "practically equivalent":
        verb = "does" if len(others) == 1 else "do"
        return f"Use {answer.recommended}; {listed(others)} {verb} as well"
    return f"Undecided between {listed(answer.tied)}; start with {answer.recommended}"


def cost(study: Study) -> str:
    """What the recommended objective costs."""
    row = study.row(study.answer.recommended)
    if not row.training_flops:
        return ""
    parts = [f"One training run costs {flop(row.training_flops)}" + (f" ({row.steps:,} steps)" if row.steps else "")]
    if row.use_flops:
        parts.append(f"1,000 {wording(study).use} {things(study)} cost {flop(1000 * row.use_flops)}")
    return f"{listed(parts)}."


def facts(study: Study) -> list[tuple[str, str, str]]:
    """The numbers under the answer."""
    row = study.row(study.answer.recommended)
    failed = sum(r.failures for r in of_role(study, "objective"))
    own = {"classify": predicted, "embed": embedded, "align": embedded}.get(study.goal)
    out = own(study, row) if own else []
    if row.skill is not None:
        out.append(("skill", fixed(row.skill, 2), "0 is the best simple baseline, 1 fresh real rows"))
    if "modes covered" in row.metrics and "modes" in row.metrics:
        covered = f"{row.metrics['modes covered'][0]:.1f}".removesuffix(".0")
        best = row.metrics.get("modes covered at best")
        says = "mean over seeds" + (
            f"; a perfect sampler covers {best[0]:.0f} with as many {things(study)}" if best else ""
        )
        out.append(("modes covered", f"{covered} of {row.metrics['modes'][0]:.0f}", says))
    elif "coverage" in row.metrics:
        out.append(
            (
                "coverage",
                percent(row.metrics["coverage"][0]),
                f"of real {things(study)} have one of its {things(study)} near",
            )
        )
    out.append(
        ("runs", f"{runs(study):,}", f"{failed} of those in the table failed" if failed else "none in the table failed")
    )
    out.append(("compute", flop(compute(study)), "counted, tuning included"))
    if "wall seconds" in study.clock:
        out.append(
            ("time", duration(study.clock["wall seconds"]), "of the last command; a resumed study takes longer in all")
        )
    return out


def embedded(study: Study, row: Row) -> list[tuple[str, str, str]]:
    """What the recommended objective's embeddings tell."""
    mean = {name: pair[0] for name, pair in row.metrics.items()}
    shown = (
        ("kNN accuracy", "knn-accuracy", "classes that neighbours tell"),
        ("linear probe", "probe-accuracy", "classes that a probe tells"),
        ("recall@1", "recall@1", "found first, the mean of both ways"),
        ("AUROC", "auroc", "alike pairs above others"),
        ("called right", "pair accuracy", "alike or not, as labelled"),
    )
    return [(title, hundredths(mean[name]), says) for title, name, says in shown if name in mean]


def predicted(study: Study, row: Row) -> list[tuple[str, str, str]]:
    """How well the recommended objective predicts."""
    mean, last = ({name: pair[0] for name, pair in m.items()} for m in (row.metrics, row.last_metrics))
    out = []
    if "accuracy" in mean:
        even = f"{'of all labels of all rows; ' * several_labels(study)}balanced over classes "
        even += hundredths(mean.get("balanced-accuracy"))
        out.append(("accuracy", hundredths(mean["accuracy"]), f"{even}; last epoch {hundredths(last.get('accuracy'))}"))
    if "auroc" in mean:
        out.append(("AUROC", fixed(mean["auroc"], 3), f"last epoch {fixed(last.get('auroc'), 3)}"))
    if "calibration error" in mean:
        ideal = fixed(mean.get("calibration error if calibrated"), 3)
        out.append(("calibration error", fixed(mean["calibration error"], 3), f"perfectly calibrated: {ideal}"))
    return out


def runs(study: Study) -> int:
    """All runs of all stages."""
    return sum(count for _, count, _ in study.stages)


def compute(study: Study) -> float:
    """Operations of all stages."""
    return sum(operations for _, _, operations in study.stages)


def banners(study: Study) -> list[str]:
    """What must be read first."""
    out, budget = [], study.budget
    if not clear(study):
        said = "A cheap probe saw no more in these labels than in shuffled ones, and training went on because asked to."
        out.append(f"No signal. {said} Differences between objectives mean nothing here.")
    cost = flop(budget.get("flops"))
    if budget.get("name") == "quick":
        said = f"This is the quick budget: {budget.get('seeds')} fresh seeds and {cost} per run."
        out.append(f"Indicative. {said} A larger budget may change the order; --budget standard confirms.")
    elif float(budget.get("flops") or 0) < STANDARD:
        said = f"One run had {cost}, less than the standard budget ({flop(STANDARD)})."
        out.append(f"Indicative. {said} A larger budget may change the order.")
    if study.audit and not study.audit.get("ties", True):
        who = study.audit.get("objective")
        out.append(f"The audit failed: {who} did not tie with its own twin. Do not trust small differences here.")
    if all(r.failures == len(r.scores) for r in of_role(study, "objective")):
        why = "There is nothing to recommend; the reasons stand under Training health."
        out.append(f"Every run of every objective failed. {why}")
    return out


def describe(column: Mapping[str, Any]) -> str:
    """What a column holds, in a few words."""
    said = []
    if column.get("kind") == "category":
        words = list(column.get("categories", ()))
        shown = ", ".join(map(quoted, words[:4])) + (", …" if len(words) > 4 else "")
        said.append(f"{several(len(words), 'value')}: {shown}")
    if column.get("decimals") is not None and column.get("kind") == "number":
        said.append(several(int(column["decimals"]), "decimal"))
    if column.get("kind") == "date":
        said.append("days" if column.get("unit") == "date" else "times")
    said += ["may be missing"] if column.get("missing") else []
    said += ["constant: restored, not learnt"] if column.get("constant") else []
    return "; ".join(said) or NONE


def damages(study: Study) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Per kind of damage: size, what it did to the score in units of the noise, and whether it shows."""
    noise, found = rope(study), list(study.preflight.get("damages", ()))
    out = []
    for kind in dict.fromkeys(d["kind"] for d in found):
        rows = [(f"{d['size']:g}", figures(d["harm"] / noise), bool(d["seen"])) for d in found if d["kind"] == kind]
        out.append((DAMAGES.get(kind, kind), rows))
    copies = [(f"{c['size']:g}", figures(c["harm"]), bool(c["seen"])) for c in study.preflight.get("copies", ())]
    return out + [("share of copies, in the copy test", copies)] * bool(copies)


def changes(study: Study) -> list[str]:
    """What would change the answer."""
    rows, out = of_role(study, "objective"), list(filter(None, [wanted(study)]))
    longer = [r.name for r in rows if r.state == "needs longer"]
    if longer:
        was = "was" if len(longer) == 1 else "were"
        out.append(f"A larger budget: {listed(longer)} {was} still improving at the end of this one.")
    stuck = [r.name for r in rows if r.state == "not started"]
    if stuck:
        it = "it" if len(stuck) == 1 else "they"
        out.append(f"{listed(stuck)} had hardly started to learn: this study does not say what {it} can do.")
    screened = [r.name for r in rows if r.stage == "screen"]
    if screened:
        luck = "an objective that was unlucky there is not judged again"
        out.append(f"{listed(screened)} left after the screen on few seeds; {luck}.")
    return out


def skipped(study: Study) -> list[tuple[str, str]]:
    """(objectives, why they cannot run), a line for each reason."""
    reasons = dict.fromkeys(study.skipped.values())
    return [(listed([name for name, w in study.skipped.items() if w == why]), why) for why in reasons]


def audit(study: Study) -> str:
    """The study against itself."""
    a = study.audit
    if not a:
        return ""
    digits = places(rope(study))
    broken = "They do not tie. By chance this happens to 5 % of sound studies; more often something is wrong."
    return (
        f"{a['objective']} was run a second time under another name. Difference {fixed(a['difference'], digits)} "
        f"(95 % interval {fixed(a['low'], digits)} to {fixed(a['high'], digits)}). "
        f"{'They tie, as they must.' if a['ties'] else broken}"
    )


def when(study: Study) -> str:
    """The day and hour of the study, in UTC."""
    started = study.clock.get("started")
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(started)) if started else ""
