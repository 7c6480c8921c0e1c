"""Losses on pairs of embeddings."""

import math
from collections.abc import Callable, Mapping
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...losses.contrastive import cosine_bce_least
from ..arguments import binary, directions, number
from ..claim import Argument, Claim, Form, Formula, Option, Size, Source, Variant
from ..invariance import scaled, symmetric
from ._logits import bce_z, within

A = directions("a", "a z1 emb1 x1 anchor image images img e1 h1 embeddings1 first left query q u", "embeddings (B, d)")
B = directions(
    "b", "b z2 emb2 x2 other text texts txt e2 h2 embeddings2 second right positive key k v", "embeddings (B, d)"
)
SCALE = number(
    "scale", "scale s logit_scale logitscale gamma", 1.0, (1.0, 0.5, 2.0, 5.0, 10.0, 14.2857, 20.0, 30.0, 64.0, 100.0)
)
BIAS = number("bias", "bias shift b0 offset", 0.0, (0.0, -1.0, -10.0))


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (normalize(a, dim=1) * normalize(b, dim=1)).sum(dim=1)


def cosines_of(a: Tensor, b: Tensor) -> Tensor:
    return normalize(a, dim=1) @ normalize(b, dim=1).T


def _between(n: Size, s: Source) -> Tensor:
    return 2 * s.unit((n.batch,)) - 1


COS = Argument(
    "cosine",
    frozenset(["cos", "cosine", "sim", "similarity", "similarities", "logits", "pred", "scores"]),
    _between,
    "cosines (B,)",
    layouts=("", "column"),
)
UNSCALED_FIX = "normalize(a, dim=1) and normalize(b, dim=1) before the product."


def _logit(similarity: Callable[[Tensor, Tensor], Tensor]) -> Formula:
    return lambda a, b, target, scale, bias: bce_z(within(scale) * similarity(a, b) + bias, target)


def _as_probability(a: Tensor, b: Tensor, target: Tensor, **_: float) -> Tensor:
    p = (1 + cosine(a, b)) / 2
    return -(target * p.log() + (1 - target) * (-p).log1p())


PAIRWISE = (
    Variant(
        "dot products instead of cosines",
        _logit(lambda a, b: (a * b).sum(dim=1)),
        "Lengths count: the logit is not bounded, and the loss can be lowered by making vectors long.",
        UNSCALED_FIX,
        fault=False,
    ),
    Variant(
        "a cosine mapped to (0, 1) and used as a probability",
        _as_probability,
        "It is the BCE of p = (1 + cos) / 2, not of a logit.",
        "Use binary_cross_entropy_with_logits(scale * cos + bias, target).",
    ),
    Variant(
        "the distance 1 - cos as the logit",
        _logit(lambda a, b: 1 - cosine(a, b)),
        "Similar pairs get the lowest logit: it teaches the opposite.",
        "Use the cosine itself, times a scale.",
    ),
    Variant(
        "embeddings normalised over the batch (the wrong axis)",
        _logit(lambda a, b: (normalize(a, dim=0) * normalize(b, dim=0)).sum(dim=1)),
        "Columns are normalised, not embeddings, so rows depend on each other.",
        UNSCALED_FIX,
    ),
    Variant(
        "the labels turned round",
        lambda a, b, target, scale, bias: bce_z(within(scale) * cosine(a, b) + bias, 1 - target),
        "Positives are pushed apart.",
        "Use 1 for pairs that belong together.",
    ),
)


