"""The players circle round each other: the critic is right, then wrong, then right, and the score stays bad."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record, numbers

OFTEN = 0.2  # of the later half of the run, on each side
SIDES = {
    "critic accuracy": (0.35, 0.65),
    "critic gap": (-0.1, 0.1),
    "score gap": (-0.1, 0.1),
}  # below: the order of data and samples is inverted


def rule(record: Record) -> Iterator[Finding]:
    for word, (low, high) in SIDES.items():
        for name, curve in record.curves.items():
            tail = numbers(curve[len(curve) // 2 :]) if word in name else []
            wrong, right = (
                sum(side) / max(1, len(tail)) for side in ([v < low for v in tail], [v > high for v in tail])
            )
            if min(wrong, right) >= OFTEN:
                yield record.say.fault(
                    "rotation",
                    f"In the later half {name} swings: the critic scores data above samples at {right:.0%} of the "
                    f"points and below them at {wrong:.0%}.",
                    "The generator runs past the data to where the critic was right a moment ago, and back.",
                    "Hold the critic's slope down (r3gan, wgan-gp), lower lr, or average the generator's weights.",
                    {"right": right, "wrong": wrong},
                    "Mescheder et al., 2018; Gidel et al., 2019",
                )
                return
