"""Symptoms: what a finished run's curves and outcome tell about what went wrong.

A symptom is a fault only where the outcome agrees (the run failed, or its score is clearly worse than the simple
baseline's); else it is a note. Which rules apply is told by the names of the curves and by what was measured, not by
the objective's name, which only chooses between causes.
Every rule is a generator of one `Record`; `RULES` is their order.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from statistics import fmean, pstdev

from ..task import Finding
from .record import Curve, Outcome, Record, numbers
from .say import Say

MOST_SCALE = 100.0  # of cosines


def symptoms(objective: str, curves: Mapping[str, Curve], outcome: Outcome) -> tuple[Finding, ...]:
    """What the run of one seed shows: watched numbers and losses by name, over the run, and how it ended."""
    record = Record(Say(objective), curves, outcome)
    found = [finding for rule in RULES for finding in rule(record)]
    if outcome.failed and any(f.rule == "non-finite" for f in found):
        found = [f for f in found if f.rule in ("non-finite", "energy gap diverging")]
    scores = {"score": outcome.score, "baseline": outcome.baseline}
    return tuple(replace(f, evidence={**f.evidence, **scores}) for f in found)


def non_finite(record: Record) -> Iterator[Finding]:
    """A1: a loss or watched number stops being finite, or the run failed."""
    bad = {
        name: next(i for i, v in enumerate(curve) if v is None or not math.isfinite(v)) / len(curve)
        for name, curve in record.curves.items()
        if any(v is None or not math.isfinite(v) for v in curve)
    }
    out = record.outcome
    if bad:
        name, when = min(bad.items(), key=lambda item: item[1])
        says = f"'{name}' stopped being a finite number {when:.0%} of the way through the run."
    elif out.failed and "diverged" in out.why_failed:
        when, says = 1.0, f"The run {out.why_failed}."
    else:
        return
    yield record.say.fault(
        "non-finite",
        says,
        "Steps too long for this loss on this data, or a logarithm or quotient near 0.",
        "Lower lr (to a third), or strengthen the penalty that bounds the network's slope.",
        {"share of the run": when},
        "Zhang et al., 2021 (AutoTrainer)",
    )


def collapse(record: Record) -> Iterator[Finding]:
    """C2: all samples are nearly the same row."""
    spread = record.outcome.spread_ratio
    if spread is not None and spread < 0.1:
        yield record.say.fault(
            "mode collapse",
            f"Samples spread over {spread:.0%} of the real rows' spread: nearly one row again and again.",
            "The generator found a row that the critic likes and stayed there, or its noise is ignored.",
            "Lower the critic's lr, or try r3gan or wgan-gp, which do not collapse like this.",
            {"spread": spread},
            "Goodfellow et al., 2014; Arjovsky et al., 2017",
        )


def one_point(record: Record) -> Iterator[Finding]:
    """C4: all embeddings lie in one place, or on one line."""
    rank = record.outcome.effective_rank
    if rank is not None and rank < 2:
        yield record.say.fault(
            "embedding collapse",
            f"Embeddings use {rank:.1f} directions: all rows lie in one place, or on one line.",
            "Nothing in the loss, or too little of it, keeps different rows apart; or the first steps were too long.",
            "Lower lr, raise what keeps rows apart (variance, margin, more negatives), or try supcon or simclr.",
            {"effective rank": rank},
            "Wang & Isola, 2020; Bardes et al., 2022",
        )


def at_collapse(record: Record) -> Iterator[Finding]:
    """C5: the loss has come to rest at the value that equal embeddings give."""
    level, rank = record.outcome.collapse, record.outcome.effective_rank
    if level is None or not (record.outcome.bad or (rank is not None and rank < 2)):
        return  # a loss with little room below may rest near it and still tell rows apart
    for name, value in record.late("loss", 0.1).items():
        if abs(value - level) < 0.01 * abs(level):
            yield record.say.fault(
                "loss at its collapse value",
                f"'{name}' ended at {value:.4g}, about what equal embeddings give ({level:.4g}).",
                "The network learned nothing, or put all rows in one place; labels or views may say nothing.",
                "Overfit 64 rows first. If that fails too, lower lr; if it works, look at labels and views.",
                {"loss": value, "at collapse": level},
                "Radford et al., 2021; Hermans et al., 2017",
            )


def few_directions(record: Record) -> Iterator[Finding]:
    """F3: embeddings that use few of their directions."""
    rank, wanted = record.outcome.effective_rank, record.outcome.directions
    if rank is not None and wanted is not None and 2 <= rank < 0.1 * wanted:
        yield record.say.fault(
            "dimensional collapse",
            f"Embeddings use {rank:.1f} of {wanted:.0f} directions.",
            "The loss is content with few of them, or a layer before them is too narrow.",
            "If recall or accuracy is good, use shorter embeddings; else try vicreg, barlow-twins or simclr.",
            {"effective rank": rank, "directions": wanted},
            "Jing et al., 2022; Garrido et al., 2023",
        )


def at_least(record: Record) -> Iterator[Finding]:
    """B1: the loss stands where it cannot go lower: cosines are bounded, and equal things are not told apart."""
    level, collapse = record.outcome.least, record.outcome.collapse
    if level is None or level < 0.05 * (collapse or level):
        return
    for name, value in record.late("loss", 0.1).items():
        if value < level + 0.05 * abs((collapse or 2 * level) - level):
            yield record.say.note(
                "loss at its least",
                f"'{name}' ended at {value:.4g}; no embeddings of such batches come below {level:.4g}.",
                "Cosines are bounded at this temperature, or a batch holds things that cannot be told apart.",
                "Judge by the score, not by the loss. More training will not lower it.",
                {"loss": value, "least": level},
                "Graf et al., 2021",
            )


def at_clip(record: Record) -> Iterator[Finding]:
    """C6: the learnt factor of cosines stands at its bound."""
    for value in record.late("scale of cosines", 0.2).values():
        if value > 0.99 * MOST_SCALE:
            yield record.say.note(
                "temperature at its bound",
                f"The factor of cosines ended at {value:.0f}, its bound: the temperature would be lower still.",
                "Pairs are told apart by small differences of cosines, or training pairs are known by heart.",
                "Compare recall on new pairs; stop earlier, or use more pairs or larger batches.",
                {"factor of cosines": value},
                "Radford et al., 2021",
            )


def dropping(record: Record) -> Iterator[Finding]:
    """C3: parts of the data get no samples."""
    out = record.outcome
    if out.coverage is None or not out.real_coverage or (out.spread_ratio or 1.0) < 0.1:
        return
    if out.coverage < 0.5 * out.real_coverage:
        yield record.say.fault(
            "mode dropping",
            f"Samples cover {out.coverage:.0%} of the real rows; fresh real rows cover {out.real_coverage:.0%}.",
            "Whole groups of rows get no samples, or samples lie off the data.",
            "Train longer, or prefer an objective that fits every row (flow-matching, ddpm, r3gan).",
            {"coverage": out.coverage, "coverage of real rows": out.real_coverage},
            "Naeem et al., 2020",
        )


def misweighted(out: Outcome) -> bool:
    """Are all groups of the data there, with shares that chance does not explain?"""
    if out.share_difference is None or out.real_share_difference is None or out.least_share is None:
        return False
    return out.share_difference > 2 * out.real_share_difference + 0.06 and out.least_share >= 0.1


def weights(record: Record) -> Iterator[Finding]:
    """Every group of the data gets samples, but too many or too few."""
    out = record.outcome
    if not misweighted(out):
        return
    blind = "score-matching" in record.say.objective
    yield record.say.fault(
        "mode weights not learnt",
        f"The samples' shares of the data's separate groups are off by {out.share_difference:.0%} of the rows "
        f"(fresh real rows: {out.real_share_difference:.0%}); every group gets some.",
        "A score is the slope of log p: where groups are apart it is the same whatever their weights, and only the few "
        "rows between them tell."
        if blind
        else "The weights of groups that lie apart are learnt slowly, or the sampler does not cross between them.",
        "Compare densities, which see the weights (nce, ml, flow, energy-discrepancy), or use wider noise.",
        {
            "share difference": out.share_difference or 0.0,
            "share difference of real rows": out.real_share_difference or 0.0,
            "least share": out.least_share or 0.0,
        },
        "Wenliang & Kanagawa, 2020; Song & Ermon, 2019" if blind else "",
    )


def spread(record: Record) -> Iterator[Finding]:
    """Samples much narrower or wider than the data."""
    ratio = record.outcome.spread_ratio
    if ratio is not None and 0.1 <= ratio < 0.7:
        yield record.say.fault(
            "spread too narrow",
            f"Samples have {ratio:.2f} times the spread of the real rows.",
            "The generator keeps to the middle or to some of the modes.",
            "Train longer, or tune lr and the penalty.",
            {"spread": ratio},
        )
    if ratio is not None and not ratio <= 1.4:
        yield record.say.fault(
            "spread too wide",
            f"Samples have {ratio:.2f} times the spread of the real rows.",
            "Noise is left in the samples, or some of them run away from the data.",
            "More sampling steps, a smaller last noise level, or a lower lr.",
            {"spread": ratio},
        )


def saturated(record: Record) -> Iterator[Finding]:
    """C1: the discriminator is certain, so the generator learns nothing."""
    share = max(record.late("saturated").values(), default=0.0)
    right = max(record.late("critic accuracy").values(), default=0.0)
    if share > 0.5 or (right > 0.98 and record.outcome.bad):
        yield record.say.fault(
            "saturated discriminator",
            f"In the second half of the run the critic is right on {right:.0%} of the rows, and certain "
            f"(|score| > 10) on {share:.0%} of the samples.",
            "The critic wins, and the slope it passes to the generator vanishes.",
            "Lower the critic's lr, or use a loss whose slope does not vanish: wgan-gp, r3gan.",
            {"critic accuracy": right, "saturated share": share},
            "Arjovsky & Bottou, 2017",
        )


def blind(record: Record) -> Iterator[Finding]:
    """C5: the critic guesses although samples and data differ."""
    right = record.late("critic accuracy")
    if right and record.outcome.bad and all(0.45 < v < 0.55 for v in right.values()):
        yield record.say.fault(
            "critic guesses",
            "The critic cannot tell samples from data, yet the score can.",
            "The critic does not learn: its lr is too low or its gradient is cut.",
            "Raise the critic's lr, or give it more units.",
            {"critic accuracy": max(right.values())},
        )


def slope(record: Record) -> Iterator[Finding]:
    """C6: a Wasserstein critic whose slope vanished or exploded."""
    slopes = record.late("critic slope") if "critic gap / slope" in record.curves else {}
    for value in slopes.values():
        if not 0.01 <= value <= 20:
            low = value < 0.01
            yield record.say.fault(
                "critic slope off",
                f"The critic's slope at the samples is {value:.3g} in the second half of the run "
                f"({'it vanished' if low else 'nothing bounds it'}).",
                "Weights are clipped too hard." if low else "The penalty is too weak, or clipping too loose.",
                "Raise the clipping bound." if low else "Raise the penalty (to 1 or 10), or clip harder.",
                {"critic slope": value},
                "Gulrajani et al., 2017",
            )


def hinge(record: Record) -> Iterator[Finding]:
    """C9: a margin that never or always acts. "hinge ..." is 1 at equilibrium, "... margin" is not."""
    near = [(n, v) for n, v in record.late("hinge").items() if v < 0.02]
    held = [(n, v) for n, v in record.late("margin").items() if not 0.02 <= v <= 0.98]
    for name, value in near + held:
        off = value < 0.02
        yield record.say.fault(
            "hinge always off" if off else "hinge always on",
            f"'{name}' is {value:.1%} in the second half of the run.",
            "The margin lies below every sample's energy, so the critic stops learning from samples."
            if off
            else "The margin is out of reach, so the critic only pushes samples' energies up.",
            "Raise the margin, or lower the critic's lr."
            if off
            else "Lower the margin, towards the energy of real rows.",
            {name: value},
            "Zhao et al., 2017",
        )


def energy_gap(record: Record) -> Iterator[Finding]:
    """D1: energies of data and samples drift apart instead of swinging round 0; noise or a proposal may stay apart."""
    chained = any("chain" in name for name in record.curves)
    for name, curve in record.curves.items():
        gap = numbers(curve)
        if "energy gap" not in name or len(gap) < 10 or not (chained or "margin" in name):
            continue
        early, late = gap[len(gap) // 10 : len(gap) // 2], gap[-len(gap) // 5 :]
        usual = max(pstdev(early), abs(fmean(early)) / 10, 0.05)
        if abs(fmean(late)) > 10 * usual:
            yield record.say.fault(
                "energy gap diverging",
                f"The energy gap between samples and data ends at {fmean(late):.3g}; it swung by {usual:.2g} before.",
                "The chains no longer follow the energy: it grew steeper than their steps can follow.",
                "Lower lr, raise the energy penalty, or give the chains more or shorter steps.",
                {"energy gap at the end": fmean(late), "swing before": usual},
                "Nijkamp et al., 2020",
            )


def chains(record: Record) -> Iterator[Finding]:
    """D3: Langevin chains that do not move, run away, or are too short for their energy to be a density."""
    out = record.outcome
    lost = out.coverage is not None and out.real_coverage is not None and out.coverage < 0.5 * out.real_coverage
    for name, value in record.late("acceptance").items():
        if not value > 0.2:
            yield record.say.fault(
                "chains mostly refused",
                f"At the end {value:.0%} of the chains' proposals are accepted; .5 to .6 is best.",
                "The step is longer than the energy is narrow: chains stand still, and the energy learns from "
                "rows that did not move.",
                "Shorten `step`, and take more Langevin steps.",
                {name: value},
                "Roberts & Rosenthal, 1998",
            )
    for name, value in record.late("chain reach").items():
        width = max(record.late("chain sd").values(), default=1.0)
        if not width < 5:
            yield record.say.fault(
                "chains running away",
                f"The chains spread to {width:.3g} times the data.",
                "Steps too long for the energy's slope, or an energy that falls outwards.",
                "Shorten `step`, lower lr, or restart more chains.",
                {"chain sd": width},
                "Nijkamp et al., 2020",
            )
        elif not value > 0.1:
            yield record.say.fault(
                "chains not moving",
                f"In its life a chain comes {value:.3g} standard deviations of the data far; it needs some tenths.",
                "The chains stay where they began, whatever the energy: too few or too short steps.",
                "Lengthen `step`, take more Langevin steps, or restart fewer chains.",
                {name: value, "chain sd": width},
                "Nijkamp et al., 2020",
            )
        elif value < 0.5 and (misweighted(out) or lost):
            yield record.say.fault(
                "a sampler, not a density",
                f"In its life a chain comes {value:.2f} standard deviations of the data far, and samples drawn from "
                "the energy by longer chains are not the data.",
                "Chains too short to mix fit the energy only where they pass: with them it is a sampler, but exp(-E) "
                "is not the data's density.",
                "Do not compare energies of rows far apart. More Langevin steps, or an objective without chains (ml, "
                "nce, energy-discrepancy).",
                {name: value},
                "Nijkamp et al., 2020",
            )


def thin(record: Record) -> Iterator[Finding]:
    """D4: few of the rows drawn to measure the model's density carry it."""
    for name, value in (record.late(" ess", 0.1) | record.late("effective share", 0.1)).items():
        if not value >= 0.02:
            yield record.say.fault(
                "proposal too thin",
                f"'{name}' is {value:.2g} at the end of the run: that share of the rows drawn carries it.",
                "The drawn rows seldom fall where the model's density is, so a few of them measure its integral.",
                "Draw more rows or nearer to the data (a narrower bandwidth, noise or t), or use fewer columns.",
                {name: value},
                "Kong, 1992; Gutmann & Hirayama, 2012",
            )


