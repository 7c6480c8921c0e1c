"""Why an objective stands where it stands: two to four sentences, each a measured fact."""

from collections.abc import Callable, Iterator

from ..study.records import Row, Study
from .lookup import of_role, rope
from .ranking import setting
from .words import figures, listed, percent, several

MOST = 4
COPYING = 0.01  # p of the copy test


def sentences(study: Study, row: Row) -> list[str]:
    """The most telling facts first, at most four."""
    if row.failures == len(row.scores):
        return [f"{first_upper(every(row))} failed: {reasons(row)}.", "It stands in the table at the score of a simple baseline."]
    return [said for fact in FACTS for said in fact(study, row)][:MOST]


def every(row: Row) -> str:
    """All 8 of its runs"""
    return f"all {len(row.scores)} of its runs" if len(row.scores) > 1 else "its only run"


def reasons(row: Row) -> str:
    """Why runs failed."""
    return "; ".join(r.rstrip(".") for r in row.reasons) or "no reason was recorded"


def failed(study: Study, row: Row) -> Iterator[str]:
    """Failures."""
    if row.failures:
        counts = "each counts" if row.failures > 1 else "it counts"
        yield f"{row.failures} of {several(len(row.scores), 'run')} failed ({reasons(row)}); {counts} at a baseline's score."


def place(study: Study, row: Row) -> Iterator[str]:
    """Where it stands between the best baseline and real rows."""
    simple = of_role(study, "baseline")
    if row.stage != "final":
        rank = [r.name for r in of_role(study, "objective")].index(row.name) + 1
        total = len(of_role(study, "objective"))
        yield (
            f"It came {rank} of {total}: on the {len(row.scores)} seeds of the screen its mean score was "
            f"{figures(row.mean)}, which did not make it a finalist."
        )
    elif row.skill is not None and simple:
        best = simple[0].name
        if row.skill < 0:
            yield f"It scores worse than the best simple baseline, {best} ({figures(row.mean)} against {figures(simple[0].mean)})."
        elif row.skill >= 0.995:
            yield f"Its score is as good as that of fresh real rows: it closes the whole gap between them and the best simple baseline, {best}."
        else:
            yield f"It closes {percent(row.skill)} of the gap between the best simple baseline, {best}, and fresh real rows."
    elif simple:
        yield f"The best simple baseline, {simple[0].name}, already scores like real rows, so there is no gap left to close."


def copying(study: Study, row: Row) -> Iterator[str]:
    """The copy test."""
    found = row.metrics.get("copy test p")
    if found and found[0] < COPYING:
        share = row.metrics.get("copied share", (0.0, 0.0))[0]
        copied = f", and {percent(share)} of them coincide with one" if share > 0 else ""
        yield f"Its rows lie closer to training rows than held-out real rows do (p = {figures(found[0])}){copied}: it may be copying."


def state(study: Study, row: Row) -> Iterator[str]:
    """Not started, or not finished."""
    if row.state == "not started" and row.loss_skill is not None:
        yield f"It has not really started: its loss is {percent(max(0.0, row.loss_skill))} of the way from a trivial predictor's to the least possible one."
    elif row.state == "needs longer":
        known = [q for q in row.quarters if q is not None]
        if len(known) > 1:
            yield f"It needs longer: in the last quarter of the budget its validation score still went from {figures(known[-2])} to {figures(known[-1])}."


def modes(study: Study, row: Row) -> Iterator[str]:
    """Modes, or coverage where modes are not known."""
    found, real = row.metrics, {r.role: r.metrics for r in study.rows}.get("ceiling", {})
    if "modes covered" in found and "modes" in found:
        good = found.get("high-quality share")
        more = f", and {percent(good[0])} of its rows lie on one" if good else ""
        held = real.get("high-quality share")
        more += f" ({percent(held[0])} of real rows do)" if good and held else ""
        covered, total = found["modes covered"][0], found["modes"][0]
        yield f"It covers {f'{covered:.1f}'.removesuffix('.0')} of {total:.0f} modes{more}."
    elif "coverage" in found:
        precision = found.get("precision")
        told = f", and {percent(precision[0])} of them lie among real ones ({percent(real['precision'][0])})" if precision and "precision" in real else ""
        held = f" (fresh real rows: {percent(real['coverage'][0])})" if "coverage" in real else ""
        yield f"Its rows come near {percent(found['coverage'][0])} of the real ones{held}{told}."


def spread(study: Study, row: Row) -> Iterator[str]:
    """Too narrow or too wide."""
    found = row.metrics.get("spread")
    if found and not 0.9 <= found[0] <= 1.1:
        yield f"Its rows spread {figures(found[0])} times as widely as real rows."


def told_apart(study: Study, row: Row) -> Iterator[str]:
    """The classifier."""
    found = row.metrics.get("two-sample accuracy")
    if found:
        better = found[0] > 0.55
        yield f"A classifier tells its rows from real ones with {percent(found[0])} accuracy" + (
            "; 50 % would be guessing." if better else ", which is hardly better than guessing."
        )


def tuning(study: Study, row: Row) -> Iterator[str]:
    """What the settings did."""
    lived = [(s, values) for values, s in row.tuning if s is not None]
    if len(row.tuning) < 2 or not lived:
        return
    best, values = min(lived, key=lambda pair: pair[0])
    first = row.tuning[0][1]
    dead = len(row.tuning) - len(lived)
    if first is None or first - best > rope(study):
        start = "failed" if first is None else f"scored {figures(first)}"
        yield f"Tuning mattered: the shipped setting {start} on validation rows, {setting(values)} scored {figures(best)}."
    elif dead:
        yield f"{dead} of {len(row.tuning)} settings tried failed."
    elif max(s for s, _ in lived) - best > 10 * rope(study):
        worst = max(s for s, _ in lived)
        yield f"It is sensitive to its settings: {len(row.tuning)} were tried and scored {figures(best)} to {figures(worst)}."


def learning(study: Study, row: Row) -> Iterator[str]:
    """Its own loss, and whether it got worse again."""
    if row.last is not None and row.last - row.mean > 5 * rope(study) and row.last > 1.5 * row.mean:
        yield f"It got worse again: its last snapshots score {figures(row.last)}, its best by validation {figures(row.mean)}."
    if row.loss_skill is not None and row.state != "not started":
        yield f"Its own loss went {percent(min(1.0, max(0.0, row.loss_skill)))} of the way from a trivial predictor's to the least possible one."


FACTS: tuple[Callable[[Study, Row], Iterator[str]], ...] = (
    failed,
    place,
    copying,
    state,
    modes,
    spread,
    told_apart,
    tuning,
    learning,
)


def first_upper(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]


def smallest_damage(study: Study) -> str:
    """What the score could see at this number of rows."""
    seen = list(study.power.get("smallest", ()))
    if not seen:
        return "None of the planted damages showed above the noise at this number of rows."
    return f"The smallest planted damage that showed above the noise: {listed(seen)}."
