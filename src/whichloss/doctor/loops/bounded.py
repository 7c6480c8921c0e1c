"""Logits that cannot grow: a cross-entropy of cosines or probabilities."""

import math
from collections.abc import Iterator

from ...task import Finding
from ..outcome import mixed, skill, unlearnt
from ..say import Say
from ..trace import Loss, Trace, late
from . import SOON

WIDEST = 2.0  # cosines differ by that at most
NEARLY = 0.7  # of the bound of 1, by scores somewhere in the loop
PRESSED = 0.85  # of the bound, by logits at its end


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    judges = {judge for _, judge in trace.games}  # who may well end in guessing
    for loss in trace.losses.values():
        if trace.steps >= SOON or loss.facts.get("pairs"):  # logits of classes start small and take their time
            yield from _logits(loss, say)
        if not judges & loss.reaches:
            yield from _scores(loss, say)


def _logits(loss: Loss, say: Say) -> Iterator[Finding]:
    """Of a softmax."""
    reach, entropy = loss.curves.get("range of logits", []), loss.late("cross-entropy", 0.25)
    classes = loss.facts.get("classes", 0)
    if entropy is None or mixed(loss) or loss.facts.get("twice") or len(reach) < 5 or max(reach) > WIDEST:
        return
    bound = 1.0 if max(reach) <= 1.0 else WIDEST
    if (late(reach, 0.25) or 0.0) <= PRESSED * bound:  # weak logits are just weak
        return
    least = math.log(1 + (classes - 1) * math.exp(-bound))
    if entropy < least + 0.6 * (math.log(classes) - least) or (skill(loss) or 0) < 0.5:
        yield say.fault(
            "bounded logits",
            f"The logits at {loss.site} never differ by more than {max(reach):.2f}: the loss cannot fall "
            "below about "
            f"{least:.3f} (guessing: {math.log(classes):.3f}).",
            "They are cosines or probabilities, without a factor in front.",
            "Multiply cosines by a factor (1 / .07, or a learnt one); give cross-entropy logits, not probabilities.",
            {"range": max(reach), "least loss": least, "loss": entropy},
            "Wang et al., 2017",
        )


def _scores(loss: Loss, say: Say) -> Iterator[Finding]:
    """Of a sigmoid."""
    low, high = loss.curves.get("least score", []), loss.curves.get("most score", [])
    ones, wide = loss.late("share of ones", 1.0), loss.late("spread of scores", 1.0) or 0.0
    if (
        loss.facts.get("logits")
        and len(low) >= 5
        and high
        and min(low) >= -1.001
        and max(high) <= 1.001
        and max(max(high), -min(low)) > NEARLY  # weak scores are just weak
        and ones is not None
    ):
        least = math.log1p(math.exp(-1))
        mean = loss.late("mean score", 0.25) or 0.0
        yield say.told(
            unlearnt(loss),
            "bounded logits",
            f"Every score at {loss.site} lies between -1 and 1 (mean {mean:.2f}, spread {wide:.2f} at the end), "
            "so that this "
            f"loss cannot fall below {least:.3f}, however good the embeddings are.",
            "Raw cosines are given to a sigmoid: it wants numbers of both signs and of any size.",
            "A scale and a bias in front: binary_cross_entropy_with_logits(s * cos + b, y), s from 10, both learnt.",
            {"least loss": least, "mean score": mean, "loss": late(loss.values, 0.25) or math.nan},
            "Zhai et al., 2023",
        )
