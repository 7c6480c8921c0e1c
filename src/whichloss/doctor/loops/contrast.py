"""Pairs that are not found, embeddings that fill no space, temperatures that say nothing."""

import math
from collections.abc import Iterator

from ...task import Finding
from ..outcome import unlearnt
from ..say import Say
from ..trace import Trace, late

FOUND = 0.9  # of the pairs, first: no harm is done
ABSURD = 20.0  # times what guessing costs, at the start
SURE = 0.95  # the softmax of networks that know nothing yet


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        facts = loss.facts
        if not facts.get("pairs"):
            continue
        rows, entropy, right = facts["rows"], loss.late("cross-entropy", 0.25), loss.late("accuracy", 0.25)
        rank, share, reach = (
            loss.late("effective rank", 0.25),
            loss.curves.get("largest share", []),
            loss.late("range of logits", 1.0),
        )
        doubles, cosine = loss.late("doubles", 1.0) or 0.0, loss.late("mean cosine", 0.25)
        if entropy is None or right is None:
            continue
        choices, start = facts["classes"], late(loss.curves["cross-entropy"][:3], 1.0) or 0.0
        found = {"loss": entropy, "log N": math.log(choices), "found first": right}
        if doubles > 0.05:
            yield say.told(
                right < FOUND,
                "equal rows in a batch",
                f"{doubles:.0%} of the rows of a batch at {loss.site} are there twice: each is pushed away from its "
                "own twin.",
                "Repeated captions, pictures or classes within a batch.",
                "Deal batches without doubles, or use supcon, which counts them as right.",
                {"doubles": doubles},
                "Khosla et al., 2020",
            )
        if reach is not None and entropy > 0.9 * math.log(choices) and reach < 0.5:
            yield say.fault(
                "temperature too high",
                f"The logits at {loss.site} differ by {reach:.2g} at most: the softmax is flat and its slope is tiny.",
                "Cosines are divided by too large a temperature, or not multiplied at all.",
                "A temperature of .05 to .2, or a learnt one from .07.",
                found | {"range": reach},
                "Radford et al., 2021",
            )
        elif (
            len(share) >= 5
            and share[0] > SURE
            and (entropy > 0.5 * math.log(choices) or unlearnt(loss) or start > ABSURD * math.log(choices))
        ):
            yield say.fault(
                "temperature too low",
                f"From the first step the softmax at {loss.site} puts {share[0]:.0%} on one choice, mostly a wrong "
                "one.",
                "Cosines are divided by too small a temperature.",
                "A temperature of .05 to .2, or a learnt one from .07.",
                found | {"largest share": share[0]},
                "Wang & Liu, 2021",
            )
        if (cosine is not None and cosine > 0.95) or (rank is not None and rank < 1.5 < facts["directions"]):
            way = f"point the same way (mean cosine {cosine:.2f})" if cosine and cosine > 0.95 else "lie on one line"
            yield say.told(
                unlearnt(loss),
                "embedding collapse",
                f"The embeddings at {loss.site} all {way}.",
                "Nothing keeps different rows apart, or steps were too long.",
                "Lower the learning rate; use negatives, or a loss with a variance term (vicreg, barlow-twins).",
                {n: v for n, v in (("mean cosine", cosine), ("effective rank", rank)) if v is not None},
                "Wang & Isola, 2020",
            )
        elif rank is not None and rank < 0.2 * facts["directions"] and right < FOUND:
            yield say.told(
                unlearnt(loss),  # rows of few directions need no more
                "dimensional collapse",
                f"The embeddings at {loss.site} use {rank:.1f} of {facts['directions']:.0f} directions.",
                "A layer before them is too narrow, or the loss is content with few.",
                "Widen the layer; or shorten the embeddings, if recall is good.",
                {"effective rank": rank},
                "Jing et al., 2022",
            )
        if entropy > 0.93 * math.log(choices) or right < min(3 / rows, 0.5):
            yield say.fault(
                "pairs not found",
                f"The loss at {loss.site} stands at {entropy:.3f}, guessing at log {choices:.0f} = "
                f"{math.log(choices):.3f}; "
                f"{right:.1%} of the pairs are found first in batches of {rows:.0f}.",
                "The two sides of a pair do not belong together (shuffled, joined wrongly, targets shifted), or "
                "nothing is learnt.",
                "Overfit one batch. If that fails, look at temperature, learning rate and the targets arange(N); if "
                "it works, look "
                "at a few pairs by hand.",
                found,
                "Radford et al., 2021",
            )