def _remark(options: Mapping[str, float]) -> str:
    """The lowest loss that any embedding reaches, by the scale of the cosines."""
    scale, bias = options.get("scale", 1.0), options.get("bias", 0.0)
    if scale != 1 or bias != 0:
        best, worst = math.log1p(math.exp(-scale - bias)), math.log1p(math.exp(-scale + bias))
        return (
            f"with scale {scale:.4g} and bias {bias:.4g} the loss of a positive pair can fall to {best:.3g}, "
            f"of a negative one to {worst:.3g}"
        )
    return (
        f"correct as code, but bounded as a loss: the lowest loss that can be reached is {cosine_bce_least():.4f} "
        f"= log(1 + 1/e) ({cosine_bce_least(10):.4f} with 10 "
        "classes; cosines of 0 give log 2 = .6931). A cosine lies in [-1, 1], so the probability stays in [.269, "
        ".731] and a solved pair still has "
        "slope .269. Multiply the cosine by a scale (10 to 30, or learned) and add a bias, or use info-nce"
    )


def _pair(a: Tensor, b: Tensor, target: Tensor, scale: float, bias: float) -> Tensor:
    return bce_z(within(scale) * cosine(a, b) + bias, target)


def _pairs(a: Tensor, b: Tensor, scale: float, bias: float) -> Tensor:
    return bce_z(within(scale) * cosines_of(a, b) + bias, torch.eye(len(a), dtype=a.dtype))


SAME = (scaled("a", "b"), symmetric("a", "b"))
COSINE_FORMS = (
    Form((A, B, binary()), {"log(1 + e^l) - t l": _pair}, (SCALE, BIAS), PAIRWISE, SAME),
    Form(
        (COS, binary()),
        {"log(1 + e^l) - t l": lambda cosine, target, scale, bias: bce_z(within(scale) * cosine + bias, target)},
        (SCALE, BIAS),
    ),
    Form(
        (A, B),
        {"mean over all pairs of log(1 + e^l) - [i = j] l": _pairs},
        (SCALE, BIAS),
        invariances=SAME,
        least=2,
        per_sample=False,
    ),
)
TEMPERATURE = number("temperature", "temperature t tau temp", 0.1, (0.05, 0.07, 0.1, 0.2, 0.5, 1.0))


LOGIT_SCALE = number(
    "scale", "scale s logit_scale logitscale inverse", 14.3, (14.2857, 1.0, 2.0, 5.0, 10.0, 20.0, 100.0)
)
SIMILARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "": cosines_of,
    "dot products instead of cosines": lambda a, b: a @ b.T,
    "embeddings normalised over the batch (the wrong axis)": lambda a, b: normalize(a, dim=0) @ normalize(b, dim=0).T,
}
SIMILARITY_WHY = {
    "": "",
    "dot products instead of cosines": "Lengths count, so the temperature means nothing (unless all have length 1).",
    "embeddings normalised over the batch (the wrong axis)": "Columns are normalised, not embeddings.",
}
Behind = Callable[[Tensor], Tensor]


def _behind(s: Tensor) -> Tensor:
    """-log softmax of the diagonal, by rows."""
    return s.logsumexp(dim=1) - s.diagonal()


def _without_positive(s: Tensor) -> Tensor:
    return s.masked_fill(torch.eye(len(s), dtype=torch.bool), -torch.inf).logsumexp(dim=1) - s.diagonal()


def _both_ways(s: Tensor) -> Tensor:
    return (_behind(s) + _behind(s.T)) / 2


def _divided(temperature: float) -> float:
    return 1 / within(temperature, 0, 2)


def _multiplied(temperature: float) -> float:
    return within(temperature, 0, 2)


def _nt_xent(a: Tensor, b: Tensor, factor: float) -> Tensor:
    u = torch.cat([normalize(a, dim=1), normalize(b, dim=1)])
    n = len(a)
    s = (u @ u.T * factor).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
    each = s.logsumexp(dim=1) - torch.cat([s.diagonal(n), s.diagonal(-n)])
    return (each[:n] + each[n:]) / 2


