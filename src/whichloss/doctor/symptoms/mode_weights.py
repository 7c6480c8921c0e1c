"""Every group of the data gets samples, but too many or too few."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    out = record.outcome
    if not out.misweighted:
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
