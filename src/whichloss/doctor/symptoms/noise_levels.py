"""A denoiser that is worse than a trivial one at some noise levels."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record

NAMES = ("little", "middle", "much")  # thirds of the levels
WORSE = -0.25  # of the trivial denoiser's loss


def rule(record: Record) -> Iterator[Finding]:
    skills = dict(zip(NAMES, record.outcome.level_skills, strict=False))
    lost = {name: skill for name, skill in skills.items() if skill < WORSE}
    if lost and record.outcome.loss_skill is not None:
        where = " and ".join(lost)
        yield record.say.fault(
            "worse than trivial at some levels",
            f"At {where} noise the loss is {1 - min(lost.values()):.2f} times that of a denoiser that knows only the "
            "mean and covariance of the data.",
            "These levels have too little weight in the loss or in what is drawn, or are not yet learnt.",
            "Weigh the levels evenly in what the network predicts; draw levels from the whole range; train longer.",
            {f"skill at {name} noise": skill for name, skill in skills.items()},
            "Hang et al., 2023",
        )
