"""A loss or a gradient stops being a finite number."""

from collections.abc import Iterator

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    if trace.bad:
        yield say.fault(
            "non-finite",
            f"At step {trace.bad_at} {trace.bad}.",
            "Steps too long, or a logarithm, root or quotient near 0.",
            "Lower the learning rate; write the loss with stable formulas (softplus, logsumexp, log_softmax), or "
            "clamp what "
            "goes into the logarithm or root.",
            {"step": float(trace.bad_at)},
            "Zhang et al., 2021 (AutoTrainer)",
        )
