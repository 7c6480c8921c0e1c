"""Losses on distances between embeddings: pairs and triplets with a margin, mined or given."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, relu, softplus

from ..arguments import binary, number
from ..claim import Argument, Claim, Form, Formula, Variant
from ..invariance import shifted, symmetric
from .views import LABELS, agreeing, averaged

MARGIN = number("margin", "margin m alpha", 1.0, (1.0, 0.2, 0.3, 0.5, 2.0, 5.0))


def wide(role: str, words: str) -> Argument:
    """Embeddings (B, d) whose distances lie on both sides of the margins in use."""
    return Argument(role, frozenset(words.split()), lambda n, s: 3 * s.real((n.batch, n.width)), "embeddings (B, d)")


A = wide("a", "a x1 z1 emb1 e1 h1 left first anchor output1")
B = wide("b", "b x2 z2 emb2 e2 h2 right second other output2")
TRIPLET = (
    wide("anchor", "anchor a anc query q"),
    wide("positive", "positive pos p same"),
    wide("negative", "negative neg n other"),
)
Z = wide("z", "z emb embs embeddings embedding features feats x h outputs")
HINGE_FIX = "relu(d(anchor, positive) - d(anchor, negative) + margin), d the Euclidean distance."
SQUARED = "squared distances"
SQUARED_WHY = "The margin counts in squared units, and far pairs pull more (FaceNet, on unit vectors)."
SUBTRACTED = "the margin subtracted"
SUBTRACTED_WHY = "The hinge is silent unless the positive is farther by more than the margin: it asks for nothing."


def length(v: Tensor) -> Tensor:
    """|v| with slope 0 at 0."""
    squared = (v**2).sum(dim=-1)
    return torch.where(squared > 0, torch.where(squared > 0, squared, 1.0).sqrt(), 0.0)


# pairs ---------------------------------------------------------------------------------------------------------------


def pairwise(
    pull: Callable[[Tensor], Tensor], push: Callable[[Tensor, float], Tensor], *, turned: bool = False
) -> Formula:
    def formula(a: Tensor, b: Tensor, target: Tensor, margin: float) -> Tensor:
        d, t = length(a - b), 1 - target if turned else target
        return (t * pull(d) + (1 - t) * push(d, margin)) / 2

    return formula


def squares(d: Tensor) -> Tensor:
    return d**2


def _squared_hinge(d: Tensor, margin: float) -> Tensor:
    return relu(margin - d) ** 2


PAIR_FIX = "target * d**2 / 2 + (1 - target) * relu(margin - d)**2 / 2, d = |a - b|, target 1 = similar."
PAIRS = (
    Variant(
        "the labels turned round",
        pairwise(squares, _squared_hinge, turned=True),
        "Target 0 means similar, as Y does in the paper; with 1 for similar it pushes them apart.",
        PAIR_FIX,
        fault=False,
    ),
    Variant(
        "the squared distance inside the hinge",
        pairwise(squares, lambda d, m: relu(m - d**2)),
        "The push on negatives fades to 0 as they come near, where it is needed most.",
        PAIR_FIX,
    ),
    Variant(
        "distances not squared",
        pairwise(lambda d: d, lambda d, m: relu(m - d)),
        "The hinge loss of some libraries: every pair pulls with one force, near or far.",
        PAIR_FIX,
        fault=False,
    ),
    Variant(
        "no hinge",
        pairwise(squares, lambda d, m: (m - d) ** 2),
        "Negatives beyond the margin are pulled back to it.",
        PAIR_FIX,
    ),
    Variant(
        "the hinge turned round",
        pairwise(squares, lambda d, m: relu(d - m) ** 2),
        "Negatives are pulled together too: collapse costs nothing.",
        PAIR_FIX,
    ),
)

# triplets ------------------------------------------------------------------------------------------------------------


def plain(gap: Tensor, margin: float) -> Tensor:
    return relu(gap + margin)


def given(
    of: Callable[[Tensor, float], Tensor] = plain, measure: Callable[[Tensor], Tensor] = length
) -> Callable[..., Tensor]:
    """A function of d(a, p) - d(a, n) and of the margin."""

    def formula(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
        return of(measure(anchor - positive) - measure(anchor - negative), margin)

    return formula


def squared(v: Tensor) -> Tensor:
    return (v**2).sum(dim=-1)


def _cosines(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    return relu(cosine_similarity(anchor, positive) - cosine_similarity(anchor, negative) + margin)


SOFT = "the soft margin"
SOFT_WHY = "log(1 + e^gap): no margin, and solved triplets still pull a little."
SOFT_FIX = "Fine; in this library it is margin=None."
TRIPLETS = (
    Variant(SUBTRACTED, given(lambda gap, m: relu(gap - m)), SUBTRACTED_WHY, HINGE_FIX),
    Variant(
        "positive and negative exchanged",
        given(lambda gap, m: relu(m - gap)),
        "Positives are pushed away until they are farther than negatives.",
        HINGE_FIX,
    ),
    Variant(SQUARED, given(measure=squared), SQUARED_WHY, HINGE_FIX, fault=False),
    Variant(
        "no hinge",
        given(lambda gap, m: gap),
        "Solved triplets push on for ever, and outvote those that are not: it has no lower bound.",
        HINGE_FIX,
    ),
    Variant(
        "the hinge of the mean",
        given(lambda gap, m: relu(gap.mean() + m).expand(len(gap))),
        "Solved triplets pay for unsolved ones; all fall silent together.",
        "relu before the mean.",
    ),
    Variant(
        "cosines in place of distances",
        _cosines,
        "A cosine is a similarity: large where near. It pushes positives away.",
        "Use 1 - cos, or relu(cos(anchor, negative) - cos(anchor, positive) + margin).",
    ),
    Variant(SOFT, given(lambda gap, m: softplus(gap)), SOFT_WHY, SOFT_FIX, fault=False),
)

# mined triplets ------------------------------------------------------------------------------------------------------


def _distances(z: Tensor, measure: Callable[[Tensor], Tensor]) -> Tensor:
    return measure(z.unsqueeze(1) - z)


def hard(
    of: Callable[[Tensor, float], Tensor] = plain,
    measure: Callable[[Tensor], Tensor] = length,
    *,
    easy_positive: bool = False,
    easy_negative: bool = False,
) -> Formula:
    """The farthest (or nearest) positive against the nearest (or farthest) negative."""

    def formula(z: Tensor, labels: Tensor, margin: float) -> Tensor:
        d, (same, positive) = _distances(z, measure), agreeing(labels)
        inf = torch.inf
        p = d.masked_fill(~positive, inf).amin(1) if easy_positive else d.masked_fill(~positive, -inf).amax(1)
        n = d.masked_fill(same, -inf).amax(1) if easy_negative else d.masked_fill(same, inf).amin(1)
        there = positive.any(dim=1) & (~same).any(dim=1)
        gap = torch.where(there, p, 0.0) - torch.where(there, n, 0.0)
        return torch.where(there, of(gap, margin), 0.0)

    return formula


def semi_hard(of: Callable[[Tensor, float], Tensor] = plain, measure: Callable[[Tensor], Tensor] = length) -> Formula:
    """Every positive against the nearest negative beyond it, or the farthest; mean over positives."""

    def formula(z: Tensor, labels: Tensor, margin: float) -> Tensor:
        d, (same, positive) = _distances(z, measure), agreeing(labels)
        beyond = (d.unsqueeze(1) > d.unsqueeze(2)) & ~same.unsqueeze(1)
        nearest = d.unsqueeze(1).expand(beyond.shape).masked_fill(~beyond, torch.inf).amin(dim=2)
        farthest = d.masked_fill(same, -torch.inf).amax(dim=1, keepdim=True)
        usable = positive & (~same).any(dim=1, keepdim=True)
        chosen = torch.where(usable, torch.where(beyond.any(dim=2), nearest, farthest), 0.0)
        return averaged(of(d - chosen, margin) * usable, positive)

    return formula


def _all(z: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The mean over all triplets of an anchor."""
    d, (same, positive) = _distances(z, length), agreeing(labels)
    each = relu(d.unsqueeze(2) - d.unsqueeze(1) + margin)
    triplets = positive.unsqueeze(2) & ~same.unsqueeze(1)
    return (each * triplets).sum(dim=(1, 2)) / triplets.sum(dim=(1, 2)).clamp(min=1)


