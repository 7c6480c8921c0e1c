"""Why an objective stands where it stands: two to four sentences, each a measured fact."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..metrics.copies import COPYING
from ..study.records import Row, Study
from .lookup import clear, of_role, rope, several_labels, things
from .ranking import setting
from .words import figures, hundredths, listed, percent, several, times

MOST = 4


def sentences(study: Study, row: Row) -> list[str]:
    """The most telling facts first, at most four."""
    if row.failures == len(row.scores):
        failed_all = f"{first_upper(every(row))} failed: {reasons(row)}."
        return [failed_all, "It stands in the table at the score of a simple baseline."]
    return [said for fact in FACTS[study.goal] for said in fact(study, row)][:MOST]


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
        runs = several(len(row.scores), "run")
        yield f"{row.failures} of {runs} failed ({reasons(row)}); {counts} at a baseline's score."


def place(study: Study, row: Row) -> Iterator[str]:
    """Where it stands between the best baseline and real rows."""
    simple = of_role(study, "baseline")
    if row.stage != "final":
        yield screened(study, row)
    elif simple and not of_role(study, "ceiling"):
        yield f"The best simple baseline, {simple[0].name}, scores {figures(simple[0].mean)}, it {figures(row.mean)}."
    elif simple and row.skill is None:
        yield f"The best simple baseline, {simple[0].name}, already scores like real rows: there is no gap to close."
    elif simple and row.skill is not None:
        best, theirs = simple[0].name, figures(simple[0].mean)
        if row.skill < 0:
            yield f"It scores worse than the best simple baseline, {best} ({figures(row.mean)} against {theirs})."
        elif row.skill >= 0.995:
            yield f"It scores as fresh real rows do, and so closes the whole gap to the best simple baseline, {best}."
        else:
            gap = f"the gap between the best simple baseline, {best}, and fresh real rows"
            yield f"It closes {percent(row.skill)} of {gap}."


def screened(study: Study, row: Row) -> str:
    """Its place in the screen."""
    names = [r.name for r in of_role(study, "objective")]
    seeds = several(len(row.scores), "seed")
    return (
        f"It came {names.index(row.name) + 1} of {len(names)}: on the {seeds} of the screen its mean score was "
        f"{figures(row.mean)}, which did not make it a finalist."
    )


def copying(study: Study, row: Row) -> Iterator[str]:
    """The copy test."""
    found = row.metrics.get("copy test p")
    if found and found[0] < COPYING:
        share, of = row.metrics.get("copied share", (0.0, 0.0))[0], things(study)
        copied = f", and {percent(share)} of them coincide with one" if share > 0 else ""
        near = f"Its {of} lie closer to training {of} than held-out real {of} do (p = {figures(found[0])})"
        yield f"{near}{copied}: it may be copying."


def state(study: Study, row: Row) -> Iterator[str]:
    """Not started, or not finished."""
    known = [q for q in row.quarters if q is not None]
    if row.state == "not started" and row.loss_skill is not None:
        yield f"It has hardly started: its loss has gone {way(row.loss_skill)}."
    elif row.state == "needs longer" and len(known) > 1:
        last = f"{figures(known[-2])} to {figures(known[-1])}"
        yield f"It needs longer: in the last quarter of the budget its validation score still went from {last}."


def way(skill: float) -> str:
    """83 % of the way from a trivial predictor's to the least possible one"""
    return f"{percent(min(1.0, max(0.0, skill)))} of the way from a trivial predictor's to the least possible one"