def _info_nce(option: Option, of: Callable[[float], float], inverse: Callable[[float], float], turned: str) -> Form:
    """The form whose similarities are multiplied by of(option)."""

    def loss(
        similarity: Callable[[Tensor, Tensor], Tensor], behind: Behind, factor: Callable[[float], float]
    ) -> Formula:
        return lambda a, b, **rest: behind(similarity(a, b) * factor(rest[option.role]))

    def combined(similarity: str, one: bool, wrong: bool) -> Variant:
        parts = [similarity] * bool(similarity) + ["one direction only"] * one + [turned] * wrong
        why = [
            SIMILARITY_WHY[similarity],
            "Rows of a choose among b, never the other way round: b is trained as targets only." * one,
            "A temperature below 1 then flattens the softmax: the loss stays near log B." * wrong,
        ]
        formula = loss(SIMILARITIES[similarity], _behind if one else _both_ways, inverse if wrong else of)
        fix = "s = normalize(a) @ normalize(b).T / temperature; average the cross-entropies of s and s.T."
        return Variant(" and ".join(parts), formula, " ".join(filter(None, why)), fix, bool(similarity or wrong))

    cosines = SIMILARITIES[""]
    several = [
        combined(*parts) for parts in product(SIMILARITIES, (True, False), (False, True)) if parts != ("", False, False)
    ]
    return Form(
        (A, B),
        {"-log softmax of s_ii by rows and by columns, s = cos / T": loss(cosines, _both_ways, of)},
        (option,),
        least=2,
        per_sample=False,
        invariances=SAME,
        variants=(
            *several,
            Variant(
                "NT-Xent: all 2 B - 2 others as negatives",
                lambda a, b, **rest: _nt_xent(a, b, of(rest[option.role])),
                "The SimCLR loss: views of the same side are negatives too; at collapse it is log(2 B - 1), not log B.",
                "Fine for two views of one encoder; for two modalities drop the blocks within a side.",
                fault=False,
            ),
            Variant(
                "the positive is left out of the denominator",
                loss(cosines, lambda s: (_without_positive(s) + _without_positive(s.T)) / 2, of),
                "The decoupled loss: without the positive in the sum it has no floor at 0.",
                "logsumexp over the whole row, the diagonal included.",
                fault=False,
            ),
            Variant(
                "the positive is left out of the denominator, one direction only",
                loss(cosines, _without_positive, of),
                "The decoupled loss, and b is trained as targets only.",
                "logsumexp over the whole row, the diagonal included; both directions.",
                fault=False,
            ),
            Variant(
                "a softmax too many",
                loss(cosines, lambda s: _behind(s.softmax(dim=1)), of),
                "cross_entropy takes logits and applies log-softmax itself; on probabilities it stays near log B.",
                "Give cross_entropy the similarities.",
            ),
            Variant(
                "the softmax over the wrong axis",
                loss(cosines, lambda s: _behind(s.T), of),
                "Columns of b choose among a: the direction that is missing is that of the rows.",
                "Average the cross-entropies of s and of its transpose.",
                fault=False,
            ),
        ),
    )


INFO = (
    _info_nce(TEMPERATURE, _divided, _multiplied, "multiplied by the temperature"),
    _info_nce(
        LOGIT_SCALE, lambda scale: within(scale, 0.5), lambda scale: 1 / within(scale, 0.5), "divided by the scale"
    ),
)

CLAIMS = (
    Claim(
        "cosine-bce",
        "log(1 + e^l) - t l, the logit l = cos(a, b) (times a scale, plus a bias, where there are any)",
        COSINE_FORMS,
        (
            "contrastive-bce",
            "bce-cosine",
            "cosine-bce-with-logits",
            "contrastive",
            "bce-with-cosine",
            "contrastive-cosine-bce",
            "scaled-cosine-bce",
        ),
        "cosine-bce-loss",
        ("contrastive.cosine_bce",),
        _remark,
        fragile=False,
    ),
    Claim(
        "info-nce",
        "-log softmax of s_ii among row i and among column i, averaged; s = cos(a_i, b_j) / T",
        INFO,
        ("clip", "ntxent-clip"),
        "info-nce",
        ("contrastive.info_nce", "streaming.streaming_info_nce"),
        fragile=False,
    ),
)