HARD_FIX = "relu(farthest positive - nearest negative + margin) per anchor, 0 where it has none."
ALL = Variant(
    "all triplets, not mined",
    _all,
    "The mean over every positive and negative: most triplets are solved and silent, and dilute the others.",
    "Take the hardest of each anchor, or the mean over the triplets that are not 0.",
    fault=False,
)
HARD = (
    Variant(
        "the nearest positive",
        hard(easy_positive=True),
        "The easiest positive says little: it is near already.",
        HARD_FIX,
    ),
    Variant(
        "the farthest negative",
        hard(easy_negative=True),
        "The easiest negative is beyond the margin already.",
        HARD_FIX,
    ),
    Variant(
        "the nearest positive and the farthest negative",
        hard(easy_positive=True, easy_negative=True),
        "The easiest triplet in place of the hardest.",
        HARD_FIX,
    ),
    Variant(SUBTRACTED, hard(lambda gap, m: relu(gap - m)), SUBTRACTED_WHY, HARD_FIX),
    Variant(SQUARED, hard(measure=squared), SQUARED_WHY, HARD_FIX, fault=False),
    Variant(SOFT, hard(lambda gap, m: softplus(gap)), SOFT_WHY, SOFT_FIX, fault=False),
    ALL,
)
SEMI_FIX = "For every positive the nearest negative that is farther than it; where there is none, the farthest."
SEMI = (
    Variant(
        "the hardest triplet of each row",
        hard(),
        "Batch-hard mining: early in training it drives all embeddings together.",
        SEMI_FIX,
        fault=False,
    ),
    Variant(SUBTRACTED, semi_hard(lambda gap, m: relu(gap - m)), SUBTRACTED_WHY, SEMI_FIX),
    Variant(SQUARED, semi_hard(measure=squared), SQUARED_WHY, SEMI_FIX, fault=False),
    Variant(SOFT, semi_hard(lambda gap, m: softplus(gap)), SOFT_WHY, SOFT_FIX, fault=False),
    ALL,
)
CARD = "metric-learning-losses"


