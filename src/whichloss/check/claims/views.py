"""Losses on batches of embeddings with a similarity of every row to every other: one way, views, labels, sigmoids."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..arguments import directions, number
from ..claim import Argument, Claim, Form, Formula, Variant
from ..invariance import scaled
from ._logits import within
from .contrastive import SAME, TEMPERATURE, A, B, cosines_of

NOT_UNIT = "dot products instead of cosines"
LENGTHS = "Lengths count, so the temperature means nothing (unless all have length 1)."
UNIT_FIX = "normalize(a, dim=1) and normalize(b, dim=1) before the product."
MULTIPLIED = "multiplied by the temperature"
FLAT = "A temperature below 1 then flattens the softmax: the loss stays near its value at collapse."
DIVIDE = "Divide the similarities by the temperature."


def dots(a: Tensor, b: Tensor) -> Tensor:
    return a @ b.T


def own(n: int) -> Tensor:
    return torch.eye(n, dtype=torch.bool)


def without(s: Tensor, left_out: Tensor) -> Tensor:
    """logsumexp of rows without some of their entries."""
    return s.masked_fill(left_out, -torch.inf).logsumexp(dim=1)


def tempered(
    of: Callable[[Tensor], Tensor], similarity: Callable[[Tensor, Tensor], Tensor] = cosines_of, *, times: bool = False
) -> Formula:
    """A function of similarities over (or times) the temperature, for a and b."""

    def formula(a: Tensor, b: Tensor, temperature: float) -> Tensor:
        T = within(temperature, 0, 2)
        return of(similarity(a, b) * (T if times else 1 / T))

    return formula


def stacked(
    of: Callable[[Tensor], Tensor], similarity: Callable[[Tensor, Tensor], Tensor] = cosines_of, *, times: bool = False
) -> Formula:
    """The same for all 2 B rows of [a; b], mean of the two anchors of a pair."""

    def formula(a: Tensor, b: Tensor, temperature: float) -> Tensor:
        z = torch.cat([a, b])
        each = tempered(of, similarity, times=times)(z, z, temperature)
        return (each[: len(a)] + each[len(a) :]) / 2

    return formula


def usual(make: Callable[..., Formula], of: Callable[[Tensor], Tensor]) -> tuple[Variant, ...]:
    """What goes wrong with any of them."""
    return (
        Variant(NOT_UNIT, make(of, dots), LENGTHS, UNIT_FIX),
        Variant(MULTIPLIED, make(of, times=True), FLAT, DIVIDE),
        Variant(
            f"{NOT_UNIT} and {MULTIPLIED}", make(of, dots, times=True), f"{LENGTHS} {FLAT}", f"{UNIT_FIX} {DIVIDE}"
        ),
    )


def pairs(
    name: str, says: str, text: str, make: Callable[..., Formula], of: Callable[[Tensor], Tensor],
    variants: tuple[Variant, ...], covers: str, card: str, *aliases: str,
) -> Claim:  # fmt: skip
    form = Form(
        (A, B), {text: make(of)}, (TEMPERATURE,), (*usual(make, of), *variants), SAME[:1], least=2, per_sample=False
    )
    return Claim(name, says, (form,), aliases, card, (covers,), fragile=False)


# one way -------------------------------------------------------------------------------------------------------------


def rows(s: Tensor) -> Tensor:
    return s.logsumexp(dim=1) - s.diagonal()


ONE_WAY = (
    Variant(
        "both directions",
        tempered(lambda s: (rows(s) + rows(s.T)) / 2),
        "The symmetric loss of CLIP: rows of b choose among a too.",
        "Fine, and usually better; it is --as info-nce.",
        fault=False,
    ),
    Variant(
        "the other direction",
        tempered(lambda s: rows(s.T)),
        "Rows of b choose among a: the softmax runs over columns.",
        "cross_entropy(normalize(a) @ normalize(b).T / temperature, arange(B)).",
    ),
    Variant(
        "the positive is left out of the denominator",
        tempered(lambda s: without(s, own(len(s))) - s.diagonal()),
        "The decoupled loss: without the positive in the sum it has no floor at 0.",
        "logsumexp over the whole row, the diagonal included.",
        fault=False,
    ),
    Variant(
        "a softmax too many",
        tempered(lambda s: rows(s.softmax(dim=1))),
        "cross_entropy takes logits and applies log-softmax itself; on probabilities it stays near log B.",
        "Give cross_entropy the similarities.",
    ),
)

# two views -----------------------------------------------------------------------------------------------------------


def positives(s: Tensor) -> Tensor:
    n = len(s) // 2
    return torch.cat([s.diagonal(n), s.diagonal(-n)])


def views(s: Tensor) -> Tensor:
    return without(s, own(len(s))) - positives(s)


def decoupled(s: Tensor) -> Tensor:
    return without(s, own(len(s) // 2).repeat(2, 2)) - positives(s)


def _own_kept(s: Tensor) -> Tensor:
    return s.logsumexp(dim=1) - positives(s)


def _first_side(s: Tensor) -> Tensor:
    return views(s) * torch.tensor([2.0, 0.0], dtype=s.dtype).repeat_interleave(len(s) // 2)


OWN_KEPT = Variant(
    "the similarity to itself is left in the denominator",
    stacked(_own_kept),
    "e^(1/T), the largest term of all, is added to every sum: a solved pair still costs log 2.",
    "masked_fill the diagonal of the 2 B x 2 B similarities with -inf.",
)
ONE_SIDE = Variant(
    "anchors of one side only",
    stacked(_first_side),
    "Rows of b are never anchors, so half of the similarities among them are not used.",
    "Average over all 2 B anchors.",
    fault=False,
)
OTHERS_ONLY = Variant(
    "negatives of the other side only",
    tempered(lambda s: (rows(s) + rows(s.T)) / 2),
    "That is the symmetric InfoNCE of CLIP: B - 1 negatives, log B at collapse.",
    "For two views of one encoder take all 2 B - 2 others; for two modalities it is right, --as info-nce.",
    fault=False,
)
VIEWS = (
    OWN_KEPT,
    ONE_SIDE,
    OTHERS_ONLY,
    Variant(
        "the positive is left out of the denominator",
        stacked(decoupled),
        "The decoupled loss: it has no floor at 0, and log(2 B - 2) at collapse.",
        "Leave out the anchor alone; or check it --as decoupled-info-nce.",
        fault=False,
    ),
)


def _decoupled_across(s: Tensor) -> Tensor:
    return without(s, own(len(s))) - s.diagonal()


DECOUPLED = (
    Variant(
        "the positive is kept in the denominator",
        stacked(views),
        "That is NT-Xent: an easy positive then hardly pulls, and neither do its negatives.",
        "Leave the positive out of the sum; or check it --as nt-xent.",
        fault=False,
    ),
    Variant(
        "negatives of the other side only",
        tempered(lambda s: (_decoupled_across(s) + _decoupled_across(s.T)) / 2),
        "B - 1 negatives in place of 2 B - 2: log(B - 1) at collapse.",
        "Fine for two modalities; for two views of one encoder take both sides.",
        fault=False,
    ),
    Variant(
        "anchors of one side only",
        stacked(lambda s: decoupled(s) * torch.tensor([2.0, 0.0], dtype=s.dtype).repeat_interleave(len(s) // 2)),
        ONE_SIDE.why,
        ONE_SIDE.fix,
        fault=False,
    ),
)

# labels --------------------------------------------------------------------------------------------------------------

Z = directions("z", "z emb embs embeddings embedding features feats x h outputs", "embeddings (B, d)")
LABELS = Argument(
    "labels",
    frozenset(["labels", "label", "y", "target", "targets", "classes", "ids"]),
    lambda n, s: s.integers((n.batch,), 3),
    "class numbers (B,)",
    learns=False,
)


def agreeing(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Who has the same label; and who else has."""
    same = labels.unsqueeze(1) == labels
    return same, same & ~own(len(labels))


