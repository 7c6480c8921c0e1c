"""Symptoms: what a finished run's curves and outcome tell about what went wrong; one rule a file, pure.

A rule yields what it finds in one `Record`. Which rules apply is told by the names of the curves and by what was
measured, not by the objective's name, which only chooses between causes. A symptom is a fault only where the outcome
agrees (the run failed, or its score is clearly worse than the simple baseline's); else it is a note.
"""

from collections.abc import Mapping
from dataclasses import replace

from ...task import Finding
from ..record import Curve, Outcome, Record
from ..say import Say
from . import (
    blind_critic,
    chains,
    copying,
    critic_slope,
    dimensional_collapse,
    embedding_collapse,
    energy_gap,
    hinge,
    loss_at_collapse,
    loss_at_least,
    mode_collapse,
    mode_dropping,
    mode_weights,
    needs_longer,
    noise_levels,
    non_finite,
    not_started,
    overtrained,
    prior,
    rotation,
    rote_labels,
    saturated_critic,
    spread,
    stagnation,
    temperature_at_bound,
    thin_proposal,
)

RULES = (
    non_finite,
    mode_collapse,
    embedding_collapse,
    loss_at_collapse,
    dimensional_collapse,
    loss_at_least,
    temperature_at_bound,
    mode_dropping,
    mode_weights,
    spread,
    saturated_critic,
    blind_critic,
    rotation,
    critic_slope,
    hinge,
    energy_gap,
    chains,
    thin_proposal,
    prior,
    noise_levels,
    copying,
    rote_labels,
    not_started,
    needs_longer,
    overtrained,
    stagnation,
)  # in the order in which findings are told
REST = "stagnation"  # told only where nothing else is
ALWAYS = ("copying",)  # the copy test judges copying, not the score


def symptoms(objective: str, curves: Mapping[str, Curve], outcome: Outcome) -> tuple[Finding, ...]:
    """What the run of one seed shows: watched numbers and losses by name, over the run, and how it ended."""
    record = Record(Say(objective), curves, outcome)
    found = [finding for module in RULES for finding in module.rule(record)]
    if any(f.rule != REST for f in found):
        found = [f for f in found if f.rule != REST]
    if outcome.failed and any(f.rule == "non-finite" for f in found):
        found = [f for f in found if f.rule in ("non-finite", "energy gap diverging")]
    scores = {"score": outcome.score, "baseline": outcome.baseline}
    return tuple(
        replace(f, level=f.level if outcome.bad or f.rule in ALWAYS else "note", evidence={**f.evidence, **scores})
        for f in found
    )
