"""Losses on statistics of a batch of embeddings: VICReg, Barlow Twins, alignment, uniformity."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from ..arguments import directions, number, rows
from ..claim import Claim, Form, Formula, Variant
from ..invariance import scaled, shifted, symmetric
from .contrastive import UNSCALED_FIX
from .contrastive import A as UNIT_A
from .contrastive import B as UNIT_B

A = rows("a", "a z1 za x1 emb1 e1 h1 left first x view1 z_a")
B = rows("b", "b z2 zb x2 emb2 e2 h2 right second y view2 z_b")
Z = directions("z", "z x emb embs embeddings embedding features feats h u", "embeddings (B, d)")
CARD = "redundancy-losses"


def centred(z: Tensor) -> Tensor:
    return z - z.mean(dim=0)


def off_diagonal(C: Tensor) -> Tensor:
    return C * (1 - torch.eye(len(C), dtype=C.dtype))


# VICReg --------------------------------------------------------------------------------------------------------------

WEIGHTS = (
    number("invariance", "invariance sim sim_coeff sim_loss_weight lambda lam", 25.0, (25.0, 1.0, 10.0)),
    number("variance", "variance var std std_coeff var_coeff mu", 25.0, (25.0, 1.0, 10.0)),
    number("covariance", "covariance cov cov_coeff nu", 1.0, (1.0, 0.04, 25.0)),
)


def deviation(z: Tensor) -> Tensor:
    return (z.var(dim=0) + 1e-4).sqrt()


def covariance(z: Tensor) -> Tensor:
    return centred(z).T @ centred(z) / (len(z) - 1)


def spilled(z: Tensor) -> Tensor:
    return off_diagonal(covariance(z)).square().sum() / z.shape[1]


def by_row(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b) ** 2).mean(dim=1)


def vicreg(
    near: Callable[[Tensor, Tensor], Tensor] = by_row,
    spread: Callable[[Tensor], Tensor] = lambda z: relu(1 - deviation(z)).mean(),
    spill: Callable[[Tensor], Tensor] = spilled,
) -> Formula:
    def formula(a: Tensor, b: Tensor, invariance: float, variance: float, covariance: float) -> Tensor:
        batch = variance * (spread(a) + spread(b)) / 2 + covariance * (spill(a) + spill(b))
        return invariance * near(a, b) + batch

    return formula


VIC_FIX = "25 mse(a, b) + 25 (mean relu(1 - std_a) + mean relu(1 - std_b)) / 2 + off-diagonal cov^2 sums / d."
VICREG = (
    Variant(
        "the variance in place of the standard deviation",
        vicreg(spread=lambda z: relu(1 - z.var(dim=0) - 1e-4).mean()),
        "The slope of a variance is 0 at collapse, so nothing drives a collapsed column apart.",
        "sqrt(var + 1e-4) inside the hinge.",
    ),
    Variant(
        "the diagonal left in the covariance",
        vicreg(spill=lambda z: covariance(z).square().sum() / z.shape[1]),
        "Variances are pushed to 0, against the variance term.",
        "Set the diagonal of the covariance to 0 before the squares.",
    ),
    Variant(
        "second moments in place of the covariance",
        vicreg(spill=lambda z: off_diagonal(z.T @ z / (len(z) - 1)).square().sum() / z.shape[1]),
        "Without the mean subtracted, columns with a mean count as correlated.",
        "z = z - z.mean(dim=0) first.",
    ),
    Variant(
        "no hinge on the deviation",
        vicreg(spread=lambda z: (1 - deviation(z)).mean()),
        "Columns are driven apart without end: it has no lower bound.",
        "relu(1 - std).",
    ),
    Variant(
        "the variance summed over both sides",
        vicreg(spread=lambda z: 2 * relu(1 - deviation(z)).mean()),
        "As the paper writes it; the authors' code, to which the weights belong, takes the mean.",
        "Fine; halve its weight to compare numbers.",
        fault=False,
    ),
    Variant(
        "the squared distance summed over columns",
        vicreg(near=lambda a, b: ((a - b) ** 2).sum(dim=1)),
        "As the paper writes it; the authors' code takes the mean over columns, so this weighs d times as much.",
        "Fine; divide its weight by d to compare numbers.",
        fault=False,
    ),
)

# Barlow Twins --------------------------------------------------------------------------------------------------------

REDUNDANCY = number(
    "redundancy", "redundancy lambd lam lambda lambda_ lambda_param", 5e-3, (5e-3, 5.1e-3, 3.9e-3, 1e-2)
)


def standardised(z: Tensor) -> Tensor:
    return centred(z) / (z.var(dim=0, correction=0) + 1e-5).sqrt()


def across(make: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda a, b: make(a).T @ make(b) / len(a)


def barlow(
    correlation: Callable[[Tensor, Tensor], Tensor],
    near: Callable[[Tensor], Tensor] = lambda C: (1 - C.diagonal()).square().sum(),
    spill: Callable[[Tensor], Tensor] = lambda C: off_diagonal(C).square().sum(),
) -> Formula:
    def formula(a: Tensor, b: Tensor, redundancy: float) -> Tensor:
        C = correlation(a, b)
        return near(C) + redundancy * spill(C)

    return formula


def _of_rows(a: Tensor, b: Tensor) -> Tensor:
    return standardised(a) @ standardised(b).T / a.shape[1]


BARLOW_FIX = (
    "C = bn(a).T @ bn(b) / B, bn without learnt parameters; (1 - C_ii)^2 summed, plus 0.005 of the rest squared."
)
BARLOW = (
    Variant(
        "columns not normalised over the batch",
        barlow(across(lambda z: z)),
        "C is no correlation: lengths and means of the embeddings count.",
        BARLOW_FIX,
    ),
    Variant(
        "columns centred, not divided by their deviation",
        barlow(across(centred)),
        "C is a covariance: its diagonal is 1 only where variances are.",
        BARLOW_FIX,
    ),
    Variant(
        "rows normalised in place of columns",
        barlow(across(lambda z: normalize(z, dim=1))),
        "Unit embeddings, as InfoNCE takes them: the diagonal of C then sums to 1 at most, and cannot be all ones.",
        BARLOW_FIX,
    ),
    Variant(
        "correlations of rows in place of columns",
        barlow(_of_rows),
        "A B x B matrix: rows are told apart, which is a contrastive loss with other names.",
        BARLOW_FIX,
    ),
    Variant(
        "the diagonal left in the second sum",
        barlow(across(standardised), spill=lambda C: C.square().sum()),
        "Agreement of the two sides is punished a little too.",
        "Leave out the diagonal.",
    ),
    Variant(
        "the off-diagonal not squared",
        barlow(across(standardised), spill=lambda C: off_diagonal(C).sum()),
        "Negative correlations are rewarded: it has no floor at 0.",
        BARLOW_FIX,
    ),
    Variant(
        "the sum not divided by the batch",
        barlow(lambda a, b: standardised(a).T @ standardised(b)),
        "C reaches B in place of 1, so the sides are driven apart.",
        BARLOW_FIX,
    ),
)

# alignment and uniformity -------------------------------------------------------------------------------------------


def _squares(z: Tensor) -> Tensor:
    """|u_i - u_j|^2 of all pairs i < j."""
    i, j = torch.triu_indices(len(z), len(z), 1)
    return ((z[i] - z[j]) ** 2).sum(dim=1)


def _unit(z: Tensor) -> Tensor:
    return normalize(z, dim=1)


def _log_mean(exponent: Tensor) -> Tensor:
    return exponent.exp().mean().log()


def _own_kept(z: Tensor, t: float) -> Tensor:
    u = _unit(z)
    return (-t * ((u.unsqueeze(1) - u) ** 2).sum(dim=2)).exp().mean().log()


T = number("t", "t temperature scale", 2.0, (2.0, 1.0, 0.5, 3.0))
UNIFORMITY = (
    Variant(
        "rows not normalised",
        lambda z, t: _log_mean(-t * _squares(z)),
        "Without unit length the loss falls for ever by making embeddings long.",
        "z = normalize(z, dim=1) first.",
    ),
    Variant(
        "distances not squared",
        lambda z, t: _log_mean(-t * _squares(_unit(z)).clamp(min=1e-24).sqrt()),
        "Another kernel, with a slope that does not vanish where rows meet.",
        "Square the distances: torch.pdist(z).pow(2).",
    ),
    Variant(
        "the similarity to itself is counted",
        _own_kept,
        "The B pairs of a row with itself are in the mean: it cannot fall below -log B.",
        "torch.pdist, or leave out the diagonal.",
    ),
    Variant(
        "the mean of the exponents",
        lambda z, t: -t * _squares(_unit(z)).mean(),
        "Without e and log it is linear: two opposite heaps are as good as a whole sphere.",
        "log of the mean of e^(-t d^2).",
    ),
    Variant(
        "the logarithm left out",
        lambda z, t: (-t * _squares(_unit(z))).exp().mean(),
        "The same order, another scale beside alignment: its slope fades as rows spread.",
        "Take the logarithm of the mean.",
        fault=False,
    ),
)


CLAIMS = (
    Claim(
        "vicreg",
        "25 |a_i - b_i|^2 / d + 25 mean relu(1 - std) + sum of squared off-diagonal covariances / d",
        (
            Form(
                (A, B),
                {"25 invariance + 25 variance + covariance": vicreg()},
                WEIGHTS,
                VICREG,
                (shifted("a", "b"), symmetric("a", "b")),
                least=3,
                per_sample=False,
            ),
        ),
        ("variance-invariance-covariance",),
        CARD,
        ("redundancy.vicreg",),
        fragile=False,
    ),
    Claim(
        "barlow-twins",
        "sum (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2, C the cross-correlation of columns over the batch",
        (
            Form(
                (A, B),
                {"sum (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2": barlow(across(standardised))},
                (REDUNDANCY,),
                BARLOW,
                (shifted("a"), shifted("b"), symmetric("a", "b")),
                least=3,
                per_sample=False,
                whole=True,
            ),
        ),
        ("barlow",),
        CARD,
        ("redundancy.barlow_twins",),
        fragile=False,
    ),
    Claim(
        "alignment",
        "|u_i - v_i|^2 of unit vectors, 2 - 2 cos",
        (
            Form(
                (UNIT_A, UNIT_B),
                {"|u_i - v_i|^2": lambda a, b: ((_unit(a) - _unit(b)) ** 2).sum(dim=1)},
                (),
                (
                    Variant(
                        "rows not normalised",
                        lambda a, b: ((a - b) ** 2).sum(dim=1),
                        "Lengths count: it is a squared error, least where all embeddings shrink.",
                        UNSCALED_FIX,
                    ),
                    Variant(
                        "distances not squared",
                        lambda a, b: ((_unit(a) - _unit(b)) ** 2).sum(dim=1).clamp(min=1e-24).sqrt(),
                        "alpha = 1 in place of 2: near pairs pull as much as far ones.",
                        "Square the distances, or say alpha = 1.",
                        fault=False,
                    ),
                ),
                (scaled("a", "b"), symmetric("a", "b")),
            ),
        ),
        ("align",),
        CARD,
        ("redundancy.alignment",),
        fragile=False,
    ),
    Claim(
        "uniformity",
        "log mean over i < j of e^(-t |u_i - u_j|^2) of unit vectors",
        (
            Form(
                (Z,),
                {"log mean e^(-t |u_i - u_j|^2)": lambda z, t: _log_mean(-t * _squares(_unit(z)))},
                (T,),
                UNIFORMITY,
                (scaled("z"),),
                least=3,
                per_sample=False,
                whole=True,
            ),
        ),
        ("uniform", "hypersphere-uniformity"),
        CARD,
        ("redundancy.uniformity",),
        fragile=False,
    ),
)