def labelled(
    of: Callable[[Tensor, Tensor], Tensor],
    similarity: Callable[[Tensor, Tensor], Tensor] = cosines_of,
    *,
    times: bool = False,
) -> Formula:
    """A function of similarities and labels, 0 where a row has no positive."""

    def formula(z: Tensor, labels: Tensor, temperature: float) -> Tensor:
        T, (_, positive) = within(temperature, 0, 2), agreeing(labels)
        each = of(similarity(z, z) * (T if times else 1 / T), labels)
        return torch.where(positive.any(dim=1), each, 0.0)

    return formula


def averaged(each: Tensor, positive: Tensor) -> Tensor:
    """The mean of the entries (i, p) over the positives p of i."""
    return (each * positive).sum(dim=1) / positive.sum(dim=1).clamp(min=1)


def sup_con(s: Tensor, labels: Tensor) -> Tensor:
    return averaged(without(s, own(len(s))).unsqueeze(1) - s, agreeing(labels)[1])


def _inside(s: Tensor, labels: Tensor) -> Tensor:
    _, positive = agreeing(labels)
    share = ((s - without(s, own(len(s))).unsqueeze(1)).exp() * positive).sum(dim=1)
    return -torch.where(share > 0, share / positive.sum(dim=1).clamp(min=1), 1.0).log()


