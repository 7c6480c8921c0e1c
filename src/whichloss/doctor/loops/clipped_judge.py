"""A Wasserstein judge whose weights are clipped too hard or not held at all."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace
from ..outcome import badly

STEEP = 20.0
TAMED = {
    "Log", "Softplus", "LogSigmoid", "LogSigmoidForward", "BinaryCrossEntropy", "BinaryCrossEntropyWithLogits", "NllLoss",
    "Relu", "MseLoss", "Pow", "Clamp", "ClampMin", "HingeEmbeddingLoss",
}  # fmt: skip


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        losses = [loss for loss in trace.losses.values() if judge in loss.moves]
        plain = losses and not any(loss.operations & TAMED for loss in losses)
        slope, clipped = game.late("slope at made"), game.late("at the clip")
        if not plain or slope is None or game.curves.get("rows pulled") and (game.late("rows pulled") or 0) < 0.99:
            continue
        penalty = game.late("penalty slope")
        if slope < 0.01 and badly(game):
            yield say.fault(
                "judge too flat",
                f"The slope of {judge} at samples is {slope:.2g}" + (f"; {clipped:.0%} of its weights stand at the clip" if clipped and clipped > 0.3 else "") + ".",
                "Its weights are clipped too hard: hardly any slope passes to the maker.",
                "Raise the clip (.01 is the paper's, .1 suits small networks), or use wgan-gp.",
                {"slope": slope},
                "Gulrajani et al., 2017",
            )
        elif slope > STEEP and penalty is None:
            yield say.fault(
                "judge without bound",
                f"The slope of {judge} at samples is {slope:.3g} and its loss has no floor: nothing bounds it.",
                "A Wasserstein judge needs a clip or a penalty; it is missing or far too loose.",
                "Clip its weights to .01 to .1, or add the gradient penalty (10, or less for small data).",
                {"slope": slope},
                "Arjovsky et al., 2017; Gulrajani et al., 2017",
            )
        elif penalty is not None and penalty > 5:
            yield say.fault(
                "judge without bound",
                f"The slope of {judge} between data and samples is {penalty:.3g}; the penalty wants it near 1.",
                "The penalty's factor is 0 or too small.",
                "Raise the factor to 1 or 10.",
                {"slope": penalty},
                "Gulrajani et al., 2017",
            )