def prior(record: Record) -> Iterator[Finding]:
    """E4: the noisiest data is not the noise that sampling starts from."""
    for name, value in record.late("(x_T) || prior").items():
        if not value < 0.1:
            yield record.say.fault(
                "schedule ends before the prior",
                f"{name} = {value:.2g} nats per row: the last noise level still shows the data.",
                "Too few or too small noise steps for data of this size.",
                "Use more steps, or the cosine schedule.",
                {name: value},
                "Lin et al., 2024",
            )


def copying(record: Record) -> Iterator[Finding]:
    """C13: samples lie nearer to training rows than held-out rows do."""
    p = record.outcome.copies_p
    if p is not None and p < 0.01:
        yield record.say.fault(
            "copying",
            f"Samples lie closer to the training rows than held-out rows do (p = {p:.2g}).",
            "The network is large for this number of rows, or trained too long: it remembers rows.",
            "Fewer units or a smaller budget; more rows.",
            {"copy test p": p},
            "Meehan et al., 2020",
        )


def rote(record: Record) -> Iterator[Finding]:
    """B4: training labels are known by heart and new ones guessed (Zhang et al., 2017)."""
    out = record.outcome
    if out.training_accuracy is None or out.accuracy is None or out.guessed is None:
        return
    if out.training_accuracy >= 0.9 and out.accuracy <= out.guessed:
        yield record.say.fault(
            "labels learnt by heart",
            f"With every class counted alike, {out.training_accuracy:.0%} of the training labels are predicted and "
            f"{out.accuracy:.0%} of new ones; guesses reach {out.guessed:.0%}.",
            "The labels do not depend on the columns: shuffled rows, a wrong join, or columns that do not tell.",
            "Compare a few rows and their labels by hand; no loss can help.",
            {"training accuracy": out.training_accuracy, "accuracy": out.accuracy, "guesses": out.guessed},
            "Zhang et al., 2017",
        )