def _summed(s: Tensor, labels: Tensor) -> Tensor:
    return sup_con(s, labels) * agreeing(labels)[1].sum(dim=1)


def _with_itself(s: Tensor, labels: Tensor) -> Tensor:
    return averaged(s.logsumexp(dim=1, keepdim=True) - s, agreeing(labels)[1])


def _as_positive(s: Tensor, labels: Tensor) -> Tensor:
    same, _ = agreeing(labels)
    return averaged(s.logsumexp(dim=1, keepdim=True) - s, same)


def _one_by_one(s: Tensor, labels: Tensor) -> Tensor:
    """Each positive against the negatives alone."""
    same, positive = agreeing(labels)
    none = torch.finfo(s.dtype).min / 4
    negatives = s.masked_fill(same, none).logsumexp(dim=1, keepdim=True)
    return averaged(-logsigmoid(s - negatives), positive)


def _over_some(s: Tensor, labels: Tensor) -> Tensor:
    some = agreeing(labels)[1].any(dim=1)
    return sup_con(s, labels) * len(s) / some.sum().clamp(min=1)


LABEL_FIX = "lse over all others, minus the mean of s over the positives, per anchor."
SUP = (
    *usual(labelled, sup_con),  # type: ignore[arg-type]
    Variant(
        "the mean over positives inside the logarithm",
        labelled(_inside),
        "The other form of the paper (L_in): positives that are near already take all the gradient; it trains worse.",
        LABEL_FIX,
        fault=False,
    ),
    Variant(
        "summed over the positives, not averaged",
        labelled(_summed),
        "Frequent classes weigh more, by the number of their rows.",
        LABEL_FIX,
    ),
    Variant(
        "the similarity to itself is left in the denominator",
        labelled(_with_itself),
        "e^(1/T), the largest term of all, is added to every sum.",
        "masked_fill the diagonal with -inf before logsumexp.",
    ),
    Variant(
        "a row counts as its own positive",
        labelled(_as_positive),
        "Its similarity to itself is 1 whatever the network does, so a share of the loss teaches nothing.",
        "Leave the diagonal out of both sums.",
    ),
    Variant(
        "each positive against the negatives alone",
        labelled(_one_by_one),
        "NT-Xent with several positives: the other positives are not in the denominator, and it can reach 0.",
        "Fine if meant; SupCon keeps all others in the sum.",
        fault=False,
    ),
    Variant(
        "the mean over anchors that have positives",
        labelled(_over_some),
        "Anchors without positives are left out of the mean instead of counting 0: batches differ in weight.",
        "Either is right; say which when you compare numbers.",
        fault=False,
    ),
)
SUP_CON = Claim(
    "sup-con",
    "-mean over positives p of log(e^s_ip / sum_{k != i} e^s_ik), s = cos / T; 0 where a row has no positive",
    (
        Form(
            (Z, LABELS),
            {"mean over positives of -log softmax of s_ip among all others": labelled(sup_con)},
            (TEMPERATURE,),
            SUP,
            (scaled("z"),),
            least=4,
            per_sample=False,
        ),
    ),
    ("supervised-contrastive", "sup-contrastive"),
    "nt-xent",
    ("contrastive.sup_con",),
    fragile=False,
)

# sigmoids ------------------------------------------------------------------------------------------------------------

SCALE = number("scale", "scale s logit_scale logitscale gamma", 10.0, (10.0, 1.0, 5.0, 14.2857, 20.0, 100.0))
BIAS = number("bias", "bias shift b0 offset logit_bias", -3.0, (-10.0, 0.0, -1.0, -5.0))