def modes(study: Study, row: Row) -> Iterator[str]:
    """Modes, or coverage where modes are not known."""
    real = next((r.metrics for r in study.rows if r.role == "ceiling"), {})
    mean = {name: pair[0] for name, pair in row.metrics.items()}
    best = {name: pair[0] for name, pair in real.items()}
    if "modes covered" in mean and "modes" in mean:
        good, of = mean.get("high-quality share"), things(study)
        held = f" ({percent(best['high-quality share'])} of real {of} do)" if "high-quality share" in best else ""
        more = f", and {percent(good)} of its {of} lie on one{held}" if good is not None else ""
        covered = f"{mean['modes covered']:.1f}".removesuffix(".0")
        best_of = mean.get("modes covered at best")
        at_best = f" (a perfect sampler covers {best_of:.0f} with as many {of})" if best_of is not None else ""
        yield f"It covers {covered} of {mean['modes']:.0f} modes{at_best}{more}."
    elif "coverage" in mean:
        held = f" (fresh real rows: {percent(best['coverage'])})" if "coverage" in best else ""
        among = f", and {percent(mean['precision'])} of them lie among real ones" if "precision" in mean else ""
        among += f" ({percent(best['precision'])})" if among and "precision" in best else ""
        yield f"Its {things(study)} come near {percent(mean['coverage'])} of the real ones{held}{among}."


def spread(study: Study, row: Row) -> Iterator[str]:
    """Too narrow or too wide."""
    found = row.metrics.get("spread")
    if found and not 0.9 <= found[0] <= 1.1:
        yield f"Its {things(study)} spread {figures(found[0])} times as widely as real {things(study)}."


def told_apart(study: Study, row: Row) -> Iterator[str]:
    """The classifier."""
    found = row.metrics.get("two-sample accuracy")
    if found:
        end = "; guessing would reach 50\u00a0%" if found[0] > 0.55 else ", hardly better than guessing"
        yield f"A classifier tells its {things(study)} from real ones with {percent(found[0])} accuracy{end}."


def stand(study: Study, row: Row) -> Iterator[str]:
    """How well it predicts, beside the best simple baseline."""
    if row.stage != "final":
        yield screened(study, row)
        return
    right = {name: pair[0] for name, pair in row.metrics.items()}
    simple = of_role(study, "baseline")
    if "accuracy" in right:
        even = f"balanced over classes {hundredths(right.get('balanced-accuracy'))}"
        what = "all labels of all rows" if several_labels(study) else "the rows"
        yield f"It predicts {hundredths(right['accuracy'])} of {what} ({even})."
    if simple:  # which of the two is better is the verdict's to say
        small = ", a difference within the noise" if abs(row.mean - simple[0].mean) <= rope(study) else ""
        best = f"that of the best simple baseline, {simple[0].name}, {figures(simple[0].mean)}{small}"
        yield f"Its mean score is {figures(row.mean)}, {best} (lower is better)."


def lies(study: Study, row: Row) -> Iterator[str]:
    """What its embeddings tell, beside the best simple baseline."""
    if row.stage != "final":
        yield screened(study, row)
        return
    right = {name: pair[0] for name, pair in row.metrics.items()}
    simple, of = of_role(study, "baseline"), things(study)
    if study.goal == "align" and "recall@1" in right:
        ways = f"{hundredths(right['recall@1, there'])} one way and {hundredths(right['recall@1, back'])} the other"
        chance = hundredths(right["chance of recall@1"])
        yield f"What belongs together is found first {ways} (chance {chance}), in a gallery of {right['gallery']:,.0f}."
    elif "recall@1" in right:
        ten = f"{hundredths(right['recall@10'])} of the time it is among ten"
        first = hundredths(right["recall@1"])
        yield f"A view finds the other view of the same {of[:-1]} first {first} of the time; {ten}."
    if "pair accuracy" in right:
        chance = f"{hundredths(right['pair accuracy by chance'])} by chance"
        called = (
            f"It calls {hundredths(right['pair accuracy'])} of the pairs alike or not as they are labelled ({chance})"
        )
        gaps = f"{figures(right['alignment'])} apart, others {figures(right['apart'])}"
        yield f"{called}; alike things lie {gaps} (mean squared distance)."
    if {"knn-accuracy", "probe-accuracy"} <= set(right):
        line = f"a linear probe that of {hundredths(right['probe-accuracy'])}"
        yield f"Its neighbours tell the class of {hundredths(right['knn-accuracy'])} of the {of}, {line}."
    if simple:
        yield f"The best simple baseline, {simple[0].name}, scores {figures(simple[0].mean)}, it {figures(row.mean)}."