def not_started(record: Record) -> Iterator[Finding]:
    """E1: the loss is no better than a trivial predictor's."""
    skill = record.outcome.loss_skill
    if skill is not None and not skill >= 0.05:
        yield record.say.fault(
            "not started",
            f"The loss skill is {skill:.2f}: hardly better than a predictor that ignores its input's details.",
            "The budget, or lr, is too small for training to have begun, or the target cannot be predicted.",
            "Give a larger budget or a higher lr before comparing this objective with others.",
            {"loss skill": skill},
        )


def needs_longer(record: Record) -> Iterator[Finding]:
    """The score was still falling at the end."""
    quarters, noise = record.outcome.quarter_scores, record.outcome.noise
    before, last = quarters[-2:] if len(quarters) >= 2 else (None, None)
    if before is not None and last is not None and before - last > max(0.1 * abs(before), noise):
        yield record.say.note(
            "needs longer",
            f"The score fell from {before:.3g} to {last:.3g} in the last quarter of the run.",
            "Training had not ended.",
            "Compare again with a larger budget; its rank may rise.",
            {"score at 75 %": before, "score at 100 %": last},
        )


def overtrained(record: Record) -> Iterator[Finding]:
    """The best quarter came before the last and was much better."""
    known = [q for q in record.outcome.quarter_scores if q is not None]
    if len(known) >= 2 and known[-1] > max(1.5 * min(known), min(known) + 2 * record.outcome.noise):
        yield record.say.note(
            "overtrained",
            f"The score was {min(known):.3g} at best and {known[-1]:.3g} at the end of the run.",
            "Training rows were learnt by heart, or, of two networks, their game wandered off.",
            "The best snapshot is kept; a lower lr or a smaller budget would end nearer to it.",
            {"best score": min(known), "last score": known[-1]},
        )


ALWAYS = ("copying",)  # the copy test judges copying, not the score


def _gated(rule: Callable[[Record], Iterator[Finding]]) -> Callable[[Record], Iterator[Finding]]:
    def gated(record: Record) -> Iterator[Finding]:
        for f in rule(record):
            yield f if record.outcome.bad or f.rule in ALWAYS else replace(f, level="note")

    return gated


RULES = tuple(
    _gated(rule)
    for rule in (
        non_finite, collapse, one_point, at_collapse, few_directions, at_least, at_clip, dropping, weights, spread,
        saturated, blind, slope, hinge, energy_gap, chains, thin, prior, copying, rote, not_started, needs_longer,
        overtrained,
    )
)  # fmt: skip