def sigmoids(
    of: Callable[[Tensor, Tensor], Tensor], similarity: Callable[[Tensor, Tensor], Tensor] = cosines_of, sign: float = 1
) -> Formula:
    """-log sigmoid of what `of` makes of logits and of 1 on the diagonal, -1 elsewhere, summed by rows."""

    def formula(a: Tensor, b: Tensor, scale: float, bias: float) -> Tensor:
        l = within(scale) * similarity(a, b) + sign * bias
        return -logsigmoid(of(l, 2 * torch.eye(len(l), dtype=l.dtype) - 1)).sum(dim=1)

    return formula


def _signed(l: Tensor, y: Tensor) -> Tensor:
    return y * l


SIG_FIX = "-logsigmoid(y * (scale * cos + bias)), y = 2 eye(B) - 1, summed over rows, divided by B."
SIGLIP = Claim(
    "siglip",
    "sum over j of log(1 + e^(-y_ij l_ij)), l = scale cos(a_i, b_j) + bias, y = 1 on the diagonal, -1 elsewhere",
    (
        Form(
            (A, B),
            {"sum_j log(1 + e^(-y_ij l_ij))": sigmoids(_signed)},
            (SCALE, BIAS),
            (
                Variant(NOT_UNIT, sigmoids(_signed, dots), "Lengths count, so the scale means nothing.", UNIT_FIX),
                Variant(
                    "labels 0 and 1 in place of -1 and 1",
                    sigmoids(lambda l, y: (y + 1) / 2 * l),
                    "Every negative costs log 2 whatever it is: nothing is pushed apart, and embeddings may collapse.",
                    SIG_FIX,
                ),
                Variant(
                    "the signs turned round",
                    sigmoids(lambda l, y: -y * l),
                    "Positives are pushed apart and negatives together.",
                    SIG_FIX,
                ),
                Variant(
                    "positives count as negatives",
                    sigmoids(lambda l, y: -l),
                    "Every pair is pushed apart, the right ones too.",
                    SIG_FIX,
                ),
                Variant(
                    "the negatives averaged, not summed",
                    lambda a, b, scale, bias: _balanced(within(scale) * cosines_of(a, b) + bias),
                    "Negatives weigh as much as the one positive, so the best bias is 0, not -log(B - 1).",
                    "Sum over all pairs and divide by B; or keep it, and start the bias at 0.",
                    fault=False,
                ),
            ),
            SAME[:1],
            least=2,
            per_sample=False,
        ),
    ),
    ("sigmoid-contrastive", "sigmoid-pairwise"),
    "siglip-loss",
    ("contrastive.siglip", "streaming.streaming_siglip"),
    fragile=False,
)


def _balanced(l: Tensor) -> Tensor:
    strangers = -logsigmoid(-l).masked_fill(own(len(l)), 0.0).sum(dim=1) / (len(l) - 1)
    return strangers - logsigmoid(l.diagonal())


CLAIMS = (
    pairs(
        "info-nce-one-way",
        "-log softmax of s_ii among row i, s = cos(a_i, b_j) / T",
        "-log softmax of s_ii by rows, s = cos / T",
        tempered,
        rows,
        ONE_WAY,
        "contrastive.info_nce_one_way",
        "info-nce",
        "n-pairs",
        "cpc",
    ),
    pairs(
        "nt-xent",
        "-log softmax of the positive among all 2 B - 1 others of [a; b], s = cos / T, mean of both anchors",
        "-log softmax of the positive among all others, s = cos / T",
        stacked,
        views,
        VIEWS,
        "contrastive.nt_xent",
        "nt-xent",
        "simclr-loss",
        "normalised-temperature-cross-entropy",
    ),
    pairs(
        "decoupled-info-nce",
        "-s_positive + log sum of e^s over the 2 B - 2 negatives of [a; b], s = cos / T, mean of both anchors",
        "-s_positive + log sum over negatives of e^s, s = cos / T",
        stacked,
        decoupled,
        DECOUPLED,
        "contrastive.decoupled_info_nce",
        "nt-xent",
        "dcl",
        "decoupled-contrastive",
    ),
    SUP_CON,
    SIGLIP,
)