def collapse(study: Study, row: Row) -> Iterator[str]:
    """How much of the sphere is in use."""
    rank, simple = row.metrics.get("effective rank"), of_role(study, "baseline")
    if rank and rank[0] < FEW_DIRECTIONS and simple and row.mean > simple[0].mean:
        yield f"Its embeddings use {figures(rank[0])} directions: they have all but collapsed."


FEW_DIRECTIONS = 2.0
NOISE = ("gce", "symmetric-ce", "logit-adjusted-gce")  # made for labels that are wrong
TAILS = (
    "weighted-cross-entropy",
    "asymmetric",
    "balanced-softmax",
    "logit-adjusted",
    "logit-adjusted-gce",
)  # made for uneven classes


def purpose(study: Study, row: Row) -> Iterator[str]:
    """Do the labels have what the loss was made for? Measured before training."""
    found = study.preflight
    if row.name in NOISE and "noise" in found and clear(study):
        share = percent(found["noise"])
        yield f"It is made for wrong labels; here {share} contradict a cheap probe where it is surest."
    if row.name in TAILS and "imbalance" in found:
        yield f"It is made for uneven classes; here {uneven(found)}."


def uneven(found: Mapping[str, Any]) -> str:
    """How uneven the classes are, or the labels where rows have several."""
    ratio = times(found["imbalance"])
    if found.get("several"):
        return f"the most uneven label has one of its values {ratio} times as often as the other"
    return f"the most frequent class has {ratio} times the rows of the rarest"


def sureness(study: Study, row: Row) -> Iterator[str]:
    """What a temperature gains, and which way."""
    found = {name: pair[0] for name, pair in row.metrics.items()}
    if not {"temperature", "log-loss", "log-loss, scaled"} <= set(found):
        return
    before, after, heat = found["log-loss"], found["log-loss, scaled"], found["temperature"]
    if after < 0.95 * before and abs(math.log(heat)) > 0.1:
        way = "too sure" if heat > 1 else "not sure enough"
        gain = f"its log-loss goes from {figures(before)} to {figures(after)}"
        yield f"Its probabilities are {way}: with a temperature of {figures(heat)} {gain}."


def tuning(study: Study, row: Row) -> Iterator[str]:
    """What the settings did."""
    lived = [(s, values) for values, s in row.tuning if s is not None]
    if len(row.tuning) < 2 or not lived:
        return
    best, values = min(lived, key=lambda pair: pair[0])
    worst = max(s for s, _ in lived)
    first, dead = row.tuning[0][1], len(row.tuning) - len(lived)
    if first is None or first - best > rope(study):
        start = "failed" if first is None else f"scored {figures(first)} on validation {things(study)}"
        yield f"Tuning mattered: the shipped setting {start}, {setting(values)} scored {figures(best)}."
    elif dead:
        yield f"{dead} of {len(row.tuning)} settings tried failed."
    elif worst - best > 10 * rope(study):
        span = f"{figures(best)} to {figures(worst)}"
        yield f"It is sensitive to its settings: the {len(row.tuning)} tried scored {span}."


def learning(study: Study, row: Row) -> Iterator[str]:
    """Its own loss, and whether it got worse again."""
    if row.last is not None and row.last - row.mean > 5 * rope(study) and row.last > 1.5 * row.mean:
        best = f"its best by validation {figures(row.mean)}"
        yield f"It got worse again: its last snapshots score {figures(row.last)}, {best}."
    if row.loss_skill is not None and row.state != "not started":
        yield f"Its own loss went {way(row.loss_skill)}."


Fact = Callable[[Study, Row], Iterator[str]]
FACTS: Mapping[str, tuple[Fact, ...]] = {
    "generate": (failed, place, copying, state, modes, spread, told_apart, tuning, learning),
    "classify": (failed, stand, purpose, state, sureness, tuning, learning),
    "embed": (failed, lies, collapse, state, tuning, learning),
    "align": (failed, lies, collapse, state, tuning, learning),
}


def first_upper(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]


def smallest_damage(study: Study) -> str:
    """What the score could see at this number of {things(study)}."""
    seen = list(study.preflight.get("smallest", ()))
    if not seen:
        return f"None of the planted damages showed above the noise at this number of {things(study)}."
    return f"The smallest planted damage that showed above the noise: {listed(seen)}."
