"""What was measured of the labels before anything was trained."""

from collections.abc import Mapping
from typing import Any

import altair as alt

from ..study.classify.signal import NOISY, UNEVEN
from ..study.records import Study
from .charts import BLUE, COLOURS, REAL, SOFT, Figure, data, figure, hover, wide
from .lookup import clear, of_role
from .why import uneven
from .words import cut, figures, hundredths, percent, several

MOST = 24  # classes listed; of more, the most frequent and the rarest half


def signal(study: Study) -> dict[str, Any]:
    """The second section; nothing where nothing was measured."""
    found = study.preflight
    if "p" not in found:
        return {}
    return {
        "seen": clear(study),
        "says": probe(found),
        "trained": trained(study),
        "chart": chance(study),
        "counts": counts(found["counts"], study.data.rows),
        "classes": len(found["counts"]),
        "word": "label" if found.get("several") else "class",
        "facts": facts(found, clear(study)),
        "noisy": found["noise"] >= NOISY,
        "suspects": found["suspects"] if clear(study) else (),  # a probe that sees nothing contradicts at random
    }


def probe(found: Mapping[str, Any]) -> str:
    """What a cheap probe can see."""
    rows = f"{'all labels of ' * bool(found.get('several'))}{several(found['probed'], 'row')}"
    each = "value of a label" if found.get("several") else "class"
    return (
        f"A cheap probe predicts {hundredths(found['accuracy'])} of {rows} that it has not "
        f"seen, each {each} counting the same. With shuffled labels it predicts {hundredths(found['chance_low'])} to "
        f"{hundredths(found['chance_high'])} (95 % of the shuffles): p = {figures(found['p'])}."
    )


def trained(study: Study) -> str:
    """Does a trained network agree with the probe that there is nothing to see?"""
    found, row = study.preflight, study.row(study.answer.recommended)
    if clear(study) or "balanced-accuracy" not in row.metrics:
        return ""
    right = row.metrics["balanced-accuracy"][0]
    where = "no more than chance allows" if right <= found["chance_high"] else "more than chance allows"
    return f"Trained all the same, {row.name} predicts {hundredths(right)} of the judging rows, {where}."


def chance(study: Study) -> Figure:
    """The probe, the recommended objective and the best baseline against what shuffled labels give."""
    found, rows = study.preflight, [study.row(study.answer.recommended), *of_role(study, "baseline")[:1]]
    marks = [{"n": "cheap probe", "v": found["accuracy"], "r": "probe"}] + [
        {"n": row.name, "v": row.metrics["balanced-accuracy"][0], "r": row.role}
        for row in rows
        if "balanced-accuracy" in row.metrics
    ]
    axis = alt.Axis(title="balanced accuracy; grey: with shuffled labels", format="%", tickCount=5, grid=False)
    scale = alt.Scale(domain=[0, 1], nice=False)
    band = {"a": found["chance_low"], "b": found["chance_high"]}
    side = alt.Axis(title=None, labelLimit=170, domain=False, ticks=False, grid=True)
    y = alt.Y("n:N", sort=[m["n"] for m in marks], axis=side)
    colours = {"probe": SOFT, "objective": BLUE, "baseline": COLOURS["baseline"]}
    colour = alt.Color("r:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=None)
    grey = alt.Chart(data([band])).mark_rect(color=REAL, opacity=1)
    dots = alt.Chart(data(marks)).mark_circle(size=70, opacity=1)
    chart = alt.layer(
        grey.encode(alt.X("a:Q", scale=scale, axis=axis), alt.X2("b:Q")),
        dots.encode(
            alt.X("v:Q", scale=scale, axis=axis), y, colour, tooltip=hover({"n": "what"}, {"v": "balanced accuracy"})
        ),
    )
    said = ", ".join(f"{m['n']} {percent(m['v'])}" for m in marks)
    says = f"Balanced accuracy: {said}; with shuffled labels {percent(band['a'])} to {percent(band['b'])}"
    return figure("chance", says, wide(chart, 26 * len(marks) + 48))


def counts(found: Mapping[str, int], total: int) -> list[tuple[str, int, str, float]]:
    """(class, rows, share of all rows, length of its bar), the most frequent first, and of many the rarest."""
    order = sorted(found, key=lambda name: -found[name])
    if len(order) > MOST:
        order = order[: MOST // 2] + order[-MOST // 2 :]
    top = max(found.values())
    return [(cut(name, 30), found[name], percent(found[name] / total), found[name] / max(1, top)) for name in order]


def facts(found: Mapping[str, Any], seen: bool = True) -> list[tuple[str, str, bool]]:
    """(what, finding, is it worth a warning). seen: the probe sees something, and so can contradict a label."""
    none = "" if found.get("pictures") else "no column alone gives the label away"  # pictures have no columns
    known = "; ".join(map(given_away, found["leaks"])) or none
    absent = "; ".join(f"where {a['column']} has no value it is always {a['label']}" for a in found["absences"])
    copies = f"{several(found['duplicates'], 'test row')} also among training or validation rows"
    if found["duplicates"]:
        copies += f", {found['contradicting']:,} of them with another label: keep one row of each, or name what they "
        copies += "share with --group"
    wrong = f"{percent(found['noise'])} contradict the probe where it is surest" if seen else ""
    out = [
        ("imbalance", uneven(found), found["imbalance"] >= UNEVEN[found.get("several", False)]),
        ("wrong labels", wrong, found["noise"] >= NOISY),
        ("leaks", known, bool(found["leaks"])),
        ("missing values", absent, True),
        ("duplicates", copies, bool(found["duplicates"])),
    ]
    return [fact for fact in out if fact[1]]


def given_away(leak: Mapping[str, Any]) -> str:
    """arrived minus departed alone gives the label away (99.3 %)"""
    label = f"the label {leak['label']}" if leak.get("label") else "the label"
    share = hundredths(leak["balanced_accuracy"])
    return f"{' minus '.join(leak['columns'])} alone gives {label} away ({share}): is it known in advance?"
