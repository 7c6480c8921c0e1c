"""Chains that leave traces in what the energy learns from."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker != "chains":
            continue
        if game.late("attached", 1.0):
            yield say.fault(
                "contract: gradient through the sampler",
                f"{judge}'s loss is taken of samples that still hang on their chain: the gradient also runs back "
                "through it.",
                "The last state of the chain was not detached.",
                "samples = x.detach() after the last step.",
                {"attached": 1.0},
                "Du & Mordatch, 2019",
            )
        polluting = [
            loss for loss in trace.losses.values() if loss.inputs and judge in loss.moves and judge in loss.reaches
        ]
        if polluting and game.late("slope by backward", 1.0):
            yield say.fault(
                "contract: stale gradient",
                f"The chains take their slope by backward() at {polluting[0].site}, which leaves gradients in {judge} "
                "too; they "
                "are still there when it steps.",
                "backward() fills the gradient of all it reaches, not only that of the sample.",
                "torch.autograd.grad(energy.sum(), x)[0], or zero_grad() after sampling.",
                {"losses": float(len(polluting))},
            )