def mined(name: str, text: str, formula: Formula, variants: tuple[Variant, ...], covers: str, *aliases: str) -> Claim:
    form = Form((Z, LABELS), {text: formula}, (MARGIN,), variants, (shifted("z"),), least=4, per_sample=False)
    return Claim(name, text, (form,), aliases, CARD, (covers,), fragile=False)


CLAIMS = (
    Claim(
        "pair-contrastive",
        "t d^2 / 2 + (1 - t) max(0, m - d)^2 / 2, d = |a - b|, t = 1 where similar",
        (
            Form(
                (A, B, binary()),
                {"t d^2 / 2 + (1 - t) max(0, m - d)^2 / 2": pairwise(squares, _squared_hinge)},
                (MARGIN,),
                PAIRS,
                (shifted("a", "b"), symmetric("a", "b")),
            ),
        ),
        ("hadsell", "siamese", "siamese-contrastive"),
        CARD,
        ("metric_learning.pair_contrastive",),
        fragile=False,
    ),
    Claim(
        "triplet",
        "max(0, d(a, p) - d(a, n) + m), d the Euclidean distance",
        (
            Form(
                TRIPLET,
                {"max(0, d(a, p) - d(a, n) + m)": given()},
                (MARGIN,),
                TRIPLETS,
                (shifted("anchor", "positive", "negative"),),
            ),
        ),
        ("triplet-margin",),
        CARD,
        ("metric_learning.triplet",),
        fragile=False,
    ),
    mined(
        "batch-hard-triplet",
        "max(0, farthest positive - nearest negative + m), 0 where there is none",
        hard(),
        HARD,
        "metric_learning.batch_hard_triplet",
        "hard-triplet",
        "batch-hard",
    ),
    mined(
        "semi-hard-triplet",
        "mean over positives of max(0, d_ip - d_in + m), n the nearest negative beyond p, or the farthest",
        semi_hard(),
        SEMI,
        "metric_learning.semi_hard_triplet",
        "semi-hard",
        "facenet",
    ),
)
