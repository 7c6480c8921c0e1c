"""Modes of a known mixture: how many are covered, and how well (VEEGAN's and PacGAN's convention, mended).

A row is of high quality if it lies within 3 standard deviations of its nearest centre; a mode counts as covered with
at least a tenth of its share of such rows, since with "at least one" uniform noise covers most of a grid. A perfect
sampler has P(chi_d <= 3) of its rows of high quality: 99.73, 98.89, 97.07 % for d = 1, 2, 3; more means modes drawn too
narrow. Modes wider than a tenth of their distance are reached by noise too: there quality and spread tell.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.special import gammainc
from scipy.stats import binom
from torch import Tensor

from ..errors import UserError
from .rows import checked

REACH, LEAST = 3.0, 0.1


@dataclass(frozen=True)
class Modes:
    """reverse_kl: KL(model's shares || uniform) of high-quality rows, minus its finite-sample mean (M - 1) / (2 n).

    spread: within-mode standard deviation over the truth, 1 for a perfect sampler; perfect: its high-quality share.
    """

    covered: int
    high_quality: float
    reverse_kl: float
    spread: float
    perfect: float


@torch.no_grad()
def modes(x: Tensor, centers: Tensor, std: float) -> Modes:
    """Samples x (n, d) against M equal normal modes: centers (M, d), one std.

    Raises UserError for centres that coincide (as linspace(0, 2 pi, M) places them on a ring), and for so many columns
    that fewer than half of a perfect sampler's rows lie within 3 std.
    """
    x, centers = checked(x, centers, 1, ("x", "centers"))
    (n, d), count = x.shape, len(centers)
    perfect = float(gammainc(d / 2, REACH**2 / 2))
    _refuse(centers, std, perfect)
    distance, nearest = torch.cdist(x, centers).min(1)
    good = distance <= REACH * std
    shares = torch.bincount(nearest[good], minlength=count).double()
    total = float(shares.sum())
    q = shares[shares > 0] / max(total, 1.0)
    kl = float((q * (q * count).log()).sum()) - (count - 1) / (2 * max(total, 1.0)) if total else math.inf
    # a normal cut at 3 std keeps d P(chi_{d+2} <= 3) / P(chi_d <= 3) of std^2
    kept = d * float(gammainc(d / 2 + 1, REACH**2 / 2)) / perfect
    spread = math.sqrt(float((distance[good] ** 2).mean()) / kept) / std if total else math.nan
    return Modes(int((shares >= LEAST * n / count).sum()), float(good.double().mean()), kl, spread, perfect)


@dataclass(frozen=True)
class ModeShares:
    """covered: modes with at least a tenth of their share; kl: KL(shares || uniform), not corrected for its bias.

    perfect_covered, floor: what n draws of equally frequent modes have on average.
    """

    covered: int
    kl: float
    perfect_covered: float
    floor: float


def mode_shares(modes: np.ndarray, count: int) -> ModeShares:
    """Rows known by their modes (n,), whole numbers below `count`, against equally frequent modes (Metz et al., 2017).

    Raises UserError for no rows, and for modes that are none of these.
    """
    if not len(modes) or modes.min() < 0 or modes.max() >= count:
        raise UserError(f"modes must be at least one whole number from 0 to {count - 1}; got {modes}.")
    n, counts = len(modes), np.bincount(modes, minlength=count)
    q = counts[counts > 0] / n
    covered = int((counts >= LEAST * n / count).sum())
    return ModeShares(covered, float((q * np.log(q * count)).sum()), *_perfect(n, count))


@lru_cache(maxsize=64)
def _perfect(n: int, count: int) -> tuple[float, float]:
    """Mean number of covered modes and mean KL of n draws over M equally frequent modes, exact by linearity.

    E KL = M sum_c P(c) (c / n) log(c M / n),  c ~ Binomial(n, 1 / M);  near (M - 1) / (2 n) for large n / M
    """
    c = np.arange(1, n + 1)
    p = binom.pmf(c, n, 1 / count)
    kl = count * float((p * (c / n) * np.log(c * count / n)).sum())
    return count * float(p[c >= LEAST * n / count].sum()), kl


def _refuse(centers: Tensor, std: float, perfect: float) -> None:
    if not 0 < std < math.inf:
        raise UserError(f"std must be positive and finite; got {std}.")
    if len(centers) > 1:
        apart = torch.cdist(centers, centers).fill_diagonal_(math.inf)
        same = int((apart.min(1).values <= 1e-6 * std).sum())
        if same:
            raise UserError(f"centers has {same} rows that coincide with another; every mode needs its own.")
    if perfect < 0.5:
        raise UserError(
            f"In {centers.shape[1]} columns only {perfect:.0%} of a perfect sampler's rows lie within {REACH:.0f} std: "
            "modes cannot be counted; use neighbours."
        )
