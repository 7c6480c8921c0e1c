"""What is wrong with a training loop: one rule a file, each a pure reading of the `Trace`.

Rules named "contract: ..." are told by what the code does, whatever comes of it. The others are symptoms: each says in
its own file which outcome makes it a fault; else it is a note, or nothing. Causes come before what follows from them.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module

from ...task import Finding
from ..say import Say
from ..trace import Trace

FEWEST = 5  # looks, for anything but what the code does, the last of them in the loop's later half
SOON = 100  # steps, before which a poor outcome says little
RULES = (
    "softmax", "wrong_loss", "every_pair", "given_away", "units_alike", "signs", "wrong_player", "penalty",
    "energy_cut", "chain_gradients", "normal", "cut", "unlisted", "parameters_of_nobody", "no_step", "never_cleared",
    "inputs", "out_of_reach", "non_finite", "labels", "pairs", "same_batch", "start", "certain_judge", "exploding",
    "too_slow", "chains", "too_easy", "clipped_judge", "copying_judge", "margin", "blind_judge", "rotation",
    "denoiser", "bounded", "contrast", "majority", "vanishing", "dead", "saturated", "collapse", "same_output",
    "crowded", "guessing", "stagnation",
)  # fmt: skip  # causes first, then what follows from them


REST = "stagnation"  # told only where nothing else is
OUTCOMES = dict.fromkeys(
    ("majority", "guessing", "stagnation", "bounded", "contrast", "crowded", "same_output", "denoiser"), SOON
) | dict.fromkeys(
    ("rotation", "collapse", "margin", "blind_judge", "clipped_judge", "certain_judge", "copying_judge"), 3 * SOON
)  # rules that tell a fault by how well the loop has learnt -> steps before which that is no fault; games take longer

CARDS = {
    "softmax": "cross-entropy", "guessing": "cross-entropy", "start": "cross-entropy", "labels": "gce",
    "majority": "logit-adjusted", "bounded": "siglip", "signs": "gan", "wrong_player": "gan", "certain_judge": "gan",
    "blind_judge": "gan", "collapse": "r3gan", "rotation": "r3gan", "penalty": "wgan-gp", "clipped_judge": "wgan",
    "margin": "ebgan", "copying_judge": "ebgan", "energy_cut": "ebgan", "chains": "cd", "chain_gradients": "cd",
    "too_easy": "nce", "denoiser": "ddpm", "given_away": "ddpm", "contrast": "clip", "normal": "clip", "pairs": "clip",
    "same_output": "vicreg", "crowded": "cosine-bce",
}  # fmt: skip  # a rule -> what to read


def examine(trace: Trace) -> tuple[Finding, ...]:
    """All findings on a loop, the likeliest cause first."""
    say = Say(trace.name)
    enough = bool(trace.bad) or (len(trace.looks) >= FEWEST and 2 * trace.looks[-1] >= trace.steps)
    found = [
        finding
        for name in RULES
        for finding in _asked(name, trace, say)
        if enough or finding.rule.startswith("contract")
    ]
    contracts = [f for f in found if f.rule.startswith("contract")]
    symptoms = [f for f in found if not f.rule.startswith("contract")]
    if trace.steps < SOON or any(f.level == "fault" and f.rule != REST for f in found):
        symptoms = [f for f in symptoms if f.rule != REST]
    if trace.trouble:
        symptoms.append(_ours(say, "watching failed", f"Part of this loop could not be watched ({trace.trouble})."))
    once = {(f.rule, f.says): f for f in (*contracts, *symptoms)}
    return tuple(sorted(once.values(), key=lambda f: f.level == "note"))


def _asked(name: str, trace: Trace, say: Say) -> Iterator[Finding]:
    """What one rule finds; a rule that fails on an unforeseen loop must not take the others' findings with it."""
    try:
        for finding in import_module(f"{__name__}.{name}").rule(trace, say):
            soon = trace.steps < OUTCOMES.get(name, 0) and not finding.rule.startswith("contract")
            yield replace(finding, card=CARDS.get(name, ""), level="note" if soon else finding.level)
    except Exception as error:
        says = f"The rule '{name}' could not read this loop ({type(error).__name__}: {error})."
        yield _ours(say, "rule failed", says)


def _ours(say: Say, rule: str, says: str) -> Finding:
    cause, remedy = "A mistake in whichloss, not in the loop.", "Please report it, with the loop if you can."
    return say.note(rule, says, cause, remedy)
