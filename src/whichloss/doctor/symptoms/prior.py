"""The noisiest data is not the noise that sampling starts from."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
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
